//! Subtracts a part of the sample before from each sample.

#[cfg(any(teff_dsp, teff_mve))]
use super::conditioner::behind;
use super::conditioner::{each_of_axis, from_axis};
#[cfg(any(teff_dsp, teff_mve))]
use crate::kernels::arch::arm::front_end::conditioning::emphasize;
use crate::quant::shift_right_half_up;

/// `y[n] = x[n] - factor · x[n - 1]`, per axis.
#[derive(Debug)]
pub(super) struct PreEmphasis<'w> {
    /// The sample before, of each axis, as the bits of an `i32`.
    pub(super) before: &'w mut [u32],
    /// Q15.
    pub(super) factor: i32,
    /// Axes that have a sample before, as bits.
    pub(super) begun: u32,
}

impl PreEmphasis<'_> {
    /// Filters `block` in place; its first sample belongs to `axis`. The first sample also stands for the one before it.
    pub(super) fn run(&mut self, block: &mut [i16], axis: usize) {
        let axes = self.before.len();
        let factor = self.factor;
        for (of, state) in self.before.iter_mut().enumerate() {
            let samples = from_axis(block, axis, of, axes);
            let Some(first) = samples.first() else { continue };
            let bit = 1 << (of & 31);
            let mut before = if self.begun & bit == 0 { i32::from(*first) } else { *state as i32 };
            self.begun |= bit;
            #[cfg(any(teff_dsp, teff_mve))]
            let samples = {
                let taken = emphasize(samples, axes, &mut before, factor);
                behind(samples, axes, taken)
            };
            each_of_axis(samples, axes, |x| {
                let now = i32::from(*x);
                // At most 2^31 - 2^15 on either side.
                let difference = (now << 15).wrapping_sub(before.wrapping_mul(factor));
                *x = shift_right_half_up(difference, 15).clamp(-32768, 32767) as i16;
                before = now;
            });
            *state = before as u32;
        }
    }
}
