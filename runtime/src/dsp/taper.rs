//! Normalizes a frame to the full 15 bits, tapers it by the Hann or Hamming window and loads it into the Fourier
//! transform.

use super::rfft::Load;
use crate::quant::shift_right_half_up;

/// Loads `samples` (one axis of a frame), tapered by the window of which `taper` is the first half, into `spectrum`.
///
/// The samples are shifted left so that the largest uses all 15 bits: a quiet frame keeps its precision. Returns that
/// shift, or `None` for a frame of zeros.
///
/// samples in [-32768, 32767]; taper Q15, `frame_len / 2 + 1` entries.
pub(super) fn load<I>(samples: I, frame_len: usize, taper: &[i16], spectrum: &mut [u32]) -> Option<u32>
where
    I: Iterator<Item = i32> + Clone,
{
    // Ones wherever a sample has one, and wherever it or its complement has.
    let (any, bits) = samples.clone().fold((0, 0), |(any, bits), x| (any | x, bits | (x ^ (x >> 31))));
    if any == 0 {
        return None;
    }
    let shift = bits.leading_zeros().saturating_sub(17).min(14);
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
