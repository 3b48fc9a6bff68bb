//! Normalizes a frame to the full 15 bits, tapers it by the Hann or Hamming window and loads it into the Fourier
//! transform.

use super::load::{Load, centred, tapered};
use super::points::Extent;
use super::stats::{AxisSamples, Column};

/// Left shift by which numbers of so many bits besides the sign use all 15.
fn normalizing_shift(bits: u32) -> u32 {
    15_u32.saturating_sub(bits).min(14)
}

/// Of samples, two to a word.
#[cfg(any(teff_dsp, teff_mve))]
use crate::kernels::arch::arm::front_end::samples::extent;

/// Of samples, two to a word.
#[cfg(not(any(teff_dsp, teff_mve)))]
fn extent(samples: &[i16]) -> u32 {
    let (fours, rest) = samples.as_chunks::<4>();
    // A sample or its complement, whichever is positive, has the bits that its extent has below it.
    let one = |x: i16| x ^ (x >> 15);
    let bits = fours.iter().fold(0, |bits, [a, b, c, d]| bits | one(*a) | one(*b) | one(*c) | one(*d));
    let bits = rest.iter().fold(bits, |bits, x| bits | one(*x));
    (bits as u32) << 1
}

/// What was loaded.
#[derive(Clone, Copy)]
pub(super) struct Loaded {
    /// By how many bits the samples were shifted left.
    pub(super) shift: u32,
    /// Of the points.
    pub(super) extent: Extent,
}

/// Loads the samples of a frame, its older part and its newer part, tapered by the window of which `taper` is the first
/// half, into `spectrum`.
///
/// The samples are shifted left so that the largest uses all 15 bits: a quiet frame keeps its precision. Returns that
/// shift, or `None` for a frame of zeros.
///
/// taper Q15, `frame_len / 2 + 1` entries.
pub(super) fn load(
    (older, newer): (&[i16], &[i16]),
    frame_len: usize,
    taper: &[i16],
    spectrum: &mut [u32],
) -> Option<Loaded> {
    let bits = Extent(extent(older) | extent(newer)).bits();
    // Without a bit they are all 0 or -1.
    if bits == 0 && older.iter().chain(newer).all(|x| *x == 0) {
        return None;
    }
    let shift = normalizing_shift(bits);
    // The window is periodic: h[n] = h[frame_len - n], so that the peak of an even window stands once.
    let falling = taper.get(1..frame_len.div_ceil(2)).unwrap_or(&[]);
    let (older_rising, older_falling) = older.split_at_checked(taper.len()).unwrap_or((older, &[]));
    let (first, second) = taper.split_at_checked(older_rising.len()).unwrap_or((taper, &[]));
    let (newer_rising, newer_falling) = newer.split_at_checked(second.len()).unwrap_or((newer, &[]));
    let (fourth, third) = falling.split_at_checked(newer_falling.len()).unwrap_or((falling, &[]));
    let mut pairs = Pairs { load: Load::new(spectrum), even: None, down: 15_u32.saturating_sub(shift) };
    for (samples, factors, is_rising) in [
        (older_rising, first, true),
        (older_falling, third, false),
        (newer_rising, second, true),
        (newer_falling, fourth, false),
    ] {
        pairs.add(samples, factors, is_rising);
    }
    Some(Loaded { shift, extent: pairs.finish() })
}

/// Tapers samples and loads them in pairs, which are the points of the transform.
struct Pairs<'s> {
    load: Load<'s>,
    /// The first of a pair whose second is still to come.
    even: Option<i32>,
    /// Right shift of a product.
    down: u32,
}

impl Pairs<'_> {
    /// Samples with a factor each; factors that fall are read from their end.
    #[inline(always)]
    fn add(&mut self, samples: &[i16], factors: &[i16], is_rising: bool) {
        let (mut samples, mut factors) = (samples, factors);
        let next = if is_rising { <[i16]>::split_first } else { <[i16]>::split_last };
        if let (Some(even), Some((x, xs)), Some((h, hs))) = (self.even, samples.split_first(), next(factors))
        {
            self.load.push(even, tapered(*x, *h, self.down));
            self.even = None;
            (samples, factors) = (xs, hs);
        }
        let (pairs, last) = samples.as_chunks::<2>();
        let odd_factor = if is_rising {
            let (twos, rest) = factors.as_chunks::<2>();
            self.load.pairs(pairs, twos, true, self.down);
            rest
        } else {
            let (rest, twos) = factors.as_rchunks::<2>();
            self.load.pairs(pairs, twos, false, self.down);
            rest
        }
        .first();
        if let (Some(x), Some(h)) = (last.first(), odd_factor) {
            self.even = Some(tapered(*x, *h, self.down));
        }
    }

    fn finish(mut self) -> Extent {
        if let Some(even) = self.even {
            self.load.push(even, 0);
        }
        self.load.finish()
    }
}

