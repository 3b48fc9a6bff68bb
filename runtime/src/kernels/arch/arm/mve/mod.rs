//! Cortex-M with Helium, the vector extension of Armv8.1-M (M52, M55, M85): 16 products per instruction.
//!
//! - *Convolution.* Two output channels by three pixels: five vectors loaded for six sums of 16 products. A pixel's window lies in
//!   the input where it is one run of bytes, else it is gathered. Four channels of a pixel are requantized at once.
//! - *Fully connected.* Four outputs at a time.
//! - *Depthwise.* 16 channels at a time; products of two taps are added in 16 bits before they are widened. Where there are fewer
//!   channels, neighbouring pixels fill the vector.
//! - *Pooling.* 16 channels of a window at a time for a maximum, four for an average, which is divided by a reciprocal.
//!
//! Weights in [`Packing::Mve`](crate::kernels::params::Packing::Mve) take this path; plain ones run on
//! [`generic`](crate::kernels::generic). How much scratch the fast path takes is computed here on every machine, since
//! the compiler plans for it.

/// What the assembler is told before each function, which is not given the processor that the crate is compiled for.
#[cfg(teff_mve)]
macro_rules! processor {
    () => {
        ".cpu cortex-m55"
    };
}

mod scratch;

pub use scratch::{conv_2d_scratch_len, depthwise_conv_2d_scratch_len};

#[cfg(teff_mve)]
mod conv_2d;
#[cfg(teff_mve)]
mod depthwise_conv_2d;
#[cfg(teff_mve)]
mod elementwise;
#[cfg(teff_mve)]
mod fully_connected;
#[cfg(teff_mve)]
mod mat_mul;
#[cfg(teff_mve)]
mod memory;
#[cfg(teff_mve)]
mod pool;
#[cfg(teff_mve)]
mod set;
#[cfg(teff_mve)]
mod windows;

#[cfg(teff_mve)]
pub use set::Mve;
