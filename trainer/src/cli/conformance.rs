//! `trainer conformance`: every quantized model of a folder against exact arithmetic.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use super::{Output, progress};
use crate::conformance::{self, ModelConformance};
use crate::files;

/// Measure each operator of quantized models against exact arithmetic
///
/// Runs every quantized model of a folder on the arrays beside it (`model.npz` beside `model.onnx`). Each operator is given
/// exact integers; shares of differing elements stand beside those of the rounding rules of TensorFlow Lite and ONNX
/// Runtime. `docs/conformance.md` is written by this command.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of .onnx and .tflite files
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// File for the page [default: it is printed]
    #[arg(long, value_name = "PAGE.md")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Serialize)]
struct Report {
    folder: String,
    largest_lsb: u32,
    models: Vec<ModelConformance>,
}

/// Runs the sub-command.
pub fn run(args: Args) -> Result<()> {
    let files = conformance::model_files(&args.folder)?;
    #[cfg(feature = "ort")]
    let with_onnx_runtime = crate::engine::ort::library().is_ok();
    #[cfg(not(feature = "ort"))]
    let with_onnx_runtime = false;
    let bar = progress::bar(files.len(), "files");
    let mut models = Vec::new();
    for file in &files {
        models.extend(conformance::measure(file, with_onnx_runtime)?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    let page = conformance::page(&models);
    if let Some(out) = &args.out {
        files::write_bytes(out, page.as_bytes())?;
    }
    let operators = models.iter().flat_map(|model| model.operators.values());
    let report = Report {
        folder: args.folder.display().to_string(),
        largest_lsb: operators.map(|operator| operator.teff.largest_lsb).max().unwrap_or(0),
        models,
    };
    args.output.print(&report, |out| match &args.out {
        None => write!(out, "{page}"),
        Some(path) => writeln!(
            out,
            "{} quantized models of {}: no operator is more than {} LSB from exact arithmetic; written to {}",
            report.models.len(),
            report.folder,
            report.largest_lsb,
            path.display()
        ),
    })
}
