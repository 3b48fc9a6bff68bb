//! Sum, product and table look-up, element by element.

use core::cell::Cell;

use crate::kernels::linked::{Linked, Variant};
use crate::kernels::params::{Add, Mul};
use crate::shape::Layout;

pub(super) fn add(op: &Add, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
    for ((lhs, rhs), output) in lhs.iter().zip(rhs).zip(output) {
        output.set(op.coefficients.apply(lhs.get(), rhs.get(), op.output_min, op.output_max));
    }
}

pub(super) fn mul<L: Linked>(op: &Mul, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
    let extent = op.view.extent;
    if !L::VARIANTS.has(Variant::PerChannel) || !op.rhs_per_channel {
        return products(op, lhs, rhs, output);
    }
    // How many neighbours share a factor.
    let run = match op.view.layout {
        Layout::Nhwc => 1,
        Layout::Planar => extent.w,
    };
    let (mut left, mut factors) = (0, rhs.iter().cycle());
    let mut factor = 0;
    for (lhs, output) in lhs.iter().zip(output) {
        if left == 0 {
            left = run;
            factor = factors.next().map_or(0, Cell::get);
        }
        left = left.wrapping_sub(1);
        output.set(op.apply(lhs.get(), factor));
    }
}

/// `output[i] = lhs[i] * rhs[i]`.
#[inline(never)]
fn products(op: &Mul, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
    for ((lhs, rhs), output) in lhs.iter().zip(rhs).zip(output) {
        output.set(op.apply(lhs.get(), rhs.get()));
    }
}

pub(super) fn lookup(table: &[i8], input: &[Cell<i8>], output: &[Cell<i8>]) {
    let Some(table) = table.first_chunk::<256>() else { return };
    for (input, output) in input.iter().zip(output) {
        // -128 is the first element: the sign bit flipped is `input + 128`, which no index check can exceed.
        output.set(table[usize::from(input.get() as u8 ^ 0x80)]);
    }
}
