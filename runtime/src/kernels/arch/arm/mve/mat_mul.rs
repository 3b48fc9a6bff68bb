//! Product of two stacks of matrices.
//!
//! - *Right operand transposed.* Two rows by two columns: four vectors loaded for four sums of 16 products.
//! - *Right operand as it is.* Four rows by four columns, each element of a row times a vector of columns.
//!
//! Products of raw elements are summed, and the columns themselves: `Σ (a - z)(b - y) = Σ a b - z Σ b - y Σ (a - z)`.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::mem::offset_of;
use core::ops::Range;

use crate::kernels::generic::mat_mul::begin;
use crate::kernels::linked::{Linked, Variant};
use crate::kernels::params::{MatMul, Run};

/// Rows at a time, where the right operand is as it is.
const ROWS: usize = 4;
/// Columns of a vector.
const COLUMNS: usize = 4;

/// Whether the kernels here do the product; others are left to the portable ones.
pub(super) fn suits<L: Linked>(op: &MatMul) -> bool {
    !L::VARIANTS.has(Variant::RhsPlain) || op.rhs_transposed || op.columns >= COLUMNS
}

pub(super) fn mat_mul<L: Linked>(op: &MatMul, lhs: &[i8], rhs: &[i8], output: &mut [i8], rows: Range<usize>) {
    for run in op.runs(rows) {
        let left = |i: usize| {
            let start = op.lhs.row(run.matrix, run.row.wrapping_add(i.min(run.count.wrapping_sub(1))));
            lhs.get(start..).and_then(|lhs| lhs.get(..op.inner))
        };
        let right = rhs.get(op.rhs.row(run.matrix, 0)..).unwrap_or(&[]);
        let (right_rows, right_len) =
            if op.rhs_transposed { (op.columns, op.inner) } else { (op.inner, op.columns) };
        // The end of the last row.
        let end = right_rows.saturating_sub(1).wrapping_mul(op.rhs.row_stride).wrapping_add(right_len);
        if right.len() < end {
            return;
        }
        if op.rhs_transposed && L::VARIANTS.has(Variant::RhsTransposed) {
            for i in (0..run.count).step_by(2) {
                let (Some(first), Some(second)) = (left(i), left(i.wrapping_add(1))) else { return };
                by_rows(op, [first, second], right, output, &run, i);
            }
        } else if !op.rhs_transposed && L::VARIANTS.has(Variant::RhsPlain) {
            for i in (0..run.count).step_by(ROWS) {
                let rows = [0, 1, 2, 3].map(|row: usize| left(i.wrapping_add(row)));
                let [Some(a), Some(b), Some(c), Some(d)] = rows else { return };
                by_columns(op, [a, b, c, d], right, output, &run, i);
            }
        }
    }
}

/// Stores sums of neighbouring columns of row `i` of a run, if it has that row: of each the products, and the sum of the
/// column.
fn store<const N: usize>(
    op: &MatMul,
    output: &mut [i8],
    run: &Run,
    (i, column): (usize, usize),
    begin: i32,
    sums: [(i32, i32); N],
) {
    if i >= run.count {
        return;
    }
    let row = i.wrapping_mul(run.step).wrapping_add(run.place).wrapping_mul(op.columns);
    let row = output.get_mut(row..).and_then(|output| output.get_mut(..op.columns)).unwrap_or(&mut []);
    for (element, (products, sum)) in row.iter_mut().skip(column).zip(sums) {
        let less = sum.wrapping_mul(op.lhs_zero_point.into());
        *element = op.finish(products.wrapping_sub(less).wrapping_add(begin));
    }
}

/// What [`multiply_rows`] works on.
#[repr(C)]
struct Pairs {
    left: [*const i8; 2],
    right: [*const i8; 2],
    inner: usize,
    /// Row by row.
    products: [i32; 4],
    columns: [i32; 2],
}

/// Rows `i` and `i + 1` of a run by all rows of a transposed right matrix.
fn by_rows(op: &MatMul, left: [&[i8]; 2], right: &[i8], output: &mut [i8], run: &Run, i: usize) {
    let begins = left.map(|left| begin(op, left));
    let column = |j: usize| right.as_ptr().wrapping_add(j.wrapping_mul(op.rhs.row_stride));
    for j in (0..op.columns).step_by(2) {
        let second = j.wrapping_add(1).min(op.columns.wrapping_sub(1));
        let mut block = Pairs {
            left: left.map(<[i8]>::as_ptr),
            right: [column(j), column(second)],
            inner: op.inner,
            products: [0; 4],
            columns: [0; 2],
        };
        // SAFETY: reads `inner` elements of both rows, which have as many, and of two rows of `right`: that these are
        // there was checked by the caller.
        unsafe { multiply_rows(&mut block) };
        let ([a0, a1, b0, b1], [c0, c1]) = (block.products, block.columns);
        store(op, output, run, (i, j), begins[0], [(a0, c0), (a1, c1)]);
        store(op, output, run, (i.wrapping_add(1), j), begins[1], [(b0, c0), (b1, c1)]);
    }
}

