//! `trainer run`: a model on arrays.

use std::path::PathBuf;

use serde::Serialize;

use super::{Output, progress};
use crate::arrays;
use crate::engine::{self, Kind, Options, batch};

/// Run a model on arrays
///
/// Reads arrays from an .npz (or .npy) file, runs the model on every example in them and writes the outputs, one array
/// per output with the examples along its first axis. Arrays are matched to the model's inputs by name, or by order.
/// An array has the shape of the input, with any number of examples along its first axis.
///
/// int8 arrays are in the model's quantized units; arrays of other types are real numbers and are quantized with the
/// input's scale and zero point where the model computes in int8.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model: .onnx or .tflite, or .teff for the engine `teff`
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Arrays to run the model on
    #[arg(long, value_name = "X.npz")]
    pub input: PathBuf,
    /// File for the outputs [default: none is written]
    #[arg(long, value_name = "Y.npz")]
    pub output: Option<PathBuf>,
    /// What runs the model
    #[arg(long, value_enum, default_value = "teff")]
    pub engine: Kind,
    /// Give outputs as real numbers where the model gives quantized units
    #[arg(long)]
    pub dequantize: bool,
    /// Let ONNX Runtime run the graph as it is written, without its optimisations
    #[arg(long)]
    pub as_written: bool,
    #[command(flatten)]
    pub format: Output,
}

#[derive(Debug, Serialize)]
struct Report {
    model: String,
    engine: &'static str,
    examples: usize,
    outputs: Vec<OutputReport>,
}

#[derive(Debug, Serialize)]
struct OutputReport {
    name: String,
    shape: Vec<usize>,
    #[serde(rename = "type")]
    element_type: &'static str,
}

/// Runs the sub-command.
pub fn run(args: Args) -> anyhow::Result<()> {
    if args.as_written && args.engine != Kind::Ort {
        anyhow::bail!("`--as-written` is for `--engine ort`. Remedy: leave it out");
    }
    let options = Options { as_written: args.as_written };
    let mut engine = engine::load(args.engine, &args.model, &options)?;
    let arrays = arrays::read(&args.input)?;
    let examples = batch::examples(engine.inputs(), &arrays, &args.input)?;
    let bar = progress::bar(examples.len(), "examples");
    let mut outputs = batch::run(engine.as_mut(), &examples, |done| bar.inc(done as u64))?;
    bar.finish_and_clear();
    if args.dequantize {
        batch::dequantize(engine.outputs(), &mut outputs);
    }
    if let Some(path) = &args.output {
        arrays::write(path, &outputs)?;
    }
    let report = Report {
        model: args.model.display().to_string(),
        engine: args.engine.name(),
        examples: examples.len(),
        outputs: outputs
            .iter()
            .map(|named| OutputReport {
                name: named.name.clone(),
                shape: named.array.shape.clone(),
                element_type: named.array.element_type().name(),
            })
            .collect(),
    };
    args.format.print(&report, |out| {
        writeln!(out, "{} examples through {} with {}", report.examples, report.model, report.engine)?;
        for output in &report.outputs {
            writeln!(out, "  {}  {:?}  {}", output.name, output.shape, output.element_type)?;
        }
        match &args.output {
            Some(path) => writeln!(out, "written to {}", path.display()),
            None => writeln!(out, "not written: give `--output Y.npz` to keep them"),
        }
    })
}
