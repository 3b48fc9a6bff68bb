//! Spoken digits: a recording is replayed through a simulated I²S microphone, and every decision is
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

#[path = "wiring/listen.rs"]
mod wiring;

teff::include_model!(Listener, concat!(env!("OUT_DIR"), "/listen.teff"));

const SETTING: Setting = Setting {
    // Between two words there is silence, which is no stuck microphone.
    limits: Limits { stuck_after: 0, saturation_block: 1024, ..Limits::DEFAULT },
    interrupt_every: 64,
    // The times at which samples come change nothing.
    portions: &[64, 1, 7, 33, 50, 17],
    // The replay's time passes so slowly that the slowest core misses no window of this model, one for each 128
    // samples.
    budget: 400_000,
    times: 1,
    faults: Faults::NONE,
};

/// Tells what the run came to.
fn conclude(figures: &Figures, out: &mut Report) -> Result<bool, fmt::Error> {
    let Figures { pipeline, health, overruns, fingerprint, .. } = figures;
    writeln!(out, "{} samples, {} inferences", pipeline.instants, pipeline.inferences)?;
    writeln!(out, "{fingerprint:08x} is the fingerprint of their scores")?;
    writeln!(
        out,
        "{} windows missed, {overruns} queue overruns, {} gaps, {} saturated",
        pipeline.missed, pipeline.gaps, health.saturated,
    )?;
    Ok(true)
}
