//! Skew and kurtosis of an axis.

use super::exp::exp2_q16;
use super::kinds::MOMENT_FRAC_BITS;
use super::log::log2_q16;
use super::stats::AxisSamples;
#[cfg(any(teff_dsp, teff_mve))]
use super::stats::Column;
#[cfg(any(teff_dsp, teff_mve))]
use crate::kernels::arch::arm::front_end::conditioning;

/// Fractional bits of the mean that is subtracted.
const MEAN_FRAC_BITS: u32 = 12;

/// Bits of the largest difference from the mean, so that sums of fourth powers fit in 64 bits.
const DIFFERENCE_BITS: u32 = 14;

/// A square loses this many bits before it is squared again.
const SQUARE_SHIFT: u32 = 6;

/// Sums of powers of the differences from the mean; the differences have some common unit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moments {
    n: u32,
    squares: u64,
    cubes: i64,
    /// Less twice [`SQUARE_SHIFT`] bits.
    fourths: u64,
}

impl Moments {
    /// Of `n` samples with that sum, all of them between `least` and `most`.
    pub(super) fn new(samples: &AxisSamples<'_>, (n, sum): (u32, i32), (least, most): (i32, i32)) -> Self {
        let mut moments = Moments { n, squares: 0, cubes: 0, fourths: 0 };
        let count = n.max(1) as i32;
        let whole = sum.checked_div_euclid(count).unwrap_or(0);
        let rest = sum.wrapping_sub(whole.wrapping_mul(count));
        let part = ((rest << MEAN_FRAC_BITS) + count / 2).checked_div(count).unwrap_or(0);
        let mean = (whole << MEAN_FRAC_BITS).wrapping_add(part);
        let widest = (most - whole).unsigned_abs().max((whole - least).unsigned_abs()) + 1;
        // `widest` has this many bits, its difference 12 more.
        let bits = u32::BITS - widest.leading_zeros() + MEAN_FRAC_BITS;
        let shift = bits.saturating_sub(DIFFERENCE_BITS);
        let half = (1 << (shift & 31)) >> 1;
        let (mean, shift) = (mean.wrapping_sub(half), shift & 31);
        #[cfg(any(teff_dsp, teff_mve))]
        if let Some(columns) = samples.columns() {
            for column in columns {
                moments.add_column(column, mean, shift);
            }
            return moments;
        }
        samples.clone().for_each(|x| moments.add(x, mean, shift));
        moments
    }

    /// Adds the powers of a difference, from a mean less one half of what the shift drops.
    #[inline(always)]
    fn add(&mut self, x: i32, mean: i32, shift: u32) {
        let d = (x << MEAN_FRAC_BITS).wrapping_sub(mean) >> shift;
        let square = d.wrapping_mul(d) as u32;
        let shorter = (square + (1 << (SQUARE_SHIFT - 1))) >> SQUARE_SHIFT;
        self.squares += u64::from(square);
        self.cubes += i64::from(d) * i64::from(square);
        self.fourths += u64::from(shorter) * u64::from(shorter);
    }

    #[cfg(any(teff_dsp, teff_mve))]
    fn add_column(&mut self, mut column: Column<'_>, mean: i32, shift: u32) {
        let words = |sum: u64| [sum as u32, (sum >> 32) as u32];
        let ([a, b], [c, d], [e, f]) = (words(self.squares), words(self.cubes as u64), words(self.fourths));
        let mut powers = conditioning::Powers { mean, shift, sums: [a, b, c, d, e, f] };
        let taken = conditioning::moments(column.rest(), column.axes(), &mut powers);
        let sum = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        let [a, b, c, d, e, f] = powers.sums;
        (self.squares, self.cubes, self.fourths) = (sum(a, b), sum(c, d) as i64, sum(e, f));
        column.skip(taken);
        while let Some(x) = column.next() {
            self.add(x, mean, shift);
        }
    }

    /// `Σd³ · √n / (Σd²)^1.5`, [`MOMENT_FRAC_BITS`]; 0 for a constant.
    pub(super) fn skew(&self) -> i32 {
        if self.squares == 0 || self.cubes == 0 {
            return 0;
        }
        let spread = log2_q16(self.squares);
        let log = log2_q16(self.cubes.unsigned_abs()) + log2_q16(self.n.into()) / 2 - spread - spread / 2;
        let size = exp2_q16(log, MOMENT_FRAC_BITS).min(32_768) as i32;
        if self.cubes < 0 { -size } else { size }
    }

    /// `n · Σd⁴ / (Σd²)²`, [`MOMENT_FRAC_BITS`]; 0 for a constant.
    pub(super) fn kurtosis(&self) -> i32 {
        if self.squares == 0 || self.fourths == 0 {
            return 0;
        }
        let fourths = log2_q16(self.fourths) + ((2 * SQUARE_SHIFT as i32) << 16);
        let log = fourths + log2_q16(self.n.into()) - 2 * log2_q16(self.squares);
        exp2_q16(log, MOMENT_FRAC_BITS).min(32_768) as i32
    }
}
