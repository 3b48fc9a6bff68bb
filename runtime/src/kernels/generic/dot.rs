//! Inner products of int8 vectors, blocked over pixels and output channels.
//!
//! The loops are chains of `zip`: no bounds are checked inside, and LLVM turns them into vector code where the
//! processor has it. All slices of a call have the same length; a longer one is cut.

use core::ops::Range;

/// Output channels per block.
pub(super) const CHANNELS: usize = 4;

/// Adds the products of two vectors with four weight rows.
#[inline(always)]
pub(super) fn dot_2x4(x: [&[i8]; 2], w: [&[i8]; CHANNELS], acc: [i32; CHANNELS]) -> [[i32; CHANNELS]; 2] {
    let ([x0, x1], [w0, w1, w2, w3]) = (x, w);
    // Written out, for builds that are to be small and unroll nothing.
    let ([mut a0, mut a1, mut a2, mut a3], [mut b0, mut b1, mut b2, mut b3]) = (acc, acc);
    for (((((&x0, &x1), &w0), &w1), &w2), &w3) in x0.iter().zip(x1).zip(w0).zip(w1).zip(w2).zip(w3) {
        (a0, b0) = (multiply_add(a0, x0, w0), multiply_add(b0, x1, w0));
        (a1, b1) = (multiply_add(a1, x0, w1), multiply_add(b1, x1, w1));
        (a2, b2) = (multiply_add(a2, x0, w2), multiply_add(b2, x1, w2));
        (a3, b3) = (multiply_add(a3, x0, w3), multiply_add(b3, x1, w3));
    }
    [[a0, a1, a2, a3], [b0, b1, b2, b3]]
}

/// Adds the products of one vector with four weight rows.
#[inline(always)]
pub(super) fn dot_1x4(x: &[i8], w: [&[i8]; CHANNELS], acc: [i32; CHANNELS]) -> [i32; CHANNELS] {
    let [w0, w1, w2, w3] = w;
    if cfg!(target_arch = "arm") {
        // Each element is loaded once for four products.
        let [mut a0, mut a1, mut a2, mut a3] = acc;
        for ((((&x, &w0), &w1), &w2), &w3) in x.iter().zip(w0).zip(w1).zip(w2).zip(w3) {
            (a0, a1) = (multiply_add(a0, x, w0), multiply_add(a1, x, w1));
            (a2, a3) = (multiply_add(a2, x, w2), multiply_add(a3, x, w3));
        }
        [a0, a1, a2, a3]
    } else {
        // With vector registers the single reduction is widest.
        let [a0, a1, a2, a3] = acc;
        [dot_1x1(x, w0, a0), dot_1x1(x, w1, a1), dot_1x1(x, w2, a2), dot_1x1(x, w3, a3)]
    }
}

/// Adds the products of two vectors.
#[inline(always)]
fn dot_1x1(x: &[i8], w: &[i8], acc: i32) -> i32 {
    x.iter().zip(w).fold(acc, |acc, (&x, &w)| multiply_add(acc, x, w))
}

/// `acc + x * w`.
#[inline(always)]
pub(super) fn multiply_add(acc: i32, x: i8, w: i8) -> i32 {
    acc.wrapping_add(i32::from(x) * i32::from(w))
}

/// Weights, biases and multipliers of up to four neighbouring output channels.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    /// First channel, counted from the first of [`blocks`].
    pub first: usize,
    /// Channels in the block; the rows beyond repeat the last.
    pub count: usize,
    /// Weight rows.
    pub weights: [&'a [i8]; CHANNELS],
    /// Biases.
    pub bias: [i32; CHANNELS],
    /// Q0.31 mantissas.
    pub multipliers: [i32; CHANNELS],
}

/// The output channels of `channels`, in blocks; each weight row has `k` elements.
#[inline(always)]
pub(super) fn blocks<'a>(
    channels: Range<usize>,
    weights: &'a [i8],
    k: usize,
    bias: &'a [i32],
    multipliers: &'a [i32],
) -> impl Iterator<Item = Block<'a>> {
    let weights = weights.get(channels.start * k..channels.end * k).unwrap_or(&[]);
    let bias = bias.get(channels.clone()).unwrap_or(&[]);
    let multipliers = multipliers.get(channels).unwrap_or(&[]);
    let ((bias, bias_rest), (multipliers, multipliers_rest)) = (bias.as_chunks(), multipliers.as_chunks());
    let rows = weights.chunks_exact((CHANNELS * k).max(1));
    let rest = Block {
        first: bias.len() * CHANNELS,
        count: bias_rest.len(),
        weights: repeat_last(rows.remainder().chunks_exact(k.max(1)), &[]),
        bias: repeat_last(bias_rest.iter().copied(), 0),
        multipliers: repeat_last(multipliers_rest.iter().copied(), 0),
    };
    let whole = rows.zip(bias).zip(multipliers).enumerate().map(move |(i, ((rows, &bias), &multipliers))| {
        let (front, back) = rows.split_at_checked(2 * k).unwrap_or((rows, &[]));
        let (w0, w1) = front.split_at_checked(k).unwrap_or((front, &[]));
        let (w2, w3) = back.split_at_checked(k).unwrap_or((back, &[]));
        Block { first: i * CHANNELS, count: CHANNELS, weights: [w0, w1, w2, w3], bias, multipliers }
    });
    whole.chain((rest.count > 0).then_some(rest))
}

/// The first four items; where there are fewer, the last again.
fn repeat_last<T: Copy>(mut items: impl Iterator<Item = T>, none: T) -> [T; CHANNELS] {
    let mut last = none;
    [(); CHANNELS].map(|()| {
        last = items.next().unwrap_or(last);
        last
    })
}
