//! The emulator's plugin that counts instructions: building it, and reading what it wrote.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::ops::AddAssign;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::root::project_root;
use crate::thumb::{Kind, decode};
use crate::timing::Core;
use crate::{Board, Elf, SETUP, find_program};

/// What ran in one region.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Instructions, those included whose condition did not hold.
    pub instructions: u64,
    /// Cycles by the processor's published timings, where there are any; see `timing.rs`.
    pub cycles: Option<u64>,
    /// How often the next instruction was not the one behind it.
    pub jumps: u64,
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Count) {
        self.instructions += other.instructions;
        self.jumps += other.jumps;
        self.cycles = match (self.cycles, other.cycles) {
            (Some(cycles), Some(more)) => Some(cycles + more),
            (one, None) | (None, one) => one,
        };
    }
}

/// A run of a block of instructions, as the plugin writes it.
struct Line {
    first: u64,
    end: u64,
    instructions: u64,
    runs: u64,
    jumps: u64,
}

/// Builds the plugin for the emulator's version.
pub(crate) fn build(board: &Board) -> Result<PathBuf> {
    let root = project_root()?;
    let api = if emulator_major(board)? < 9 { "1" } else { "2" };
    let target_dir = root.join("firmware/target/counter").join(api);
    let output = Command::new("cargo")
        .current_dir(&root)
        .args(["build", "--release", "--locked", "--package", "teff-counter", "--target-dir"])
        .arg(&target_dir)
        .env("TEFF_QEMU_PLUGIN_API", api)
        .env_remove("CARGO_BUILD_TARGET")
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start cargo to build the counter: run `{SETUP}`"))?;
    if !output.status.success() {
        bail!("building the counter failed:\n{}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    let name = format!("{}teff_counter{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    Ok(target_dir.join("release").join(name))
}

fn emulator_major(board: &Board) -> Result<u32> {
    let program = find_program(board.emulator)
        .with_context(|| format!("the emulator `{}` is missing: run `{SETUP}`", board.emulator))?;
    let output = Command::new(&program)
        .arg("--version")
        .output()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_ascii_whitespace()
        .find_map(|word| word.split_once('.')?.0.parse().ok())
        .with_context(|| format!("{} does not say its version", program.display()))
}

/// Reads the regions that the plugin wrote of a run of `elf`.
pub(crate) fn read(file: &Path, elf: &Elf, board: &Board) -> Result<Vec<Count>> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let core = Core::of_target(board.plan_target);
    let mut decoded: HashMap<(u64, u64), Vec<Kind>> = HashMap::new();
    let mut regions: Vec<Count> = Vec::new();
    for line in text.lines() {
        if line == "region" {
            regions.push(Count { cycles: core.map(|_| 0), ..Count::default() });
            continue;
        }
        let line = parse(line).with_context(|| format!("the counter wrote `{line}`"))?;
        let region = regions.last_mut().context("the counter wrote a block before its region")?;
        region.instructions += line.instructions * line.runs;
        region.jumps += line.jumps;
        if let (Some(core), Some(cycles)) = (core, &mut region.cycles) {
            let kinds = match decoded.entry((line.first, line.end)) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(kinds_of(&line, elf)?),
            };
            *cycles += core.block_cycles(kinds) * line.runs + core.jump_cycles() * line.jumps;
        }
    }
    Ok(regions)
}

/// The instructions of a block, which is in the program's file: none of these programs runs from RAM.
fn kinds_of(block: &Line, elf: &Elf) -> Result<Vec<Kind>> {
    let code = elf.bytes_at(block.first, block.end.saturating_sub(block.first))?;
    let kinds = decode(&code);
    if kinds.len() as u64 != block.instructions {
        bail!("{:#x} has {} instructions, not {}", block.first, block.instructions, kinds.len());
    }
    Ok(kinds)
}

fn parse(line: &str) -> Option<Line> {
    let mut words = line.split(' ');
    let line = Line {
        first: u64::from_str_radix(words.next()?, 16).ok()?,
        end: u64::from_str_radix(words.next()?, 16).ok()?,
        instructions: words.next()?.parse().ok()?,
        runs: words.next()?.parse().ok()?,
        jumps: words.next()?.parse().ok()?,
    };
    words.next().is_none().then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read() {
        let line = parse("10a 10e 2 7 6").unwrap();
        assert_eq!((line.first, line.end, line.instructions, line.runs, line.jumps), (266, 270, 2, 7, 6));
        assert!(parse("10a 10e 2 7").is_none());
        assert!(parse("10a 10e 2 7 6 5").is_none());
        assert!(parse("region").is_none());
    }
}
