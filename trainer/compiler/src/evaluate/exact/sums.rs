//! Integer sums: of products under a filter, and of windows.

use crate::graph::{Conv2d, Pool2d};

/// An activation: integers without their zero point, `[h, w, c]`.
pub(super) struct Input<'a> {
    pub numbers: &'a [i16],
    pub shape: [usize; 4],
}

impl Input<'_> {
    /// The channels of one place, or nothing outside.
    fn place(&self, y: Option<usize>, x: Option<usize>) -> Option<&[i16]> {
        let [_, height, width, channels] = self.shape;
        let (y, x) = (y.filter(|&y| y < height)?, x.filter(|&x| x < width)?);
        self.numbers.get((y * width + x) * channels..)?.get(..channels)
    }
}

/// Row or column that an output reads, or nothing in the padding before the input.
fn read_at(output: usize, stride: usize, tap: usize, dilation: usize, padding: usize) -> Option<usize> {
    (output * stride + tap * dilation).checked_sub(padding)
}

/// Sums of a convolution: weights `[c_out][kh][kw][c_in / groups]`, result `[h, w, c_out]`.
pub(super) fn conv_2d(
    conv: &Conv2d,
    filter: [usize; 4],
    weights: &[i16],
    x: &Input<'_>,
    y: [usize; 4],
) -> Vec<i64> {
    let [c_out, kh, kw, c_in] = filter;
    let per_group = (c_out / conv.groups.max(1)).max(1);
    let mut sums = vec![0i64; y[1] * y[2] * c_out];
    for (place, sums) in sums.chunks_exact_mut(c_out).enumerate() {
        let (oy, ox) = (place / y[2], place % y[2]);
        for ky in 0..kh {
            let iy = read_at(oy, conv.stride[0], ky, conv.dilation[0], conv.padding.top);
            for kx in 0..kw {
                let ix = read_at(ox, conv.stride[1], kx, conv.dilation[1], conv.padding.left);
                let Some(read) = x.place(iy, ix) else { continue };
                for (o, sum) in sums.iter_mut().enumerate() {
                    let row = &weights[((o * kh + ky) * kw + kx) * c_in..][..c_in];
                    *sum += dot(row, &read[o / per_group * c_in..][..c_in]);
                }
            }
        }
    }
    sums
}

/// Sums of a depthwise convolution: weights `[kh][kw][c_out]`.
pub(super) fn depthwise_conv_2d(
    conv: &Conv2d,
    filter: [usize; 4],
    weights: &[i16],
    x: &Input<'_>,
    y: [usize; 4],
) -> Vec<i64> {
    let [_, kh, kw, c_out] = filter;
    let multiplier = (c_out / x.shape[3].max(1)).max(1);
    let mut sums = vec![0i64; y[1] * y[2] * c_out];
    for (place, sums) in sums.chunks_exact_mut(c_out).enumerate() {
        let (oy, ox) = (place / y[2], place % y[2]);
        for ky in 0..kh {
            let iy = read_at(oy, conv.stride[0], ky, conv.dilation[0], conv.padding.top);
            for kx in 0..kw {
                let ix = read_at(ox, conv.stride[1], kx, conv.dilation[1], conv.padding.left);
                let Some(read) = x.place(iy, ix) else { continue };
                let weights = &weights[(ky * kw + kx) * c_out..][..c_out];
                for (o, (sum, &w)) in sums.iter_mut().zip(weights).enumerate() {
                    *sum += i64::from(i32::from(w) * i32::from(read[o / multiplier]));
                }
            }
        }
    }
    sums
}

/// Sums of a fully connected layer: weights `[c_out][c_in]`, at every place of the input.
pub(super) fn fully_connected(weights: &[i16], x: &Input<'_>) -> Vec<i64> {
    let rows = weights.chunks_exact(x.shape[3]);
    x.numbers.chunks_exact(x.shape[3]).flat_map(|x| rows.clone().map(move |row| dot(row, x))).collect()
}

/// Sum of products. A product is below 2^17, so 2^13 of them fit 32 bits.
fn dot(a: &[i16], b: &[i16]) -> i64 {
    const FITS: usize = 1 << 13;
    let sum =
        |a: &[i16], b: &[i16]| -> i32 { a.iter().zip(b).map(|(&a, &b)| i32::from(a) * i32::from(b)).sum() };
    a.chunks(FITS).zip(b.chunks(FITS)).map(|(a, b)| i64::from(sum(a, b))).sum()
}

/// What lies under one window of a pooling, for one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pooled {
    /// Sum of the elements.
    pub sum: i64,
    /// The largest; nothing where the window lies in the padding.
    pub largest: Option<i16>,
    /// How many count: the elements, or those and the padding where that is counted.
    pub count: i64,
}

pub(super) fn pool_2d(pool: &Pool2d, x: &Input<'_>, y: [usize; 4]) -> Vec<Pooled> {
    let channels = x.shape[3];
    let mut result = vec![Pooled { sum: 0, largest: None, count: 0 }; y[1] * y[2] * channels];
    let padded = [
        x.shape[1] + pool.padding.top + pool.padding.bottom,
        x.shape[2] + pool.padding.left + pool.padding.right,
    ];
    for (place, result) in result.chunks_exact_mut(channels).enumerate() {
        let (oy, ox) = (place / y[2], place % y[2]);
        for ky in 0..pool.filter[0] {
            let iy = read_at(oy, pool.stride[0], ky, 1, pool.padding.top);
            for kx in 0..pool.filter[1] {
                let ix = read_at(ox, pool.stride[1], kx, 1, pool.padding.left);
                let read = x.place(iy, ix);
                let inside = oy * pool.stride[0] + ky < padded[0] && ox * pool.stride[1] + kx < padded[1];
                let counts = read.is_some() || (pool.count_padding && inside);
                for (c, pooled) in result.iter_mut().enumerate() {
                    pooled.count += i64::from(counts);
                    if let Some(&q) = read.and_then(|read| read.get(c)) {
                        pooled.sum += i64::from(q);
                        pooled.largest = Some(pooled.largest.map_or(q, |largest| largest.max(q)));
                    }
                }
            }
        }
    }
    result
}
