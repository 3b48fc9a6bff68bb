//! Runs the kernel suite: every case class of the native kernels against the reference.
#![no_std]
#![no_main]

use core::fmt::Write;

use board::Output;
use teff::kernels::Native;
use teff::kernels::suite::{Buffers, Outcome, run_in};

board::program!(run);

fn run(out: &mut Output) -> bool {
    let mut success = true;
    run_in::<Native>(&mut Buffers::new(), &mut |class, outcome| {
        let line = match outcome {
            Outcome::Passed { calls } => writeln!(out, "{class}: {calls} calls"),
            Outcome::Failed(failure) => {
                success = false;
                writeln!(out, "{class}: FAILED {failure}")
            }
        };
        success &= line.is_ok();
    });
    success
}
