//! `cargo xtask lint`: formatting and clippy of both workspaces.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};
use teff_board::rpi3::RPI3_BARE;
use teff_board::{BOARDS, Destination, RISCV32_USER, Rust};

use crate::deb;
use crate::shell;
use crate::tally::Tally;
use crate::toolchain::Installer;

/// Runs all lints and fails when one does.
pub fn run(installer: &Installer) -> Result<()> {
    let tally = lints(installer)?;
    println!("{tally}");
    if tally.failed > 0 {
        bail!("{} of {} lints failed", tally.failed, tally.failed + tally.passed);
    }
    Ok(())
}

/// Runs all lints and counts them; those that fail have said why, those that cannot run too.
pub fn lints(installer: &Installer) -> Result<Tally> {
    let firmware = shell::root()?.join("firmware");
    let service = deb::folder()?;
    let mut tally = Tally::default();
    if counted(&mut tally, installer.cargo_tool("fmt", "rustfmt")) {
        step(&mut tally, shell::cargo()?.args(["fmt", "--all", "--check"]));
        step(&mut tally, shell::cargo()?.current_dir(&firmware).args(["fmt", "--all", "--check"]));
        // Without `--all`, which would take in the packages of the other workspaces that it uses.
        step(&mut tally, shell::cargo()?.current_dir(&service).args(["fmt", "--check"]));
    }
    if !counted(&mut tally, installer.cargo_tool("clippy", "clippy")) {
        return Ok(tally);
    }
    let deny = ["--locked", "--quiet", "--all-targets", "--", "-D", "warnings"];
    step(&mut tally, shell::cargo()?.args(["clippy", "--release", "--workspace"]).args(deny));
    step(
        &mut tally,
        shell::cargo()?
            .current_dir(&firmware)
            .env_remove("CARGO_TARGET_DIR")
            .args(["clippy", "--features", "teff-app/link"])
            .args(deny),
    );
    step(
        &mut tally,
        shell::cargo()?.current_dir(&service).env_remove("CARGO_TARGET_DIR").arg("clippy").args(deny),
    );
    let mut defmt_seen = false;
    for board in BOARDS.iter().chain([&RPI3_BARE, &RISCV32_USER]) {
        let Ok(rust) = Rust::find(board.target) else {
            println!("SKIPPED clippy of board {}: no Rust here builds for {}", board.name, board.target);
            tally.skipped += 1;
            continue;
        };
        // Programs that send frames are others.
        let has = |feature: &str| Destination::find(board.name).is_ok_and(|board| board.has_feature(feature));
        let mut features: Vec<&[&str]> = vec![&[]];
        if has("link") {
            features.push(&["--features", "link"]);
        }
        // The logs are the same code on every board.
        if has("defmt") && !defmt_seen {
            defmt_seen = true;
            features.push(&["--features", "defmt"]);
        }
        for features in features {
            // Debian's Rust has no clippy of its own; rustc's warnings then have to do.
            let lint = if rust.has_clippy() { "clippy" } else { "check" };
            let mut command = rust.cargo(lint, board.target);
            command
                .current_dir(firmware.join("boards").join(board.name))
                .args(["--release", "--locked", "--quiet", "--target-dir"])
                .arg(firmware.join("target").join(board.target_folder(&rust)))
                .args(features)
                .stdin(Stdio::null());
            if rust.has_clippy() {
                command.args(["--", "-D", "warnings"]);
            }
            step(&mut tally, &mut command);
        }
    }
    Ok(tally)
}

/// Runs one lint and counts it.
fn step(tally: &mut Tally, command: &mut Command) {
    let result = shell::run(command);
    if let Err(error) = &result {
        eprintln!("error: {error:#}");
    }
    tally.count(result.is_ok());
}

/// Whether a tool is there; one that is not counts as a skipped lint.
fn counted(tally: &mut Tally, found: Result<()>) -> bool {
    if let Err(error) = &found {
        println!("SKIPPED {error:#}");
        tally.skipped += 1;
    }
    found.is_ok()
}
