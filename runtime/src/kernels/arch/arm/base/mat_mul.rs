//! Product of two stacks of matrices: four columns of a row at a time, so that each element of the left row is loaded
//! once for four products.
//!
//! The left zero point is subtracted from each of these elements; the right operand's is taken care of once per row, as in
//! [`generic`](crate::kernels::generic). Whether the right matrix is held transposed changes only the distances between
//! its elements.
#![allow(unsafe_code)]

use core::ops::Range;

use super::inner;
use crate::kernels::generic::mat_mul::begin;
use crate::kernels::params::MatMul;

/// Columns at a time.
pub(super) const COLUMNS: usize = 4;
/// Elements of the left row that [`inner::multiply_columns`] takes at a time. Those left over come first.
pub(super) const GROUP: usize = 4;

/// What [`inner::multiply_columns`] works on.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Columns {
    /// The left row; where the elements end that are no whole group, and where all of them do.
    pub left: *const i8,
    pub rest_end: *const i8,
    pub left_end: *const i8,
    /// The first element of the first column, and the distances of the other columns.
    pub right: *const i8,
    pub offsets: [usize; COLUMNS - 1],
    /// From an element of a column to the next.
    pub step: usize,
    /// What is added to each element of the left row.
    pub added: i32,
    pub sums: [i32; COLUMNS],
}

pub(super) fn mat_mul(op: &MatMul, lhs: &[i8], rhs: &[i8], output: &mut [i8], rows: Range<usize>) {
    for run in op.runs(rows) {
        let right = rhs.get(op.rhs.row(run.matrix, 0)..).unwrap_or(&[]);
        let (right_rows, right_len) =
            if op.rhs_transposed { (op.columns, op.inner) } else { (op.inner, op.columns) };
        // The end of the last row.
        let end = right_rows.saturating_sub(1).saturating_mul(op.rhs.row_stride).saturating_add(right_len);
        if right.len() < end {
            return;
        }
        for i in 0..run.count {
            let start = op.lhs.row(run.matrix, run.row.wrapping_add(i));
            let Some(left) = lhs.get(start..).and_then(|lhs| lhs.get(..op.inner)) else { return };
            let place = i.wrapping_mul(run.step).wrapping_add(run.place).wrapping_mul(op.columns);
            let target = output.get_mut(place..).and_then(|output| output.get_mut(..op.columns));
            let Some(target) = target else { return };
            row(op, left, right, target);
        }
    }
}

/// One row of a result, of `op.columns` elements. `left` has `op.inner` elements, `right` all rows of the right matrix.
fn row(op: &MatMul, left: &[i8], right: &[i8], target: &mut [i8]) {
    let stride = op.rhs.row_stride;
    let (column, step) = if op.rhs_transposed { (stride, 1) } else { (1, stride) };
    let begin = begin(op, left);
    let Some(last) = target.len().checked_sub(1) else { return };
    let left_start = left.as_ptr();
    let mut block = Columns {
        left: left_start,
        rest_end: left_start.wrapping_add(left.len() % GROUP),
        left_end: left_start.wrapping_add(left.len()),
        right: right.as_ptr(),
        // A narrow matrix has its last column several times.
        offsets: [1, 2, 3].map(|j: usize| j.min(last).wrapping_mul(column)),
        step,
        added: i32::from(op.lhs_zero_point).wrapping_neg(),
        sums: [begin; COLUMNS],
    };
    let mut done = 0usize;
    while done <= last {
        // The last columns together with some that are done.
        done = done.min(target.len().saturating_sub(COLUMNS));
        block.right = right.as_ptr().wrapping_add(done.wrapping_mul(column));
        block.sums = [begin; COLUMNS];
        // SAFETY: the left row, and as many elements of each of four columns, of which there are that many or the last is
        // taken again: that these are all there was checked by the caller.
        unsafe { inner::multiply_columns(&mut block) };
        for (element, sum) in target.get_mut(done..).unwrap_or(&mut []).iter_mut().zip(block.sums) {
            *element = op.finish(sum);
        }
        done = done.wrapping_add(COLUMNS);
    }
}
