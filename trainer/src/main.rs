//! The `trainer` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    teff_trainer::cli::main()
}
