//! `trainer front-ends`: costs of the front end, beside floating point.

use anyhow::Result;
use serde::Serialize;
use teff_board::Board;

use super::{Output, progress};
use crate::front_end_costs::{self, Row};

/// Count front ends of practical sizes on an emulated board, in integers and in floating point
///
/// For `cargo xtask bench front-end`, which makes a table and a record from it. It fails where the integers are not
/// the bits of this host, or where floating point is too far from them.
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
    /// Processor of the board.
    core: &'static str,
    front_ends: Vec<Row>,
}

/// Runs the sub-command.
pub fn run(args: Args) -> Result<()> {
    let board = Board::find(&args.board)?;
    let waiting = progress::waiting(&format!("counting on {}", board.title));
    let rows = front_end_costs::measure(board);
    waiting.finish_and_clear();
    let core = board.plan_target.trim_start_matches("cortex-");
    let report = Report { board: board.name, core, front_ends: rows? };
    args.output.print(&report, |out| {
        writeln!(out, "{} ({}), instructions per frame", report.board, board.title)?;
        report.front_ends.iter().try_for_each(|row| {
            writeln!(
                out,
                "  {:<64}  {:>8} in integers, {:>8} in floating point: {:.2}",
                row.name, row.instructions, row.float_instructions, row.ratio
            )
        })
    })
}
