//! 3×3 depthwise convolution with stride 1: two output rows at a time, a channel's weights in registers.
//!
//! Four channels are taken at a time. Their inputs under two output rows are four rows; each column of these is expanded
//! once to pairs of 16-bit numbers, the rows 0 and 1, and the rows 2 and 3. With the weights of a filter column as the
//! pairs `a = (w0, w1)` and `b = (w1, w2)`, a column gives the first output row `a * (0, 1) + w2 * 2` and the second
//! `w0 * 1 + b * (2, 3)`: four multiplications for six products, and no weight is loaded twice along a row.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::mem::offset_of;
use core::ops::Range;

use super::memory::{fill, fill_words};
use super::scratch::{self, COLUMN_BYTES, PARAMETERS_BYTES};
use crate::kernels::params::DepthwiseConv2d;

/// Bytes of the packed weights of four channels.
const WEIGHTS_BYTES: usize = 36;

/// What [`row_pair`] works on.
#[repr(C)]
struct RowPair {
    /// Four input rows.
    rows: *const *const i8,
    /// Where the first column that is not padding is expanded to.
    inside: *mut i8,
    /// Columns that are not padding.
    count: usize,
    c: usize,
    /// From the beginning of a row to the channels at work.
    offset: usize,
    columns: *const i8,
    output: *mut i8,
    columns_end: *const i8,
    parameters_end: *const i8,
    zero_point: i32,
    parameters: *const i8,
    /// From the first output row to the second; 0 where there is no second.
    next_row: usize,
}

/// Output rows `rows`; the caller checked all lengths.
pub(super) fn row_pairs(
    op: &DepthwiseConv2d<'_>,
    input: &[i8],
    output: &mut [i8],
    rows: Range<usize>,
    scratch: &mut [i8],
) {
    let (window, from, to) = (&op.window, op.input.extent, op.output.extent);
    let Some((parameters, rest)) = scratch.split_at_mut_checked(PARAMETERS_BYTES) else { return };
    let Some((columns, rest)) = rest.split_at_mut_checked(scratch::columns_of_rows_len(op)) else { return };
    let Some((padding, list)) = rest.split_at_mut_checked(scratch::padding_row_len(op)) else { return };
    fill(padding, op.input_zero_point);
    let list: *mut *const i8 = list.as_mut_ptr().cast();
    let mut place = list;
    for y in rows.start..rows.end + 3 {
        let row = match y.checked_sub(window.pad_top) {
            Some(y) if y < from.h => input.as_ptr().wrapping_add(y * from.row_len()),
            _ => padding.as_ptr(),
        };
        // SAFETY: the list has room for the rows of the output and three more.
        unsafe { *place = row };
        place = place.wrapping_add(1);
    }
    let left = (window.pad_left * COLUMN_BYTES).min(columns.len());
    let inside = (columns.len() - left).min(from.w * COLUMN_BYTES);
    // Columns of padding stay what they are: pairs of the same 16-bit number.
    let zero_point = u32::from(i16::from(op.input_zero_point) as u16) * 0x1_0001;
    // SAFETY: writes the bytes of the slice.
    unsafe { fill_words(columns.as_mut_ptr(), columns.len(), zero_point) };
    let columns = columns.as_mut_ptr();
    let mut pair = RowPair {
        rows: list,
        inside: columns.wrapping_add(left),
        count: inside / COLUMN_BYTES,
        c: to.c,
        offset: 0,
        columns,
        output: output.as_mut_ptr(),
        columns_end: columns.wrapping_add(to.w * COLUMN_BYTES),
        parameters_end: parameters.as_ptr().wrapping_add(PARAMETERS_BYTES),
        zero_point: op.requantize.zero_point.into(),
        parameters: parameters.as_ptr(),
        next_row: 0,
    };
    while pair.offset < to.c {
        let weights = op.weights.as_ptr().wrapping_add(pair.offset / 4 * WEIGHTS_BYTES);
        let bias = op.bias.as_ptr().wrapping_add(pair.offset);
        let multipliers = op.requantize.multipliers.as_ptr().wrapping_add(pair.offset);
        // SAFETY: the weights, biases and multipliers of four channels, and room for their parameters.
        unsafe { lay_out(weights, bias, multipliers, parameters.as_mut_ptr()) };
        pair.rows = list;
        pair.output = output.as_mut_ptr().wrapping_add(pair.offset);
        let mut left = rows.len();
        while left > 0 {
            pair.next_row = if left > 1 { to.row_len() } else { 0 };
            // Where there is no second row, the fourth input row is not there either: any other does.
            if left == 1 {
                // SAFETY: the list has four rows from here on; the third of them was written.
                unsafe { *pair.rows.cast_mut().add(3) = *pair.rows.add(2) };
            }
            // SAFETY: four input rows of `count` columns and more, columns for the width of the output and two more, the
            // parameters of four channels, and these channels in one or two rows of the output.
            unsafe { row_pair(&pair) };
            pair.rows = pair.rows.wrapping_add(2);
            pair.output = pair.output.wrapping_add(2 * to.row_len());
            left = left.saturating_sub(2);
        }
        pair.offset += 4;
    }
}

