//! Sum and product of two values by loops that saturate to int8; table look-up.

use core::cell::Cell;

use super::clamp::clamp_cells;
use crate::kernels::linked::{Linked, Variant};
use crate::kernels::params::{Add, Mul};

/// A loop over elements of two operands and of the output, as many as the last argument says: 1 or more.
pub(super) trait Loop: Fn(*const i8, *const i8, *mut i8, usize) {}
impl<F: Fn(*const i8, *const i8, *mut i8, usize)> Loop for F {}

/// Runs a loop over as many elements as all three slices have.
#[inline(always)]
fn run(lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>], elements: impl Loop) {
    let len = lhs.len().min(rhs.len()).min(output.len());
    if len > 0 {
        elements(lhs.as_ptr().cast(), rhs.as_ptr().cast(), output.as_ptr().cast_mut().cast(), len);
    }
}

/// Sums by `sums`. What it is given lies inside slices of cells, which may be changed while they are shared.
#[inline(always)]
pub(super) fn add<L: Linked>(
    op: &Add,
    lhs: &[Cell<i8>],
    rhs: &[Cell<i8>],
    output: &[Cell<i8>],
    sums: impl Loop,
) {
    run(lhs, rhs, output, sums);
    if L::VARIANTS.has(Variant::Clamp) {
        clamp_cells(output, op.output_min, op.output_max);
    }
}

/// Products by `products`, which is given what [`add`] gives; of operators that are usual ([`Mul::is_usual`]).
#[inline(always)]
pub(super) fn mul<L: Linked>(
    op: &Mul,
    lhs: &[Cell<i8>],
    rhs: &[Cell<i8>],
    output: &[Cell<i8>],
    products: impl Loop,
) {
    // Elements that are taken with the same right operands.
    let is_per_channel = L::VARIANTS.has(Variant::PerChannel) && op.rhs_per_channel;
    let run_len = if is_per_channel { op.view.extent.c } else { lhs.len() };
    let (mut lhs, mut rest) = (lhs, output);
    while !lhs.is_empty() && run_len > 0 {
        let (run_lhs, run_output);
        (run_lhs, lhs) = lhs.split_at_checked(run_len).unwrap_or((lhs, &[]));
        (run_output, rest) = rest.split_at_checked(run_len).unwrap_or((rest, &[]));
        run(run_lhs, rhs, run_output, &products);
    }
    if L::VARIANTS.has(Variant::Clamp) {
        clamp_cells(output, op.output_min, op.output_max);
    }
}

/// Look-up by `look_up`, which is given the middle of the table, the element for 0, and input and output of as many
/// elements as the last argument says: 1 or more.
#[inline(always)]
pub(super) fn lookup(
    table: &[i8],
    input: &[Cell<i8>],
    output: &[Cell<i8>],
    look_up: impl Fn(*const i8, *const i8, *mut i8, usize),
) {
    if table.len() >= 256 {
        run(input, input, output, |input, _, output, len| {
            look_up(table.as_ptr().wrapping_add(128), input, output, len);
        });
    }
}
