//! `cargo xtask demo`: from nothing to the same bits on an emulated board, and one table.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use comfy_table::{Table, presets};
use serde_json::Value;
use teff_board::{Board, Link, Sizes};

use crate::shell::{self, say};
use crate::size::{self, Footprint};
use crate::toolchain::Installer;

/// Where the demonstration writes, and on what board it runs.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Emulated board
    #[arg(long, default_value = "mps2-an386")]
    board: String,

    /// Folder for `run` and `export`, which are replaced where an earlier demo left them
    /// [default: target/demo of the project]
    #[arg(long)]
    out: Option<PathBuf>,
}

/// One inference a second, for a year.
const INFERENCES_PER_YEAR: f64 = 365.25 * 24.0 * 3600.0;

/// Trains, exports, runs on host and board, and prints the table.
pub fn run(installer: &Installer, args: &Args) -> Result<()> {
    let board = Board::find(&args.board)?;
    installer.board(board)?;
    let root = shell::root()?;
    let trainer = build_trainer()?;
    let started = Instant::now();
    let (run_folder, export) = folders(args.out.as_deref(), &root.join("target/demo"))?;

    say("training a small network on simulated vibration of a rotating machine");
    let recipe = root.join("models/machine/recipe.toml");
    shell::run(trainer.command()?.arg("train").arg(&recipe).arg("--out").arg(&run_folder))?;
    say("quantizing to int8 and exporting ONNX");
    shell::run(trainer.command()?.arg("export").arg(&run_folder).arg("--out").arg(&export))?;
    let onnx = only_file(&export, "onnx")?;
    let plan = only_file(&export, "teff")?;

    let metrics = read_json(&run_folder.join("metrics.json"))?;
    let host = trainer.json(&["evaluate", &text(&onnx), "--engine", "teff"])?;
    say("running golden inputs on the emulated board and comparing bits");
    let verified = trainer.json(&["verify", &text(&onnx), "--board", board.name])?;
    say("running the whole test split on the emulated board");
    let device = trainer.json(&["evaluate", &text(&onnx), "--board", board.name])?;
    let inspected = trainer.json(&["inspect", &text(&onnx)])?;
    say("measuring what an application with this model occupies");
    let footprint = size::footprint(board, &plan)?;
    let application = size::build(board, "motion", Link::File(plan))?.sizes()?;

    let numbers = Numbers {
        float_top1: number(&metrics, "float_top1")?,
        host_top1: number(&host, "top1")?,
        device_top1: number(&device, "top1")?,
        samples: number(&host, "samples")?,
        cases: number(&verified, "cases")?,
        differing_bytes: number(&verified, "differing_bytes")?,
        instructions: number(&verified, "instructions")?,
        arena_bytes: number(&inspected, "arena_bytes")?,
        plan_bytes: number(&inspected, "plan_bytes")?,
        macs: number(&inspected, "macs")?,
        training_macs: number(&metrics, "training_macs")?,
    };
    println!("{}", table(board, &numbers, &footprint, application));
    println!("Exported: {}", onnx.display());
    say(&format!("done in {:.0} s after the build", started.elapsed().as_secs_f64()));
    if numbers.differing_bytes != 0.0 {
        bail!("host and board differ in {} bytes", numbers.differing_bytes);
    }
    Ok(())
}

/// The folders of a run and its export, emptied of what an earlier one left: in `given`, else in
/// `default`.
pub fn folders(given: Option<&Path>, default: &Path) -> Result<(PathBuf, PathBuf)> {
    let out = std::path::absolute(given.unwrap_or(default)).context("cannot read the working directory")?;
    let folders = (out.join("run"), out.join("export"));
    for folder in [&folders.0, &folders.1] {
        if folder.exists() {
            fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
    }
    Ok(folders)
}

/// The built `trainer` program.
pub struct Trainer(PathBuf);

/// Builds the trainer with training and without other engines, which take long to build.
pub fn build_trainer() -> Result<Trainer> {
    build_with(&["--features", "train"])
}

/// Builds the trainer without training and without other engines: it compiles, runs and measures.
pub fn build_light_trainer() -> Result<Trainer> {
    build_with(&[])
}

fn build_with(features: &[&str]) -> Result<Trainer> {
    let mut cargo = shell::cargo()?;
    cargo.args(["build", "--release", "--locked", "-p", "teff-trainer", "--bin", "trainer"]);
    shell::run(cargo.arg("--no-default-features").args(features))?;
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => shell::root()?.join(folder),
        None => shell::root()?.join("target"),
    };
    Ok(Trainer(target.join("release/trainer")))
}

