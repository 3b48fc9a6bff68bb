//! Maximum over a window.

use core::ops::Range;

use super::{at, for_each_output, put, tap};
use crate::kernels::params::MaxPool2d;
use crate::quant::clamp_i8;

/// `output[y][x][c]` = the largest input under the window, clamped; padding does not take part. A window wholly in the
/// padding gives the lower clamp.
pub(super) fn max_pool_2d(op: &MaxPool2d, input: &[i8], output: &mut [i8], rows: Range<usize>) {
    for_each_output(op.output, rows, |y, x, c, index| {
        let mut max = i8::MIN;
        for ky in 0..op.window.filter_h {
            for kx in 0..op.window.filter_w {
                if let Some((iy, ix)) = tap(&op.window, op.input, y, x, ky, kx) {
                    max = max.max(at(input, op.input.index(iy, ix, c)));
                }
            }
        }
        put(output, index, clamp_i8(i32::from(max), op.output_min, op.output_max));
    });
}
