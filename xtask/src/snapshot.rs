//! Emulator snapshots: `firmware/boards/<board>/src/bin/<case>.rs` runs on the emulated board and
//! must write exactly what stands beside it in `<case>.out`. The programs of
//! `firmware/emulated/programs` run on every board that has the memory, and must write the same
//! everywhere; a board that links another model has a snapshot of its own,
//! `firmware/boards/<board>/<case>.out`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use teff_board::{BOARDS, Board, Emulator, Firmware, Link, TIME_LIMIT};

use crate::shell::{root, say};
use crate::tally::Tally;

/// Runs every snapshot, or those whose name contains `filter`; with `overwrite`, what a program
/// writes becomes the new snapshot.
pub fn run(filter: Option<&str>, overwrite: bool) -> Result<Tally> {
    let mut tally = Tally::default();
    for board in BOARDS {
        for case in cases(board)? {
            if !board.runs(&case.name) || filter.is_some_and(|filter| !case.name.contains(filter)) {
                continue;
            }
            let result = check(board, &case, overwrite);
            match &result {
                Ok(()) => println!("snapshot {}/{} ... ok", board.name, case.name),
                Err(error) => {
                    println!("snapshot {}/{} ... FAILED\n{error:#}", board.name, case.name);
                }
            }
            tally.count(result.is_ok());
        }
    }
    Ok(tally)
}

struct Case {
    name: String,
    source: PathBuf,
    snapshot: PathBuf,
}

/// The programs of a board that have a snapshot: its own, and those that all boards share.
fn cases(board: &Board) -> Result<Vec<Case>> {
    let firmware = root()?.join("firmware");
    let folder = firmware.join("boards").join(board.name);
    let own = folder.join("src/bin");
    let mut cases = if own.is_dir() { cases_in(&own)? } else { Vec::new() };
    let mut shared = cases_in(&firmware.join("emulated/programs"))?;
    if shared.is_empty() {
        bail!("no program of all boards has a snapshot");
    }
    for case in &mut shared {
        let of_the_board = folder.join(&case.name).with_extension("out");
        if of_the_board.exists() {
            case.snapshot = of_the_board;
        }
    }
    cases.extend(shared);
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(cases)
}

fn cases_in(folder: &Path) -> Result<Vec<Case>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let snapshots = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "out"));
    let case = |snapshot: PathBuf| {
        let name = snapshot.file_stem()?.to_str()?.to_string();
        Some(Case { name, source: snapshot.with_extension("rs"), snapshot })
    };
    Ok(snapshots.filter_map(case).collect())
}

fn check(board: &Board, case: &Case, overwrite: bool) -> Result<()> {
    let emulator = Emulator::find(board)?;
    say(&format!("building and running {} on emulated {}", case.name, board.name));
    let source = fs::read_to_string(&case.source)
        .with_context(|| format!("cannot read the program {}", case.source.display()))?;
    let link = if source.contains("include_model!") { Link::Default } else { Link::None };
    let elf = Firmware { board, program: &case.name, link }.build()?;
    let run = emulator.run(&elf, None, TIME_LIMIT)?;
    if !run.success {
        bail!("it ended with a failure after writing\n{}{}", run.stdout, run.stderr);
    }
    compare(&case.snapshot, &run.stdout, overwrite)
}

fn compare(snapshot: &Path, found: &str, overwrite: bool) -> Result<()> {
    let expected =
        fs::read_to_string(snapshot).with_context(|| format!("cannot read {}", snapshot.display()))?;
    if expected == found {
        return Ok(());
    }
    if overwrite {
        return fs::write(snapshot, found).with_context(|| format!("cannot write {}", snapshot.display()));
    }
    bail!(
        "{} differs (- expected, + found); `cargo xtask test --overwrite` accepts what was found:\n{}",
        snapshot.display(),
        difference(&expected, found)
    )
}

/// The lines between the first and the last that differ.
fn difference(expected: &str, found: &str) -> String {
    let expected: Vec<&str> = expected.lines().collect();
    let found: Vec<&str> = found.lines().collect();
    let head = expected.iter().zip(&found).take_while(|(a, b)| a == b).count();
    let tail =
        expected[head..].iter().rev().zip(found[head..].iter().rev()).take_while(|(a, b)| a == b).count();
    let removed = expected[head..expected.len() - tail].iter().map(|line| format!("-{line}"));
    let added = found[head..found.len() - tail].iter().map(|line| format!("+{line}"));
    let lines: Vec<String> = removed.chain(added).collect();
    format!("@@ line {} @@\n{}", head + 1, lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_shown() {
        assert_eq!(difference("a\nb\nc\nd\n", "a\nx\nd\n"), "@@ line 2 @@\n-b\n-c\n+x");
        assert_eq!(difference("a\n", "a\nb\n"), "@@ line 2 @@\n+b");
    }
}
