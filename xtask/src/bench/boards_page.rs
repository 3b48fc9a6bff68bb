//! The record of `cargo xtask bench boards`, and the table of `firmware/boards/README.md` that is made from it.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::mcu::shown;
use super::record;
use crate::shell::{root, say};

/// Titles of the columns.
pub const COLUMNS: [&str; 16] = [
    "board",
    "MHz",
    "program",
    "model",
    "flash B",
    "RAM B",
    "stack left B",
    "stack bound B",
    "stack used B",
    "stack of an inference B",
    "instructions a hop",
    "instructions an inference",
    "timings",
    "share, every window",
    "inferences/s",
    "share",
];

/// Where the boards are told of, in the project's folder.
const README: &str = "firmware/boards/README.md";
/// Lines around the table there.
const BEGIN: &str = "<!-- The table is written by `cargo xtask bench boards`. -->\n";
const END: &str = "<!-- Its end. -->\n";

/// What the columns mean.
const MEANING: &str = "\
RAM is all variables, the arena among them; *stack left* is the rest of the board's RAM. *stack bound* is read from the machine code: the \
deepest calls of the main program, and on top of them every task and every interrupt once, each at its deepest \
(docs/measuring.md). *stack used* is how deep the whole program wrote into it, interrupts included, while it replayed its recording in the \
emulator; the emulated boards pend their interrupt themselves, where little of the stack is in use, so that it is less than the bound. \
*stack of an inference* is what it takes below its caller, counted as the instructions are (`teff::STACK_BYTES` bounds it). An \
emulated board's flash holds the recording that is replayed.

Instructions are counted with the plan that is linked, on the emulated board of the same processor. A hop is the front end's work on \
its samples, one at a time. The sensor, the queue, the decision and the line to the host are not counted.

The share is of the time at that clock, in cycles. *timings* says what a cycle is: by the instruction timings that Arm published \
(`published`; the Cortex-M0+ has its own); by a bound of the Cortex-M7's units, with no waiting for results (`bound`: real cycles are more); or, where nothing is \
published (`none`), an instruction a cycle, which is a lower bound as far as a processor does not execute two at once. Wait states of flash, \
caches and buses are in none of them. *share, every window* is for an inference with every window that the model is to see. Above \
100 % there is no time for that: while an inference goes on the application leaves windows out and counts them (`missed` in its figures), \
and *inferences/s* says how many are made of how many windows, and *share* what they take.
";

/// The cells of a row.
pub fn cells(row: &Value) -> [String; COLUMNS.len()] {
    let megahertz = row["clock_hz"].as_f64().map_or("–".to_string(), |clock| format!("{}", clock / 1e6));
    let percent =
        |key: &str| row[key].as_f64().map_or("–".to_string(), |share| format!("{:.1} %", 100.0 * share));
    let inferences = match (row["inferences_per_second"].as_f64(), row["windows_per_second"].as_f64()) {
        (Some(made), Some(windows)) => format!("{made:.2} of {windows:.2}"),
        _ => "–".to_string(),
    };
    let model = if row["left_out"].is_string() { "left out".to_string() } else { shown(&row["model"]) };
    [
        shown(&row["board"]),
        megahertz,
        shown(&row["program"]),
        model,
        shown(&row["flash_bytes"]),
        shown(&row["ram_bytes"]),
        shown(&row["stack_left_bytes"]),
        shown(&row["stack_bound_bytes"]),
        shown(&row["stack_used_bytes"]),
        shown(&row["stack_of_inference_bytes"]),
        shown(&row["instructions_per_hop"]),
        shown(&row["instructions_per_inference"]),
        shown(&row["timings"]),
        percent("share_of_every_window"),
        inferences,
        percent("share"),
    ]
}

/// A line on each application that is left out.
pub fn left_out(rows: &[Value]) -> String {
    let mut text = String::new();
    for row in rows {
        if let Some(why) = row["left_out"].as_str() {
            let _ = writeln!(text, "`{}`, `{}`: {why}.", shown(&row["board"]), shown(&row["program"]));
        }
    }
    text
}

/// Writes both files of the record, named after the day and the commit, and with `readme` the table of the boards' page.
pub fn write(rows: &[Value], readme: bool) -> Result<()> {
    let (date, commit) = record::stamp()?;
    let commit = commit.as_deref().unwrap_or("uncommitted");
    let folder = root()?.join("tests/bench-record");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let name = format!("boards-{date}-{commit}");
    let markdown = folder.join(format!("{name}.md"));
    fs::write(markdown.with_extension("json"), record::to_json(rows)?)
        .and_then(|()| fs::write(&markdown, page(rows, &date, commit)))
        .with_context(|| format!("cannot write {}", markdown.display()))?;
    say(&format!("recorded in {}", markdown.display()));
    if readme {
        let path = root()?.join(README);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let (before, rest) = text.split_once(BEGIN).with_context(|| format!("{README} has no `{BEGIN}`"))?;
        let (_, behind) = rest.split_once(END).with_context(|| format!("{README} has no `{END}`"))?;
        let text = format!("{before}{BEGIN}{}{END}{behind}", section(rows, &name));
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        say(&format!("the table of {README} is written"));
    }
    Ok(())
}

