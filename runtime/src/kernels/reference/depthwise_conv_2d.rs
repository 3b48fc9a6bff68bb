//! 2-D depthwise convolution.

use core::ops::Range;

use super::{at, for_each_output, put, tap};
use crate::kernels::params::DepthwiseConv2d;

/// `output[y][x][o] = requantize(accumulator(y, x, o))`.
pub(super) fn depthwise_conv_2d(
    op: &DepthwiseConv2d<'_>,
    input: &[i8],
    output: &mut [i8],
    rows: Range<usize>,
) {
    for_each_output(op.output, rows, |y, x, o, index| {
        put(output, index, op.requantize.apply(accumulator(op, input, y, x, o), o));
    });
}

/// `bias[o] + Σ weights[ky][kx][o] * input[tap(y, x, ky, kx)][o / multiplier]`, where `multiplier = c_out / c_in` and
/// padding reads the input's zero point.
pub(crate) fn accumulator(op: &DepthwiseConv2d<'_>, input: &[i8], y: usize, x: usize, o: usize) -> i32 {
    let window = &op.window;
    let c_out = op.output.extent.c;
    let multiplier = (c_out / op.input.extent.c.max(1)).max(1);
    let mut acc = at(op.bias, o);
    for ky in 0..window.filter_h {
        for kx in 0..window.filter_w {
            let value = match tap(window, op.input, y, x, ky, kx) {
                Some((iy, ix)) => at(input, op.input.index(iy, ix, o / multiplier)),
                None => op.input_zero_point,
            };
            let weight = op.weight(ky * window.filter_w + kx, o);
            acc = acc.wrapping_add(i32::from(weight) * i32::from(value));
        }
    }
    acc
}
