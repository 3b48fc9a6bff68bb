//! Fully connected layer, four outputs at a time.

use core::ops::Range;

use super::dot::{blocks, dot_1x4};
use crate::kernels::params::FullyConnected;
use crate::quant::requantize;

pub(super) fn fully_connected(
    op: &FullyConnected<'_>,
    input: &[i8],
    output: &mut [i8],
    outputs: Range<usize>,
) {
    let (r, k) = (&op.requantize, op.inputs);
    let mut output = output.iter_mut();
    for block in blocks(outputs, op.weights, k, op.bias, r.multipliers) {
        let acc = dot_1x4(input, block.weights, block.bias);
        for ((&acc, mantissa), element) in
            acc.iter().zip(block.multipliers).take(block.count).zip(&mut output)
        {
            *element = requantize(acc, mantissa, r.shift, r.zero_point, r.output_min, r.output_max);
        }
    }
}
