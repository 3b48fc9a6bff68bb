//! Real Fourier transform of 64 to 2048 samples in 16 bits, with one exponent per block.
//!
//! `n` real samples are one complex transform of `n / 2` points and a last pass that separates the spectra of the even
//! and the odd samples. A point is a word: real part in the low half, imaginary part in the high half. Points are
//! loaded in bit-reversed order, so there is no pass of reordering. Each pass reads the size of the largest value that
//! the pass before it wrote and shifts right by as much as the values could grow, no more: a block that has room is
//! not shifted.

use super::table::Table32;
use crate::quant::shift_right_half_up;

/// Whether a transform of this many real samples exists: a power of two from 64 to 2048.
pub const fn is_supported_len(fft_len: u16) -> bool {
    fft_len.is_power_of_two() && fft_len >= 64 && fft_len <= 2048
}

/// Real and imaginary part.
type Complex = (i32, i32);

#[inline(always)]
fn pack(re: i32, im: i32) -> u32 {
    (re as u16 as u32) | ((im as u32) << 16)
}

#[inline(always)]
fn unpack(word: u32) -> Complex {
    (i32::from(word as u16 as i16), (word as i32) >> 16)
}

/// Ones wherever `x` or its complement has a one: ORed over a block it tells how many bits the block needs.
#[inline(always)]
fn extent(x: i32) -> u32 {
    (x ^ (x >> 31)) as u32
}

/// Writes the points of a transform in bit-reversed order.
pub(super) struct Load<'s> {
    spectrum: &'s mut [u32],
    n: usize,
    shift: u32,
}

impl<'s> Load<'s> {
    pub(super) fn new(spectrum: &'s mut [u32]) -> Self {
        let shift = usize::BITS - spectrum.len().trailing_zeros();
        Load { spectrum, n: 0, shift }
    }

    /// The next point: an even sample and the odd one after it.
    #[inline(always)]
    pub(super) fn push(&mut self, even: i32, odd: i32) {
        let at = self.n.reverse_bits().checked_shr(self.shift).unwrap_or(0);
        if let Some(slot) = self.spectrum.get_mut(at) {
            *slot = pack(even, odd);
        }
        self.n += 1;
    }

    /// Fills what is left with zeros.
    pub(super) fn finish(mut self) {
        while self.n < self.spectrum.len() {
            self.push(0, 0);
        }
    }
}

/// Rotates `word` by the twiddle `(c, s)` in Q15: real and imaginary part with three fractional bits.
#[inline(always)]
fn rotate(word: u32, twiddle: Complex) -> Complex {
    let (re, im) = unpack(word);
    let (c, s) = twiddle;
    let real = re.wrapping_mul(c).wrapping_sub(im.wrapping_mul(s));
    let imag = re.wrapping_mul(s).wrapping_add(im.wrapping_mul(c));
    (shift_right_half_up(real, 12), shift_right_half_up(imag, 12))
}

/// One complex radix-4 butterfly. The inputs have three fractional bits, `shift` removes them and the growth.
#[inline(always)]
fn butterfly(slots: (&mut u32, &mut u32, &mut u32, &mut u32), [a, b, c, d]: [Complex; 4], shift: u32) -> u32 {
    let even = (a.0.wrapping_add(b.0), a.1.wrapping_add(b.1));
    let odd = (a.0.wrapping_sub(b.0), a.1.wrapping_sub(b.1));
    let sum = (c.0.wrapping_add(d.0), c.1.wrapping_add(d.1));
    let difference = (c.0.wrapping_sub(d.0), c.1.wrapping_sub(d.1));
    let mut bits = 0;
    let mut store = |slot: &mut u32, re: i32, im: i32| {
        let (re, im) = (shift_right_half_up(re, shift), shift_right_half_up(im, shift));
        bits |= extent(re) | extent(im);
        *slot = pack(re, im);
    };
    store(slots.0, even.0.wrapping_add(sum.0), even.1.wrapping_add(sum.1));
    store(slots.1, odd.0.wrapping_add(difference.1), odd.1.wrapping_sub(difference.0));
    store(slots.2, even.0.wrapping_sub(sum.0), even.1.wrapping_sub(sum.1));
    store(slots.3, odd.0.wrapping_sub(difference.1), odd.1.wrapping_add(difference.0));
    bits
}

