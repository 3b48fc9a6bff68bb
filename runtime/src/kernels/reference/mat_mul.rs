//! Product of two stacks of matrices.

use core::ops::Range;

use super::{at, put};
use crate::kernels::params::MatMul;

/// `output[matrix][i][j] = requantize(accumulator(matrix, i, j))` for the output rows `rows`.
pub(super) fn mat_mul(op: &MatMul, lhs: &[i8], rhs: &[i8], output: &mut [i8], rows: Range<usize>) {
    for (place, row) in rows.enumerate() {
        let (matrix, i) = position(op, row);
        for j in 0..op.columns {
            put(output, place * op.columns + j, op.finish(accumulator(op, lhs, rhs, (matrix, i, j))));
        }
    }
}

/// The result that output row `row` belongs to, and its row there.
pub(crate) fn position(op: &MatMul, row: usize) -> (usize, usize) {
    if op.output_by_row {
        (row % op.matrices.max(1), row / op.matrices.max(1))
    } else {
        (row / op.rows.max(1), row % op.rows.max(1))
    }
}

/// `Σ_k (lhs[i][k] - lhs_zero_point) * (rhs[k][j] - rhs_zero_point)`.
pub(crate) fn accumulator(op: &MatMul, lhs: &[i8], rhs: &[i8], (matrix, i, j): (usize, usize, usize)) -> i32 {
    (0..op.inner).fold(0i32, |acc, k| {
        let (row, column) = if op.rhs_transposed { (j, k) } else { (k, j) };
        let a = i32::from(at(lhs, op.lhs.row(matrix, i) + k)) - i32::from(op.lhs_zero_point);
        let b = i32::from(at(rhs, op.rhs.row(matrix, row) + column)) - i32::from(op.rhs_zero_point);
        acc.wrapping_add(a * b)
    })
}
