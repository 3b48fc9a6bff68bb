//! Fully connected layer.

use core::ops::Range;

use super::{at, put};
use crate::kernels::params::FullyConnected;

/// `output[o] = requantize(bias[o] + Σ weights[o][i] * input[i])`.
pub(super) fn fully_connected(
    op: &FullyConnected<'_>,
    input: &[i8],
    output: &mut [i8],
    outputs: Range<usize>,
) {
    for (index, o) in outputs.enumerate() {
        let mut acc = at(op.bias, o);
        for i in 0..op.inputs {
            let weight = at(op.weights, o * op.inputs + i);
            acc = acc.wrapping_add(i32::from(weight) * i32::from(at(input, i)));
        }
        put(output, index, op.requantize.apply(acc, o));
    }
}
