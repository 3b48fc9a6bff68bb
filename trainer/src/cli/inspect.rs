//! `trainer inspect`: what a model computes, and what it costs.

use std::io::{self, Write};
use std::path::PathBuf;
use teff_compiler::onnx::metadata;

use anyhow::Result;
use comfy_table::{Table, presets};
use serde::Serialize;
use teff::plan::file::ModelFile;
use teff_compiler::Target;
use teff_compiler::options::{Options, parse_bytes};
use teff_compiler::target::parse_target;

use super::Output;
use crate::engine::{ports, quant_text, shape_text};
use crate::error::InputError;
use crate::model_file::{self, Facts, brief};
use crate::plan_report::PlanReport;
use crate::synthetic;

/// Show operators, shapes, work, RAM over time and flash of a model
///
/// A float model is shown as it would be after quantization; its accuracy cannot be told from that.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model: .onnx, .tflite or .teff
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Processor to compile a model file for
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
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Serialize)]
struct Report {
    model: String,
    /// False for a float model, which is shown as it would be after quantization.
    quantized: bool,
    inputs: Vec<PortReport>,
    outputs: Vec<PortReport>,
    labels: Vec<String>,
    front_end: Option<String>,
    licence: Option<String>,
    /// What a person should know of how the plan came about.
    notes: Vec<String>,
    #[serde(flatten)]
    plan: PlanReport,
}

#[derive(Debug, Serialize)]
struct PortReport {
    name: String,
    shape: Vec<Option<usize>>,
    #[serde(rename = "type")]
    element_type: &'static str,
    scale: Option<f32>,
    zero_point: Option<i8>,
}

/// Runs the sub-command.
pub fn run(args: Args) -> Result<()> {
    let Opened { file, names, quantized, notes } = open(&args)?;
    let model = file.model();
    let fault =
        |problem: String| InputError::new(&args.model, problem, "compile it again with `trainer compile`");
    let ports = |direction| -> Result<Vec<PortReport>> {
        let wires = ports::wires(&model, direction).map_err(fault)?;
        let report = |wire: ports::Wire| PortReport {
            name: wire.port.name,
            shape: wire.port.shape,
            element_type: wire.port.element_type.name(),
            scale: wire.port.quant.map(|quant| quant.scale),
            zero_point: wire.port.quant.map(|quant| quant.zero_point),
        };
        Ok(wires.into_iter().map(report).collect())
    };
    let facts = Facts::of_plan(&model).map_err(fault)?;
    let report = Report {
        model: args.model.display().to_string(),
        quantized,
        inputs: ports(ports::Direction::In)?,
        outputs: ports(ports::Direction::Out)?,
        labels: facts.labels(),
        front_end: facts.metadata(metadata::FRONT_END).map(str::to_string),
        licence: facts.metadata(metadata::LICENCE).map(str::to_string),
        notes,
        plan: PlanReport::new(&model, &names),
    };
    args.output.print(&report, |out| tables(out, &report))
}

/// A model, compiled.
struct Opened {
    file: ModelFile,
    /// The names of its operators, as far as they are known.
    names: Vec<String>,
    quantized: bool,
    notes: Vec<String>,
}

fn open(args: &Args) -> Result<Opened> {
    let (path, target) = (&*args.model, args.target);
    if model_file::is_plan(path) {
        if target != Target::Generic || args.ram.is_some() || args.flash.is_some() {
            anyhow::bail!(
                "`--target`, `--ram` and `--flash` are for model files; {} is compiled already. Remedy: leave them out",
                path.display()
            );
        }
        let file = model_file::open_plan(path)?;
        return Ok(Opened { file, names: Vec::new(), quantized: true, notes: Vec::new() });
    }
    let mut onnx = model_file::read(path)?;
    let in_file = |error: teff_compiler::Error| error.in_file(path);
    let mut graph = teff_compiler::import(&onnx).map_err(in_file)?;
    let quantized = graph.has_integers();
    if !quantized {
        onnx =
            teff_compiler::onnx::export(&synthetic::quantized(&graph).map_err(in_file)?).map_err(in_file)?;
    }
    let options = Options { ram_bytes: args.ram, flash_bytes: args.flash, ..Options::default() };
    let compiled = teff_compiler::compile_with(&onnx, target, &options).map_err(in_file)?;
    let names = compiled.report.layers.iter().map(|layer| layer.name.clone()).collect();
    compiled.report.notes.into_iter().for_each(|note| graph.note(note));
    let file = model_file::plan_from_bytes(path, &compiled.plan)?;
    Ok(Opened { file, names, quantized, notes: graph.notes })
}

fn tables(out: &mut dyn Write, report: &Report) -> io::Result<()> {
    let plan = &report.plan;
    writeln!(out, "{}, compiled for {}", report.model, plan.target)?;
    if !report.quantized {
        writeln!(out, "This is a float model: what follows is its size after quantization to int8.")?;
    }
    for (title, ports) in [("input", &report.inputs), ("output", &report.outputs)] {
        for port in ports {
            write!(out, "  {title:<6}  {}  {} {}", port.name, port.element_type, shape_text(&port.shape))?;
            match (port.scale, port.zero_point) {
                (Some(scale), Some(zero)) if report.quantized => {
                    writeln!(out, ", {}", quant_text(scale, zero))?;
                }
                _ => writeln!(out)?,
            }
        }
    }
    if !report.labels.is_empty() {
        writeln!(out, "  labels  {}", report.labels.join(", "))?;
    }
    if let Some(line) = &report.front_end {
        writeln!(out, "  front end  {}", brief(line))?;
    }
    if let Some(licence) = &report.licence {
        writeln!(out, "  licence  {licence}")?;
    }
    super::write_notes(out, &report.notes)?;
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([
        "#",
        "kernel",
        "layout",
        "output h x w x c",
        "MACs",
        "predicted",
        "parameters",
        "flash",
        "RAM",
        "node",
    ]);
    for layer in &plan.layers {
        let [h, w, c] = layer.output;
        table.add_row([
            layer.index.to_string(),
            layer.kernel.clone(),
            format!("{}{}", layer.layout, if layer.in_lock_step { ", lock step" } else { "" }),
            format!("{h} x {w} x {c}"),
            layer.macs.to_string(),
            layer.predicted.to_string(),
            layer.parameters.to_string(),
            layer.weights_bytes.to_string(),
            layer.ram_bytes.to_string(),
            super::short(layer.name.as_deref().unwrap_or_default()),
        ]);
    }
    super::align_right(&mut table, &[0, 4, 5, 6, 7, 8]);
    writeln!(out, "\n{table}\n")?;
    writeln!(
        out,
        "RAM over time: one line per operator, the arena of {} bytes from left to right",
        plan.arena_bytes
    )?;
    writeln!(
        out,
        "(▒ input, █ output, ▓ output over input, ░ kept for later, · scratch; then the bytes in use)\n"
    )?;
    writeln!(out, "{}", plan.picture(64))?;
    writeln!(
        out,
        "work   {} multiply-accumulates, {} parameters; predicted for {}: {} instructions, {} in the longest slice",
        plan.macs, plan.parameters, plan.target, plan.predicted, plan.longest_slice_predicted
    )?;
    writeln!(
        out,
        "RAM    {} bytes of arena; the largest live set is {}",
        plan.arena_bytes, plan.live_set_bytes
    )?;
    writeln!(
        out,
        "flash  {} bytes of plan: {} weights, {} front end",
        plan.plan_bytes, plan.weights_bytes, plan.front_end_bytes
    )
}
