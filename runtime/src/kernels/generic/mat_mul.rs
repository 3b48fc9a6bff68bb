//! Product of two stacks of matrices: several columns of a row at a time.
//!
//! The left operand's zero point is subtracted from each of its elements, which several products share; the right
//! operand's is taken care of once per row: `Σ a' * (b - zero) = Σ a' * b - zero * Σ a'`.

use core::ops::Range;

use crate::kernels::linked::{Linked, Variant};
use crate::kernels::params::MatMul;

/// Columns of a transposed right operand at a time.
const ROWS: usize = 4;
/// Columns of any other right operand at a time: as many sums as there are registers for.
const LANES: usize = if cfg!(target_arch = "arm") { 4 } else { 16 };

pub(super) fn mat_mul<L: Linked>(op: &MatMul, lhs: &[i8], rhs: &[i8], output: &mut [i8], rows: Range<usize>) {
    for run in op.runs(rows) {
        let right = rhs.get(op.rhs.row(run.matrix, 0)..).unwrap_or(&[]);
        for i in 0..run.count {
            let start = op.lhs.row(run.matrix, run.row.wrapping_add(i));
            let left = lhs.get(start..).and_then(|lhs| lhs.get(..op.inner)).unwrap_or(&[]);
            let place = i.wrapping_mul(run.step).wrapping_add(run.place).wrapping_mul(op.columns);
            let target = output.get_mut(place..).and_then(|output| output.get_mut(..op.columns));
            let Some(target) = target else { return };
            if op.rhs_transposed && L::VARIANTS.has(Variant::RhsTransposed) {
                by_rows(op, left, right, target);
            } else if !op.rhs_transposed && L::VARIANTS.has(Variant::RhsPlain) {
                by_columns(op, left, right, target);
            }
        }
    }
}

/// `a - zero_point`, in [-255, 255].
#[inline(always)]
fn centred(op: &MatMul, a: i8) -> i16 {
    i16::from(a).wrapping_sub(op.lhs_zero_point.into())
}

/// `acc + a * b`.
#[inline(always)]
fn multiply_add(acc: i32, a: i16, b: i8) -> i32 {
    acc.wrapping_add(i32::from(a).wrapping_mul(b.into()))
}

/// What every sum of a row begins with: less the right zero point times the sum of the left row.
pub(in crate::kernels) fn begin(op: &MatMul, left: &[i8]) -> i32 {
    let sum = left.iter().fold(0i32, |sum, &a| sum.wrapping_add(centred(op, a).into()));
    sum.wrapping_mul(op.rhs_zero_point.into()).wrapping_neg()
}

/// One row by the rows of a transposed right matrix.
#[inline(never)]
fn by_rows(op: &MatMul, left: &[i8], right: &[i8], target: &mut [i8]) {
    let begin = begin(op, left);
    let row = |j: usize| {
        let start = j.wrapping_mul(op.rhs.row_stride);
        right.get(start..).and_then(|right| right.get(..op.inner)).unwrap_or(&[])
    };
    let (blocks, rest) = target.as_chunks_mut::<ROWS>();
    let mut j = 0usize;
    for block in blocks {
        let b = [0, 1, 2, 3].map(|i| row(j.wrapping_add(i)));
        for (element, sum) in block.iter_mut().zip(dot_4(op, left, b, begin)) {
            *element = op.finish(sum);
        }
        j = j.wrapping_add(ROWS);
    }
    for element in rest {
        *element = op.finish(dot(op, left, row(j), begin));
        j = j.wrapping_add(1);
    }
}

#[inline(always)]
fn dot(op: &MatMul, a: &[i8], b: &[i8], acc: i32) -> i32 {
    a.iter().zip(b).fold(acc, |acc, (&a, &b)| multiply_add(acc, centred(op, a), b))
}

#[inline(always)]
fn dot_4(op: &MatMul, a: &[i8], b: [&[i8]; ROWS], acc: i32) -> [i32; ROWS] {
    if cfg!(target_arch = "arm") {
        // Each element is loaded once for four products.
        let [b0, b1, b2, b3] = b;
        let mut sums = [acc; ROWS];
        for ((((&a, &b0), &b1), &b2), &b3) in a.iter().zip(b0).zip(b1).zip(b2).zip(b3) {
            let a = centred(op, a);
            for (sum, b) in sums.iter_mut().zip([b0, b1, b2, b3]) {
                *sum = multiply_add(*sum, a, b);
            }
        }
        sums
    } else {
        // With vector registers the single reduction is widest.
        b.map(|b| dot(op, a, b, acc))
    }
}

/// One row by the columns of a right matrix.
#[inline(never)]
fn by_columns(op: &MatMul, left: &[i8], right: &[i8], target: &mut [i8]) {
    let begin = begin(op, left);
    let (blocks, rest) = target.as_chunks_mut::<LANES>();
    let mut j = 0usize;
    for block in blocks {
        let mut sums = [begin; LANES];
        for (&a, b) in left.iter().zip(rows(op, right, j)) {
            let (Some(b), a) = (b.first_chunk::<LANES>(), centred(op, a)) else { return };
            for (sum, &b) in sums.iter_mut().zip(b) {
                *sum = multiply_add(*sum, a, b);
            }
        }
        for (element, sum) in block.iter_mut().zip(sums) {
            *element = op.finish(sum);
        }
        j = j.wrapping_add(LANES);
    }
    for element in rest {
        let column = rows(op, right, j).map(|row| row.first().copied().unwrap_or(0));
        let products = left.iter().zip(column);
        *element = op.finish(products.fold(begin, |acc, (&a, b)| multiply_add(acc, centred(op, a), b)));
        j = j.wrapping_add(1);
    }
}

/// The rows of a right matrix, each from column `j` on.
#[inline(always)]
fn rows<'r>(op: &MatMul, right: &'r [i8], j: usize) -> impl Iterator<Item = &'r [i8]> {
    right.get(j..).unwrap_or(&[]).chunks(op.rhs.row_stride.max(1))
}
