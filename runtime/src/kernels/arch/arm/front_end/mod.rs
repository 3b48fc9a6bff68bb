//! Inner loops of the front end (`dsp`) by the multiplications and additions of 16-bit pairs that the DSP extension has; every
//! processor with Helium has it too.
//!
//! The arithmetic is that of the portable loops, bit for bit. Loops are written out as a whole: with what a loop keeps there are
//! as many values as registers, and the compiler would move a fourth of them to the stack.
#![allow(unsafe_code)]

/// What the assembler is told before each function, which is not given the processor that the crate is compiled for.
#[cfg(teff_mve)]
macro_rules! processor {
    () => {
        ".cpu cortex-m55"
    };
}
#[cfg(all(not(teff_mve), teff_armv8m))]
macro_rules! processor {
    () => {
        ".cpu cortex-m33"
    };
}
#[cfg(not(any(teff_mve, teff_armv8m)))]
macro_rules! processor {
    () => {
        ""
    };
}

pub(crate) mod bands;
pub(crate) mod conditioning;
pub(crate) mod samples;
pub(crate) mod taper;
pub(crate) mod transform;
