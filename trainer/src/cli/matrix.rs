//! `trainer matrix`: what each engine makes of the model files of a folder.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use super::{Output, progress};
use crate::conformance::model_files;
use crate::engine::Kind;
use crate::files;
use crate::matrix::{self, Row};

/// Show which engine loads and runs each model of a folder, and how near its outputs are
///
/// Runs Teff, ONNX Runtime and tract on every .onnx and .tflite file, on the arrays beside it (`model.npz` beside
/// `model.onnx`), and compares with the outputs recorded there. Float models are quantized on the same arrays for Teff.
/// `docs/import-matrix.md` is written by this command.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of .onnx and .tflite files
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// File for the page [default: it is printed]
    #[arg(long, value_name = "PAGE.md")]
    pub out: Option<PathBuf>,
    /// Seconds after which an engine is stopped on one file
    #[arg(long, value_name = "S", default_value_t = 60)]
    pub time_limit: u64,
    /// Compute one cell, of one file
    #[arg(long, hide = true, value_enum, value_name = "ENGINE")]
    pub cell: Option<Kind>,
    #[command(flatten)]
    pub output: Output,
}

#[derive(Debug, Serialize)]
struct Report {
    folder: String,
    engines: Vec<&'static str>,
    files: Vec<Row>,
}

/// Runs the sub-command.
pub fn run(args: Args) -> Result<()> {
    if let Some(kind) = args.cell {
        let cell = matrix::cell(&args.folder, kind);
        return args.output.print(&cell, |out| writeln!(out, "{cell:?}"));
    }
    let files = model_files(&args.folder)?;
    let bar = progress::bar(files.len(), "files");
    let mut rows = Vec::new();
    for file in &files {
        let limit = Duration::from_secs(args.time_limit);
        let cells = matrix::ENGINES.iter().map(|&kind| matrix::isolated(file, kind, limit));
        let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        rows.push(Row { file: name, cells: cells.collect::<Result<_>>()? });
        bar.inc(1);
    }
    bar.finish_and_clear();
    let page = matrix::page(&rows);
    if let Some(out) = &args.out {
        files::write_bytes(out, page.as_bytes())?;
    }
    let report = Report {
        folder: args.folder.display().to_string(),
        engines: matrix::ENGINES.iter().map(|kind| kind.name()).collect(),
        files: rows,
    };
    args.output.print(&report, |out| match &args.out {
        None => write!(out, "{page}"),
        Some(path) => {
            writeln!(out, "{} files of {}, written to {}", report.files.len(), report.folder, path.display())
        }
    })
}
