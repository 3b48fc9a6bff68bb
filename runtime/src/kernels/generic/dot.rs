//! Inner products of int8 vectors, blocked over pixels and output channels.
//!
//! The loops are chains of `zip`: no bounds are checked inside, and LLVM turns them into vector code where the
//! processor has it. All slices of a call have the same length; a longer one is cut.

/// Output channels per block.
pub(super) const CHANNELS: usize = 4;

/// Adds the products of two vectors with four weight rows.
#[inline(always)]
pub(super) fn dot_2x4(x: [&[i8]; 2], w: [&[i8]; CHANNELS], acc: [i32; CHANNELS]) -> [[i32; CHANNELS]; 2] {
    let ([x0, x1], [w0, w1, w2, w3]) = (x, w);
    let [mut a, mut b] = [acc, acc];
    for (((((&x0, &x1), &w0), &w1), &w2), &w3) in x0.iter().zip(x1).zip(w0).zip(w1).zip(w2).zip(w3) {
        let w = [w0, w1, w2, w3];
        for ((a, b), w) in a.iter_mut().zip(&mut b).zip(w) {
            *a = multiply_add(*a, x0, w);
            *b = multiply_add(*b, x1, w);
        }
    }
    [a, b]
}

/// Adds the products of one vector with four weight rows.
#[inline(always)]
pub(super) fn dot_1x4(x: &[i8], w: [&[i8]; CHANNELS], acc: [i32; CHANNELS]) -> [i32; CHANNELS] {
    let [w0, w1, w2, w3] = w;
    let mut a = acc;
    for ((((&x, &w0), &w1), &w2), &w3) in x.iter().zip(w0).zip(w1).zip(w2).zip(w3) {
        for (a, w) in a.iter_mut().zip([w0, w1, w2, w3]) {
            *a = multiply_add(*a, x, w);
        }
    }
    a
}

/// `acc + x * w`.
#[inline(always)]
pub(super) fn multiply_add(acc: i32, x: i8, w: i8) -> i32 {
    acc.wrapping_add(i32::from(x) * i32::from(w))
}

/// Weights, biases and multipliers of up to four neighbouring output channels.
#[derive(Clone, Copy)]
pub(super) struct Block<'a> {
    /// First channel.
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

/// The output channels from `first` to `end`, in blocks; each weight row has `k` elements.
pub(super) fn blocks<'a>(
    first: usize,
    end: usize,
    weights: &'a [i8],
    k: usize,
    bias: &'a [i32],
    multipliers: &'a [i32],
) -> impl Iterator<Item = Block<'a>> {
    (first..end).step_by(CHANNELS).map(move |first| {
        let count = (end - first).min(CHANNELS);
        let channel = |i: usize| first + i.min(count - 1);
        let indices = [0, 1, 2, 3];
        Block {
            first,
            count,
            weights: indices.map(|i| weights.get(channel(i) * k..).and_then(|w| w.get(..k)).unwrap_or(&[])),
            bias: indices.map(|i| bias.get(channel(i)).copied().unwrap_or(0)),
            multipliers: indices.map(|i| multipliers.get(channel(i)).copied().unwrap_or(0)),
        }
    })
}
