//! `cargo xtask bench mcu`: every model on every emulated board.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use comfy_table::{Table, presets};
use serde_json::{Value, json};
use teff_board::Board;

use super::anchor::Anchor;
use super::record;
use crate::demo::{Trainer, build_light_trainer, grouped};
use crate::shell::{root, say};
use crate::size;
use crate::toolchain::Installer;

/// What a model is compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Budget {
    /// As it comes.
    None,
    /// A larger form of weights, where it takes fewer instructions.
    Flash,
    /// A smaller arena, of 32,000 bytes.
    Ram,
}

impl Budget {
    /// Name of the form behind the model's, and the option with its bytes.
    fn option(self) -> Option<(&'static str, [&'static str; 2])> {
        match self {
            Budget::None => None,
            Budget::Flash => Some(("--flash", ["--flash", "1000000"])),
            Budget::Ram => Some(("--ram 32k", ["--ram", "32k"])),
        }
    }

    /// What differs from the model's plan as it comes where the budget makes another of it.
    fn key(self) -> &'static str {
        if self == Budget::Ram { "arena_bytes" } else { "plan_bytes" }
    }
}

/// An arena with as many is not made smaller: [`Budget::Ram`].
const RAM_BYTES: u64 = 32_000;

/// Which boards and models.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this board; may be given several times
    #[arg(long)]
    board: Vec<String>,

    /// Only models whose name contains this; may be given several times
    #[arg(long)]
    model: Vec<String>,

    /// Write an array of objects, one for each model on each core
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Do not measure engine code: it needs a program for each model and board
    #[arg(long)]
    no_code: bool,

    /// Write a record of a part of the boards or models too
    #[arg(long)]
    record: bool,
}

/// Measures, prints the table and writes the record.
pub fn run(installer: &Installer, args: &Args) -> Result<()> {
    let boards = size::boards(&args.board)?;
    for board in &boards {
        installer.board(board)?;
    }
    let anchor = Anchor::find()?;
    let mut models = anchor.models.clone();
    models.extend(size::all_models()?);
    if !args.model.is_empty() {
        models.retain(|model| args.model.iter().any(|part| size::name(model).contains(part)));
    }
    if models.is_empty() {
        bail!("no model has a name with {}", args.model.join(" or "));
    }
    let trainer = build_light_trainer()?;
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for board in &boards {
        for model in &models {
            let subject = Subject { board, model, budget: Budget::None };
            let measured = measure(&trainer, &anchor, subject, !args.no_code).and_then(|row| {
                rows.push(row.clone());
                for budget in [Budget::Flash, Budget::Ram] {
                    if budget == Budget::Ram && row["arena_bytes"].as_u64() <= Some(RAM_BYTES) {
                        continue;
                    }
                    let subject = Subject { budget, ..subject };
                    let plan = plan(&trainer, subject)?;
                    if plan.report[budget.key()].as_u64() != row[budget.key()].as_u64() {
                        rows.push(measure(&trainer, &anchor, subject, !args.no_code)?);
                    }
                }
                Ok(())
            });
            if let Err(error) = measured {
                let what = format!("{} on {}", size::name(model), board.name);
                eprintln!("error: {what}: {error:#}");
                failed.push(what);
            }
        }
    }
    println!("{}", table(&rows));
    if let Some(file) = &args.json {
        fs::write(file, record::to_json(&rows)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    if !failed.is_empty() {
        bail!("not measured: {}", failed.join(", "));
    }
    if args.record || (args.board.is_empty() && args.model.is_empty()) {
        record::write(&rows)?;
    } else {
        say("a part of the boards or models: no record is written without --record");
    }
    Ok(())
}

/// `cortex-m4` as the other engine's figures call it.
fn core(board: &Board) -> &'static str {
    board.plan_target.trim_start_matches("cortex-")
}

/// One model on one board.
#[derive(Clone, Copy)]
struct Subject<'a> {
    board: &'static Board,
    model: &'a Path,
    budget: Budget,
}

/// A compiled plan.
struct Plan {
    file: PathBuf,
    /// What `trainer compile --json` says of it.
    report: Value,
}

