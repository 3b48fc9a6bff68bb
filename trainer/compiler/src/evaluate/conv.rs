//! Convolutions, matrix products and pooling in floating point.

use crate::graph::{Conv2d, Pool2d};

/// A convolution with the shapes it is applied to.
pub(super) struct Problem<'a> {
    pub conv: &'a Conv2d,
    pub filter: [usize; 4],
    pub x_shape: [usize; 4],
    pub y_shape: [usize; 4],
}

/// `y[row][c] = bias[c] + Σ x[row][k] · filter[k][c]`, four rows at a time.
pub(super) fn rows_by_matrix(x: &[f32], k: usize, filter: &[f32], bias: &[f32], c_out: usize, y: &mut [f32]) {
    if k == 0 || c_out == 0 {
        return;
    }
    for (x, y) in x.chunks(4 * k).zip(y.chunks_mut(4 * c_out)) {
        for row in y.chunks_exact_mut(c_out) {
            if bias.is_empty() { row.fill(0.0) } else { row.copy_from_slice(bias) }
        }
        if x.len() == 4 * k {
            let (x0, rest) = x.split_at(k);
            let (x1, rest) = rest.split_at(k);
            let (x2, x3) = rest.split_at(k);
            let (y0, rest) = y.split_at_mut(c_out);
            let (y1, rest) = rest.split_at_mut(c_out);
            let (y2, y3) = rest.split_at_mut(c_out);
            for (i, w) in filter.chunks_exact(c_out).enumerate() {
                let (a, b, c, d) = (x0[i], x1[i], x2[i], x3[i]);
                let outputs = y0.iter_mut().zip(&mut *y1).zip(&mut *y2).zip(&mut *y3);
                for ((((p, q), r), s), &w) in outputs.zip(w) {
                    *p += a * w;
                    *q += b * w;
                    *r += c * w;
                    *s += d * w;
                }
            }
        } else {
            for (x, y) in x.chunks_exact(k).zip(y.chunks_exact_mut(c_out)) {
                for (&x, w) in x.iter().zip(filter.chunks_exact(c_out)) {
                    for (y, &w) in y.iter_mut().zip(w) {
                        *y += x * w;
                    }
                }
            }
        }
    }
}

/// Convolution: each output row gathers its patches and multiplies them by the filter
/// `[kh · kw · c_in][c_out]`.
pub(super) fn conv_2d(
    problem: &Problem<'_>,
    x: &[f32],
    filter: &[f32],
    bias: &[f32],
    y: &mut [f32],
    scratch: &mut Vec<f32>,
) {
    let Problem { conv, filter: [c_out, kh, kw, c_in], x_shape, y_shape } = *problem;
    let [_, _, _, channels] = x_shape;
    let (pointwise, groups) = ([kh, kw] == [1, 1], conv.groups.max(1));
    if pointwise && conv.stride == [1, 1] && conv.padding.is_zero() && groups == 1 {
        rows_by_matrix(x, channels, filter, bias, c_out, y);
        return;
    }
    let k = kh * kw * c_in;
    let columns = y_shape[2];
    let out_group = c_out / groups;
    let row_len = columns * c_out;
    let mut group_result = vec![0.0; if groups > 1 { columns * out_group } else { 0 }];
    // Each group's filter as a matrix of its own.
    let group_filters: Vec<Vec<f32>> = if groups > 1 {
        (0..groups)
            .map(|g| {
                let rows = filter.chunks_exact(c_out);
                rows.flat_map(|row| row[g * out_group..(g + 1) * out_group].iter().copied()).collect()
            })
            .collect()
    } else {
        Vec::new()
    };
    scratch.resize(columns * k, 0.0);
    for (oy, y_row) in y.chunks_exact_mut(row_len).enumerate() {
        for g in 0..groups {
            gather(problem, x, oy, g, scratch);
            if groups == 1 {
                rows_by_matrix(scratch, k, filter, bias, c_out, y_row);
            } else {
                let bias = bias.get(g * out_group..(g + 1) * out_group).unwrap_or_default();
                rows_by_matrix(scratch, k, &group_filters[g], bias, out_group, &mut group_result);
                for (to, from) in y_row.chunks_exact_mut(c_out).zip(group_result.chunks_exact(out_group)) {
                    to[g * out_group..(g + 1) * out_group].copy_from_slice(from);
                }
            }
        }
    }
}

