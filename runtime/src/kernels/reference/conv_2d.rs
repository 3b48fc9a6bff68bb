//! 2-D convolution.

use core::ops::Range;

use super::{at, for_each_output, put, tap};
use crate::kernels::params::Conv2d;

/// `output[y][x][o] = requantize(accumulator(y, x, o))`.
pub(super) fn conv_2d(op: &Conv2d<'_>, input: &[i8], output: &mut [i8], rows: Range<usize>) {
    for_each_output(op.output, rows, |y, x, o, index| {
        put(output, index, op.requantize.apply(accumulator(op, input, y, x, o), o));
    });
}

/// `bias[o] + Σ weights[o][ky][kx][i] * input[tap(y, x, ky, kx)][first(o) + i]`, where `first(o)` is the first input
/// channel of the group of `o` and padding reads the input's zero point.
pub(crate) fn accumulator(op: &Conv2d<'_>, input: &[i8], y: usize, x: usize, o: usize) -> i32 {
    let window = &op.window;
    let groups = op.groups.max(1);
    let (group_in, group_out) = (op.input.extent.c / groups, (op.output.extent.c / groups).max(1));
    let first = o / group_out * group_in;
    let mut acc = at(op.bias, o);
    for ky in 0..window.filter_h {
        for kx in 0..window.filter_w {
            let position = tap(window, op.input, y, x, ky, kx);
            for i in 0..group_in {
                let value = match position {
                    Some((iy, ix)) => at(input, op.input.index(iy, ix, first + i)),
                    None => op.input_zero_point,
                };
                acc = acc.wrapping_add(i32::from(op.weight(o, ky, kx, i)) * i32::from(value));
            }
        }
    }
    acc
}
