//! What a person runs and what CI runs, by the same words: `cargo xtask <command>`.
//!
//! One file per command; `toolchain` installs what commands need, `shell` runs programs.

mod bench;
mod boards;
mod deb;
mod demo;
mod full;
mod fuzz;
mod lint;
mod setup;
mod shell;
mod size;
mod snapshot;
mod tally;
mod test;
mod toolchain;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Builds, tests and shows the whole project.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    /// Install missing system packages without asking (as when the variable CI is set)
    #[arg(long, global = true)]
    yes: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a small network, export it, run it on the host and on an emulated Cortex-M4
    Demo(demo::Args),
    /// Run all tests: host, firmware, emulator snapshots, lints
    Test(test::Args),
    /// Run what takes long: train every model of models/ again and evaluate it, then all tests
    Full(full::Args),
    /// Feed hostile files to the importers and the plan reader, ten minutes each
    Fuzz(fuzz::Args),
    /// Measure inference
    Bench(bench::Args),
    /// Check formatting and clippy of both workspaces
    Lint,
    /// Print flash and RAM of the engine and of an application, per model of models/
    Size(size::Args),
    /// Build the Debian package of the Linux service teff-sensord
    Deb(deb::Args),
    /// Install what building firmware, the emulator and the tests need
    Setup,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let installer = toolchain::Installer::new(cli.yes);
    let result = match cli.command {
        Command::Demo(args) => demo::run(&installer, &args),
        Command::Test(args) => test::run(&installer, &args),
        Command::Full(args) => full::run(&installer, &args),
        Command::Fuzz(args) => fuzz::run(&installer, &args),
        Command::Bench(args) => bench::run(&installer, &args),
        Command::Lint => lint::run(&installer),
        Command::Size(args) => size::run(&installer, &args),
        Command::Deb(args) => deb::run(&installer, &args),
        Command::Setup => setup::run(&installer),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
