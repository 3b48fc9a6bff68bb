//! Arm's processors of the M profile.

pub mod base;
pub mod dsp;

#[cfg(any(test, teff_dsp, teff_armv6m, teff_armv7m))]
mod clamp;