#[unsafe(naked)]
unsafe extern "C" fn multiply_rows(block: &mut Pairs) {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        "mov r11, r0",
        "ldrd r1, r3, [r11]",
        "ldrd r5, r7, [r11, #8]",
        "ldr r9, [r11, #16]",
        "mov r0, #0",
        "mov r2, #0",
        "mov r4, #0",
        "mov r6, #0",
        "mov r8, #0",
        "mov r10, #0",
        "wlstp.8 lr, r9, 3f",
        "2:",
        "vldrb.u8 q0, [r1], #16",
        "vldrb.u8 q1, [r5], #16",
        "vmlava.s8 r0, q0, q1",
        "vldrb.u8 q2, [r7], #16",
        "vaddva.s8 r8, q1",
        "vldrb.u8 q3, [r3], #16",
        "vmlava.s8 r2, q0, q2",
        "vmlava.s8 r4, q3, q1",
        "vaddva.s8 r10, q2",
        "vmlava.s8 r6, q3, q2",
        "letp lr, 2b",
        "3:",
        "strd r0, r2, [r11, #{products}]",
        "strd r4, r6, [r11, #{products} + 8]",
        "strd r8, r10, [r11, #{columns}]",
        "pop {{r4-r11, pc}}",
        products = const offset_of!(Pairs, products),
        columns = const offset_of!(Pairs, columns),
    )
}

/// What [`multiply_columns`] works on.
#[repr(C)]
struct Tile {
    left: [*const i8; ROWS],
    right: *const i8,
    stride: usize,
    inner: usize,
    products: [[i32; COLUMNS]; ROWS],
    columns: [i32; COLUMNS],
}

/// Rows `i` to `i + 3` of a run by all columns of a right matrix.
fn by_columns(op: &MatMul, left: [&[i8]; ROWS], right: &[i8], output: &mut [i8], run: &Run, i: usize) {
    let begins = left.map(|left| begin(op, left));
    let mut done = 0usize;
    while done < op.columns {
        // The last columns together with some that are done.
        let j = done.min(op.columns.wrapping_sub(COLUMNS));
        let mut tile = Tile {
            left: left.map(<[i8]>::as_ptr),
            right: right.as_ptr().wrapping_add(j),
            stride: op.rhs.row_stride,
            inner: op.inner,
            products: [[0; COLUMNS]; ROWS],
            columns: [0; COLUMNS],
        };
        // SAFETY: reads `inner` elements of each row, which have as many, and four elements from column `j` on, which
        // is at most `columns - 4`, of `inner` rows of `right`: that these are there was checked by the caller.
        unsafe { multiply_columns(&mut tile) };
        for (row, (products, begin)) in tile.products.into_iter().zip(begins).enumerate() {
            let ([a, b, c, d], [p, q, r, s]) = (products, tile.columns);
            let sums = [(a, p), (b, q), (c, r), (d, s)];
            store(op, output, run, (i.wrapping_add(row), j), begin, sums);
        }
        done = j.wrapping_add(COLUMNS);
    }
}

#[unsafe(naked)]
unsafe extern "C" fn multiply_columns(tile: &mut Tile) {
    naked_asm!(
        processor!(),
        "push {{r4-r10, lr}}",
        "vpush {{d8-d11}}",
        "ldm r0, {{r1-r7}}",
        "vmov.i32 q1, #0",
        "vmov.i32 q2, #0",
        "vmov.i32 q3, #0",
        "vmov.i32 q4, #0",
        "vmov.i32 q5, #0",
        "wls lr, r7, 3f",
        "2:",
        "vldrb.s32 q0, [r5]",
        "add r5, r5, r6",
        "ldrsb r7, [r1], #1",
        "ldrsb r8, [r2], #1",
        "vmla.i32 q1, q0, r7",
        "ldrsb r9, [r3], #1",
        "vmla.i32 q2, q0, r8",
        "ldrsb r10, [r4], #1",
        "vmla.i32 q3, q0, r9",
        "vadd.i32 q5, q5, q0",
        "vmla.i32 q4, q0, r10",
        "le lr, 2b",
        "3:",
        "add r0, r0, #{products}",
        "vstrw.32 q1, [r0]",
        "vstrw.32 q2, [r0, #16]",
        "vstrw.32 q3, [r0, #32]",
        "vstrw.32 q4, [r0, #48]",
        "vstrw.32 q5, [r0, #64]",
        "vpop {{d8-d11}}",
        "pop {{r4-r10, pc}}",
        products = const offset_of!(Tile, products),
    )
}
