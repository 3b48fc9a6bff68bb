//! Product of two stacks of matrices: four columns of a row at a time, dual multiplications.
//!
//! Four elements of a row of the left operand are expanded into two words of 16 bits each, less its zero point, and
//! multiplied with those of four columns. The right operand's zero point is taken care of once per row, as in
//! [`generic`](crate::kernels::generic).
#![allow(unsafe_code)]

use core::arch::{asm, naked_asm};
use core::mem::offset_of;
use core::ops::Range;

use crate::kernels::generic::mat_mul::begin;
use crate::kernels::linked::{Linked, Variant};
use crate::kernels::params::MatMul;

/// Columns at a time.
const COLUMNS: usize = 4;
/// Products of a column at a time.
const GROUP: usize = 4;

pub(super) fn mat_mul<L: Linked>(op: &MatMul, lhs: &[i8], rhs: &[i8], output: &mut [i8], rows: Range<usize>) {
    // The left zero point in both halves of a word.
    let zero = u32::from(i16::from(op.lhs_zero_point) as u16) * 0x1_0001;
    for run in op.runs(rows) {
        let right = rhs.get(op.rhs.row(run.matrix, 0)..).unwrap_or(&[]);
        let (right_rows, right_len) =
            if op.rhs_transposed { (op.columns, op.inner) } else { (op.inner, op.columns) };
        // The end of the last row.
        let end = right_rows.saturating_sub(1).wrapping_mul(op.rhs.row_stride).wrapping_add(right_len);
        if right.len() < end {
            return;
        }
        for i in 0..run.count {
            let start = op.lhs.row(run.matrix, run.row.wrapping_add(i));
            let Some(left) = lhs.get(start..).and_then(|lhs| lhs.get(..op.inner)) else { return };
            let place = i.wrapping_mul(run.step).wrapping_add(run.place).wrapping_mul(op.columns);
            let target = output.get_mut(place..).and_then(|output| output.get_mut(..op.columns));
            let Some(target) = target else { return };
            row::<L>(op, zero, left, right, target);
        }
    }
}

/// One row of a result, of `op.columns` elements. `left` has `op.inner` elements, `right` all rows of the right matrix.
fn row<L: Linked>(op: &MatMul, zero: u32, left: &[i8], right: &[i8], target: &mut [i8]) {
    let begin = begin(op, left);
    let mut done = 0usize;
    while done < target.len() {
        // The last columns together with some that are done; columns of a narrow matrix one by one.
        let narrow = target.len() < COLUMNS;
        let first = if narrow { done } else { done.min(target.len().wrapping_sub(COLUMNS)) };
        let mut sums = [begin; COLUMNS];
        if op.rhs_transposed && L::VARIANTS.has(Variant::RhsTransposed) {
            by_rows(op, zero, left, right, first, narrow, &mut sums);
        } else if !op.rhs_transposed && L::VARIANTS.has(Variant::RhsPlain) {
            if narrow {
                let column = right.get(first..).unwrap_or(&[]).iter().step_by(op.rhs.row_stride.max(1));
                for (&a, &b) in left.iter().zip(column) {
                    multiply_add(op, &mut sums, a, [b; COLUMNS]);
                }
            } else {
                by_columns(op, zero, left, right, first, &mut sums);
            }
        }
        let count = if narrow { 1 } else { COLUMNS };
        let places = target.get_mut(first..first.wrapping_add(count)).unwrap_or(&mut []);
        for (element, sum) in places.iter_mut().zip(sums) {
            *element = op.finish(sum);
        }
        done = first.wrapping_add(count);
    }
}

/// Adds the products of one element of the left row.
#[inline(always)]
fn multiply_add(op: &MatMul, sums: &mut [i32; COLUMNS], a: i8, b: [i8; COLUMNS]) {
    let a = i32::from(a).wrapping_sub(op.lhs_zero_point.into());
    for (sum, b) in sums.iter_mut().zip(b) {
        *sum = sum.wrapping_add(a.wrapping_mul(b.into()));
    }
}

/// What [`multiply_rows`] works on.
#[repr(C)]
struct Rows {
    left: *const i8,
    right: *const i8,
    /// Bytes from a row of the right matrix to the next, and three times as many.
    stride: usize,
    stride_3: usize,
    left_end: *const i8,
    zero: u32,
    sums: [i32; COLUMNS],
}

/// Adds the products of a row with four rows of a transposed matrix from `first` on, or four times the same one.
fn by_rows(
    op: &MatMul,
    zero: u32,
    left: &[i8],
    right: &[i8],
    first: usize,
    narrow: bool,
    sums: &mut [i32; COLUMNS],
) {
    let stride = if narrow { 0 } else { op.rhs.row_stride };
    let start = first.wrapping_mul(op.rhs.row_stride);
    let whole = left.len() / GROUP * GROUP;
    if whole > 0 {
        let mut block = Rows {
            left: left.as_ptr(),
            right: right.as_ptr().wrapping_add(start),
            stride,
            stride_3: stride.wrapping_mul(3),
            left_end: left.as_ptr().wrapping_add(whole),
            zero,
            sums: *sums,
        };
        // SAFETY: reads `whole` elements of `left`, one or more groups, and of each of four rows of `right` from row
        // `first` on, or of one: that these are all there was checked by the caller.
        unsafe { multiply_rows(&mut block) };
        *sums = block.sums;
    }
    for (k, &a) in left.iter().enumerate().skip(whole) {
        let b = [0, 1, 2, 3].map(|j: usize| {
            let at = start.wrapping_add(j.wrapping_mul(stride)).wrapping_add(k);
            right.get(at).copied().unwrap_or(0)
        });
        multiply_add(op, sums, a, b);
    }
}

