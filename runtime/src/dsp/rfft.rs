//! Real Fourier transform of 64 to 2048 samples in 16 bits, with one exponent per block.
//!
//! `n` real samples are one complex transform of `n / 2` points and a last pass that separates the spectra of the even
//! and the odd samples. A point is a word: real part in the low half, imaginary part in the high half. Points are
//! loaded in bit-reversed order, so there is no pass of reordering. Each pass reads the size of the largest value that
//! the pass before it wrote and shifts right by as much as the values could grow, no more: a block that has room is
//! not shifted.

use super::load::Load;
#[cfg(not(any(teff_dsp, teff_mve)))]
use super::passes;
use super::points::{Extent, power, unpack};
#[cfg(any(teff_dsp, teff_mve))]
use crate::kernels::arch::arm::front_end::transform as passes;

/// Whether a transform of this many real samples exists: a power of two from 64 to 2048.
pub const fn is_supported_len(fft_len: u16) -> bool {
    fft_len.is_power_of_two() && fft_len >= 64 && fft_len <= 2048
}

/// Number of bits by which a radix-4 pass must shift so that its sums stay in 16 bits. `bits` are those in use; values
/// grow by at most 1 + 3·√2 = 5.25.
fn radix_4_shift(bits: u32) -> u32 {
    bits.saturating_sub(12)
}

/// Number of words of twiddles for a transform of `fft_len` real samples.
///
/// Pass by pass, for each point of a quarter: the twiddles `w^2k`, `w^k`, `w^3k` with `w = exp(-2πi / (4·quarter))`;
/// then, for the separation, `exp(-2πi·k / fft_len)` for k below `fft_len / 4`. A word holds the cosine in its low and
/// the negative sine in its high half, Q15.
pub const fn twiddle_words(fft_len: u16) -> usize {
    let n = fft_len as usize / 2;
    let mut words = n / 2;
    let mut quarter = first_quarter(n);
    while quarter < n {
        words += quarter * 3;
        quarter *= 4;
    }
    words
}

/// Points of the transforms that the first pass leaves, 2 or 4.
pub const fn first_quarter(points: usize) -> usize {
    if points.trailing_zeros() & 1 == 1 { 2 } else { 4 }
}

/// The complex transform. `points` are in bit-reversed order, of that extent, and end in natural order; `twiddles` as
/// [`twiddle_words`] has them. Returns the bits in use, the sum of the shifts (result · 2^shifts is the transform) and
/// the twiddles that are left, those of the separation.
pub(super) fn transform<'t>(
    points: &mut [u32],
    extent: Extent,
    twiddles: &'t [u32],
) -> (u32, u32, &'t [u32]) {
    let n = points.len();
    let mut quarter = first_quarter(n);
    // Pairs grow by at most 2, quadruples by at most 4.
    let mut shifts = extent.bits().saturating_sub(if quarter == 2 { 14 } else { 13 });
    let first_pass = if quarter == 2 { passes::radix_2 } else { passes::first_radix_4 };
    let mut extent = Extent(first_pass(points, shifts));
    let mut twiddles = twiddles;
    while quarter < n {
        let (turns, rest) = twiddles.split_at_checked(quarter * 3).unwrap_or((&[], &[]));
        twiddles = rest;
        let shift = radix_4_shift(extent.bits());
        extent = Extent(passes::radix_4(points, turns, quarter, shift));
        shifts += shift;
        quarter *= 4;
    }
    (extent.bits(), shifts, twiddles)
}

/// Powers of the bins below half the sample rate, over the points, from what [`transform`] returned. Returns the right shift `r` that was applied:
/// |X[k]|² = power[k] · 4^r, with X the transform of what was loaded.
pub(super) fn to_power(points: &mut [u32], (bits, shifts, twiddles): (u32, u32, &[u32])) -> i32 {
    // Twice the spectrum is at most 4·√2 times the largest part of a point, and must stay below 2^16.
    let shift = bits.saturating_sub(13);
    let n = points.len();
    if let Some((first, rest)) = points.split_first_mut() {
        let (re, im) = unpack(*first);
        *first = power((re + im) * 2, 0, shift);
        let (front, back) = rest.split_at_mut_checked(n / 2).unwrap_or((&mut [], &mut []));
        if let Some((middle, front)) = front.split_last_mut() {
            passes::powers(front, back, twiddles.get(1..).unwrap_or(&[]), shift);
            let (re, im) = unpack(*middle);
            *middle = power(re * 2, im * 2, shift);
        }
    }
    (shifts + shift) as i32 - 1
}

/// The power spectrum of a frame, and its exponent.
#[derive(Debug)]
pub struct PowerSpectrum<'s> {
    /// Powers of the bins from 0 Hz to below half the sample rate.
    pub bins: &'s [u32],
    /// `|X[k]|² = bins[k] · 4^exponent`, in squared counts.
    pub exponent: i32,
}

/// The power spectrum of at most `spectrum.len() * 2` real samples, zero padded.
///
/// `samples` in [-32768, 32767]; `twiddles` as [`twiddle_words`] has them. `spectrum.len()` is half of a length that [`is_supported_len`] accepts. This is
/// the transform of the front end without its window, for callers who want a spectrum.
pub fn power_spectrum<'s>(samples: &[i16], twiddles: &[u32], spectrum: &'s mut [u32]) -> PowerSpectrum<'s> {
    let peak = samples.iter().fold(0, |peak, x| peak.max(u32::from(x.unsigned_abs())));
    let shift = peak.leading_zeros().saturating_sub(17).min(15);
    let mut load = Load::new(spectrum);
    for pair in samples.chunks(2) {
        let mut pair = pair.iter().map(|x| (i32::from(*x) << shift).max(-32767));
        load.push(pair.next().unwrap_or(0), pair.next().unwrap_or(0));
    }
    let extent = load.finish();
    let transformed = transform(spectrum, extent, twiddles);
    let exponent = to_power(spectrum, transformed) - shift as i32;
    PowerSpectrum { bins: spectrum, exponent }
}
