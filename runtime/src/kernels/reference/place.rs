//! Copy into a part of a value.

use core::ops::Range;

use super::{at, put};
use crate::kernels::params::Place;

/// `output[top + y][left + x][channel + c] = input[y][x][c]` for the input rows `rows`.
pub(super) fn place(op: &Place, input: &[i8], output: &mut [i8], rows: Range<usize>) {
    for y in rows {
        for x in 0..op.input.extent.w {
            for c in 0..op.input.extent.c {
                let value = at(input, op.input.index(y, x, c));
                put(output, op.output.index(op.top + y, op.left + x, op.channel + c), value);
            }
        }
    }
}
