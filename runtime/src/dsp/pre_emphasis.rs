//! Subtracts a part of the sample before from each sample.

use super::conditioner::each_of_axis;
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
            let mut before = *state as i32;
            let mut begun = self.begun & (1 << (of & 31)) != 0;
            each_of_axis(block, axis, of, axes, |x| {
                let now = i32::from(*x);
                if !begun {
                    (before, begun) = (now, true);
                }
                // At most 2^31 - 2^15 on either side.
                let difference = (now << 15).wrapping_sub(before.wrapping_mul(factor));
                *x = shift_right_half_up(difference, 15).clamp(-32768, 32767) as i16;
                before = now;
            });
            *state = before as u32;
            self.begun |= u32::from(begun) << (of & 31);
        }
    }
}
