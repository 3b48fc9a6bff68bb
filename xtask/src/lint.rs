//! `cargo xtask lint`: formatting and clippy of both workspaces.

use anyhow::{Result, bail};
use teff_board::{BOARDS, Rust};

use crate::shell;
use crate::tally::Tally;

/// Runs all lints and fails when one does.
pub fn run() -> Result<()> {
    let tally = lints()?;
    if tally.failed > 0 {
        bail!("{} of {} lints failed", tally.failed, tally.failed + tally.passed);
    }
    Ok(())
}

/// Runs all lints and counts them; those that fail have said why.
pub fn lints() -> Result<Tally> {
    let firmware = shell::root()?.join("firmware");
    let mut tally = Tally::default();
    let mut step = |command: &mut std::process::Command| -> Result<()> {
        let result = shell::run(command);
        if let Err(error) = &result {
            eprintln!("error: {error:#}");
        }
        tally.count(result.is_ok());
        Ok(())
    };
    step(shell::cargo()?.args(["fmt", "--all", "--check"]))?;
    step(shell::cargo()?.current_dir(&firmware).args(["fmt", "--all", "--check"]))?;
    step(shell::cargo()?.args([
        "clippy",
        "--release",
        "--workspace",
        "--all-targets",
        "--locked",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ]))?;
    step(
        shell::cargo()?
            .current_dir(&firmware)
            .args(["clippy", "--locked", "--quiet", "--all-targets", "--", "-D", "warnings"])
            .env_remove("CARGO_TARGET_DIR"),
    )?;
    // `defmt` is for targets only, so that it is looked at with one.
    for board in BOARDS {
        let rust = Rust::find(board.target)?;
        let mut clippy = rust.cargo(if rust.has_clippy() { "clippy" } else { "check" }, board.target);
        clippy
            .current_dir(firmware.join("boards").join(board.name))
            .args(["--release", "--locked", "--quiet", "--target-dir"])
            .arg(shell::root()?.join("firmware/target").join(rust.flavour))
            .stdin(std::process::Stdio::null());
        if rust.has_clippy() {
            clippy.args(["--", "-D", "warnings"]);
        }
        step(&mut clippy)?;
    }
    Ok(tally)
}
