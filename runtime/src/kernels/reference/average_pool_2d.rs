//! Average over a window.

use core::ops::Range;

use super::{at, for_each_output, put, tap};
use crate::kernels::params::AveragePool2d;

/// Sum and count of the elements under the window, brought to the output's scale by
/// [`AveragePool2d::finish`].
pub(super) fn average_pool_2d(op: &AveragePool2d, input: &[i8], output: &mut [i8], rows: Range<usize>) {
    for_each_output(op.output, rows, |y, x, c, index| {
        let (mut sum, mut count) = (0i32, 0u32);
        for ky in 0..op.window.filter_h {
            for kx in 0..op.window.filter_w {
                let value = match tap(&op.window, op.input, y, x, ky, kx) {
                    Some((iy, ix)) => Some(at(input, op.input.index(iy, ix, c))),
                    None => op.counted_padding,
                };
                if let Some(value) = value {
                    sum = sum.wrapping_add(i32::from(value));
                    count = count.wrapping_add(1);
                }
            }
        }
        put(output, index, op.finish(sum, count));
    });
}
