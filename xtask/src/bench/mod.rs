//! `cargo xtask bench`: what inference costs, and how that compares.

mod anchor;
pub mod bits;
mod boards;
mod boards_page;
mod fit;
mod front_end;
mod mcu;
mod record;
mod share;

use anyhow::Result;
use clap::Subcommand;

use crate::toolchain::Installer;

/// What is measured.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Instructions, RAM and flash on all emulated Cortex-M boards, beside TensorFlow Lite Micro's
    Mcu(mcu::Args),
    /// Fit the compiler's cost model to counted instructions of layers made for it
    Fit(fit::Args),
    /// Instructions of a frame of the front end, in integers and in floating point, on all emulated boards
    FrontEnd(front_end::Args),
    /// What the applications take on every board: flash, RAM, stack, instructions, and their share of real time
    Boards(boards::Args),
    /// Compare host and boards bit by bit, in every plan that the compiler can make
    Bits(bits::Args),
}

/// Runs the measurement.
pub fn run(installer: &Installer, args: &Args) -> Result<()> {
    match &args.what {
        What::Mcu(args) => mcu::run(installer, args),
        What::Fit(args) => fit::run(installer, args),
        What::FrontEnd(args) => front_end::run(installer, args),
        What::Boards(args) => boards::run(installer, args),
        What::Bits(args) => bits::run(installer, args),
    }
}
