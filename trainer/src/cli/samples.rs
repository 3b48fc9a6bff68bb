//! `trainer samples`: counts that the cost model is fitted to.

use anyhow::{Result, bail};
use serde::Serialize;
use teff::ModelFile;
use teff_board::{Board, Case, Device};
use teff_compiler::Options;
use teff_compiler::cost::COUNTS;
use teff_compiler::target::{packings, parse_target};

use super::{Output, progress};
use crate::plan_report::PlanReport;
use crate::samples;

/// Count the layers that the compiler's cost model is fitted to, in every packing
///
/// For `cargo xtask bench fit`, which makes the table of coefficients from it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which emulated board
    #[arg(long, default_value = "mps2-an386")]
    pub board: String,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Serialize)]
struct Report {
    board: &'static str,
    /// Names of the numbers in `work`.
    counts: [&'static str; COUNTS.len()],
    layers: Vec<Sample>,
}

#[derive(Debug, Serialize)]
struct Sample {
    kernel: String,
    work: Vec<u64>,
    instructions: u64,
}

/// Runs the sub-command.
pub fn run(args: Args) -> Result<()> {
    let board = Board::find(&args.board)?;
    let target = parse_target(board.plan_target)?;
    let device = Device::open(board)?;
    let mut layers: Vec<Sample> = Vec::new();
    let others = packings(target).into_iter().map(Some);
    for packing in [None].into_iter().chain(others) {
        for plan in samples::plans(target, &Options { packing, ..Options::default() })? {
            let file = ModelFile::from_bytes(&plan)
                .map_err(|error| anyhow::anyhow!("a sample cannot be opened: {error}"))?;
            let model = file.model();
            let report = PlanReport::new(&model, &[]);
            let input = |i: usize| {
                let len = model.input(i).map_or(0, |value| value.view.extent.len());
                (0..len).map(|at| (at * 37 + at / 11 + i) as u8).collect()
            };
            let case = Case { inputs: (0..model.n_inputs()).map(input).collect() };
            let waiting = progress::waiting(&format!("counting on {}", board.title));
            let counted = device.profile(&plan, &case, report.layers.len());
            waiting.finish_and_clear();
            let counted = counted?;
            if counted.layers.len() != report.layers.len() {
                bail!("{} of {} layers were counted", counted.layers.len(), report.layers.len());
            }
            layers.extend(report.layers.into_iter().zip(counted.layers).map(|(layer, count)| Sample {
                kernel: layer.kernel,
                work: layer.work,
                instructions: count.instructions,
            }));
        }
    }
    let report = Report { board: board.name, counts: COUNTS, layers };
    args.output.print(&report, |out| {
        writeln!(out, "kernel\tinstructions\t{}", report.counts.join("\t"))?;
        report.layers.iter().try_for_each(|layer| {
            let work: Vec<String> = layer.work.iter().map(u64::to_string).collect();
            writeln!(out, "{}\t{}\t{}", layer.kernel, layer.instructions, work.join("\t"))
        })
    })
}
