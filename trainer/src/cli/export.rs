//! `trainer export`: from a trained run or a model file to the files that a user keeps.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use serde::Serialize;
use teff_compiler::Target;
use teff_compiler::options::parse_bytes;
use teff_compiler::target::parse_target;

use super::quantizing::{self, Options, Quantization};
use super::{Output, write_notes};
use crate::anomaly::Figures;
use crate::export::{self, Accuracy, Calibration, Quality, Settings};
use crate::run;

/// Quantize a model and write everything that is kept of it
///
/// Writes model.onnx (int8, QDQ), model.teff (the plan), labels.txt, golden.npz (generated inputs and the runtime's
/// outputs) and README.md (the model card, with the measured accuracy) into a folder: all of them, or none. A run is
/// calibrated on its training examples and measured on its test split. A float model file needs `--calibrate`. An ONNX
/// file that is quantized already is kept byte for byte; a TensorFlow Lite file that is becomes an ONNX file of the same
/// integers and scales.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder of a finished run, or a model file: .onnx or .tflite
    #[arg(value_name = "RUN|MODEL")]
    pub model: PathBuf,
    /// Data that ranges are measured on: arrays, or the folder of a data set [default: the data set of the run]
    #[arg(long, value_name = "X.npz|DATASET")]
    pub calibrate: Option<PathBuf>,
    /// Recipe of a model file that does not carry its data set and front end
    #[arg(long, value_name = "RECIPE.toml")]
    pub recipe: Option<PathBuf>,
    #[command(flatten)]
    pub quantize: Options,
    /// Processor that the plan's weights are packed for
    #[arg(long, value_parser = parse_target, default_value = "generic")]
    pub target: Target,
    /// Bytes of RAM that the arena may have, as 32768, 32k or 32Ki: of the plans that fit, the one with the least overhead
    /// [default: as little as costs next to no time]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub ram: Option<usize>,
    /// Bytes of flash that the plan may have, as 128000, 128k or 128Ki: weights take a larger form where that saves
    /// instructions and fits [default: weights as small as they can be]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    pub flash: Option<usize>,
    /// Folder for the files
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Serialize)]
struct Report {
    name: String,
    out: String,
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
    macs: u64,
    parameters: u64,
    weights_bytes: u64,
    plan_bytes: u64,
    arena_bytes: u64,
    live_set_bytes: u64,
    onnx_bytes: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantization: Option<Quantization>,
    notes: Vec<String>,
}

/// Runs the sub-command.
pub fn run(args: Args) -> Result<()> {
    let settings = Settings {
        calibration: args.calibrate.as_deref().map(calibration),
        recipe: args.recipe.as_deref(),
        quantize: args.quantize.wishes()?,
        target: args.target,
        options: teff_compiler::Options {
            ram_bytes: args.ram,
            flash_bytes: args.flash,
            ..Default::default()
        },
    };
    let waiting = quantizing::bar();
    let mut tell = quantizing::show(&waiting);
    let model = if args.model.is_dir() {
        if !run::is_run(&args.model) {
            bail!(
                "{}: is a folder without a run in it. Remedy: name the folder that `trainer train --out` wrote, or a \
                 model file",
                args.model.display()
            );
        }
        export::of_run(&args.model, &settings, &mut tell)
    } else {
        export::of_file(&args.model, &settings, &mut tell)
    };
    waiting.finish_and_clear();
    let model = model?;
    export::write(&model, &args.model, &args.out)?;
    let figures = &model.compiled.report;
    let report = Report {
        name: model.name.clone(),
        out: args.out.display().to_string(),
        float_top1: accuracy(&model.float).map(|accuracy| accuracy.top1),
        int8_top1: accuracy(&model.int8).map(|accuracy| accuracy.top1),
        samples: accuracy(&model.int8).map(|accuracy| accuracy.samples),
        float_anomaly: model.float.as_ref().and_then(Quality::anomaly).cloned(),
        int8_anomaly: model.int8.as_ref().and_then(Quality::anomaly).cloned(),
        macs: figures.macs,
        parameters: figures.parameters,
        weights_bytes: figures.weights_bytes,
        plan_bytes: figures.plan_bytes,
        arena_bytes: figures.arena_bytes,
        live_set_bytes: figures.live_set_bytes,
        onnx_bytes: model.onnx.len(),
        quantization: model.quantization.as_ref().map(Quantization::new),
        notes: figures.notes.clone(),
    };
    args.output.print(&report, |out| {
        writeln!(out, "{} written to {}", report.name, report.out)?;
        for (network, quality) in [("float", &model.float), ("int8 ", &model.int8)] {
            if let Some(quality) = quality {
                writeln!(out, "  {network}  {}", sentence(quality))?;
            }
        }
        writeln!(out, "  flash  {} bytes, of them {} weights", report.plan_bytes, report.weights_bytes)?;
        writeln!(out, "  RAM    {} bytes", report.arena_bytes)?;
        if let Some(quantization) = &report.quantization {
            quantization.write(out, false)?;
        }
        write_notes(out, &report.notes)
    })
}

/// Calibration data of the command line: a folder is a data set, a file holds arrays.
pub(super) fn calibration(path: &Path) -> Calibration<'_> {
    if path.is_dir() { Calibration::DataSet(path) } else { Calibration::Arrays(path) }
}

/// The accuracy, where that is what was measured.
pub(super) fn accuracy(quality: &Option<Quality>) -> Option<Accuracy> {
    quality.as_ref().and_then(Quality::accuracy)
}

/// What was measured, for people.
pub(super) fn sentence(quality: &Quality) -> String {
    let percent =
        |share: Option<f64>| share.map_or_else(|| "–".to_string(), |share| format!("{:.2} %", 100.0 * share));
    match quality {
        Quality::Accuracy(Accuracy { top1, samples }) => {
            format!("{} of {samples} test examples", percent(Some(*top1)))
        }
        Quality::Anomaly(figures) => format!(
            "AUC {}, {} detected and {} false alarms of {} test windows at the threshold {:.3}",
            figures.auc.map_or_else(|| "–".to_string(), |auc| format!("{auc:.4}")),
            percent(figures.detection_rate),
            percent(figures.false_alarm_rate),
            figures.samples,
            figures.threshold
        ),
    }
}
