//! Statistics and band powers of each axis of a frame.

use core::num::NonZeroU32;

use super::kinds::Stat;
use super::moments::Moments;
use super::settings::Settings;
use super::stages;
#[cfg(any(teff_dsp, teff_mve))]
use crate::kernels::arch::arm::front_end::samples;
use crate::quant::divide_half_away;

/// The samples of one axis of a frame, or the vector magnitude of all axes.
#[derive(Clone, Debug)]
pub(super) struct AxisSamples<'f> {
    older: &'f [i16],
    newer: &'f [i16],
    axes: usize,
    axis: usize,
}

impl<'f> AxisSamples<'f> {
    /// `axis` below `axes` is that axis, any other the magnitude.
    pub(super) fn new((older, newer): (&'f [i16], &'f [i16]), axes: usize, axis: usize) -> Self {
        AxisSamples { older, newer, axes, axis }
    }

    /// How many samples there are.
    fn instants(&self) -> u32 {
        let values = (self.older.len() + self.newer.len()) as u32;
        NonZeroU32::new(self.axes as u32).map_or(0, |axes| values / axes)
    }
}

/// Every so-manieth sample of a part of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column<'f> {
    part: &'f [i16],
    at: usize,
    axes: usize,
}

impl Column<'_> {
    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<i32> {
        let x = self.part.get(self.at)?;
        self.at += self.axes;
        Some(i32::from(*x))
    }

    /// Those that are still to come, and the other axes between them.
    #[cfg(any(teff_dsp, teff_mve))]
    pub(super) fn rest(&self) -> &[i16] {
        self.part.get(self.at..).unwrap_or(&[])
    }

    #[cfg(any(teff_dsp, teff_mve))]
    pub(super) fn axes(&self) -> usize {
        self.axes
    }

    /// Passes over the next `n`.
    #[cfg(any(teff_dsp, teff_mve))]
    pub(super) fn skip(&mut self, n: usize) {
        self.at += n * self.axes;
    }

    /// How many there are, before the first was taken.
    pub(super) fn len(&self) -> usize {
        self.part.len().checked_div(self.axes).unwrap_or(0)
    }
}

impl<'f> AxisSamples<'f> {
    /// The older and the newer samples of an axis; `None` for the magnitude.
    pub(super) fn columns(&self) -> Option<[Column<'f>; 2]> {
        let column = |part| Column { part, at: self.axis, axes: self.axes };
        (self.axis < self.axes).then(|| [column(self.older), column(self.newer)])
    }
}

impl Iterator for AxisSamples<'_> {
    type Item = i32;

    fn next(&mut self) -> Option<i32> {
        if self.older.is_empty() {
            self.older = core::mem::take(&mut self.newer);
        }
        let (instant, rest) = self.older.split_at_checked(self.axes.max(1))?;
        self.older = rest;
        Some(instant.get(self.axis).map_or_else(|| magnitude(instant), |x| i32::from(*x)))
    }

    /// What `for_each` and `sum` are made of: without the state that `next` keeps.
    #[inline(always)]
    fn fold<B, F: FnMut(B, i32) -> B>(self, init: B, mut each: F) -> B {
        let mut folded = init;
        for part in [self.older, self.newer] {
            let mut at = self.axis;
            if self.axis < self.axes {
                while let Some(x) = part.get(at) {
                    folded = each(folded, i32::from(*x));
                    at += self.axes;
                }
            } else {
                for instant in part.chunks(self.axes.max(1)) {
                    folded = each(folded, magnitude(instant));
                }
            }
        }
        folded
    }
}

/// The length of a vector, at most 32767.
#[inline(never)]
fn magnitude(instant: &[i16]) -> i32 {
    let squares: u64 = instant.iter().map(|x| u64::from(i32::from(*x).unsigned_abs().pow(2))).sum();
    square_root(squares).min(32767) as i32
}

/// The largest integer whose square is at most `x`, bit by bit.
pub(super) fn square_root(x: u64) -> u32 {
    if let Ok(x) = u32::try_from(x) {
        return square_root_of_word(x);
    }
    let mut bit = 1_u64 << ((63 - x.leading_zeros()) & !1);
    let (mut rest, mut root) = (x, 0_u64);
    while bit != 0 {
        let trial = root + bit;
        root >>= 1;
        if rest >= trial {
            rest -= trial;
            root += bit;
        }
        bit >>= 2;
    }
    root as u32
}

