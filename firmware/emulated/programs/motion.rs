//! Machine state from vibration: a recording is replayed through a simulated accelerometer chip, and every decision is
//! printed.
#![no_std]
#![no_main]

use core::fmt::{self, Write};

#[cfg(feature = "defmt")]
use defmt_semihosting as _;
use panic_semihosting as _;
use teff_app::health::Limits;
use teff_emulated::report::Report;
use teff_emulated::task::{Faults, Figures, Setting};

#[path = "wiring/motion.rs"]
mod wiring;

teff::include_model!(Machine, concat!(env!("OUT_DIR"), "/model.teff"));

const SETTING: Setting = Setting {
    limits: Limits::DEFAULT,
    // Half of the chip's buffer.
    interrupt_every: 16,
    // The times at which measurements come change nothing.
    portions: &[16, 1, 7, 13, 5],
    budget: 15_000,
    times: 1,
    faults: Faults::NONE,
};

/// Tells what the run came to.
fn conclude(figures: &Figures, out: &mut Report) -> Result<bool, fmt::Error> {
    let Figures { pipeline, health, overruns, fingerprint, .. } = figures;
    writeln!(out, "{} instants, {} inferences", pipeline.instants, pipeline.inferences)?;
    writeln!(out, "{fingerprint:08x} is the fingerprint of their scores")?;
    writeln!(
        out,
        "{} windows missed, {overruns} queue overruns, {} sensor gaps, {} bus errors",
        pipeline.missed, health.gaps, health.bus_errors,
    )?;
    Ok(true)
}