/// The patches of one output row and group, `[columns][kh][kw][c_in]`.
fn gather(problem: &Problem<'_>, x: &[f32], oy: usize, group: usize, patches: &mut [f32]) {
    let Problem { conv, filter: [_, kh, kw, c_in], x_shape, .. } = *problem;
    let [_, height, width, channels] = x_shape;
    let k = kh * kw * c_in;
    for (ox, patch) in patches.chunks_exact_mut(k).enumerate() {
        for (ky, row) in patch.chunks_exact_mut(kw * c_in).enumerate() {
            let iy = (oy * conv.stride[0] + ky * conv.dilation[0]).wrapping_sub(conv.padding.top);
            if iy >= height {
                row.fill(0.0);
                continue;
            }
            for (kx, place) in row.chunks_exact_mut(c_in).enumerate() {
                let ix = (ox * conv.stride[1] + kx * conv.dilation[1]).wrapping_sub(conv.padding.left);
                if ix < width {
                    let start = (iy * width + ix) * channels + group * c_in;
                    place.copy_from_slice(&x[start..start + c_in]);
                } else {
                    place.fill(0.0);
                }
            }
        }
    }
}

/// Depthwise convolution, all channels of a place at once.
pub(super) fn depthwise_conv_2d(
    problem: &Problem<'_>,
    x: &[f32],
    filter: &[f32],
    bias: &[f32],
    y: &mut [f32],
) {
    let Problem { conv, filter: [_, kh, kw, c_out], x_shape, y_shape } = *problem;
    let [_, height, width, channels] = x_shape;
    let multiplier = c_out / channels.max(1);
    for (place, y) in y.chunks_exact_mut(c_out).enumerate() {
        let (oy, ox) = (place / y_shape[2], place % y_shape[2]);
        if bias.is_empty() {
            y.fill(0.0)
        } else {
            y.copy_from_slice(bias)
        }
        for ky in 0..kh {
            let iy = (oy * conv.stride[0] + ky * conv.dilation[0]).wrapping_sub(conv.padding.top);
            if iy >= height {
                continue;
            }
            for kx in 0..kw {
                let ix = (ox * conv.stride[1] + kx * conv.dilation[1]).wrapping_sub(conv.padding.left);
                if ix >= width {
                    continue;
                }
                let start = (iy * width + ix) * channels;
                let x = &x[start..start + channels];
                let w = &filter[(ky * kw + kx) * c_out..][..c_out];
                if multiplier == 1 {
                    for ((y, &x), &w) in y.iter_mut().zip(x).zip(w) {
                        *y += x * w;
                    }
                } else {
                    for (c, y) in y.iter_mut().enumerate() {
                        *y += x[c / multiplier] * w[c];
                    }
                }
            }
        }
    }
}

/// Calls `f` with the output place and the start of each input place of its window; gives the size
/// of the whole window that lies in the input.
fn windows(pool: &Pool2d, x_shape: [usize; 4], y_shape: [usize; 4], mut f: impl FnMut(usize, usize)) {
    let [_, height, width, channels] = x_shape;
    for oy in 0..y_shape[1] {
        for ox in 0..y_shape[2] {
            for ky in 0..pool.filter[0] {
                let iy = (oy * pool.stride[0] + ky).wrapping_sub(pool.padding.top);
                for kx in 0..pool.filter[1] {
                    let ix = (ox * pool.stride[1] + kx).wrapping_sub(pool.padding.left);
                    if iy < height && ix < width {
                        f(oy * y_shape[2] + ox, (iy * width + ix) * channels);
                    }
                }
            }
        }
    }
}

pub(super) fn max_pool(pool: &Pool2d, x: &[f32], x_shape: [usize; 4], y_shape: [usize; 4], y: &mut [f32]) {
    let c = x_shape[3];
    y.fill(f32::NEG_INFINITY);
    windows(pool, x_shape, y_shape, |place, start| {
        for (y, &x) in y[place * c..][..c].iter_mut().zip(&x[start..]) {
            *y = y.max(x);
        }
    });
}

pub(super) fn average_pool(
    pool: &Pool2d,
    x: &[f32],
    x_shape: [usize; 4],
    y_shape: [usize; 4],
    y: &mut [f32],
) {
    let c = x_shape[3];
    let mut counts = vec![0usize; y_shape[1] * y_shape[2]];
    y.fill(0.0);
    windows(pool, x_shape, y_shape, |place, start| {
        counts[place] += 1;
        for (y, &x) in y[place * c..][..c].iter_mut().zip(&x[start..]) {
            *y += x;
        }
    });
    let whole = pool.filter[0] * pool.filter[1];
    for (y, &count) in y.chunks_exact_mut(c).zip(&counts) {
        let count = if pool.count_padding { whole } else { count };
        for y in y {
            *y /= count as f32;
        }
    }
}
