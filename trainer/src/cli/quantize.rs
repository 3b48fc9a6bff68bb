//! `trainer quantize`: from a float model file to an int8 ONNX file.

use std::path::PathBuf;

use anyhow::{Result, bail};
use serde::Serialize;
use teff_compiler::Target;

use super::export::{accuracy, calibration, sentence};
use super::quantizing::{self, Options, Quantization};
use super::{Output, write_notes};
use crate::anomaly::Figures;
use crate::export::{self, Quality, Settings};
use crate::files;

/// Quantize a float model file to int8
///
/// Writes an ONNX file in the QDQ form, which other engines run too. Ranges are measured on the given data, and whatever
/// is not said is decided by the error at the outputs. `trainer
/// export` does the same and writes plan, golden vectors and model card besides.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The float model: .onnx or .tflite
    #[arg(value_name = "FLOAT")]
    pub model: PathBuf,
    /// Data that ranges are measured on: arrays, or the folder of a data set
    #[arg(long, value_name = "X.npz|DATASET")]
    pub calibrate: PathBuf,
    /// Recipe of a model that does not carry its data set and front end
    #[arg(long, value_name = "RECIPE.toml")]
    pub recipe: Option<PathBuf>,
    #[command(flatten)]
    pub quantize: Options,
    /// File for the quantized model
    #[arg(long, value_name = "Q.onnx")]
    pub out: PathBuf,
    /// Show every activation: how its range was chosen, and what it is
    #[arg(long)]
    pub verbose: bool,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Serialize)]
struct Report {
    model: String,
    out: String,
    onnx_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    float_top1: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    int8_top1: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    samples: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    float_anomaly: Option<Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    int8_anomaly: Option<Figures>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantization: Option<Quantization>,
    notes: Vec<String>,
}

/// Runs the sub-command.
pub fn run(args: Args) -> Result<()> {
    let settings = Settings {
        calibration: Some(calibration(&args.calibrate)),
        recipe: args.recipe.as_deref(),
        quantize: args.quantize.wishes()?,
        target: Target::Generic,
        options: teff_compiler::Options::default(),
    };
    let waiting = quantizing::bar();
    let model = export::of_file(&args.model, &settings, &mut quantizing::show(&waiting));
    waiting.finish_and_clear();
    let model = model?;
    if !model.was_float {
        bail!("{}: is quantized already. Remedy: compile it with `trainer compile`", args.model.display());
    }
    files::write_bytes(&args.out, &model.onnx)?;
    let report = Report {
        model: args.model.display().to_string(),
        out: args.out.display().to_string(),
        onnx_bytes: model.onnx.len(),
        float_top1: accuracy(&model.float).map(|accuracy| accuracy.top1),
        int8_top1: accuracy(&model.int8).map(|accuracy| accuracy.top1),
        samples: accuracy(&model.int8).map(|accuracy| accuracy.samples),
        float_anomaly: model.float.as_ref().and_then(Quality::anomaly).cloned(),
        int8_anomaly: model.int8.as_ref().and_then(Quality::anomaly).cloned(),
        quantization: model.quantization.as_ref().map(Quantization::new),
        notes: model.compiled.report.notes,
    };
    args.output.print(&report, |out| {
        writeln!(out, "{} quantized to {}, {} bytes", report.model, report.out, report.onnx_bytes)?;
        if let (Some(float), Some(int8), Some(samples)) =
            (report.float_top1, report.int8_top1, report.samples)
        {
            writeln!(
                out,
                "  {:.2} % float, {:.2} % int8 of {samples} test examples",
                100.0 * float,
                100.0 * int8
            )?;
        }
        for (network, quality) in [("float", &model.float), ("int8 ", &model.int8)] {
            if let Some(quality @ Quality::Anomaly(_)) = quality {
                writeln!(out, "  {network}  {}", sentence(quality))?;
            }
        }
        if let Some(quantization) = &report.quantization {
            quantization.write(out, args.verbose)?;
        }
        write_notes(out, &report.notes)?;
        writeln!(out, "`trainer compare {} --input X.npz` shows what each operator makes of it", report.out)
    })
}
