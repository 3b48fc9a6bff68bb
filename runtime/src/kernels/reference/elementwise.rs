//! Sum, product and table look-up, element by element.

use core::cell::Cell;

use crate::kernels::params::{Add, Mul};
use crate::shape::Layout;

/// `output[i] = add(lhs[i], rhs[i])`.
pub(super) fn add(op: &Add, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
    for ((lhs, rhs), output) in lhs.iter().zip(rhs).zip(output) {
        output.set(op.coefficients.apply(lhs.get(), rhs.get(), op.output_min, op.output_max));
    }
}

/// `output[i] = requantize((lhs[i] - lhs_zero_point) * (rhs[j] - rhs_zero_point))` with `j = i`, or `j` = the channel of
/// `i` where `rhs` has one element per channel.
pub(super) fn mul(op: &Mul, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
    let extent = op.view.extent;
    for (i, (lhs, output)) in lhs.iter().zip(output).enumerate() {
        let j = match (op.rhs_per_channel, op.view.layout) {
            (false, _) => i,
            (true, Layout::Nhwc) => i % extent.c.max(1),
            (true, Layout::Planar) => i / extent.w.max(1) % extent.c.max(1),
        };
        if let Some(rhs) = rhs.get(j) {
            output.set(op.apply(lhs.get(), rhs.get()));
        }
    }
}

/// `output[i] = table[input[i] + 128]`.
pub(super) fn lookup(table: &[i8], input: &[Cell<i8>], output: &[Cell<i8>]) {
    for (input, output) in input.iter().zip(output) {
        if let Some(&value) = table.get((i32::from(input.get()) + 128) as usize) {
            output.set(value);
        }
    }
}
