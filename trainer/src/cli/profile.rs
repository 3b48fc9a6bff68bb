//! `trainer profile`: what an inference costs on a device, counted on the emulated board.

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::{Result, bail};
use comfy_table::{Table, presets};
use serde::Serialize;
use teff_board::{Board, Case, Count};

use super::{Output, progress};
use crate::arrays;
use crate::engine::board::OnBoard;
use crate::engine::{Engine, batch};
use crate::front_end_costs::{self, OfModel, m0_plus_cycles};
use crate::plan_report::PlanReport;
use crate::synthetic;

/// Count what an inference and a hop of the front end cost on an emulated board: instructions per operator, RAM, stack, flash
///
/// One inference of one input is counted to the instruction. Counts hardly depend on the input. What a count means, and
/// what it does not: docs/measuring.md.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model: .onnx, .tflite or .teff; what is no plan is compiled for the board's processor
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Which emulated board
    #[arg(long, default_value = "mps2-an386")]
    pub board: String,
    /// Arrays whose first example is run [default: what numpy's RandomState(0).randint(-128, 128) gives]
    #[arg(long, value_name = "X.npz")]
    pub input: Option<PathBuf>,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Serialize)]
struct Report {
    model: String,
    /// SHA-256 of the file that the plan was made from.
    source_sha256: String,
    board: &'static str,
    /// Processor that the plan is compiled for.
    target: &'static str,
    macs: u64,
    /// Predicted by the compiler.
    predicted: u64,
    instructions: u64,
    /// By the processor's published timings; null where there are none.
    cycles_estimated: Option<u64>,
    /// By the timings of the Cortex-M0+, where the board is counted as a Cortex-M0.
    m0_plus_cycles_estimated: Option<u64>,
    instructions_per_mac: Option<f64>,
    arena_bytes: u64,
    live_set_bytes: u64,
    /// Below the caller of one inference.
    stack_bytes: u64,
    plan_bytes: u64,
    slices: usize,
    /// The most predicted instructions of a slice.
    longest_slice_predicted: u64,
    /// The most instructions of a slice.
    longest_slice: u64,
    /// Bytes of the outputs in which board and host differ.
    differing_bytes: usize,
    /// The outputs, in quantized units, in the order of the device's memory.
    outputs: Vec<Vec<i8>>,
    /// Null where the model takes no samples.
    front_end: Option<OfModel>,
    layers: Vec<LayerReport>,
}

#[derive(Debug, Serialize)]
struct LayerReport {
    index: usize,
    name: Option<String>,
    operator: &'static str,
    kernel: String,
    packing: String,
    layout: &'static str,
    in_lock_step: bool,
    output: [usize; 3],
    macs: u64,
    predicted: u64,
    /// What the prediction is made from.
    work: Vec<u64>,
    instructions: u64,
    cycles_estimated: Option<u64>,
    /// Of the instructions of all layers.
    share: f64,
    instructions_per_mac: Option<f64>,
}