fn plan(trainer: &Trainer, subject: Subject<'_>) -> Result<Plan> {
    let Subject { board, model, budget } = subject;
    let folder = root()?.join("target/bench").join(board.name);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let form = match budget {
        Budget::None => "",
        Budget::Flash => "-flash",
        Budget::Ram => "-ram",
    };
    let file = folder.join(format!("{}{form}.teff", size::name(model)));
    let (path, out) = (model.to_string_lossy(), file.to_string_lossy());
    let mut words = vec!["compile", &path, "--target", board.plan_target, "--out", &out];
    if let Some((_, option)) = budget.option() {
        words.extend(option);
    }
    let report = trainer.json(&words)?;
    Ok(Plan { file, report })
}

/// Counts one inference.
fn measure(trainer: &Trainer, anchor: &Anchor, subject: Subject<'_>, with_code: bool) -> Result<Value> {
    let Subject { board, model, budget } = subject;
    let name = size::name(model);
    let plan = plan(trainer, subject)?;
    // With its plan's own file a model has no names of nodes, which no figure needs.
    let path = if budget != Budget::None { plan.file.to_string_lossy() } else { model.to_string_lossy() };
    let profile = trainer.json(&["profile", &path, "--board", board.name])?;
    let code_bytes = if with_code { Some(size::footprint(board, &plan.file)?.engine_bytes) } else { None };
    let instructions = profile["instructions"].as_u64().context("the profile has no instructions")?;
    let figures = anchor.figures(&name, core(board));
    let outputs: Vec<i64> = match &profile["outputs"][0] {
        Value::Array(numbers) => numbers.iter().filter_map(Value::as_i64).collect(),
        _ => Vec::new(),
    };
    let against = anchor.outputs(&name).map(|theirs| {
        let differing = theirs.iter().zip(&outputs).filter(|(a, b)| a != b).count();
        let largest = theirs.iter().zip(&outputs).map(|(a, b)| a.abs_diff(*b)).max();
        json!({ "compared": theirs.len().min(outputs.len()), "differing": differing, "largest_lsb": largest,
            "same_top1": best(&theirs) == best(&outputs[..theirs.len().min(outputs.len())]) })
    });
    let layers: Vec<Value> = profile["layers"].as_array().map_or_else(Vec::new, |layers| {
        let layer = |layer: &Value| {
            json!([
                layer["operator"],
                layer["output"],
                layer["macs"],
                layer["predicted"],
                layer["instructions"],
                layer["cycles_estimated"]
            ])
        };
        layers.iter().map(layer).collect()
    });
    Ok(json!({
        "model": budget.option().map_or(name.clone(), |(form, _)| format!("{name} {form}")),
        "core": core(board),
        "board": board.name,
        "macs": profile["macs"],
        "predicted": profile["predicted"],
        "instructions": instructions,
        "cycles_estimated": profile["cycles_estimated"],
        "arena_bytes": profile["arena_bytes"],
        "live_set_bytes": profile["live_set_bytes"],
        "stack_bytes": profile["stack_bytes"],
        "code_bytes": code_bytes,
        "plan_bytes": profile["plan_bytes"],
        "longest_slice": profile["longest_slice"],
        "ratio_to_anchor": figures.as_ref().map(|figures| ratio(instructions, figures.instructions)),
        "anchor_instructions": figures.as_ref().map(|figures| figures.instructions),
        "anchor_arena_bytes": figures.as_ref().map(|figures| figures.arena_bytes),
        "anchor_cycles_range": figures.and_then(|figures| figures.cycles).map(|(least, most)| [least, most]),
        "anchor_outputs": against,
        "layers": layers,
    }))
}

/// Rounded to what is printed.
fn ratio(ours: u64, theirs: u64) -> f64 {
    (1000.0 * ours as f64 / theirs.max(1) as f64).round() / 1000.0
}

fn best(outputs: &[i64]) -> Option<usize> {
    let largest = outputs.iter().max()?;
    outputs.iter().position(|value| value == largest)
}

fn table(rows: &[Value]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header([
        "model",
        "core",
        "instructions",
        "per MAC",
        "ratio to anchor",
        "cycles, estimated",
        "arena B",
        "live set B",
        "stack B",
        "code B",
        "plan B",
    ]);
    for row in rows {
        table.add_row(record::cells(row));
    }
    table
}

/// A number of a row for people; nothing where it has none.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Number(number) if number.is_f64() => format!("{:.3}", number.as_f64().unwrap_or(0.0)),
        Value::Number(number) => grouped(number.as_f64().unwrap_or(0.0)),
        Value::String(text) => text.clone(),
        _ => "–".to_string(),
    }
}
