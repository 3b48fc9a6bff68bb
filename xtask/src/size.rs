//! `cargo xtask size`: what the engine and an application occupy, per model.
//!
//! Engine code is found by subtraction: a program that runs a model and nothing else, less the same
//! program without the model, less the plan.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use comfy_table::{Table, presets};
use teff_board::{Board, Elf, Firmware, Link, Sizes};

use crate::demo::grouped;
use crate::shell::{root, say};
use crate::toolchain::Installer;

/// Which boards, which models.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Emulated board; may be given several times [default: all]
    #[arg(long)]
    board: Vec<String>,

    /// Models, `.onnx`, `.tflite` or `.teff` [default: all of models/]
    models: Vec<PathBuf>,
}

/// What one model costs on a board.
#[derive(Clone, Copy, Debug)]
pub struct Footprint {
    /// Code and constants that come with running the model, the plan not counted.
    pub engine_bytes: u64,
    /// The plan.
    pub plan_bytes: u64,
    /// The program that runs the model and nothing else.
    pub program: Sizes,
}

/// Prints a table for each board, and one of the engine's code for each model and core.
pub fn run(installer: &Installer, args: &Args) -> Result<()> {
    let boards = boards(&args.board)?;
    for board in &boards {
        installer.board(board)?;
    }
    let models = if args.models.is_empty() { all_models()? } else { args.models.clone() };
    let mut engine: Vec<Vec<String>> = models.iter().map(|model| vec![name(model)]).collect();
    for board in &boards {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED).set_header([
            "model",
            "engine code B",
            "plan B",
            "program flash B",
            "program RAM B",
        ]);
        for (model, engine) in models.iter().zip(&mut engine) {
            let footprint = footprint(board, model)?;
            engine.push(grouped(footprint.engine_bytes as f64));
            table.add_row([
                name(model),
                grouped(footprint.engine_bytes as f64),
                grouped(footprint.plan_bytes as f64),
                grouped(footprint.program.flash_bytes as f64),
                grouped(footprint.program.ram_bytes as f64),
            ]);
        }
        println!("{} ({})\n{table}", board.title, board.name);
    }
    if boards.len() > 1 {
        let mut table = Table::new();
        let cores = boards.iter().map(|board| board.plan_target);
        table.load_style(presets::UTF8_FULL_CONDENSED).set_header(["model"].into_iter().chain(cores));
        engine.into_iter().for_each(|row| {
            table.add_row(row);
        });
        println!("engine code, bytes\n{table}");
    }
    Ok(())
}

/// The boards of these names, or all.
pub fn boards(names: &[String]) -> Result<Vec<&'static Board>> {
    if names.is_empty() {
        Ok(Board::all_that_run("footprint").collect())
    } else {
        names.iter().map(|name| Board::find(name)).collect()
    }
}

/// `models/digits/model.onnx` is called `digits`, any other file as its stem.
pub fn name(model: &Path) -> String {
    let stem = model.file_stem().unwrap_or_default();
    let folder = model.parent().and_then(Path::file_name);
    let name = if stem == "model" { folder.unwrap_or(stem) } else { stem };
    name.to_string_lossy().into_owned()
}

/// Builds with and without the model, and subtracts.
pub fn footprint(board: &Board, model: &Path) -> Result<Footprint> {
    let with = build(board, "footprint", Link::File(model.to_path_buf()))?;
    let without = build(board, "footprint_base", Link::None)?.sizes()?;
    let program = with.sizes()?;
    let plan_bytes = with.plan_bytes().context("the program `footprint` holds no plan")?;
    let engine_bytes = program.flash_bytes.saturating_sub(without.flash_bytes + plan_bytes);
    Ok(Footprint { engine_bytes, plan_bytes, program })
}

/// Builds a program and reads its file.
pub fn build(board: &Board, program: &str, link: Link) -> Result<Elf> {
    say(&format!("building {program} for {}", board.name));
    Elf::read(&Firmware { board, program, link }.build()?)
}

/// The committed ONNX files.
pub fn all_models() -> Result<Vec<PathBuf>> {
    let folder = root()?.join("models");
    let mut models = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?.flatten()
    {
        let Ok(files) = fs::read_dir(entry.path()) else { continue };
        models.extend(
            files
                .flatten()
                .map(|file| file.path())
                .filter(|path| path.extension().is_some_and(|extension| extension == "onnx")),
        );
    }
    models.sort();
    Ok(models)
}
