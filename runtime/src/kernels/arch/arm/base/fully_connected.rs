//! Fully connected layer: eight outputs at a time.
#![allow(unsafe_code)]

use core::ops::Range;

use super::inner;
use crate::kernels::arch::arm::clamp::clamp;
use crate::kernels::packing::base::CHANNELS;
use crate::kernels::params::FullyConnected;

/// Outputs at a time: two blocks of weights.
pub(super) const OUTPUTS: usize = 2 * CHANNELS;

/// What [`inner::multiply_vector`] works on.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Outputs {
    pub input: *const i8,
    pub input_end: *const i8,
    /// Two blocks of weights, which may be the same.
    pub weights: [*const i8; 2],
    /// What the three accumulators of a block begin with: less what the 128 added to each weight give.
    pub start: [i32; 3],
    pub bias: *const i32,
    pub multipliers: *const i32,
    pub zero_point: i32,
    pub output: *mut i8,
}

pub(super) fn fully_connected(
    op: &FullyConnected<'_>,
    input: &[i8],
    output: &mut [i8],
    outputs: Range<usize>,
) {
    let (k, r) = (op.inputs, &op.requantize);
    let fits = op.weights.len() >= op.weights_len()
        && op.weights.as_ptr().align_offset(4) == 0
        && outputs.end <= op.outputs
        && op.bias.len() >= op.outputs
        && r.multipliers.len() >= op.outputs
        && output.len() >= outputs.len();
    let Some(input) = input.get(..k).filter(|_| fits) else { return };
    let sum = input.iter().fold(0i32, |sum, &x| sum.wrapping_add(x.into()));
    let start =
        [0x8080_8080u32, 0x0080_0080, 0x8080].map(|unit| sum.wrapping_mul(unit as i32).wrapping_neg());
    let weights = |o: usize| op.weights.as_ptr().wrapping_add(o / CHANNELS * CHANNELS * k);
    let (mut o, mut rest) = (outputs.start, output.get_mut(..outputs.len()).unwrap_or(&mut []));
    while o < outputs.end {
        // Blocks of weights begin at multiples of four outputs.
        let first = o / CHANNELS * CHANNELS;
        let count = outputs.end.min(first + OUTPUTS) - o;
        let second = first + CHANNELS;
        let mut block = Outputs {
            input: input.as_ptr(),
            input_end: input.as_ptr().wrapping_add(k),
            weights: [weights(first), weights(if second < op.outputs { second } else { first })],
            start,
            bias: op.bias.as_ptr().wrapping_add(first),
            multipliers: r.multipliers.as_ptr().wrapping_add(first),
            zero_point: r.zero_point.into(),
            output: rest.as_mut_ptr(),
        };
        if count == OUTPUTS {
            // SAFETY: by the lengths checked above, `k` inputs, two whole blocks of weights, and eight biases,
            // multipliers and places for results.
            unsafe { inner::multiply_vector(&block) };
        } else {
            let (mut bias, mut multipliers, mut results) = ([0; OUTPUTS], [0; OUTPUTS], [0i8; OUTPUTS]);
            let (biases, factors) = (op.bias.get(first..), r.multipliers.get(first..));
            bias.iter_mut().zip(biases.unwrap_or(&[])).for_each(|(to, from)| *to = *from);
            multipliers.iter_mut().zip(factors.unwrap_or(&[])).for_each(|(to, from)| *to = *from);
            block.bias = bias.as_ptr();
            block.multipliers = multipliers.as_ptr();
            block.output = results.as_mut_ptr();
            // SAFETY: as above, with biases, multipliers and results on the stack.
            unsafe { inner::multiply_vector(&block) };
            let results = results.get(o - first..).unwrap_or(&[]);
            rest.iter_mut().zip(results).take(count).for_each(|(to, from)| *to = *from);
        }
        rest = rest.get_mut(count..).unwrap_or(&mut []);
        o += count;
    }
    clamp(output.get_mut(..outputs.len()).unwrap_or(&mut []), r);
}