/// The same in half the width, for the magnitude of each instant.
fn square_root_of_word(x: u32) -> u32 {
    let mut bit = 1_u32 << ((31 - (x | 1).leading_zeros()) & !1);
    let (mut rest, mut root) = (x, 0_u32);
    while bit != 0 {
        let trial = root + bit;
        root >>= 1;
        if rest >= trial {
            rest -= trial;
            root += bit;
        }
        bit >>= 2;
    }
    root
}

/// What one pass over an axis finds.
#[derive(Clone, Copy)]
struct Totals {
    sum: i32,
    squares: u64,
    least: i32,
    most: i32,
}

impl Totals {
    #[inline(always)]
    fn add(&mut self, x: i32) {
        self.sum = self.sum.wrapping_add(x);
        self.squares += square(x);
        self.least = self.least.min(x);
        self.most = self.most.max(x);
    }

    #[inline(never)]
    fn add_column(&mut self, column: Column<'_>) {
        // A copy, so that its fields are in registers.
        let (mut totals, mut column) = (*self, column);
        #[cfg(any(teff_dsp, teff_mve))]
        {
            let Totals { sum, squares, least, most } = &mut totals;
            let taken = samples::add_pairs(column.rest(), column.axes, (sum, squares), (least, most));
            column.skip(taken);
        }
        while let Some(x) = column.next() {
            totals.add(x);
        }
        *self = totals;
    }
}

/// Writes the statistics that `settings` asks for to the front of `features`. Returns the mean of the axis, its least and its
/// largest sample.
pub(super) fn write<const STAGES: u32>(
    samples: &AxisSamples<'_>,
    settings: &Settings,
    features: &mut [i16],
) -> (i32, (i32, i32)) {
    let n = samples.instants();
    let mut totals = Totals { sum: 0, squares: 0, least: 32767, most: -32768 };
    match samples.columns() {
        Some([older, newer]) => {
            totals.add_column(older);
            totals.add_column(newer);
        }
        None => samples.clone().for_each(|x| totals.add(x)),
    }
    let Totals { sum, squares, least, most } = totals;
    let average = divide_half_away(sum, n);
    let scaled = squares * u64::from(n);
    let shape =
        if STAGES & stages::MOMENTS != 0 && settings.stats & (Stat::Skew.bit() | Stat::Kurtosis.bit()) != 0 {
            let moments = Moments::new(samples, (n, sum), (least, most));
            [moments.skew(), moments.kurtosis()]
        } else {
            [0, 0]
        };
    let wanted = Stat::ALL.into_iter().filter(|s| settings.stats & s.bit() != 0);
    for (stat, to) in wanted.zip(features) {
        let value = match stat {
            Stat::Mean => average,
            Stat::Std => {
                let sum = u64::from(sum.unsigned_abs());
                root_per(scaled.saturating_sub(sum * sum), n)
            }
            Stat::Rms => root_per(scaled, n),
            Stat::Min => least,
            Stat::Max => most,
            Stat::Crossings => crossings(samples.clone(), average),
            Stat::Skew => shape[0],
            Stat::Kurtosis => shape[1],
        };
        *to = value.clamp(-32768, 32767) as i16;
    }
    (average, (least, most))
}

/// `√x / n`, rounded half up.
fn root_per(x: u64, n: u32) -> i32 {
    let Some(n) = NonZeroU32::new(n) else { return 0 };
    (square_root(x).wrapping_add(n.get() / 2) / n) as i32
}

/// `x²` of a number of 16 bits, by the multiplication that the processor adds to 64 bits with.
#[inline(always)]
fn square(x: i32) -> u64 {
    if cfg!(teff_armv6m) { u64::from(x.wrapping_mul(x) as u32) } else { (i64::from(x) * i64::from(x)) as u64 }
}

/// How often the samples change from below `average` to not below it, or back.
fn crossings(samples: AxisSamples<'_>, average: i32) -> i32 {
    let first = samples.clone().next().unwrap_or(0).wrapping_sub(average);
    let count = |(count, last): (u32, i32), x: i32| {
        let now = x.wrapping_sub(average);
        // The sign is that of being below.
        (count + ((now ^ last) as u32 >> 31), now)
    };
    samples.fold((0, first), count).0 as i32
}

#[cfg(test)]
mod tests {
    use super::square_root;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn square_root_is_the_floor(x: u64, shift in 0_u32..64) {
            let x = x >> shift;
            let root = u64::from(square_root(x));
            prop_assert!(root * root <= x);
            prop_assert!((root + 1).checked_mul(root + 1).is_none_or(|next| next > x));
        }
    }
}
