//! The command line: one file per sub-command.
//!
//! Each sub-command has `pub struct Args` and `pub fn run(Args) -> anyhow::Result<()>`. Results go to
//! standard output through [`Output`], as a table for people or as one JSON object; progress and errors
//! go to standard error. The exit code is 0 or, after any error, 2.

pub mod bits;
pub mod compare;
pub mod compile;
pub mod conformance;
pub mod evaluate;
pub mod export;
pub mod flash;
pub mod front_ends;
pub mod inspect;
mod line;
pub mod matrix;
pub mod monitor;
pub mod profile;
mod progress;
pub mod quantize;
mod quantizing;
pub mod record;
pub mod run;
pub mod samples;
pub mod train;
pub mod verify;

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

/// Train small networks, export them as int8 ONNX and compile them for microcontrollers.
#[derive(Debug, Parser)]
#[command(name = "trainer", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Record(record::Args),
    Train(train::Args),
    Export(export::Args),
    Quantize(quantize::Args),
    Compile(compile::Args),
    Inspect(inspect::Args),
    Run(run::Args),
    Evaluate(evaluate::Args),
    Compare(compare::Args),
    Conformance(conformance::Args),
    Matrix(matrix::Args),
    Verify(verify::Args),
    Profile(profile::Args),
    Flash(flash::Args),
    Monitor(monitor::Args),
    #[command(hide = true)]
    Samples(samples::Args),
    #[command(hide = true)]
    Bits(bits::Args),
    #[command(hide = true)]
    FrontEnds(front_ends::Args),
}

/// How a sub-command reports its result.
#[derive(Clone, Copy, Debug, Default, clap::Args)]
pub struct Output {
    /// Print the result as one JSON object on standard output
    #[arg(long)]
    pub json: bool,
}

impl Output {
    /// Prints `result` as JSON, or what `human` writes.
    pub fn print<T: Serialize>(
        self,
        result: &T,
        human: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        if self.json {
            serde_json::to_writer_pretty(&mut out, result).map_err(io::Error::from)?;
            writeln!(out)?;
        } else {
            human(&mut out)?;
        }
        out.flush()?;
        Ok(())
    }
}

/// Writes what a person should know of how a model came about, one line each.
fn write_notes(out: &mut dyn Write, notes: &[String]) -> io::Result<()> {
    notes.iter().try_for_each(|note| writeln!(out, "  note: {note}"))
}

/// Numbers stand to the right of their columns.
fn align_right(table: &mut Table, columns: &[usize]) {
    for &column in columns {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// The end of a long name: its beginning is what many have in common.
fn short(name: &str) -> String {
    const LIMIT: usize = 40;
    let skipped = name.chars().count().saturating_sub(LIMIT);
    if skipped == 0 {
        name.to_string()
    } else {
        format!("…{}", name.chars().skip(skipped + 1).collect::<String>())
    }
}

/// Parses the command line, runs the sub-command and turns its result into an exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // A reader that went away while the help was printed is no failure.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    let result = match cli.command {
        Command::Record(args) => record::run(args),
        Command::Train(args) => train::run(args),
        Command::Export(args) => export::run(args),
        Command::Quantize(args) => quantize::run(args),
        Command::Compile(args) => compile::run(args),
        Command::Inspect(args) => inspect::run(args),
        Command::Run(args) => run::run(args),
        Command::Evaluate(args) => evaluate::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Conformance(args) => conformance::run(args),
        Command::Matrix(args) => matrix::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Profile(args) => profile::run(args),
        Command::Flash(args) => flash::run(args),
        Command::Monitor(args) => monitor::run(args),
        Command::Samples(args) => samples::run(args),
        Command::Bits(args) => bits::run(args),
        Command::FrontEnds(args) => front_ends::run(args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = report(&error);
            ExitCode::from(2)
        }
    }
}

/// Whether the error is a reader of our output that went away (`trainer inspect … | head`).
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe))
}

/// Writes the error and what caused it, one line each. A cause that its parent already quotes is left out.
fn report(error: &anyhow::Error) -> io::Result<()> {
    let mut err = io::stderr().lock();
    let mut shown = error.to_string();
    writeln!(err, "error: {shown}")?;
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !shown.contains(&text) {
            writeln!(err, "  because: {text}")?;
        }
        shown = text;
        cause = error.source();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn broken_pipe_is_found_under_its_context() {
        let error =
            anyhow::Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("writing the table");
        assert!(is_broken_pipe(&error));
        assert!(!is_broken_pipe(&anyhow::anyhow!("no such file")));
    }
}