/// Lays out the parameters of four channels: for each the weights as pairs `a` and `b` of the three filter columns, the
/// bias, and the multiplier, doubled.
#[unsafe(naked)]
unsafe extern "C" fn lay_out(
    weights: *const i8,
    bias: *const i32,
    multipliers: *const i32,
    parameters: *mut i8,
) {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        "sub sp, sp, #12",
        "mov r12, #2",
        "ldr lr, [r0, #32]",
        "2:",
        "strd r12, lr, [sp]",
        "ldr r4, [r0]",
        "ldr r5, [r0, #8]",
        "ldr r6, [r0, #16]",
        "ldr r7, [r0, #24]",
        ".irp turn, 0, 8",
        "sxtb16 r8, r4, ror #\\turn",
        "sxtb16 r9, r5, ror #\\turn",
        "sxtb16 r10, r6, ror #\\turn",
        "sxtb16 r11, r7, ror #\\turn",
        "pkhbt r12, r8, r9",
        "asr r8, r8, #16",
        "pkhbt lr, r8, r10, lsl #16",
        "strd r12, lr, [r3], #8",
        "pkhbt r12, r9, r10",
        "asr r9, r9, #16",
        "pkhbt lr, r9, r11, lsl #16",
        "strd r12, lr, [r3], #8",
        "ldr r8, [sp, #4]",
        "pkhbt r12, r10, r11",
        "asr r10, r10, #16",
        "sxtb r8, r8, ror #\\turn",
        "pkhbt lr, r10, r8, lsl #16",
        "strd r12, lr, [r3], #8",
        "ldr r12, [r1], #4",
        "ldr lr, [r2], #4",
        "lsl lr, lr, #1",
        "strd r12, lr, [r3], #8",
        ".endr",
        // The other two channels: the second word of each pair of taps, and the upper half of the last tap's.
        "ldrd r12, lr, [sp]",
        "add r0, r0, #4",
        "ror lr, lr, #16",
        "subs r12, r12, #1",
        "bne 2b",
        "add sp, sp, #12",
        "pop {{r4-r11, pc}}",
    )
}

/// Two rows of four channels.
#[unsafe(naked)]
unsafe extern "C" fn row_pair(pair: *const RowPair) {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        "sub sp, sp, #36",
        "str r0, [sp, #32]",
        "ldr r12, [r0, #{offset}]",
        "ldm r0, {{r0-r3}}",
        "ldm r0, {{r4-r7}}",
        "cbz r2, 3f",
        "2:",
        "ldr r8, [r4, r12]",
        "ldr r9, [r5, r12]",
        "ldr r10, [r6, r12]",
        "ldr r11, [r7, r12]",
        "add r12, r12, r3",
        "pkhbt r0, r8, r9, lsl #16",
        "pkhtb r8, r9, r8, asr #16",
        "pkhbt r9, r10, r11, lsl #16",
        "pkhtb r10, r11, r10, asr #16",
        "sxtb16 r11, r0, ror #8",
        "sxtb16 r0, r0",
        "sxtb16 lr, r9, ror #8",
        "sxtb16 r9, r9",
        "stm r1!, {{r0, r9, r11, lr}}",
        "sxtb16 r0, r8",
        "sxtb16 r9, r10",
        "sxtb16 r11, r8, ror #8",
        "sxtb16 lr, r10, ror #8",
        "stm r1!, {{r0, r9, r11, lr}}",
        "subs r2, r2, #1",
        "bne 2b",
        "3:",
        "ldr r0, [sp, #32]",
        "ldr lr, [r0, #{c}]",
        "add r1, r0, #{columns}",
        // Columns, output, their end, the end of the parameters; the zero point.
        "ldm r1!, {{r4-r8}}",
        "add r2, sp, #16",
        "stm r2, {{r4-r7}}",
        "str r8, [sp, #12]",
        "ldrd r0, r12, [r0, #{parameters}]",
        "3:",
        "ldm r0!, {{r4-r11}}",
        // The parameters of the next channel, the bias, the multiplier, and behind it the zero point.
        "stm sp, {{r0, r10, r11}}",
        "ldrd r2, r3, [sp, #16]",
        "add r0, r2, #8",
        "add r1, r3, #1",
        "strd r0, r1, [sp, #16]",
        "2:",
        "ldr r11, [sp, #4]",
        "ldrd r0, r1, [r2], #32",
        "smlad r10, r4, r0, r11",
        "smlatb r11, r0, r4, r11",
        "smlabt r10, r1, r7, r10",
        "smlad r11, r7, r1, r11",
        "ldrd r0, r1, [r2]",
        "smlad r10, r5, r0, r10",
        "smlatb r11, r0, r5, r11",
        "smlabt r10, r1, r8, r10",
        "smlad r11, r8, r1, r11",
        "ldrd r0, r1, [r2, #32]",
        "smlad r10, r6, r0, r10",
        "smlatb r11, r0, r6, r11",
        "smlabt r10, r1, r9, r10",
        "smlad r11, r9, r1, r11",
        "ldrd r0, r1, [sp, #8]",
        "smmlar r10, r10, r0, r1",
        "smmlar r11, r11, r0, r1",
        "ldr r0, [sp, #24]",
        "ssat r10, #8, r10",
        "ssat r11, #8, r11",
        // Where there is no second row, what the first has overwrites it.
        "strb r11, [r3, r12]",
        "strb r10, [r3]",
        "add r3, r3, lr",
        "cmp r2, r0",
        // The end of channel 0: each channel passes it with its last column.
        "blo 2b",
        "ldr r0, [sp]",
        "ldr r1, [sp, #28]",
        "cmp r0, r1",
        "bne 3b",
        "add sp, sp, #36",
        "pop {{r4-r11, pc}}",
        offset = const offset_of!(RowPair, offset),
        c = const offset_of!(RowPair, c),
        columns = const offset_of!(RowPair, columns),
        parameters = const offset_of!(RowPair, parameters),
    )
}
