//! Arm's processors of the M profile.

pub mod base;
pub mod dsp;
pub mod mve;

#[cfg(any(test, teff_dsp, teff_armv6m, teff_armv7m))]
mod averages;
#[cfg(any(test, teff_mve, teff_dsp, teff_armv6m, teff_armv7m))]
mod clamp;
#[cfg(any(test, teff_dsp, teff_armv6m, teff_armv7m))]
mod elementwise;
#[cfg(any(teff_dsp, teff_mve))]
pub(crate) mod front_end;
#[cfg(any(teff_dsp, teff_armv7m))]
mod lookup;
mod multiplied;
#[cfg(any(test, teff_mve, teff_dsp, teff_armv6m, teff_armv7m))]
mod repeat;
#[cfg(any(test, teff_mve, teff_dsp, teff_armv6m, teff_armv7m))]
mod windows;
