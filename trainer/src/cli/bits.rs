//! `trainer bits`: every plan of a model on a board.

use std::path::PathBuf;

use anyhow::{Result, bail};
use serde::Serialize;
use teff_board::Board;

use super::{Output, progress};
use crate::bits::{self, Choice};

/// Compare an emulated board with the host in every packing, layout and arrangement that the compiler can choose
///
/// Inputs are drawn on both sides, and checksums of the outputs are compared; the host runs the reference kernels. Every second
/// inference of the board runs in steps of changing budgets. The inputs recorded beside the model (golden.npz, or the .npz of
/// the model's name) run as well, and each byte of their outputs is compared.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model: .onnx or .tflite
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Which emulated board
    #[arg(long, default_value = "mps2-an386")]
    pub board: String,
    /// How many drawn inputs
    #[arg(long, default_value_t = 100)]
    pub inputs: u32,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Serialize)]
struct Report {
    model: String,
    board: &'static str,
    choices: Vec<Choice>,
}

/// Runs the sub-command.
pub fn run(args: Args) -> Result<()> {
    let board = Board::find(&args.board)?;
    let waiting = progress::waiting(&format!("every plan on {}", board.title));
    let choices = bits::compare(&args.model, board, args.inputs);
    waiting.finish_and_clear();
    let report = Report { model: args.model.display().to_string(), board: board.name, choices: choices? };
    args.output.print(&report, |out| {
        writeln!(out, "{} on {} ({})", report.model, board.name, board.title)?;
        report.choices.iter().try_for_each(|choice| {
            writeln!(
                out,
                "  {:<18}  {} of {} inferences differ; {} bytes of arena; {}{}",
                choice.choice,
                choice.differing,
                choice.inputs as usize + choice.recorded,
                choice.arena_bytes,
                choice.packings.join(", "),
                if choice.lock_step { "; lock step" } else { "" }
            )
        })
    })?;
    let differing: usize = report.choices.iter().map(|choice| choice.differing).sum();
    if differing > 0 {
        bail!("board {} and host differ in {differing} inferences", board.name);
    }
    Ok(())
}
