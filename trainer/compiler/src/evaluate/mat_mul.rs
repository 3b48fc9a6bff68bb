//! Matrix products of two activations.

use std::iter::Sum;
use std::ops::Mul;

use crate::graph::{MatMul, Stack};

/// The sums of products of two stacks of matrices, `shapes` being those of left and right operand and result.
pub(super) fn products<T: Copy, S: Copy + Sum + From<T> + Mul<Output = S>>(
    product: &MatMul,
    shapes: [[usize; 4]; 3],
    a: &[T],
    b: &[T],
    y: &mut [S],
) {
    let order = &product.order;
    let left = Stack::new(shapes[0], order.lhs_by_row);
    let right = Stack::new(shapes[1], order.rhs_by_row);
    let result = Stack::new(shapes[2], order.output_by_row);
    for matrix in 0..result.matrices {
        for i in 0..result.rows {
            let row = &a[left.row(matrix, i)..][..left.columns];
            let y = &mut y[result.row(matrix, i)..][..result.columns];
            for (j, y) in y.iter_mut().enumerate() {
                let at = |k: usize| {
                    if order.rhs_transposed { right.row(matrix, j) + k } else { right.row(matrix, k) + j }
                };
                *y = row.iter().enumerate().map(|(k, &a)| S::from(a) * S::from(b[at(k)])).sum();
            }
        }
    }
}
