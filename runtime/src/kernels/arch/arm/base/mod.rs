//! Cortex-M without the DSP extension (M3, M0): several products per multiplication, in parts of a 32-bit word.
//!
//! - *Convolution.* Three pixels `x`, `y`, `z` stand in two words `x + 2^11 y` and `z + 2^22 y`, made once per pixel and
//!   multiplied with the weights of all channels. Two accumulators then hold three sums of 21 bits: the low 22 bits of the
//!   second are the sum for `z`, its upper 10 the low bits of that for `y`; these subtracted from the first leave the sum
//!   for `x` in 21 bits, and above them the rest of that for `y`. The compiler proves how many products fit.
//! - *Convolution by Winograd's scheme.* The transformed inputs of four tiles `a`, `b`, `c`, `d` stand in three words
//!   `a + 2^24 d`, `b + 2^16 d` and `c + 2^8 d`. Three accumulators hold four sums of 24 bits: the upper byte of each, taken
//!   from the word behind it, is a byte of the sum for `d`.
//! - *Fully connected.* The weights of four outputs `a`, `b`, `c`, `d` are read as a word `a + 2^8 b + 2^16 c + 2^24 d`;
//!   with `b + 2^16 d` and `c + 2^8 d`, an instruction each, three accumulators hold four sums of 24 bits.
//! - *Depthwise.* Neighbouring pixels share each weight that is loaded.
//! - *Matrices.* Four columns of a row at a time, for each element of the row that is loaded.
//! - *Maximum and average.* Four channels of a window at a time, each in a register.
//!
//! All sums are modulo 2^32 until they are taken apart, so intermediate carries do not matter. Weights in
//! [`Packing::Base`](crate::kernels::params::Packing::Base) take this path; plain ones run on
//! [`generic`](crate::kernels::generic). Inner loops are assembly, one folder for each architecture with the same functions;
//! `portable` has them in Rust for the tests of a host. How much scratch the fast path takes is computed here on every machine, since
//! the compiler plans for it.

mod scratch;

pub use scratch::{conv_2d_scratch_len, depthwise_conv_2d_scratch_len};

#[cfg(teff_armv6m)]
mod armv6m;
#[cfg(teff_armv7m)]
mod armv7m;
#[cfg(all(test, not(any(teff_armv6m, teff_armv7m))))]
mod portable;

#[cfg(teff_armv6m)]
use armv6m as inner;
#[cfg(teff_armv7m)]
use armv7m as inner;
#[cfg(all(test, not(any(teff_armv6m, teff_armv7m))))]
use portable as inner;

#[cfg(any(test, teff_armv6m, teff_armv7m))]
mod averages;
#[cfg(any(test, teff_armv6m, teff_armv7m))]
mod conv_2d;
#[cfg(any(test, teff_armv6m, teff_armv7m))]
mod depthwise_conv_2d;
#[cfg(any(test, teff_armv6m, teff_armv7m))]
mod elementwise;
#[cfg(any(test, teff_armv6m, teff_armv7m))]
mod fully_connected;
#[cfg(any(test, teff_armv6m, teff_armv7m))]
mod mat_mul;
#[cfg(any(test, teff_armv6m, teff_armv7m))]
mod set;
#[cfg(any(test, teff_armv6m, teff_armv7m))]
mod windows;
#[cfg(any(test, teff_armv6m, teff_armv7m))]
mod winograd;

#[cfg(any(test, teff_armv6m, teff_armv7m))]
pub use set::Base;

#[cfg(all(test, not(any(teff_armv6m, teff_armv7m))))]
mod tests {
    //! The suite on the set with its inner loops in Rust.

    use super::Base;

    crate::kernels::suite::kernel_suite!(Base);
}
