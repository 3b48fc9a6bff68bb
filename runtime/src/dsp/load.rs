//! Tapers samples and loads them, in pairs, which are the points of the transform, in bit-reversed order.

use super::points::{Extent, pack};
use super::stats::Column;
#[cfg(any(teff_dsp, teff_mve))]
use crate::kernels::arch::arm::front_end::taper::{Strided, Target};
use crate::quant::shift_right_half_up;

/// Writes the points of a transform in bit-reversed order.
pub(super) struct Load<'s> {
    spectrum: &'s mut [u32],
    n: usize,
    /// `n` with its bits reversed: where the next point goes.
    at: usize,
    shift: u32,
    /// Of the points so far.
    extent: Extent,
}

/// A sample times a factor in Q15 that has `down` fractional bits too many.
#[inline(always)]
pub(super) fn tapered(x: i16, factor: i16, down: u32) -> i32 {
    shift_right_half_up(i32::from(x).wrapping_mul(i32::from(factor)), down)
}

/// `x - mean`, saturated to 16 bits.
#[inline(always)]
pub(super) fn centred(x: i32, mean: i32) -> i16 {
    x.wrapping_sub(mean).clamp(-32768, 32767) as i16
}

impl<'s> Load<'s> {
    pub(super) fn new(spectrum: &'s mut [u32]) -> Self {
        let shift = usize::BITS - spectrum.len().trailing_zeros();
        Load { spectrum, n: 0, at: 0, shift, extent: Extent::default() }
    }

    /// The next point: an even sample and the odd one after it.
    #[inline(always)]
    pub(super) fn push(&mut self, even: i32, odd: i32) {
        let point = pack(even, odd);
        if let Some(slot) = self.spectrum.get_mut(self.at) {
            *slot = point;
        }
        self.extent.add(point);
        self.n += 1;
        if cfg!(teff_armv6m) {
            // No instruction reverses bits there: add one at the top, and carry downwards.
            let mut bit = self.spectrum.len() >> 1;
            while self.at & bit != 0 {
                self.at ^= bit;
                bit >>= 1;
            }
            self.at |= bit;
        } else {
            self.at = self.n.reverse_bits() >> (self.shift & (usize::BITS - 1));
        }
    }

    /// The next points.
    #[inline(always)]
    #[cfg(not(any(teff_dsp, teff_mve)))]
    fn extend(&mut self, points: impl Iterator<Item = (i32, i32)>) {
        // A copy, so that its fields are in registers.
        let mut load = Load { spectrum: &mut *self.spectrum, ..*self };
        for (even, odd) in points {
            load.push(even, odd);
        }
        (self.n, self.at, self.extent) = (load.n, load.at, load.extent);
    }

    /// Samples times factors, as many as there are of both; factors that fall are read from their end.
    #[inline(never)]
    #[cfg(not(any(teff_dsp, teff_mve)))]
    pub(super) fn pairs(&mut self, samples: &[[i16; 2]], factors: &[[i16; 2]], is_rising: bool, down: u32) {
        if is_rising {
            let pairs = samples.iter().zip(factors);
            self.extend(pairs.map(|([x, y], [h, i])| (tapered(*x, *h, down), tapered(*y, *i, down))));
        } else {
            let pairs = samples.iter().zip(factors.iter().rev());
            self.extend(pairs.map(|([x, y], [i, h])| (tapered(*x, *h, down), tapered(*y, *i, down))));
        }
    }

    /// The same with samples of one axis, less `mean`, which are taken from `column`.
    #[cfg(not(any(teff_dsp, teff_mve)))]
    pub(super) fn column_pairs(
        &mut self,
        column: &mut Column<'_>,
        mean: i32,
        factors: &[[i16; 2]],
        is_rising: bool,
        down: u32,
    ) {
        if is_rising {
            self.strided(column, mean, factors.iter().map(|[h, i]| (*h, *i)), down);
        } else {
            self.strided(column, mean, factors.iter().rev().map(|[i, h]| (*h, *i)), down);
        }
    }

    #[inline(never)]
    #[cfg(not(any(teff_dsp, teff_mve)))]
    fn strided(
        &mut self,
        column: &mut Column<'_>,
        mean: i32,
        factors: impl Iterator<Item = (i16, i16)>,
        down: u32,
    ) {
        let mut samples = *column;
        self.extend(factors.map_while(|(h, i)| {
            let (x, y) = (samples.next()?, samples.next()?);
            Some((tapered(centred(x, mean), h, down), tapered(centred(y, mean), i, down)))
        }));
        *column = samples;
    }

    #[cfg(any(teff_dsp, teff_mve))]
    pub(super) fn pairs(&mut self, samples: &[[i16; 2]], factors: &[[i16; 2]], is_rising: bool, down: u32) {
        let mut target = Target { spectrum: self.spectrum, points: self.n };
        let extent = target.load(samples, factors, is_rising, down);
        let points = target.points;
        self.loaded(points, extent);
    }

    #[cfg(any(teff_dsp, teff_mve))]
    pub(super) fn column_pairs(
        &mut self,
        column: &mut Column<'_>,
        mean: i32,
        factors: &[[i16; 2]],
        is_rising: bool,
        down: u32,
    ) {
        let mut target = Target { spectrum: self.spectrum, points: self.n };
        let axis = Strided { samples: column.rest(), axes: column.axes(), mean: mean as i16 };
        let extent = target.load_strided(axis, factors, is_rising, down);
        let points = target.points;
        column.skip(2 * (points - self.n));
        self.loaded(points, extent);
    }

    #[cfg(any(teff_dsp, teff_mve))]
    fn loaded(&mut self, points: usize, extent: u32) {
        self.n = points;
        self.at = points.reverse_bits() >> (self.shift & (usize::BITS - 1));
        self.extent.0 |= extent;
    }

    /// Fills what is left with zeros. Returns the extent of the points.
    pub(super) fn finish(mut self) -> Extent {
        while self.n < self.spectrum.len() {
            self.push(0, 0);
        }
        self.extent
    }
}