/// Number of bits by which a radix-4 pass must shift so that its sums stay in 16 bits. `bits` is the extent of its
/// inputs, which grow by at most 1 + 3·√2 = 5.25.
fn radix_4_shift(bits: u32) -> u32 {
    u32::BITS - (bits >> 12).leading_zeros()
}

#[inline(always)]
fn twiddle(twiddles: Table32<'_>, at: usize) -> Complex {
    let [c0, c1, s0, s1] = twiddles.get(at).copied().unwrap_or([0; 4]);
    (i32::from(i16::from_le_bytes([c0, c1])), i32::from(i16::from_le_bytes([s0, s1])))
}

/// First pass of a transform of 2·4^p points: pairs, without a multiplication. Values grow by at most 2.
fn radix_2_pass(points: &mut [u32], bits: u32) -> (u32, u32) {
    let shift = u32::from(bits >= 1 << 14);
    let mut extent_out = 0;
    for [a, b] in points.as_chunks_mut::<2>().0 {
        let ((are, aim), (bre, bim)) = (unpack(*a), unpack(*b));
        let (sre, sim) = (shift_right_half_up(are + bre, shift), shift_right_half_up(aim + bim, shift));
        let (dre, dim) = (shift_right_half_up(are - bre, shift), shift_right_half_up(aim - bim, shift));
        extent_out |= extent(sre) | extent(sim) | extent(dre) | extent(dim);
        *a = pack(sre, sim);
        *b = pack(dre, dim);
    }
    (extent_out, shift)
}

/// First pass of a transform of 4^p points: quadruples, without a multiplication. Values grow by at most 4.
fn first_radix_4_pass(points: &mut [u32], bits: u32) -> (u32, u32) {
    let shift = u32::BITS - (bits >> 13).leading_zeros();
    let mut extent_out = 0;
    for [a, b, c, d] in points.as_chunks_mut::<4>().0 {
        let inputs = [unpack(*a), unpack(*b), unpack(*c), unpack(*d)];
        extent_out |= butterfly((a, b, c, d), inputs, shift);
    }
    (extent_out, shift)
}

/// Joins four transforms of `quarter` points into one, all over the block.
fn radix_4_pass(points: &mut [u32], quarter: usize, twiddles: Table32<'_>, bits: u32) -> (u32, u32) {
    let shift = radix_4_shift(bits);
    let half_turn = twiddles.len();
    let step = half_turn / 2 / quarter.max(1);
    let mut extent_out = 0;
    let mut rest = points;
    while let Some((block, more)) = rest.split_at_mut_checked(quarter * 4) {
        rest = more;
        let Some((ab, cd)) = block.split_at_mut_checked(quarter * 2) else { break };
        let (Some((a, b)), Some((c, d))) =
            (ab.split_at_mut_checked(quarter), cd.split_at_mut_checked(quarter))
        else {
            break;
        };
        let mut at = 0;
        for (((a, b), c), d) in a.iter_mut().zip(b).zip(c).zip(d) {
            let mut third = twiddle(twiddles, if at * 3 >= half_turn { at * 3 - half_turn } else { at * 3 });
            if at * 3 >= half_turn {
                third = (-third.0, -third.1);
            }
            let (re, im) = unpack(*a);
            let inputs = [
                (re << 3, im << 3),
                rotate(*b, twiddle(twiddles, at * 2)),
                rotate(*c, twiddle(twiddles, at)),
                rotate(*d, third),
            ];
            extent_out |= butterfly((a, b, c, d), inputs, shift + 3);
            at += step;
        }
        if quarter == 0 {
            break;
        }
    }
    (extent_out, shift)
}

/// The complex transform. `points` are in bit-reversed order and end in natural order; `twiddles[k]` is
/// `exp(-2πi·k / (2·points.len()))` in Q15 for k below `points.len()`. Returns the extent of the result and the sum of
/// the shifts: result · 2^shifts is the transform.
pub(super) fn transform(points: &mut [u32], twiddles: Table32<'_>) -> (u32, u32) {
    let n = points.len();
    let bits = points.iter().fold(0, |bits, p| {
        let (re, im) = unpack(*p);
        bits | extent(re) | extent(im)
    });
    let odd = n.trailing_zeros() & 1 == 1;
    let (mut bits, mut shifts) =
        if odd { radix_2_pass(points, bits) } else { first_radix_4_pass(points, bits) };
    let mut done = if odd { 2 } else { 4 };
    while done < n {
        let (bits_out, shift) = radix_4_pass(points, done, twiddles, bits);
        (bits, shifts) = (bits_out, shifts + shift);
        done *= 4;
    }
    (bits, shifts)
}

