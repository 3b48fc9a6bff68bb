//! Real Fourier transform of 64 to 2048 samples in 16 bits, with one exponent per block.
//!
//! `n` real samples are one complex transform of `n / 2` points and a last pass that separates the spectra of the even
//! and the odd samples. A point is a word: real part in the low half, imaginary part in the high half. Points are
//! loaded in bit-reversed order, so there is no pass of reordering. Each pass reads the size of the largest value that
//! the pass before it wrote and shifts right by as much as the values could grow, no more: a block that has room is
//! not shifted.

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

/// The bits that the numbers of a block use, gathered word by word: a bit is set where a number's bit differs from the
/// one below it. The highest such bit of a number is where the copies of its sign end.
#[derive(Clone, Copy, Default)]
struct Extent(u32);

impl Extent {
    #[inline(always)]
    fn add(&mut self, word: u32) {
        self.0 |= word ^ (word << 1);
    }

    /// The least `b` for which all numbers are in [-2^b, 2^b - 1].
    fn bits(self) -> u32 {
        // Bit 0 of each half compares with a number that is none of its own.
        u32::BITS - (((self.0 | (self.0 >> 16)) & 0xfffe) >> 1).leading_zeros()
    }
}

/// Writes the points of a transform in bit-reversed order.
pub(super) struct Load<'s> {
    spectrum: &'s mut [u32],
    n: usize,
    /// `n` with its bits reversed: where the next point goes.
    at: usize,
    shift: u32,
}

impl<'s> Load<'s> {
    pub(super) fn new(spectrum: &'s mut [u32]) -> Self {
        let shift = usize::BITS - spectrum.len().trailing_zeros();
        Load { spectrum, n: 0, at: 0, shift }
    }

