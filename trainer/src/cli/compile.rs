//! `trainer compile`: from a quantized model file to a plan.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;
use teff_compiler::Target;
use teff_compiler::options::{Options, parse_bytes};
use teff_compiler::target::parse_target;

use super::{Output, write_notes};
use crate::{files, model_file};

/// Compile a quantized model file to a plan for the device
///
/// The plan depends on the model file and the target alone: the same bytes on every machine.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The quantized model: .onnx or .tflite
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Processor that weights are packed for: generic (runs everywhere), cortex-m0, cortex-m3, cortex-m4, cortex-m7,
    /// cortex-m33, cortex-m55, aarch64, x86_64
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
    /// File for the plan [default: MODEL.teff]
    #[arg(long, value_name = "M.teff")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Serialize)]
struct Report {
    model: String,
    target: &'static str,
    plan: String,
    plan_bytes: u64,
    weights_bytes: u64,
    arena_bytes: u64,
    live_set_bytes: u64,
    macs: u64,
    notes: Vec<String>,
}

/// Runs the sub-command.
pub fn run(args: Args) -> Result<()> {
    let options = Options { ram_bytes: args.ram, flash_bytes: args.flash, ..Options::default() };
    let compiled = model_file::compile_with(&args.model, args.target, &options)?;
    let out = args.out.unwrap_or_else(|| args.model.with_extension("teff"));
    files::write_bytes(&out, &compiled.plan)?;
    let report = Report {
        model: args.model.display().to_string(),
        target: args.target.name(),
        plan: out.display().to_string(),
        plan_bytes: compiled.report.plan_bytes,
        weights_bytes: compiled.report.weights_bytes,
        arena_bytes: compiled.report.arena_bytes,
        live_set_bytes: compiled.report.live_set_bytes,
        macs: compiled.report.macs,
        notes: compiled.report.notes,
    };
    args.output.print(&report, |out| {
        writeln!(out, "{} for {}", report.plan, report.target)?;
        writeln!(out, "  flash  {} bytes, of them {} weights", report.plan_bytes, report.weights_bytes)?;
        writeln!(out, "  RAM    {} bytes (largest live set {})", report.arena_bytes, report.live_set_bytes)?;
        writeln!(out, "  work   {} multiply-accumulates per inference", report.macs)?;
        write_notes(out, &report.notes)
    })
}
