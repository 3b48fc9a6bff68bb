//! `trainer verify`: the same bits on an emulated board.

use std::path::PathBuf;

use anyhow::{Result, bail};
use serde::Serialize;
use teff_board::Board;

use super::{Output, progress};
use crate::arrays::{self, Named};
use crate::engine::board::OnBoard;
use crate::engine::{Engine, batch};
use crate::{golden, synthetic};

/// Run a model on an emulated board and compare every bit with the host
///
/// The inputs are those of `--input`, else those of `golden.npz` beside the model, else generated ones. Where the file
/// also has the model's outputs, the host is compared with them too.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The model: .onnx, .tflite or .teff
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Which emulated board
    #[arg(long, default_value = "mps2-an386")]
    pub board: String,
    /// Arrays to run the model on [default: golden.npz beside the model, else generated ones]
    #[arg(long, value_name = "X.npz")]
    pub input: Option<PathBuf>,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Serialize)]
struct Report {
    model: String,
    board: &'static str,
    /// Where the inputs come from: a file, or `generated`.
    inputs: String,
    cases: usize,
    /// Bytes of the outputs.
    bytes: usize,
    /// Bytes in which board and host differ.
    differing_bytes: usize,
    /// Numbers in which the host differs from the recorded outputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    differing_from_recorded: Option<usize>,
    /// Instructions of one inference on the board, the most of all cases.
    instructions: u64,
    /// The least of all cases.
    instructions_min: u64,
}

/// Runs the sub-command.
pub fn run(args: Args) -> Result<()> {
    let board = Board::find(&args.board)?;
    let mut engine = OnBoard::load(&args.model, board)?;
    let file = args.input.or_else(|| golden::beside(&args.model));
    let (examples, recorded) = match &file {
        Some(path) => {
            let arrays = arrays::read(path)?;
            (batch::examples(engine.inputs(), &arrays, path)?, arrays)
        }
        None => (synthetic::examples(engine.inputs(), golden::CASES), Vec::new()),
    };
    let cases = engine.host().cases(&examples)?;
    let on_host = engine.host().run_raw(&cases)?;
    let waiting = progress::waiting(&format!("{} cases on {}", cases.len(), board.title));
    let on_board = engine.run_raw(&cases);
    waiting.finish_and_clear();
    let on_board = on_board?;

    let (mut bytes, mut differing_bytes) = (0, 0);
    for (host, board) in on_host.iter().flatten().zip(on_board.iter().flatten()) {
        bytes += host.len();
        let pairs = host.iter().zip(board).filter(|(host, board)| host != board).count();
        differing_bytes += pairs + host.len().abs_diff(board.len());
    }
    let outputs: Vec<Named> = batch::run(engine.host(), &examples, |_| {})?;
    let report = Report {
        model: args.model.display().to_string(),
        board: board.name,
        inputs: file.map_or_else(|| "generated".to_string(), |path| path.display().to_string()),
        cases: cases.len(),
        bytes,
        differing_bytes,
        differing_from_recorded: golden::differing(&outputs, &recorded),
        instructions: engine.instructions().iter().copied().max().unwrap_or(0),
        instructions_min: engine.instructions().iter().copied().min().unwrap_or(0),
    };
    args.output.print(&report, |out| {
        writeln!(out, "{} on {} ({})", report.model, board.name, board.title)?;
        writeln!(out, "  inputs        {} cases, {}", report.cases, report.inputs)?;
        writeln!(
            out,
            "  differing     {} of {} bytes between board and host",
            report.differing_bytes, report.bytes
        )?;
        if let Some(differing) = report.differing_from_recorded {
            writeln!(
                out,
                "  recorded      {differing} numbers of the host differ from the recorded outputs"
            )?;
        }
        writeln!(out, "  instructions  {} for one inference", report.instructions)
    })?;
    if report.differing_bytes > 0 {
        bail!("board {} and host differ in {} bytes", board.name, report.differing_bytes);
    }
    match report.differing_from_recorded {
        Some(differing) if differing > 0 => bail!(
            "the host differs from the recorded outputs of {} in {differing} numbers. Remedy: export the model again if \
             its file was changed",
            report.inputs
        ),
        _ => Ok(()),
    }
}