fn page(rows: &[Value], date: &str, commit: &str) -> String {
    let version = |program: &str| record::first_line(Command::new(program).arg("--version"));
    let mut text =
        format!("# Applications on boards, {date}\n\nBuilt and counted by `cargo xtask bench boards`.\n\n");
    let _ = writeln!(text, "{MEANING}");
    text += &counted_elsewhere(rows);
    text += &other_commits(rows, commit);
    text += "`rpi-linux` and `rpi3-bare` are left out: nothing counts what their processors do.\n\n";
    let _ = writeln!(
        text,
        "Commit {commit}; {}; {}.\n",
        version("rustc").unwrap_or_default(),
        version("qemu-system-arm").unwrap_or_default()
    );
    text + &table(rows)
}

/// Which boards were measured at other commits than that of the record.
fn other_commits(rows: &[Value], commit: &str) -> String {
    let mut boards: Vec<String> = rows
        .iter()
        .filter(|row| row["commit"].as_str().is_some_and(|measured| measured != commit))
        .map(|row| format!("`{}` ({})", shown(&row["board"]), shown(&row["commit"])))
        .collect();
    boards.dedup();
    if boards.is_empty() {
        String::new()
    } else {
        format!("Measured at another commit: {}.\n\n", boards.join(", "))
    }
}

/// On which boards those are counted that do not count themselves.
fn counted_elsewhere(rows: &[Value]) -> String {
    let mut pairs: Vec<String> = rows
        .iter()
        .filter(|row| row["counted_on"].is_string() && row["counted_on"] != row["board"])
        .map(|row| format!("`{}` on `{}`", shown(&row["board"]), shown(&row["counted_on"])))
        .collect();
    pairs.dedup();
    if pairs.is_empty() {
        String::new()
    } else {
        format!("Counted on another board: {}.\n\n", pairs.join(", "))
    }
}

/// What stands in the boards' page.
fn section(rows: &[Value], name: &str) -> String {
    format!("{}\nRecord: [{name}](../../tests/bench-record/{name}.md)\n", table(rows))
}

fn table(rows: &[Value]) -> String {
    let mut text = format!("| {} |\n|{}\n", COLUMNS.join(" | "), "---|".repeat(COLUMNS.len()));
    for row in rows {
        let mut cells = cells(row);
        for named in [0, 2] {
            cells[named] = format!("`{}`", cells[named]);
        }
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    let left_out = left_out(rows);
    if left_out.is_empty() { text } else { format!("{text}\n{left_out}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use teff_board::{Destination, Way};

    use super::*;
    use crate::bench::boards::{applications, subjects};

    #[test]
    fn a_row_shows_what_there_is() {
        let row = json!({ "board": "b", "clock_hz": 125_000_000, "program": "listen", "model": "digits", "flash_bytes": 1000,
            "timings": "published", "share_of_every_window": 4.567_89, "inferences_per_second": 12.5,
            "windows_per_second": 62.5, "share": 0.95 });
        let text = table(&[row, json!({ "board": "c", "program": "motion", "left_out": "why" })]);
        let expected = "| `b` | 125 | `listen` | digits | 1 000 | – | – | – | – | – | – | – | published | 456.8 % | 12.50 of 62.50 | 95.0 % |";
        assert!(text.contains(expected), "{text}");
        assert!(text.contains("| `c` | – | `motion` | left out |"), "{text}");
        assert!(text.ends_with("\n\n`c`, `motion`: why.\n"), "{text}");
    }

    /// The table of the boards' page is that of the record which it names, and names every application of every board.
    #[test]
    fn the_boards_page_has_the_table_of_its_record() {
        let root = root().unwrap();
        let text = fs::read_to_string(root.join(README)).unwrap();
        let (_, rest) = text.split_once(BEGIN).unwrap();
        let (found, _) = rest.split_once(END).unwrap();
        let (_, name) = found.split_once("Record: [").unwrap();
        let (name, _) = name.split_once(']').unwrap();
        let record = root.join("tests/bench-record").join(format!("{name}.json"));
        let rows: Vec<Value> = serde_json::from_str(&fs::read_to_string(&record).unwrap()).unwrap();
        assert_eq!(found, section(&rows, name));
        assert!(record.with_extension("md").is_file());
        for board in subjects(&[]).unwrap() {
            for program in applications(&board) {
                let row = rows.iter().find(|row| row["board"] == board.name && row["program"] == program);
                let row = row.unwrap_or_else(|| panic!("{program} of {} is not in {name}", board.name));
                assert_eq!(row["clock_hz"].as_u64(), board.clock_hz.map(u64::from), "{}", board.name);
            }
        }
    }

    /// The page's table of real boards, written by hand, and the clocks of the boards' descriptions.
    #[test]
    fn the_boards_page_names_the_clocks() {
        let text = fs::read_to_string(root().unwrap().join(README)).unwrap();
        for board in subjects(&[]).unwrap() {
            let Destination { name, clock_hz: Some(clock), way, .. } = board else { continue };
            let line = text.lines().find(|line| line.starts_with(&format!("| [`{name}`]")));
            let line = line.unwrap_or_else(|| panic!("{name} has no line"));
            let real = !matches!(way, Way::Emulated(_));
            assert!(!real || line.contains(&format!("{} MHz", clock / 1_000_000)), "{line}");
        }
    }
}
