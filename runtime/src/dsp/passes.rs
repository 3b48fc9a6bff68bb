//! The passes of the Fourier transform, in the instructions that every processor has.
//!
//! A pass gives the extent of what it wrote, see [`Extent`].

use super::points::{Complex, Extent, pack, power, unpack};
use crate::quant::shift_right_half_up;

/// Rotates `word` by a twiddle in Q15: real and imaginary part, rounded down to three fractional bits.
#[inline(always)]
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

/// Pairs: sum and difference, shifted right by `shift` and rounded half up.
pub(super) fn radix_2(points: &mut [u32], shift: u32) -> u32 {
    let mut extent = Extent::default();
    for [first, second] in points.as_chunks_mut::<2>().0 {
        let ((are, aim), (bre, bim)) = (unpack(*first), unpack(*second));
        *first = pack(shift_right_half_up(are + bre, shift), shift_right_half_up(aim + bim, shift));
        *second = pack(shift_right_half_up(are - bre, shift), shift_right_half_up(aim - bim, shift));
        extent.add(*first);
        extent.add(*second);
    }
    extent.0
}

/// Quadruples: the butterfly without twiddles.
pub(super) fn first_radix_4(points: &mut [u32], shift: u32) -> u32 {
    let mut extent = Extent::default();
    for [a, b, c, d] in points.as_chunks_mut::<4>().0 {
        let inputs = [unpack(*a), unpack(*b), unpack(*c), unpack(*d)];
        butterfly([a, b, c, d], inputs, shift, &mut extent);
    }
    extent.0
}

/// Joins four transforms of `quarter` points into one, all over the block, and shifts right by `shift`. Three words of `turns` are the
/// twiddles of the second, the third and the fourth of them for a point.
pub(super) fn radix_4(points: &mut [u32], turns: &[u32], quarter: usize, shift: u32) -> u32 {
    let pass = match quarter {
        2 => joined::<2>,
        4 => joined::<4>,
        8 => joined::<8>,
        16 => joined::<16>,
        32 => joined::<32>,
        64 => joined::<64>,
        128 => joined::<128>,
        _ => joined::<256>,
    };
    pass(points, turns.as_chunks().0, shift)
}

/// With `Q` known the four points of a butterfly lie at fixed distances: one pointer instead of four.
#[inline(never)]
fn joined<const Q: usize>(points: &mut [u32], turns: &[[u32; 3]], shift: u32) -> u32 {
    let mut extent = Extent::default();
    let Some(turns) = turns.first_chunk::<Q>() else { return 0 };
    for block in points.as_chunks_mut::<Q>().0.as_chunks_mut::<4>().0 {
        butterflies(block, turns, shift + 3, &mut extent);
    }
    extent.0
}

/// A butterfly for each point. The sums have `shift` bits too many, 3 of them fractional.
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

/// Powers of the bins that pairs of points make, the first of `front` with the last of `back` and so on, with the twiddles `turns`: of
/// twice the spectrum, its parts shifted right by `shift` and rounded half up.
pub(super) fn powers(front: &mut [u32], back: &mut [u32], turns: &[u32], shift: u32) {
    for ((a, b), t) in front.iter_mut().zip(back.iter_mut().rev()).zip(turns) {
        let (x, y) = separate(*a, *b, unpack(*t));
        (*a, *b) = (power(x.0, x.1, shift), power(y.0, y.1, shift));
    }
}