/// Four sums of products of whole groups.
#[unsafe(naked)]
unsafe extern "C" fn multiply_rows(block: &mut Rows) {
    naked_asm!(
        processor!(),
        "push {{r0, r4-r11, lr}}",
        "ldm r0!, {{r1-r6}}",
        "ldm r0, {{r8-r11}}",
        "2:",
        "ldr r0, [r1], #4",
        "sxtb16 r7, r0, ror #8",
        "sxtb16 r0, r0",
        "ssub16 r7, r7, r6",
        "ssub16 r0, r0, r6",
        "ldr r12, [r2, r3]",
        "sxtb16 lr, r12",
        "smlad r9, lr, r0, r9",
        "sxtb16 r12, r12, ror #8",
        "smlad r9, r12, r7, r9",
        "ldr r12, [r2, r3, lsl #1]",
        "sxtb16 lr, r12",
        "smlad r10, lr, r0, r10",
        "sxtb16 r12, r12, ror #8",
        "smlad r10, r12, r7, r10",
        "ldr r12, [r2, r4]",
        "sxtb16 lr, r12",
        "smlad r11, lr, r0, r11",
        "sxtb16 r12, r12, ror #8",
        "smlad r11, r12, r7, r11",
        "ldr r12, [r2], #4",
        "sxtb16 lr, r12",
        "smlad r8, lr, r0, r8",
        "sxtb16 r12, r12, ror #8",
        "smlad r8, r12, r7, r8",
        "cmp r1, r5",
        "bne 2b",
        "ldr r0, [sp]",
        "add r0, r0, #{sums}",
        "stm r0, {{r8-r11}}",
        "pop {{r0, r4-r11, pc}}",
        sums = const offset_of!(Rows, sums),
    )
}

/// Adds the products of a row with four columns of a matrix from `first` on.
fn by_columns(op: &MatMul, zero: u32, left: &[i8], right: &[i8], first: usize, sums: &mut [i32; COLUMNS]) {
    let stride = op.rhs.row_stride;
    let (groups, rest) = left.as_chunks::<GROUP>();
    let mut b = right.as_ptr().wrapping_add(first);
    for group in groups {
        let a = u32::from_le_bytes(group.map(|a| a as u8));
        // SAFETY: reads four elements from column `first` on of as many rows as `left` has elements: that these are
        // all there was checked by the caller.
        let words = [0, 1, 2, 3].map(|row: usize| unsafe {
            b.wrapping_add(stride.wrapping_mul(row)).cast::<u32>().read_unaligned()
        });
        b = b.wrapping_add(stride.wrapping_mul(GROUP));
        // Rows 0 and 2 go together, and rows 1 and 3.
        let even = subtract(expand(a), zero);
        let odd = subtract(expand_odd(a), zero);
        add_pair(sums, even, words[0], words[2]);
        add_pair(sums, odd, words[1], words[3]);
    }
    let rows = right.get(first..).unwrap_or(&[]).chunks(stride.max(1)).skip(left.len() - rest.len());
    for (&a, b) in rest.iter().zip(rows) {
        let Some(b) = b.first_chunk::<COLUMNS>() else { return };
        multiply_add(op, sums, a, *b);
    }
}

/// Adds the products of two elements of the left row, in the halves of `a`, with four columns of the two rows `upper` and
/// `lower`.
#[inline(always)]
fn add_pair(sums: &mut [i32; COLUMNS], a: u32, upper: u32, lower: u32) {
    let [s0, s1, s2, s3] = sums;
    let (x, y) = (expand(upper), expand(lower));
    *s0 = dual(a, bottoms(x, y), *s0);
    *s2 = dual(a, tops(x, y), *s2);
    let (x, y) = (expand_odd(upper), expand_odd(lower));
    *s1 = dual(a, bottoms(x, y), *s1);
    *s3 = dual(a, tops(x, y), *s3);
}

/// Declares a function of one instruction.
macro_rules! instruction {
    ($(#[$doc:meta])* $name:ident($($operand:ident: $kind:ty),*) -> $result:ty, $text:literal) => {
        $(#[$doc])*
        #[inline(always)]
        fn $name($($operand: $kind),*) -> $result {
            let result: $result;
            // SAFETY: one instruction on registers.
            unsafe {
                asm!(
                    $text,
                    result = lateout(reg) result,
                    $($operand = in(reg) $operand,)*
                    options(pure, nomem, nostack),
                );
            }
            result
        }
    };
}

instruction!(
    /// Bytes 0 and 2, each in 16 bits.
    expand(x: u32) -> u32, "sxtb16 {result}, {x}"
);
instruction!(
    /// Bytes 1 and 3, each in 16 bits.
    expand_odd(x: u32) -> u32, "sxtb16 {result}, {x}, ror #8"
);
instruction!(
    /// Differences of the halves.
    subtract(x: u32, y: u32) -> u32, "ssub16 {result}, {x}, {y}"
);
instruction!(
    /// The lower halves of both.
    bottoms(x: u32, y: u32) -> u32, "pkhbt {result}, {x}, {y}, lsl #16"
);
instruction!(
    /// The upper halves of both.
    tops(x: u32, y: u32) -> u32, "pkhtb {result}, {y}, {x}, asr #16"
);
instruction!(
    /// The sum and the products of the halves.
    dual(x: u32, y: u32, sum: i32) -> i32, "smlad {result}, {x}, {y}, {sum}"
);
