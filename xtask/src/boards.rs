//! The boards that are not emulated here: their programs are built. A board is a folder of
//! `firmware/boards` that is a workspace of its own, and its `.cargo/config.toml` says for what it is
//! built.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use teff_board::{Destination, Elf, Rust, flash};

use crate::shell::{root, run, say};
use crate::tally::Tally;

/// One board for each architecture, which together build in a few minutes: Armv6-M, Armv7E-M, Armv8-M.
const FIRST: [&str; 3] = ["rpi-pico", "nrf52840-dk", "rpi-pico-2"];
/// What every board has.
pub const PROGRAMS: [&str; 3] = ["listen", "motion", "record"];

/// Builds the programs of one board for each architecture, or of all boards, and counts the boards. Says
/// of each program what it takes.
pub fn build(all: bool) -> Result<Tally> {
    let mut tally = Tally::default();
    for board in found()?.into_iter().filter(|board| all || FIRST.contains(&board.name.as_str())) {
        let rust = match Rust::find(&board.target) {
            Ok(rust) => rust,
            Err(error) => {
                println!("SKIPPED board {}: {error:#}", board.name);
                tally.skipped += 1;
                continue;
            }
        };
        say(&format!("building the programs of {}", board.name));
        let result = Destination::find(&board.name).and_then(|description| {
            let programs = board.build(&rust, None)?;
            let size = |(program, elf): &(&str, PathBuf)| size(&description, program, elf);
            let mut lines = programs.iter().map(size).collect::<Result<Vec<_>>>()?;
            if all {
                // The last of its programs is `record`.
                let sound = board.build(&rust, Some("sound"))?;
                let (_, elf) = sound.last().context("no program was built")?;
                lines.push(size(&("of sound", elf.clone()))?);
            }
            Ok(lines)
        });
        match &result {
            Ok(sizes) => println!("board {} ... ok\n{}", board.name, sizes.join("\n")),
            Err(error) => println!("board {} ... FAILED\n{error:#}", board.name),
        }
        tally.count(result.is_ok());
    }
    Ok(tally)
}

/// Builds the programs of the board of that name, and returns the file of each.
pub fn programs(name: &str) -> Result<Vec<(&'static str, PathBuf)>> {
    let board = found()?.into_iter().find(|board| board.name == name);
    let board = board.with_context(|| format!("no board `{name}` has a workspace of its own"))?;
    say(&format!("building the programs of {name}"));
    board.build(&Rust::find(&board.target)?, None)
}

/// A board, as its folder describes it.
struct RealBoard {
    name: String,
    folder: PathBuf,
    target: String,
    cpu: Option<String>,
}

/// All boards whose programs run without an operating system and that are no members of the firmware's
/// workspace.
fn found() -> Result<Vec<RealBoard>> {
    let boards = root()?.join("firmware/boards");
    let entries = fs::read_dir(&boards).with_context(|| format!("cannot read {}", boards.display()))?;
    let mut found = Vec::new();
    for folder in entries.flatten().map(|entry| entry.path()) {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        let names_target = folder.join(".cargo/config.toml").is_file();
        if names_target && manifest.lines().any(|line| line.trim() == "[workspace]") {
            let board = RealBoard::read(folder)?;
            // Others have programs and tests of their own.
            if board.target.starts_with("thumb") {
                found.push(board);
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    if found.is_empty() {
        bail!("{} has no board with a workspace of its own", boards.display());
    }
    Ok(found)
}

impl RealBoard {
    fn read(folder: PathBuf) -> Result<RealBoard> {
        let path = folder.join(".cargo/config.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let (target, cpu) = built_for(&text).with_context(|| format!("cannot read {}", path.display()))?;
        let target = target.with_context(|| format!("{} names no `target`", path.display()))?;
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(RealBoard { name, folder, target, cpu })
    }

    /// Builds all programs and returns the file of each; `recorded` is what `record` records, motion where nothing is said.
    fn build(&self, rust: &Rust, recorded: Option<&str>) -> Result<Vec<(&'static str, PathBuf)>> {
        let target_dir = root()?.join("firmware/target").join(rust.flavour);
        let target_dir = self.cpu.as_ref().map_or_else(|| target_dir.clone(), |cpu| target_dir.join(cpu));
        let mut cargo = rust.cargo("build", &self.target);
        cargo.current_dir(&self.folder).args(["--release", "--locked", "--quiet", "--bins", "--target-dir"]);
        cargo.arg(&target_dir).stdin(Stdio::null());
        for variable in ["TEFF_MODEL", "TEFF_RECORD", "TEFF_RATE_HZ"] {
            cargo.env_remove(variable);
        }
        if let Some(recorded) = recorded {
            cargo.env("TEFF_RECORD", recorded);
        }
        run(&mut cargo)?;
        let programs = target_dir.join(&self.target).join("release");
        Ok(PROGRAMS.map(|program| (program, programs.join(program))).into())
    }
}

/// The target and the processor that a board's `.cargo/config.toml` names.
fn built_for(config: &str) -> Result<(Option<String>, Option<String>)> {
    let config: toml::Table = config.parse()?;
    let target = config.get("build").and_then(|build| build.get("target")?.as_str());
    let flags = config.get("target").and_then(toml::Value::as_table).into_iter().flatten();
    let cpu = flags
        .filter_map(|(_, settings)| settings.get("rustflags")?.as_array())
        .flatten()
        .find_map(|flag| flag.as_str()?.strip_prefix("-Ctarget-cpu="));
    Ok((target.map(String::from), cpu.map(String::from)))
}

/// What a program takes.
///
/// # Errors
/// What it can need is not there.
fn size(board: &Destination, program: &str, path: &Path) -> Result<String> {
    let sizes = Elf::read(path)?.sizes()?;
    let uses = flash::check_program(board, path)?;
    let stack = uses.iter().find(|part| part.region == "stack").context("there is no bound of the stack")?;
    Ok(format!(
        "  {program:<8}{:>9} bytes of flash,{:>8} of RAM without the stack, which takes {} of {} at most",
        sizes.flash_bytes, sizes.ram_bytes, stack.needed, stack.has
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_says_what_it_is_built_for() {
        let plain = "[build]\ntarget = \"thumbv6m-none-eabi\"\n[env]\nTEFF_TARGET = \"cortex-m0\"\n";
        assert_eq!(built_for(plain).unwrap(), (Some("thumbv6m-none-eabi".to_string()), None));
        let flags = "[target.'cfg(target_os = \"none\")']\nrustflags = [\"-Ctarget-cpu=cortex-m33\"]\n";
        let with_cpu = format!("{plain}{flags}");
        assert_eq!(built_for(&with_cpu).unwrap().1.as_deref(), Some("cortex-m33"));
        assert_eq!(built_for("").unwrap(), (None, None));
        assert!(built_for("[build").is_err());
    }

    #[test]
    fn every_architecture_has_a_board() {
        let boards = found().unwrap();
        for name in FIRST {
            assert!(boards.iter().any(|board| board.name == name), "{name} has no folder");
        }
    }
}