impl Trainer {
    /// The program in the project's folder.
    pub fn command(&self) -> Result<Command> {
        shell::command(&self.0.to_string_lossy())
    }

    /// Runs a sub-command with `--json` and reads its object.
    pub fn json(&self, words: &[&str]) -> Result<Value> {
        let text = shell::output(self.command()?.args(words).arg("--json"))?;
        serde_json::from_str(&text)
            .with_context(|| format!("`trainer {}` wrote no JSON object", words.join(" ")))
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The one file of a folder with that extension.
pub fn only_file(folder: &Path, extension: &str) -> Result<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    match (files.pop(), files.len()) {
        (Some(file), 0) => Ok(file),
        (_, more) => bail!(
            "{} should hold one .{extension} file and holds {}",
            folder.display(),
            if more == 0 { "none" } else { "several" }
        ),
    }
}

fn read_json(path: &Path) -> Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))
}

/// A number of an object; for a list of numbers their mean.
pub fn number(object: &Value, key: &str) -> Result<f64> {
    object[key].as_f64().with_context(|| format!("the result has no number `{key}`"))
}

struct Numbers {
    float_top1: f64,
    host_top1: f64,
    device_top1: f64,
    samples: f64,
    cases: f64,
    differing_bytes: f64,
    instructions: f64,
    arena_bytes: f64,
    plan_bytes: f64,
    macs: f64,
    training_macs: f64,
}

fn table(board: &Board, numbers: &Numbers, footprint: &Footprint, application: Sizes) -> Table {
    let percent = |share: f64| format!("{:.2} %", 100.0 * share);
    let bytes = |count: f64| format!("{} B", grouped(count));
    let year = numbers.macs * INFERENCES_PER_YEAR;
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY).set_header(["Demo: machine", ""]);
    let mut row = |what: &str, value: String| {
        table.add_row([what.to_string(), value]);
    };
    row(&format!("accuracy on {} windows of unseen machines", grouped(numbers.samples)), String::new());
    row("  float, host", percent(numbers.float_top1));
    row("  int8, host", percent(numbers.host_top1));
    row(&format!("  int8, {}", board.title), percent(numbers.device_top1));
    row(
        "host against board, differing bytes",
        format!("{} in {} golden cases", grouped(numbers.differing_bytes), grouped(numbers.cases)),
    );
    row("RAM: arena", bytes(numbers.arena_bytes));
    row("RAM: all variables of the application", bytes(application.ram_bytes as f64));
    row("flash: plan", bytes(numbers.plan_bytes));
    row("flash: engine code", bytes(footprint.engine_bytes as f64));
    row("flash: demo application with the recording it replays", bytes(application.flash_bytes as f64));
    row("instructions per inference", grouped(numbers.instructions));
    row("multiply-accumulates per inference", grouped(numbers.macs));
    row("multiply-accumulates of training", scientific(numbers.training_macs));
    row("  as many as so many inferences", grouped((numbers.training_macs / numbers.macs.max(1.0)).round()));
    row("multiply-accumulates of a year, one inference a second", scientific(year));
    let share = numbers.training_macs / year.max(1.0);
    row("  training as a share of that year", format!("{:.3} %", 100.0 * share));
    table
}

/// `1234567` as `1 234 567`.
pub fn grouped(count: f64) -> String {
    let digits = format!("{count:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) && digits.as_bytes()[0] != b'-' {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// `1.2e12` as `1.20 · 10^12`.
fn scientific(count: f64) -> String {
    if count < 1.0 {
        return grouped(count);
    }
    let exponent = count.log10().floor();
    format!("{:.2} · 10^{exponent}", count / 10f64.powf(exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_readable() {
        assert_eq!(grouped(0.0), "0");
        assert_eq!(grouped(1_234_567.0), "1 234 567");
        assert_eq!(scientific(1_230_000.0), "1.23 · 10^6");
        assert_eq!(scientific(0.0), "0");
    }
}