/// Runs the sub-command.
pub fn run(args: Args) -> Result<()> {
    let board = Board::find(&args.board)?;
    let mut engine = OnBoard::load(&args.model, board)?;
    let mut examples = match &args.input {
        Some(path) => batch::examples(engine.inputs(), &arrays::read(path)?, path)?,
        None => vec![synthetic::as_numpy(engine.inputs())],
    };
    examples.truncate(1);
    let Some(case) = engine.host().cases(&examples)?.pop() else { bail!("there is no example to run") };
    let on_host = engine.host().run_raw(std::slice::from_ref(&case))?.pop().unwrap_or_default();

    let waiting = progress::waiting(&format!("counting on {}", board.title));
    let device_case =
        Case { inputs: case.inputs.iter().map(|input| input.iter().map(|&q| q as u8).collect()).collect() };
    let names = engine.names().to_vec();
    let plan = PlanReport::new(&engine.host().model(), &names);
    let bytes = engine.host().model().as_bytes().to_vec();
    let hash = engine.host().model().header().source_hash;
    let source_sha256 = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let counted = engine.device().profile(&bytes, &device_case, plan.layers.len());
    let front_end = match &counted {
        Ok(_) => front_end_costs::of_model(board, engine.host().model().front_end()),
        Err(_) => Ok(None),
    };
    waiting.finish_and_clear();
    let (counted, front_end) = (counted?, front_end?);

    let on_board: Vec<Vec<i8>> =
        counted.outputs.iter().map(|output| output.iter().map(|&byte| byte as i8).collect()).collect();
    let pairs = on_host.iter().flatten().zip(on_board.iter().flatten());
    let all: u64 = counted.layers.iter().map(|count| count.instructions).sum();
    let layers = plan.layers.iter().zip(&counted.layers).map(|(layer, count)| LayerReport {
        index: layer.index,
        name: layer.name.clone(),
        operator: layer.operator,
        kernel: layer.kernel.clone(),
        packing: layer.packing.clone(),
        layout: layer.layout,
        in_lock_step: layer.in_lock_step,
        work: layer.work.clone(),
        output: layer.output,
        macs: layer.macs,
        predicted: layer.predicted,
        instructions: count.instructions,
        cycles_estimated: count.cycles,
        share: count.instructions as f64 / all.max(1) as f64,
        instructions_per_mac: per_mac(*count, layer.macs),
    });
    let report = Report {
        model: args.model.display().to_string(),
        source_sha256,
        board: board.name,
        target: plan.target,
        macs: plan.macs,
        predicted: plan.predicted,
        instructions: counted.total.instructions,
        cycles_estimated: counted.total.cycles,
        m0_plus_cycles_estimated: m0_plus_cycles(board, counted.total),
        instructions_per_mac: per_mac(counted.total, plan.macs),
        arena_bytes: plan.arena_bytes,
        live_set_bytes: plan.live_set_bytes,
        stack_bytes: counted.stack_bytes,
        plan_bytes: plan.plan_bytes,
        slices: counted.slices,
        longest_slice_predicted: plan.longest_slice_predicted,
        longest_slice: counted.longest_slice.instructions,
        differing_bytes: pairs.filter(|(host, board)| host != board).count(),
        layers: layers.collect(),
        outputs: on_board,
        front_end,
    };
    args.output.print(&report, |out| tables(out, &report, board))?;
    if report.differing_bytes > 0 {
        bail!("board {} and host differ in {} bytes", board.name, report.differing_bytes);
    }
    Ok(())
}

fn per_mac(count: Count, macs: u64) -> Option<f64> {
    (macs > 0).then(|| count.instructions as f64 / macs as f64)
}

fn tables(out: &mut dyn Write, report: &Report, board: &Board) -> io::Result<()> {
    writeln!(out, "{} on {} ({}), compiled for {}", report.model, board.name, board.title, report.target)?;
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([
        "#",
        "kernel",
        "output h x w x c",
        "MACs",
        "predicted",
        "instructions",
        "share",
        "per MAC",
        "cycles, estimated",
        "node",
    ]);
    let decimals = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.2}"));
    let cycles = |value: Option<u64>| value.map_or_else(String::new, |value| value.to_string());
    for layer in &report.layers {
        let [h, w, c] = layer.output;
        table.add_row([
            layer.index.to_string(),
            format!("{}{}", layer.kernel, if layer.in_lock_step { ", lock step" } else { "" }),
            format!("{h} x {w} x {c}"),
            layer.macs.to_string(),
            layer.predicted.to_string(),
            layer.instructions.to_string(),
            format!("{:.1} %", 100.0 * layer.share),
            decimals(layer.instructions_per_mac),
            cycles(layer.cycles_estimated),
            super::short(layer.name.as_deref().unwrap_or_default()),
        ]);
    }
    super::align_right(&mut table, &[0, 3, 4, 5, 6, 7, 8]);
    writeln!(out, "\n{table}\n")?;
    write!(out, "instructions  {} for one inference", report.instructions)?;
    if let Some(per_mac) = report.instructions_per_mac {
        write!(out, ", {per_mac:.2} per multiply-accumulate")?;
    }
    writeln!(out, "; predicted {}", report.predicted)?;
    match report.cycles_estimated {
        Some(cycles) => {
            writeln!(out, "cycles        {cycles}, estimated from published timings, not measured")?
        }
        None => writeln!(out, "cycles        not estimated: this processor's timings are not published")?,
    }
    if let Some(front_end) = &report.front_end {
        write!(
            out,
            "front end     {} instructions per hop, {} a second; {} for the model's input",
            front_end.instructions_per_hop, front_end.hops_per_second, front_end.instructions_of_input
        )?;
        match front_end.cycles_estimated_per_hop {
            Some(cycles) => writeln!(out, "; {cycles} cycles per hop, estimated")?,
            None => writeln!(out)?,
        }
    }
    writeln!(
        out,
        "slices        {}; the longest takes {} instructions, predicted {}",
        report.slices, report.longest_slice, report.longest_slice_predicted
    )?;
    writeln!(
        out,
        "RAM           {} bytes of arena (largest live set {}), {} bytes of stack",
        report.arena_bytes, report.live_set_bytes, report.stack_bytes
    )?;
    writeln!(out, "flash         {} bytes of plan", report.plan_bytes)
}