/// Twice the real spectrum from the transform of the interleaved samples: bins `k` and `n - k`, which share their work.
#[inline(always)]
fn separate(front: u32, back: u32, (c, s): Complex) -> (Complex, Complex) {
    let ((ar, ai), (br, bi)) = (unpack(front), unpack(back));
    let (er, ei) = (ar + br, ai - bi);
    let (or, oi) = (ai + bi, br - ar);
    // Seventeen bits times fifteen: each product fits in 32 bits, their sum does after one bit is dropped.
    let tr = shift_right_half_up((or.wrapping_mul(c) >> 1).wrapping_sub(oi.wrapping_mul(s) >> 1), 14);
    let ti = shift_right_half_up((or.wrapping_mul(s) >> 1).wrapping_add(oi.wrapping_mul(c) >> 1), 14);
    ((er + tr, ei + ti), (er - tr, ti - ei))
}

#[inline(always)]
fn power(re: i32, im: i32, shift: u32) -> u32 {
    let (re, im) =
        (shift_right_half_up(re, shift).unsigned_abs(), shift_right_half_up(im, shift).unsigned_abs());
    re.wrapping_mul(re).wrapping_add(im.wrapping_mul(im))
}

/// Powers of the bins below half the sample rate, over the points. Returns the right shift `r` that was applied:
/// |X[k]|² = power[k] · 4^r, with X the transform of what was loaded.
pub(super) fn to_power(points: &mut [u32], bits: u32, shifts: u32, twiddles: Table32<'_>) -> i32 {
    // Twice the spectrum is at most 4·√2 times the largest part of a point, and must stay below 2^16.
    let shift = u32::BITS - (bits >> 13).leading_zeros();
    let n = points.len();
    if let Some((first, rest)) = points.split_first_mut() {
        let (re, im) = unpack(*first);
        *first = power((re + im) * 2, 0, shift);
        let (front, back) = rest.split_at_mut_checked(n / 2).unwrap_or((&mut [], &mut []));
        if let Some((middle, front)) = front.split_last_mut() {
            for ((a, b), t) in front.iter_mut().zip(back.iter_mut().rev()).zip(twiddles.iter().skip(1)) {
                let [c0, c1, s0, s1] = *t;
                let t = (i32::from(i16::from_le_bytes([c0, c1])), i32::from(i16::from_le_bytes([s0, s1])));
                let (x, y) = separate(*a, *b, t);
                *a = power(x.0, x.1, shift);
                *b = power(y.0, y.1, shift);
            }
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
    /// |X[k]|² = bins[k] · 4^exponent, in squared counts.
    pub exponent: i32,
}

/// The power spectrum of at most `spectrum.len() * 2` real samples, zero padded.
///
/// `samples` in [-32768, 32767]; `twiddles`: `spectrum.len()` pairs of 16-bit numbers, little-endian, the cosine and
/// the negative sine of 2π·k/n in Q15. `spectrum.len()` is half of a length that [`is_supported_len`] accepts. This is
/// the transform of the front end without its window, for callers who want a spectrum.
pub fn power_spectrum<'s>(samples: &[i16], twiddles: &[u8], spectrum: &'s mut [u32]) -> PowerSpectrum<'s> {
    let peak = samples.iter().fold(0, |peak, x| peak.max(u32::from(x.unsigned_abs())));
    let shift = peak.leading_zeros().saturating_sub(17).min(15);
    let mut load = Load::new(spectrum);
    for pair in samples.chunks(2) {
        let mut pair = pair.iter().map(|x| (i32::from(*x) << shift).max(-32767));
        load.push(pair.next().unwrap_or(0), pair.next().unwrap_or(0));
    }
    load.finish();
    let twiddles = twiddles.as_chunks().0;
    let (bits, shifts) = transform(spectrum, twiddles);
    let exponent = to_power(spectrum, bits, shifts, twiddles) - shift as i32;
    PowerSpectrum { bins: spectrum, exponent }
}