    /// The next point: an even sample and the odd one after it.
    #[inline(always)]
    pub(super) fn push(&mut self, even: i32, odd: i32) {
        if let Some(slot) = self.spectrum.get_mut(self.at) {
            *slot = pack(even, odd);
        }
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
    pub(super) fn extend(&mut self, points: impl Iterator<Item = (i32, i32)>) {
        // A copy, so that its fields are in registers.
        let mut load = Load { spectrum: &mut *self.spectrum, ..*self };
        for (even, odd) in points {
            load.push(even, odd);
        }
        (self.n, self.at) = (load.n, load.at);
    }

    /// Fills what is left with zeros.
    pub(super) fn finish(mut self) {
        while self.n < self.spectrum.len() {
            self.push(0, 0);
        }
    }
}

/// Rotates `word` by a twiddle in Q15: real and imaginary part, rounded down to three fractional bits.
#[inline(always)]
#[cfg(not(any(teff_dsp, teff_mve)))]
fn rotate(word: u32, twiddle: u32) -> Complex {
    let ((re, im), (c, s)) = (unpack(word), unpack(twiddle));
    let real = re.wrapping_mul(c).wrapping_sub(im.wrapping_mul(s));
    let imag = re.wrapping_mul(s).wrapping_add(im.wrapping_mul(c));
    (real >> 12, imag >> 12)
}

/// One complex radix-4 butterfly. The inputs have `shift` bits too many.
#[inline(always)]
fn butterfly(slots: [&mut u32; 4], [a, b, c, d]: [Complex; 4], shift: u32, extent: &mut Extent) {
    let half = (1 << (shift & 31)) >> 1;
    let mut store = |slot: &mut u32, re: i32, im: i32| {
        *slot = pack(re >> (shift & 31), im >> (shift & 31));
        extent.add(*slot);
    };
    let even = (a.0.wrapping_add(b.0).wrapping_add(half), a.1.wrapping_add(b.1).wrapping_add(half));
    let odd = (a.0.wrapping_sub(b.0).wrapping_add(half), a.1.wrapping_sub(b.1).wrapping_add(half));
    let sum = (c.0.wrapping_add(d.0), c.1.wrapping_add(d.1));
    let difference = (c.0.wrapping_sub(d.0), c.1.wrapping_sub(d.1));
    let [first, second, third, fourth] = slots;
    store(first, even.0.wrapping_add(sum.0), even.1.wrapping_add(sum.1));
    store(second, odd.0.wrapping_add(difference.1), odd.1.wrapping_sub(difference.0));
    store(third, even.0.wrapping_sub(sum.0), even.1.wrapping_sub(sum.1));
    store(fourth, odd.0.wrapping_sub(difference.1), odd.1.wrapping_add(difference.0));
}

/// Number of bits by which a radix-4 pass must shift so that its sums stay in 16 bits. `bits` are those in use; values
/// grow by at most 1 + 3·√2 = 5.25.
fn radix_4_shift(bits: u32) -> u32 {
    bits.saturating_sub(12)
}

/// First pass of a transform of 2·4^p points: pairs, without a multiplication. Values grow by at most 2.
fn radix_2_pass(points: &mut [u32], bits: u32) -> (Extent, u32) {
    let shift = bits.saturating_sub(14);
    let mut extent = Extent::default();
    for [first, second] in points.as_chunks_mut::<2>().0 {
        let ((are, aim), (bre, bim)) = (unpack(*first), unpack(*second));
        *first = pack(shift_right_half_up(are + bre, shift), shift_right_half_up(aim + bim, shift));
        *second = pack(shift_right_half_up(are - bre, shift), shift_right_half_up(aim - bim, shift));
        extent.add(*first);
        extent.add(*second);
    }
    (extent, shift)
}

/// First pass of a transform of 4^p points: quadruples, without a multiplication. Values grow by at most 4.
fn first_radix_4_pass(points: &mut [u32], bits: u32) -> (Extent, u32) {
    let shift = bits.saturating_sub(13);
    let mut extent = Extent::default();
    for [a, b, c, d] in points.as_chunks_mut::<4>().0 {
        let inputs = [unpack(*a), unpack(*b), unpack(*c), unpack(*d)];
        butterfly([a, b, c, d], inputs, shift, &mut extent);
    }
    (extent, shift)
}

/// Joins four transforms of `Q` points into one, all over the block. A turn holds the twiddles of the second, the third and
/// the fourth of them for a point.
///
/// With `Q` known the four points of a butterfly lie at fixed distances: one pointer instead of four.
#[inline(never)]
fn radix_4_pass<const Q: usize>(points: &mut [u32], turns: &[[u32; 3]], shift: u32) -> Extent {
    let mut extent = Extent::default();
    let Some(turns) = turns.first_chunk::<Q>() else { return extent };
    for block in points.as_chunks_mut::<Q>().0.as_chunks_mut::<4>().0 {
        butterflies(block, turns, shift + 3, &mut extent);
    }
    extent
}

#[cfg(any(teff_dsp, teff_mve))]
#[inline(always)]
fn butterflies<const Q: usize>(
    block: &mut [[u32; Q]; 4],
    turns: &[[u32; 3]; Q],
    shift: u32,
    extent: &mut Extent,
) {
    extent.0 = crate::kernels::arch::arm::complex::butterflies(block, turns, shift, extent.0);
}

/// A butterfly for each point. The sums have `shift` bits too many, 3 of them fractional.
#[cfg(not(any(teff_dsp, teff_mve)))]
#[inline(always)]
fn butterflies<const Q: usize>(
    [a, b, c, d]: &mut [[u32; Q]; 4],
    turns: &[[u32; 3]; Q],
    shift: u32,
    extent: &mut Extent,
) {
    for ((((a, b), c), d), turn) in a.iter_mut().zip(b).zip(c).zip(d).zip(turns) {
        // In this order fewest values are alive at once.
        let (fourth, third) = (rotate(*d, turn[2]), rotate(*c, turn[1]));
        let second = rotate(*b, turn[0]);
        let (re, im) = unpack(*a);
        butterfly([a, b, c, d], [(re << 3, im << 3), second, third, fourth], shift, extent);
    }
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

/// The complex transform. `points` are in bit-reversed order and end in natural order; `twiddles` as
/// [`twiddle_words`] has them. Returns the bits in use, the sum of the shifts (result · 2^shifts is the transform) and
/// the twiddles that are left, those of the separation.
pub(super) fn transform<'t>(points: &mut [u32], twiddles: &'t [u32]) -> (u32, u32, &'t [u32]) {
    let n = points.len();
    let mut extent = Extent::default();
    points.iter().for_each(|word| extent.add(*word));
    let mut quarter = first_quarter(n);
    let first_pass = if quarter == 2 { radix_2_pass } else { first_radix_4_pass };
    let (mut extent, mut shifts) = first_pass(points, extent.bits());
    let mut twiddles = twiddles;
    while quarter < n {
        let (turns, rest) = twiddles.split_at_checked(quarter * 3).unwrap_or((&[], &[]));
        twiddles = rest;
        let shift = radix_4_shift(extent.bits());
        let pass = match quarter {
            2 => radix_4_pass::<2>,
            4 => radix_4_pass::<4>,
            8 => radix_4_pass::<8>,
            16 => radix_4_pass::<16>,
            32 => radix_4_pass::<32>,
            64 => radix_4_pass::<64>,
            128 => radix_4_pass::<128>,
            _ => radix_4_pass::<256>,
        };
        extent = pass(points, turns.as_chunks().0, shift);
        shifts += shift;
        quarter *= 4;
    }
    (extent.bits(), shifts, twiddles)
}

/// Twice the real spectrum from the transform of the interleaved samples: bins `k` and `n - k`, which share their work.
#[cfg(not(any(teff_dsp, teff_mve)))]
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

#[cfg(any(teff_dsp, teff_mve))]
use crate::kernels::arch::arm::complex::powers;

/// Powers of bins `k` and `n - k`, from two points of the transform.
#[cfg(not(any(teff_dsp, teff_mve)))]
#[inline(always)]
fn powers(front: u32, back: u32, turn: u32, shift: u32) -> (u32, u32) {
    let (x, y) = separate(front, back, unpack(turn));
    (power(x.0, x.1, shift), power(y.0, y.1, shift))
}

#[inline(always)]
fn power(re: i32, im: i32, shift: u32) -> u32 {
    // Below 2^16 in size, so that the square is right without the sign too.
    let (re, im) = (shift_right_half_up(re, shift) as u32, shift_right_half_up(im, shift) as u32);
    re.wrapping_mul(re).wrapping_add(im.wrapping_mul(im))
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
            for ((a, b), t) in
                front.iter_mut().zip(back.iter_mut().rev()).zip(twiddles.get(1..).unwrap_or(&[]))
            {
                (*a, *b) = powers(*a, *b, *t, shift);
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
    load.finish();
    let transformed = transform(spectrum, twiddles);
    let exponent = to_power(spectrum, transformed) - shift as i32;
    PowerSpectrum { bins: spectrum, exponent }
}
