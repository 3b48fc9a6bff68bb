//! `cargo xtask test`: everything that must hold, counted.

use std::process::Command;

use anyhow::{Result, bail};
use teff_board::RISCV32_USER;

use crate::shell::{cargo, root, run_lines, say};
use crate::tally::{Reader, Show, Tally};
use crate::toolchain::Installer;
use crate::{boards, deb, lint, snapshot};

/// Which tests, and what to do with snapshots that differ.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Run only the emulator snapshots
    #[arg(long)]
    snapshots: bool,

    /// Accept what the emulated boards write as the new snapshots
    #[arg(long)]
    overwrite: bool,

    /// Build the programs of every board, not only of one for each architecture, and test the Debian package
    #[arg(long, conflicts_with_all = ["snapshots", "filter"])]
    all_boards: bool,

    /// Only tests and snapshots whose name contains this
    filter: Option<String>,
}

impl Args {
    /// All tests, of all boards.
    pub fn of_all_boards() -> Args {
        Args { all_boards: true, ..Args::default() }
    }
}

/// Installs what tests need, runs them and prints one line of counts at the end.
pub fn run(installer: &Installer, args: &Args) -> Result<()> {
    let mut tally = Tally::default();
    if let Err(error) = installer.boards() {
        // The tests that need a board fail or say that they are skipped; this says why.
        eprintln!("error: {error:#}");
        tally.count(false);
    }
    if !args.snapshots {
        let library = installer.onnx_runtime();
        if let Err(error) = &library {
            eprintln!("warning: tests against ONNX Runtime are skipped: {error:#}");
        }
        if let Err(error) = installer.board(&RISCV32_USER) {
            eprintln!("warning: tests on RISC-V are skipped: {error:#}");
        }
        if args.filter.is_none() {
            tally.add(lint::lints(installer)?);
        }
        let mut host = cargo()?;
        host.args(["test", "--release", "--workspace", "--locked", "--no-fail-fast"]);
        if let Ok(library) = library {
            host.env("ORT_DYLIB_PATH", library);
        }
        tally.add(harness(&mut host, args.filter.as_deref())?);
        let mut firmware = cargo()?;
        firmware.current_dir(root()?.join("firmware")).env_remove("CARGO_TARGET_DIR").args([
            "test",
            "--locked",
            "--no-fail-fast",
            "--features",
            "teff-app/link",
        ]);
        tally.add(harness(&mut firmware, args.filter.as_deref())?);
        tally.add(linux_service(installer, args)?);
        if args.filter.is_none() {
            tally.add(boards::build(args.all_boards)?);
        }
    }
    tally.add(snapshot::run(args.filter.as_deref(), args.overwrite)?);
    say("all tests have run");
    println!("{tally}");
    if tally.failed > 0 {
        bail!("not everything passed");
    }
    Ok(())
}

/// The service for Linux: its own workspace, with ALSA where its library is, and its package.
fn linux_service(installer: &Installer, args: &Args) -> Result<Tally> {
    let filter = args.filter.as_deref();
    if let Err(error) = installer.linux_service() {
        eprintln!("warning: some tests of the Linux service are skipped: {error:#}");
    }
    let mut tally = Tally::default();
    let mut service = cargo()?;
    service.current_dir(deb::folder()?).env_remove("CARGO_TARGET_DIR");
    service.args(["test", "--locked", "--no-fail-fast"]);
    match installer.alsa() {
        Ok(()) => {
            service.args(["--features", "alsa"]);
        }
        Err(error) => {
            println!("SKIPPED the Linux service with ALSA: {error:#}");
            tally.skipped += 1;
        }
    }
    tally.add(harness(&mut service, filter)?);
    // It takes release builds for two processors.
    if args.all_boards {
        tally.add(deb::test(installer)?);
    }
    Ok(tally)
}

/// Runs `cargo test` and counts.
fn harness(cargo: &mut Command, filter: Option<&str>) -> Result<Tally> {
    cargo.args(filter).args(["--", "--show-output"]);
    let mut reader = Reader::default();
    let success = run_lines(cargo, |line| {
        if reader.line(line) == Show::Yes {
            println!("{line}");
        }
    })?;
    Ok(reader.finish(success))
}
