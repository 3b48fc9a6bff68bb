//! Cortex-M with the DSP extension (M4, M7, M33): inner loops in assembly around the dual 16-bit multiplier.
//!
//! Weights in [`Packing::Dsp`](crate::kernels::params::Packing::Dsp) take the fast path; plain ones, which the compiler
//! leaves where an operator does not suit it, run on [`generic`](crate::kernels::generic). How much scratch the fast
//! path takes is computed here on every machine, since the compiler plans for it.

/// What the assembler is told before each function: on Armv8-M the DSP extension is an option, and functions in
/// assembly are not given the processor that the crate is compiled for.
#[cfg(all(teff_dsp, teff_armv8m))]
macro_rules! processor {
    () => {
        ".cpu cortex-m33"
    };
}
#[cfg(all(teff_dsp, not(teff_armv8m)))]
macro_rules! processor {
    () => {
        ""
    };
}

#[cfg(test)]
mod band_tests;
mod scratch;

pub(super) use scratch::has_padding;
pub use scratch::{conv_2d_scratch_len, depthwise_conv_2d_scratch_len};
pub(crate) use scratch::{copies_input, copies_rows, runs_along_rows, runs_in_row_pairs};

#[cfg(teff_dsp)]
use super::clamp;

#[cfg(teff_dsp)]
mod averages;
#[cfg(teff_dsp)]
mod conv_2d;
#[cfg(teff_dsp)]
mod depthwise_conv_2d;
#[cfg(teff_dsp)]
mod elementwise;
#[cfg(teff_dsp)]
mod fully_connected;
#[cfg(teff_dsp)]
mod mat_mul;
#[cfg(teff_dsp)]
mod memory;
#[cfg(teff_dsp)]
mod row_pairs;
#[cfg(teff_dsp)]
mod set;
#[cfg(teff_dsp)]
mod windows;
#[cfg(teff_dsp)]
mod winograd;

#[cfg(teff_dsp)]
pub use set::Dsp;
