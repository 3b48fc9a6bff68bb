//! `cargo xtask bench front-end`: instructions of a frame of the integer front end, beside the same in floating point.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use comfy_table::{Table, presets};
use serde_json::{Value, json};

use super::mcu::shown;
use super::record;
use crate::demo::build_light_trainer;
use crate::shell::{root, say};
use crate::size;
use crate::toolchain::Installer;

/// Titles of the columns.
const COLUMNS: [&str; 7] = [
    "core",
    "front end",
    "instructions, integers",
    "floating point",
    "ratio",
    "cycles, estimated, integers",
    "floating point, estimated",
];

/// Titles of the columns of what a stage takes.
const STAGE_COLUMNS: [&str; 6] =
    ["core", "front end", "without the stage", "instructions, integers", "floating point", "ratio"];

/// Which boards.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this board; may be given several times
    #[arg(long)]
    board: Vec<String>,

    /// Write an array of objects, one for each front end on each core
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Write a record of a part of the boards too
    #[arg(long)]
    record: bool,
}

/// Counts, prints the table and writes the record.
pub fn run(installer: &Installer, args: &Args) -> Result<()> {
    let boards = size::boards(&args.board)?;
    for board in &boards {
        installer.board(board)?;
    }
    let trainer = build_light_trainer()?;
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for board in &boards {
        let report = match trainer.json(&["front-ends", "--board", board.name]) {
            Ok(report) => report,
            Err(error) => {
                eprintln!("error: {}: {error:#}", board.name);
                failed.push(board.name);
                continue;
            }
        };
        let counted = report["front_ends"].as_array().context("the report has no front ends")?;
        rows.extend(counted.iter().map(|row| with_board(row, &report)));
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(COLUMNS);
    for row in &rows {
        table.add_row(cells(row));
    }
    println!("{table}");
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(STAGE_COLUMNS);
    for row in rows.iter().filter_map(stage_cells) {
        table.add_row(row);
    }
    println!("{table}");
    if let Some(file) = &args.json {
        fs::write(file, record::to_json(&rows)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    if !failed.is_empty() {
        bail!("not measured: {}", failed.join(", "));
    }
    if args.record || args.board.is_empty() {
        write(&rows)
    } else {
        say("a part of the boards: no record is written without --record");
        Ok(())
    }
}

/// A row that tells its core and board.
fn with_board(row: &Value, report: &Value) -> Value {
    let mut row = row.clone();
    row["core"] = report["core"].clone();
    row["board"] = report["board"].clone();
    for ratio in ["/ratio", "/stage/ratio"] {
        if let Some(ratio) = row.pointer_mut(ratio) {
            *ratio = json!((1000.0 * ratio.as_f64().unwrap_or(0.0)).round() / 1000.0);
        }
    }
    row
}

/// What the stage takes that a row is counted for.
fn stage_cells(row: &Value) -> Option<[String; STAGE_COLUMNS.len()]> {
    let stage = row["stage"].as_object()?;
    let of_stage = |key: &str| shown(stage.get(key).unwrap_or(&Value::Null));
    let short = of_stage("without");
    Some([
        shown(&row["core"]),
        shown(&row["name"]),
        short.split(':').next().unwrap_or_default().to_owned(),
        of_stage("instructions"),
        of_stage("float_instructions"),
        of_stage("ratio"),
    ])
}

fn cells(row: &Value) -> [String; COLUMNS.len()] {
    [
        "core",
        "name",
        "instructions",
        "float_instructions",
        "ratio",
        "cycles_estimated",
        "float_cycles_estimated",
    ]
    .map(|key| shown(&row[key]))
}

/// Writes both files of the record, named after the day and the commit.
fn write(rows: &[Value]) -> Result<()> {
    let (date, commit) = record::stamp()?;
    let commit = commit.as_deref().unwrap_or("uncommitted");
    let folder = root()?.join("tests/bench-record");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let markdown = folder.join(format!("front-end-{date}-{commit}.md"));
    fs::write(markdown.with_extension("json"), record::to_json(rows)?)
        .and_then(|()| fs::write(&markdown, page(rows, &date, commit)))
        .with_context(|| format!("cannot write {}", markdown.display()))?;
    say(&format!("recorded in {}", markdown.display()));
    Ok(())
}

fn page(rows: &[Value], date: &str, commit: &str) -> String {
    let version = |program: &str| record::first_line(Command::new(program).arg("--version"));
    let mut text = format!("# The front end on emulated Cortex-M, {date}\n\n");
    text += "Counted by `cargo xtask bench front-end`: the mean of eight frames of a stream, a hop of samples at a time; what the \
             figures mean stands in docs/front-end.md. The ratio is of instructions, floating point by integers.\n\n";
    let _ = writeln!(
        text,
        "Commit {commit}; {}; {}.\n",
        version("rustc").unwrap_or_default(),
        version("qemu-system-arm").unwrap_or_default()
    );
    let _ = writeln!(text, "| {} |\n|{}", COLUMNS.join(" | "), "---|".repeat(COLUMNS.len()));
    for row in rows {
        let _ = writeln!(text, "| {} |", cells(row).join(" | "));
    }
    text += "\nWhat a stage takes by itself: the difference between a front end with it and the one without it.\n\n";
    let _ = writeln!(text, "| {} |\n|{}", STAGE_COLUMNS.join(" | "), "---|".repeat(STAGE_COLUMNS.len()));
    for row in rows.iter().filter_map(stage_cells) {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_shows_what_there_is() {
        let report = json!({ "core": "m3", "board": "b" });
        let row = json!({ "name": "n", "instructions": 1000, "float_instructions": 12_345, "ratio": 12.345_6,
            "cycles_estimated": 1500, "float_cycles_estimated": null,
            "stage": { "without": "w: 3", "instructions": 100, "float_instructions": 512, "ratio": 5.123_4 } });
        let page = page(&[with_board(&row, &report)], "2026-01-01", "abc");
        assert!(page.contains("| m3 | n | 1 000 | 12 345 | 12.346 | 1 500 | – |"), "{page}");
        assert!(page.contains("| m3 | n | w | 100 | 512 | 5.123 |"), "{page}");
    }
}
