//! `motion` with faults of everything that can fail: what happens is printed, decisions come again, and in the end
//! every instant is accounted for.
#![no_std]
#![no_main]

use core::fmt;

#[cfg(feature = "defmt")]
use defmt_semihosting as _;
use panic_semihosting as _;
use teff_emulated::report::Report;
use teff_emulated::task::{Faults, Figures, Setting};

#[path = "faults/motion.rs"]
mod faults;
#[path = "wiring/motion.rs"]
mod wiring;

teff::include_model!(Machine, concat!(env!("OUT_DIR"), "/model.teff"));

const SETTING: Setting = Setting {
    limits: faults::LIMITS,
    interrupt_every: faults::INTERRUPT_EVERY,
    // So that the interrupt comes at the same instants however long an inference takes: each board sees the same.
    portions: &[1],
    budget: 15_000,
    times: faults::TIMES,
    faults: Faults { chip: faults::CHIP, sensor: faults::SENSOR, busy: faults::BUSY },
};

/// Tells what the run came to; a failure where an instant is in no account.
fn conclude(figures: &Figures, out: &mut Report) -> Result<bool, fmt::Error> {
    figures.tell(out)
}
