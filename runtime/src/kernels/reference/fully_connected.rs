//! Fully connected layer.

use core::ops::Range;

use super::{at, put};
use crate::kernels::params::FullyConnected;

/// `output[o] = requantize(accumulator(o))`.
pub(super) fn fully_connected(
    op: &FullyConnected<'_>,
    input: &[i8],
    output: &mut [i8],
    outputs: Range<usize>,
) {
    for (index, o) in outputs.enumerate() {
        put(output, index, op.requantize.apply(accumulator(op, input, o), o));
    }
}

/// `bias[o] + Σ weights[o][i] * input[i]`.
pub(crate) fn accumulator(op: &FullyConnected<'_>, input: &[i8], o: usize) -> i32 {
    (0..op.inputs)
        .fold(at(op.bias, o), |acc, i| acc.wrapping_add(i32::from(op.weight(o, i)) * i32::from(at(input, i))))
}
