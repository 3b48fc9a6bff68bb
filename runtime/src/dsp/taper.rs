//! Normalizes a frame to the full 15 bits, tapers it by the Hann or Hamming window and loads it into the Fourier
//! transform.

use super::rfft::Load;
use crate::quant::shift_right_half_up;

/// Left shift by which the largest of some samples uses all 15 bits; `bits` has ones wherever a sample or its complement
/// has one.
fn normalizing_shift(bits: i32) -> u32 {
    bits.leading_zeros().saturating_sub(17).min(14)
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
) -> Option<u32> {
    let mut bits = 0;
    for part in [older, newer] {
        let (fours, rest) = part.as_chunks::<4>();
        let one = |x: i16| x ^ (x >> 15);
        fours.iter().for_each(|[a, b, c, d]| bits |= one(*a) | one(*b) | one(*c) | one(*d));
        bits = rest.iter().fold(bits, |bits, x| bits | (x ^ (x >> 15)));
    }
    // Without a bit they are all 0 or -1.
    if bits == 0 && older.iter().chain(newer).all(|x| *x == 0) {
        return None;
    }
    let shift = normalizing_shift(bits.into());
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
    pairs.finish();
    Some(shift)
}

/// Tapers samples and loads them in pairs, which are the points of the transform.
struct Pairs<'s> {
    load: Load<'s>,
    /// The first of a pair whose second is still to come.
    even: Option<i32>,
    /// Right shift of a product.
    down: u32,
}

#[inline(always)]
fn tapered(x: i16, factor: i16, down: u32) -> i32 {
    shift_right_half_up(i32::from(x).wrapping_mul(i32::from(factor)), down)
}

#[inline(never)]
fn rise(load: &mut Load<'_>, samples: &[[i16; 2]], factors: &[[i16; 2]], down: u32) {
    let pairs = samples.iter().zip(factors);
    load.extend(pairs.map(|([x, y], [h, i])| (tapered(*x, *h, down), tapered(*y, *i, down))));
}

/// With factors that are read from their end.
#[inline(never)]
fn fall(load: &mut Load<'_>, samples: &[[i16; 2]], factors: &[[i16; 2]], down: u32) {
    let pairs = samples.iter().zip(factors.iter().rev());
    load.extend(pairs.map(|([x, y], [i, h])| (tapered(*x, *h, down), tapered(*y, *i, down))));
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
            rise(&mut self.load, pairs, twos, self.down);
            rest
        } else {
            let (rest, twos) = factors.as_rchunks::<2>();
            fall(&mut self.load, pairs, twos, self.down);
            rest
        }
        .first();
        if let (Some(x), Some(h)) = (last.first(), odd_factor) {
            self.even = Some(tapered(*x, *h, self.down));
        }
    }

    fn finish(mut self) {
        if let Some(even) = self.even {
            self.load.push(even, 0);
        }
        self.load.finish();
    }
}

/// The same for samples that do not lie side by side, in [-32768, 32767].
pub(super) fn load_each<I>(samples: I, frame_len: usize, taper: &[i16], spectrum: &mut [u32]) -> Option<u32>
where
    I: Iterator<Item = i32> + Clone,
{
    // Ones wherever a sample has one, and wherever it or its complement has.
    let (any, bits) = samples.clone().fold((0, 0), |(any, bits), x| (any | x, bits | (x ^ (x >> 31))));
    if any == 0 {
        return None;
    }
    let shift = normalizing_shift(bits);
    let mut load = Load::new(spectrum);
    let mut rising = taper.iter();
    // The window is periodic: h[n] = h[frame_len - n], so that the peak of an even window stands once.
    let mut falling = taper.get(1..frame_len.div_ceil(2)).unwrap_or(&[]).iter().rev();
    let down = 15_u32.saturating_sub(shift);
    let mut even = None;
    samples.for_each(|x| {
        let h = match rising.next() {
            Some(h) => *h,
            None => falling.next().copied().unwrap_or(0),
        };
        let tapered = shift_right_half_up(x.wrapping_mul(i32::from(h)), down);
        match even.take() {
            None => even = Some(tapered),
            Some(even) => load.push(even, tapered),
        }
    });
    if let Some(even) = even {
        load.push(even, 0);
    }
    load.finish();
    Some(shift)
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
