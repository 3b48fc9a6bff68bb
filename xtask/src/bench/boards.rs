//! `cargo xtask bench boards`: what each application takes on each board, and its share of real time.
//!
//! Flash, RAM and what is left for the stack are read from the built programs. Instructions of a hop and of an inference are
//! counted with the very plan that is linked, on the emulated board of the same processor.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use comfy_table::{Table, presets};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use teff_board::{Board, Destination, Elf, Firmware, Link, M0_PLUS, Way};

use super::boards_page::{self, COLUMNS, cells};
use super::record;
use super::share::Load;
use crate::boards::{self, PROGRAMS};
use crate::demo::{Trainer, build_light_trainer};
use crate::shell::{root, say};
use crate::size;
use crate::toolchain::Installer;

/// Which boards.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this board; may be given several times
    #[arg(long)]
    board: Vec<String>,

    /// Write an array of objects, one for each application on each board, anew after each board
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Take the rows of all other boards from this file, such as an earlier record
    #[arg(long, value_name = "FILE")]
    rest: Option<PathBuf>,

    /// Write a record of a part of the boards too; the table of firmware/boards/README.md is that of a record of all
    #[arg(long)]
    record: bool,
}

/// Builds, counts, prints the table and writes the record.
pub fn run(installer: &Installer, args: &Args) -> Result<()> {
    let boards = subjects(&args.board)?;
    let mut costs = Costs { trainer: build_light_trainer()?, counted: HashMap::new(), models: models()? };
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for board in &boards {
        match rows_of(installer, board, &mut costs) {
            Ok(of_board) => rows.extend(of_board),
            Err(error) => {
                eprintln!("error: {}: {error:#}", board.name);
                failed.push(board.name);
            }
        }
        // It takes long: what is measured is not lost.
        if let Some(file) = &args.json {
            fs::write(file, record::to_json(&rows)?)
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    let all = args.board.is_empty() || args.rest.is_some();
    if let Some(file) = &args.rest {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let rest = serde_json::from_str(&text).with_context(|| format!("{}", file.display()))?;
        rows = joined(&subjects(&[])?, rows, rest)?;
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(COLUMNS);
    for row in &rows {
        table.add_row(cells(row));
    }
    println!("{table}\n{}", boards_page::left_out(&rows));
    if !failed.is_empty() {
        bail!("not measured: {}", failed.join(", "));
    }
    if all || args.record {
        boards_page::write(&rows, all)
    } else {
        say("a part of the boards: no record is written without --record");
        Ok(())
    }
}

/// The rows of all boards: those that were measured, and of other boards those of `rest`.
fn joined(boards: &[Destination], measured: Vec<Value>, rest: Vec<Value>) -> Result<Vec<Value>> {
    let mut rows = Vec::new();
    for board in boards {
        let of_board = |rows: &[Value]| -> Vec<Value> {
            rows.iter().filter(|row| row["board"] == board.name).cloned().collect()
        };
        let mut found = of_board(&measured);
        if found.is_empty() {
            found = of_board(&rest);
        }
        if found.is_empty() {
            bail!("board `{}` is neither measured nor in the file of the rest", board.name);
        }
        rows.append(&mut found);
    }
    Ok(rows)
}

/// Whether something counts what the board's processor does, and its clock is known.
fn is_counted(board: &Destination) -> bool {
    board.clock_hz.is_some() && Board::that_counts(board.plan_target).is_some()
}

/// The boards of these names, or all that are counted: first the real ones.
pub fn subjects(names: &[String]) -> Result<Vec<Destination>> {
    if names.is_empty() {
        let (emulated, real): (Vec<_>, Vec<_>) =
            Destination::all().filter(is_counted).partition(|board| matches!(board.way, Way::Emulated(_)));
        return Ok(real.into_iter().chain(emulated).collect());
    }
    let find = |name: &String| {
        let board = Destination::find(name)?;
        if !is_counted(&board) {
            bail!("board `{name}` is left out: nothing here counts what its processor does");
        }
        Ok(board)
    };
    names.iter().map(find).collect()
}

/// The applications of a board: `record` of an emulated one is there for tests of the serial line.
pub fn applications(board: &Destination) -> impl Iterator<Item = &'static str> {
    let emulated = matches!(board.way, Way::Emulated(_));
    PROGRAMS.into_iter().filter(move |program| !emulated || *program != "record")
}

/// A row for each application.
fn rows_of(installer: &Installer, board: &Destination, costs: &mut Costs) -> Result<Vec<Value>> {
    let counting = Board::that_counts(board.plan_target).context("nothing counts for its processor")?;
    installer.board(counting)?;
    installer.target(board.target)?;
    if let Way::Emulated(emulated) = board.way {
        installer.board(emulated)?;
    }
    let (_, commit) = record::stamp()?;
    let mut rows = measure(board, costs)?;
    rows.iter_mut().for_each(|row| row["commit"] = json!(commit));
    Ok(rows)
}

fn measure(board: &Destination, costs: &mut Costs) -> Result<Vec<Value>> {
    match board.way {
        Way::Emulated(emulated) => applications(board)
            .map(|program| match emulated.check_runs(program) {
                Ok(()) => {
                    say(&format!("building {program} for {}", board.name));
                    let elf = Firmware { board: emulated, program, link: Link::Default }.build()?;
                    row(board, program, &elf, costs)
                }
                Err(why) => {
                    Ok(json!({ "board": board.name, "title": board.title, "clock_hz": board.clock_hz,
                        "program": program, "left_out": why.to_string() }))
                }
            })
            .collect(),
        _ => {
            let programs = boards::programs(board.name)?;
            programs.iter().map(|(program, elf)| row(board, program, elf, costs)).collect()
        }
    }
}

/// Measures one application.
fn row(board: &Destination, program: &str, path: &Path, costs: &mut Costs) -> Result<Value> {
    let elf = Elf::read(path)?;
    let sizes = elf.sizes()?;
    let stack_used = match board.way {
        Way::Emulated(emulated) => {
            say(&format!("running {program} on emulated {}", board.name));
            Some(teff_board::stack_bytes(emulated, path)?)
        }
        _ => None,
    };
    let mut row = json!({
        "board": board.name,
        "title": board.title,
        "clock_hz": board.clock_hz,
        "program": program,
        "flash_bytes": sizes.flash_bytes,
        "ram_bytes": sizes.ram_bytes,
        "stack_left_bytes": elf.stack_room()?,
        "stack_used_bytes": stack_used,
        "stack_bound_bytes": teff_board::stack_bound(path)?.total(),
    });
    if let Some(plan) = elf.plan() {
        let counted = costs.of(board, plan)?;
        let more = real_time(board, counted)?;
        if let (Value::Object(row), Value::Object(more)) = (&mut row, more) {
            row.extend(more);
        }
        row["model"] = json!(costs.name(&row["source_sha256"]));
    }
    Ok(row)
}

/// The counts of `trainer profile`, and what they mean at the board's clock.
fn real_time(board: &Destination, counted: &Value) -> Result<Value> {
    let front_end = &counted["front_end"];
    let number = |value: &Value, what: &str| value.as_f64().with_context(|| format!("there is no {what}"));
    let key = if board.timings == M0_PLUS { "m0_plus_cycles_estimated" } else { "cycles_estimated" };
    let estimated =
        [&front_end[format!("{key}_per_hop")], &front_end[format!("{key}_of_input")], &counted[key]];
    let instructions =
        [&front_end["instructions_per_hop"], &front_end["instructions_of_input"], &counted["instructions"]];
    let (timings, cycles) = match estimated.iter().all(|cycles| cycles.is_u64()) {
        false => ("none", instructions),
        true if board.timings == "cortex-m7" => ("bound", estimated),
        true => ("published", estimated),
    };
    let [hop, input, inference] = cycles;
    let hops_per_second = number(&front_end["hops_per_second"], "front end")?;
    let windows_per_second = number(&front_end["windows_per_second"], "front end")?;
    let clock_hz = f64::from(board.clock_hz.context("the clock is not known")?);
    let load = Load {
        clock_hz,
        hops_per_second,
        hops_per_window: hops_per_second / windows_per_second,
        hop: number(hop, "count of a hop")?,
        inference: number(input, "count of the input")? + number(inference, "count of an inference")?,
    };
    let share = load.share();
    Ok(json!({
        "source_sha256": counted["source_sha256"],
        "counted_on": counted["board"],
        "plan_bytes": counted["plan_bytes"],
        "arena_bytes": counted["arena_bytes"],
        "stack_of_inference_bytes": counted["stack_bytes"],
        "instructions_per_hop": instructions[0],
        "instructions_of_input": instructions[1],
        "instructions_per_inference": instructions[2],
        "timings": timings,
        "cycles_per_hop": hop,
        "cycles_of_input": input,
        "cycles_per_inference": inference,
        "hops_per_second": hops_per_second,
        "windows_per_second": windows_per_second,
        "share_of_every_window": rounded(share.of_every_window),
        "inferences_per_second": rounded(share.inferences_per_second),
        "missed_per_second": rounded(share.missed_per_second),
        "share": rounded(share.taken),
    }))
}

/// To what is printed, and a little more.
fn rounded(value: f64) -> f64 {
    (100_000.0 * value).round() / 100_000.0
}

/// What plans cost, counted once on each emulated board.
struct Costs {
    trainer: Trainer,
    counted: HashMap<(&'static str, Vec<u8>), Value>,
    /// Names of models, by the SHA-256 of their file.
    models: HashMap<String, String>,
}

impl Costs {
    /// The object of `trainer profile` for a plan of that board.
    fn of(&mut self, board: &Destination, plan: &[u8]) -> Result<&Value> {
        let counting = Board::that_counts(board.plan_target).context("nothing counts for its processor")?;
        let key = (counting.name, plan.to_vec());
        if !self.counted.contains_key(&key) {
            let folder = root()?.join("target/bench").join(counting.name);
            fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            let file = folder.join("linked.teff");
            fs::write(&file, plan).with_context(|| format!("cannot write {}", file.display()))?;
            let words = ["profile", &file.to_string_lossy(), "--board", counting.name];
            let profile = self.trainer.json(&words)?;
            self.counted.insert(key.clone(), profile);
        }
        self.counted.get(&key).context("it was counted")
    }

    fn name(&self, source: &Value) -> Option<&String> {
        self.models.get(source.as_str()?)
    }
}

fn models() -> Result<HashMap<String, String>> {
    let hashed = |path: PathBuf| {
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let hash: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Ok((hash, size::name(&path)))
    };
    size::all_models()?.into_iter().map(hashed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts as `trainer profile` gives them.
    fn counted() -> Value {
        json!({ "board": "b", "instructions": 30, "cycles_estimated": 35, "m0_plus_cycles_estimated": 33,
            "front_end": { "hops_per_second": 10.0, "windows_per_second": 5.0,
                "instructions_per_hop": 10, "cycles_estimated_per_hop": 12, "m0_plus_cycles_estimated_per_hop": 11,
                "instructions_of_input": 1, "cycles_estimated_of_input": 2, "m0_plus_cycles_estimated_of_input": 2 } })
    }

    fn real_time_of(board: &str, counted: &Value) -> Value {
        let board = Destination { clock_hz: Some(1000), ..Destination::find(board).unwrap() };
        real_time(&board, counted).unwrap()
    }

    #[test]
    fn cycles_are_those_of_the_board() {
        let expect = |board: &str, counted: &Value, timings: &str, share: f64| {
            let row = real_time_of(board, counted);
            assert_eq!(row["timings"], timings, "{board}");
            assert!((row["share"].as_f64().unwrap() - share).abs() < 1e-9, "{board}: {row}");
        };
        let mut counted = counted();
        expect("nucleo-f446re", &counted, "published", 0.12 + 0.185);
        expect("rpi-pico", &counted, "published", 0.11 + 0.175);
        expect("nucleo-h743zi", &counted, "bound", 0.12 + 0.185);
        // Without timings an instruction is a cycle, everywhere.
        counted["cycles_estimated"] = Value::Null;
        expect("rpi-pico-2", &counted, "none", 0.1 + 0.155);
    }

    #[test]
    fn rows_of_other_boards_are_kept() {
        let boards = subjects(&["rpi-pico".to_string(), "microbit".to_string()]).unwrap();
        let row = |board: &str, n: u32| json!({ "board": board, "n": n });
        let measured = vec![row("microbit", 1), row("microbit", 2)];
        let rest = vec![row("microbit", 3), row("rpi-pico", 4)];
        let rows = joined(&boards, measured.clone(), rest).unwrap();
        let numbers: Vec<u64> = rows.iter().map(|row| row["n"].as_u64().unwrap()).collect();
        assert_eq!(numbers, [4, 1, 2]);
        let error = joined(&boards, measured, Vec::new()).unwrap_err().to_string();
        assert!(error.contains("rpi-pico"), "{error}");
    }

    #[test]
    fn a_model_without_a_front_end_has_no_share() {
        let mut counted = counted();
        counted["front_end"] = Value::Null;
        let board = Destination::find("rpi-pico").unwrap();
        assert!(real_time(&board, &counted).is_err());
    }

    #[test]
    fn every_cortex_m_board_is_counted() {
        let boards = subjects(&[]).unwrap();
        for board in Destination::all() {
            let named = boards.iter().any(|subject| subject.name == board.name);
            assert_eq!(named, board.target.starts_with("thumb"), "{}", board.name);
        }
        assert!(subjects(&["rpi-linux".to_string()]).is_err());
    }
}
