//! Runs the kernel suite on the board: every case class of the native kernels against the reference.
#![no_std]
#![no_main]

use core::fmt::Write;

use cortex_m_rt::entry;
use panic_semihosting as _;
use teff::kernels::Native;
use teff::kernels::suite::{Buffers, Outcome, run_in};
use teff_emulated::console::{self, Console};

#[entry]
fn main() -> ! {
    static mut BUFFERS: Buffers = Buffers::new();
    let mut out = Console::open();
    let mut success = true;
    run_in::<Native>(BUFFERS, &mut |class, outcome| {
        let line = match outcome {
            Outcome::Passed { calls } => writeln!(out, "{class}: {calls} calls"),
            Outcome::Failed(failure) => {
                success = false;
                writeln!(out, "{class}: FAILED {failure}")
            }
        };
        success &= line.is_ok();
    });
    console::exit(success)
}
