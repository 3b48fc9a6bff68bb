//! Removes the running mean of each axis.

#[cfg(any(teff_dsp, teff_mve))]
use super::conditioner::behind;
use super::conditioner::{each_of_axis, from_axis};
#[cfg(any(teff_dsp, teff_mve))]
use crate::kernels::arch::arm::front_end::conditioning::remove_mean;
use crate::quant::shift_right_half_up;

/// Fractional bits of a running mean.
const MEAN_FRAC_BITS: u32 = 15;

/// `y = x - mean`, then `mean += (x - mean) / 2^shift`, per axis.
#[derive(Debug)]
pub(super) struct DcRemoval<'w> {
    /// Mean of each axis, Q15 counts, as the bits of an `i32`.
    pub(super) means: &'w mut [u32],
    /// 1 to 15; anything else is taken modulo 32.
    pub(super) shift: u32,
    /// Axes whose mean has begun, as bits.
    pub(super) begun: u32,
}

impl DcRemoval<'_> {
    /// Filters `block` in place; its first sample belongs to `axis`. The mean begins at the first sample.
    pub(super) fn run(&mut self, block: &mut [i16], axis: usize) {
        let axes = self.means.len();
        let shift = self.shift;
        for (of, state) in self.means.iter_mut().enumerate() {
            let samples = from_axis(block, axis, of, axes);
            let Some(first) = samples.first() else { continue };
            let bit = 1 << (of & 31);
            let mut mean =
                if self.begun & bit == 0 { i32::from(*first) << MEAN_FRAC_BITS } else { *state as i32 };
            self.begun |= bit;
            #[cfg(any(teff_dsp, teff_mve))]
            let samples = {
                let taken = remove_mean(samples, axes, &mut mean, shift);
                behind(samples, axes, taken)
            };
            each_of_axis(samples, axes, |x| {
                let now = i32::from(*x) << MEAN_FRAC_BITS;
                // The mean lies between samples: at most 2^31 - 2^15 on either side.
                let difference = now.wrapping_sub(mean);
                *x = shift_right_half_up(difference, MEAN_FRAC_BITS).clamp(-32768, 32767) as i16;
                mean = mean.wrapping_add(shift_right_half_up(difference, shift));
            });
            *state = mean as u32;
        }
    }
}
