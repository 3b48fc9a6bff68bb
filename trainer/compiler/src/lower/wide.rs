//! Weights that int8 from -127 to 127 does not hold: -128, and `uint8` with a zero point far from the middle. Each is
//! split into a sum of such weights, and the layer reads every input channel once for each summand: the same sums, at
//! that many times the multiply-accumulates.

use teff::plan::{OpKind, OpRecord};
use teff::shape::View;

use super::steps::{Cost, Lowering};
use crate::error::{Error, Result};
use crate::graph::Node;

/// Summands that the largest difference of two `uint8` numbers needs.
const MOST_SUMMANDS: usize = 3;

/// How many summands the largest of the weights needs.
pub(super) fn summands(lowering: &mut Lowering<'_>, node: &Node, weights: &[i32]) -> Result<usize> {
    let largest = weights.iter().map(|w| w.unsigned_abs()).max().unwrap_or(0);
    let count = (largest as usize).div_ceil(127).max(1);
    if count > MOST_SUMMANDS {
        return Err(Error::node(
            &node.name,
            node.op.name(),
            format!("a weight is {largest} steps from its zero point"),
        )
        .remedy("quantize the weights to int8"));
    }
    if count > 1 {
        let weights = &lowering.graph.value(node.inputs[1]).name;
        let times = if count == 2 { "twice" } else { "three times" };
        lowering.notes.push(format!(
            "`{}` costs {times} its multiply-accumulates: its weights `{weights}` go to {largest} steps from their zero \
             point, and int8 to 127; quantize weights symmetrically (ONNX Runtime: `extra_options={{\"WeightSymmetric\": \
             True}}` or `weight_type=QuantType.QInt8`)",
            node.name
        ));
    }
    Ok(count)
}

/// The summands of a row of weights, those of one weight side by side.
pub(super) fn split(row: &[i32], count: usize) -> Vec<i8> {
    let mut parts = Vec::with_capacity(row.len() * count);
    for &weight in row {
        let mut rest = weight;
        for _ in 0..count {
            let part = rest.clamp(-127, 127);
            parts.push(part as i8);
            rest -= part;
        }
    }
    parts
}

/// The operand with every channel `count` times, one beside the other.
pub(super) fn repeat_channels(
    lowering: &mut Lowering<'_>,
    node: &Node,
    input: u16,
    count: usize,
) -> Result<u16> {
    if count == 1 {
        return Ok(input);
    }
    let from = lowering.operand(input).clone();
    let extent = from.view.extent;
    // Each element is a place with one channel.
    let places = View::new(extent.h, extent.w * extent.c, 1, from.view.layout);
    let source = lowering.alias(input, places)?;
    let several = View::new(extent.h, extent.w * extent.c, count, from.view.layout);
    let repeated = lowering.temporary(&format!("{} repeated", from.name), several, from.quant)?;
    for part in 0..count {
        let record = OpRecord { c: part as i32, ..OpRecord::new(OpKind::Concat, source, repeated) };
        lowering.push_step(node, record, Cost::default());
    }
    lowering.alias(repeated, View::new(extent.h, extent.w, extent.c * count, from.view.layout))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summands_add_up() {
        let row = [0, 127, -128, 255, -255, 1];
        let parts = split(&row, 3);
        for (weight, parts) in row.iter().zip(parts.chunks(3)) {
            assert_eq!(parts.iter().map(|&p| i32::from(p)).sum::<i32>(), *weight);
            assert!(parts.iter().all(|p| *p >= -127));
        }
    }
}
