//! Arm's processors of the M profile.

pub mod dsp;