/// The same for one of several axes, or their magnitude: its samples less `mean`, saturated to 16 bits. `extremes` are the
/// least and the largest sample.
pub(super) fn load_axis(
    axis: &AxisSamples<'_>,
    (mean, extremes): (i32, (i32, i32)),
    frame_len: usize,
    taper: &[i16],
    spectrum: &mut [u32],
) -> Option<Loaded> {
    let (least, most) = (centred(extremes.0, mean), centred(extremes.1, mean));
    if least == 0 && most == 0 {
        return None;
    }
    // The highest bit of all samples is that of one of both ends.
    let bits = (least ^ (least >> 15)) | (most ^ (most >> 15));
    let shift = normalizing_shift(u16::BITS - bits.leading_zeros());
    let down = 15_u32.saturating_sub(shift);
    let falling = taper.get(1..frame_len.div_ceil(2)).unwrap_or(&[]);
    let mut load = Load::new(spectrum);
    let mut even = None;
    if let Some([older, newer]) = axis.columns() {
        let mut strided = Strided { column: older, mean, down, even: None };
        let (first, second) = taper.split_at_checked(older.len()).unwrap_or((taper, &[]));
        strided.add(&mut load, first, true);
        let left = older.len().saturating_sub(first.len());
        let (rest, third) =
            falling.split_at_checked(falling.len().saturating_sub(left)).unwrap_or((&[], falling));
        strided.add(&mut load, third, false);
        strided.column = newer;
        strided.add(&mut load, second, true);
        strided.add(&mut load, rest, false);
        even = strided.even;
    } else {
        let (mut rising, mut falling) = (taper.iter(), falling.iter());
        axis.clone().for_each(|x| {
            let factor = rising.next().or_else(|| falling.next_back()).copied().unwrap_or(0);
            let now = tapered(centred(x, mean), factor, down);
            match even.take() {
                None => even = Some(now),
                Some(even) => load.push(even, now),
            }
        });
    }
    if let Some(even) = even {
        load.push(even, 0);
    }
    Some(Loaded { shift, extent: load.finish() })
}

/// Tapers the samples of one axis and loads them in pairs.
struct Strided<'f> {
    /// Those that are still to come.
    column: Column<'f>,
    mean: i32,
    down: u32,
    even: Option<i32>,
}

impl Strided<'_> {
    /// As many samples as there are factors, which are read from their end where they fall.
    fn add(&mut self, load: &mut Load<'_>, factors: &[i16], is_rising: bool) {
        let mut factors = factors;
        if self.even.is_some() {
            let next = if is_rising { factors.split_first() } else { factors.split_last() };
            let Some((factor, rest)) = next else { return };
            factors = rest;
            self.single(load, *factor);
        }
        let odd = if is_rising {
            let (twos, rest) = factors.as_chunks::<2>();
            load.column_pairs(&mut self.column, self.mean, twos, true, self.down);
            rest
        } else {
            let (rest, twos) = factors.as_rchunks::<2>();
            load.column_pairs(&mut self.column, self.mean, twos, false, self.down);
            rest
        };
        if let [factor] = odd {
            self.single(load, *factor);
        }
    }

    fn single(&mut self, load: &mut Load<'_>, factor: i16) {
        let Some(x) = self.column.next() else { return };
        let now = tapered(centred(x, self.mean), factor, self.down);
        match self.even.take() {
            None => self.even = Some(now),
            Some(even) => load.push(even, now),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec::Vec;

    #[test]
    fn taper_is_walked_up_and_down() {
        for frame_len in [1_usize, 2, 5, 6, 64] {
            let half: Vec<usize> = (0..=frame_len / 2).collect();
            let walked: Vec<usize> =
                half.iter().chain(half[1..frame_len.div_ceil(2)].iter().rev()).copied().collect();
            let expected: Vec<usize> = (0..frame_len).map(|n| n.min(frame_len - n)).collect();
            assert_eq!(walked, expected, "frame_len {frame_len}");
        }
    }
}
