//! 3×3 convolution with stride 1 by Winograd's F(2×2, 3×3): two output tiles of 2×2 pixels at a time, by four output
//! channels.
//!
//! The inputs of two tiles are transformed once for all output channels, to 16 places of 16-bit numbers: sums of four
//! int8. The products of one place are sums over the input channels, as in a 1×1 convolution; what the places add up to
//! is four times the direct sum, exactly (wrapping additions in 32 bits, the result being below 2^31). The order of the
//! places is that of [`packing::winograd`](crate::kernels::packing).
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::mem::offset_of;
use core::ops::Range;

use super::clamp::clamp;
use super::memory::fill;
use super::scratch::{LIST_BYTES, SUMS_BYTES, winograd_columns_len, winograd_scratch_len};
use crate::kernels::params::Conv2d;

/// Rows and columns of the inputs under two tiles side by side.
const ROWS: usize = 4;
const COLUMNS: usize = 6;
/// Bytes between the transformed inputs of two words of channels, and from a place to the next.
const WORD_BYTES: usize = 128;
const PLACE_BYTES: usize = 8;
/// Words of channels in one pass of the loop of [`multiply_tiles`].
const UNROLLED: usize = 8;

/// What [`multiply_tiles`] works on. All but the last two fields are copied to its stack.
#[repr(C)]
struct Tiles {
    columns: *const i8,
    columns_end: *const i8,
    sums: *mut i8,
    bias: *const i32,
    multipliers: *const i32,
    zero_point: i32,
    /// Where channel 0 of each pixel is stored, tile by tile, row by row.
    outputs: [*mut i8; 8],
    /// From channel 0 of a pixel to the channel at work.
    c_offset: usize,
    c_stride: usize,
    weights_end: *const i8,
    weights: *const i8,
}

pub(super) fn conv_2d(
    op: &Conv2d<'_>,
    input: &[i8],
    output: &mut [i8],
    rows: Range<usize>,
    scratch: &mut [i8],
) {
    let (from, to) = (op.input.extent, op.output.extent);
    let r = &op.requantize;
    let fits = op.weights.len() >= op.weights_len()
        && op.weights.as_ptr().align_offset(4) == 0
        && op.bias.len() >= to.c
        && r.multipliers.len() >= to.c
        && input.len() >= from.len()
        && output.len() >= rows.len() * to.row_len()
        && scratch.len() >= winograd_scratch_len(op)
        && scratch.as_ptr().align_offset(4) == 0;
    // As many channels as the loops take at a time.
    let whole = to.c.is_multiple_of(4) && from.c.is_multiple_of(16);
    if !fits || !whole || to.w == 0 || from.c == 0 {
        return;
    }
    let Some((columns, rest)) = scratch.split_at_mut_checked(winograd_columns_len(op)) else { return };
    let Some((sums, rest)) = rest.split_at_mut_checked(SUMS_BYTES) else { return };
    let Some((list, rest)) = rest.split_at_mut_checked(LIST_BYTES) else { return };
    let padding = rest.get_mut(..from.c).unwrap_or_default();
    fill(padding, op.input_zero_point);
    let list: *mut *const i8 = list.as_mut_ptr().cast();
    let columns_end = columns.as_ptr().wrapping_add(columns.len());
    let columns = columns.as_mut_ptr();
    let mut tiles = Tiles {
        columns,
        columns_end,
        sums: sums.as_mut_ptr(),
        bias: op.bias.as_ptr(),
        multipliers: r.multipliers.as_ptr(),
        zero_point: r.zero_point.into(),
        outputs: [output.as_mut_ptr(); 8],
        c_offset: 0,
        c_stride: op.output.c_stride(),
        weights_end: op.weights.as_ptr().wrapping_add(op.weights_len()),
        weights: op.weights.as_ptr(),
    };
    let (w_stride, row_len) = (op.output.w_stride(), to.row_len());
    let mut row_start = output.as_mut_ptr();
    let mut y = rows.start;
    while y < rows.end {
        // A row or column that is not there is stored to the one before it, and overwritten by that.
        let next_row = if y + 1 < rows.end { row_len } else { 0 };
        let mut x = 0;
        while x < to.w {
            for (i, place) in tiles.outputs.iter_mut().enumerate() {
                let (tile, row, column) = (i / 4, i / 2 % 2, i % 2);
                let mut at = x + 2 * tile + column;
                if at >= to.w {
                    // Where the second tile has no column, it is the first one's.
                    at = if x + 2 * tile < to.w { at - 1 } else { (x + column).min(to.w - 1) };
                }
                *place = row_start.wrapping_add(at * w_stride + row * next_row);
            }
            list_inputs(op, input, padding.as_ptr(), (y, x), list);
            // SAFETY: the channels of 24 inputs, `c` elements each, for whose transforms the columns have room; whole
            // blocks of four output channels with their weights, biases and multipliers; eight pixels of the output.
            unsafe {
                transform(list, columns, from.c);
                multiply_tiles(&tiles);
            }
            x += 4;
        }
        row_start = row_start.wrapping_add(2 * row_len);
        y += 2;
    }
    clamp(output.get_mut(..rows.len() * row_len).unwrap_or(&mut []), r);
}

/// Writes down where channel 0 of each input of two tiles lies; `padding` for inputs outside.
#[inline(never)]
fn list_inputs(
    op: &Conv2d<'_>,
    input: &[i8],
    padding: *const i8,
    (y, x): (usize, usize),
    mut place: *mut *const i8,
) {
    let extent = op.input.extent;
    let top = y.wrapping_sub(op.window.pad_top);
    let left = x.wrapping_sub(op.window.pad_left);
    for row in 0..ROWS {
        let iy = top.wrapping_add(row);
        let line = input.as_ptr().wrapping_add(iy.wrapping_mul(extent.row_len()));
        for column in 0..COLUMNS {
            let ix = left.wrapping_add(column);
            let inside = iy < extent.h && ix < extent.w;
            // SAFETY: the list has a place for each of the inputs.
            unsafe { *place = if inside { line.wrapping_add(ix * extent.c) } else { padding } };
            place = place.wrapping_add(1);
        }
    }
}

/// Transforms the inputs of two tiles, four channels at a time: first each row, into a table on the stack, then each
/// column of that.
#[unsafe(naked)]
unsafe extern "C" fn transform(list: *const *const i8, columns: *mut i8, c: usize) {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        "sub sp, sp, #132",
        "str r2, [sp, #128]",
        "mov r12, #0",
        "2:",
        ".irp turn, 0, 8",
        "mov lr, sp",
        "3:",
        "ldm r0!, {{r4-r9}}",
        "ldr r4, [r4, r12]",
        "ldr r5, [r5, r12]",
        "ldr r6, [r6, r12]",
        "ldr r7, [r7, r12]",
        "ldr r8, [r8, r12]",
        "ldr r9, [r9, r12]",
        "sxtb16 r4, r4, ror #\\turn",
        "sxtb16 r5, r5, ror #\\turn",
        "sxtb16 r6, r6, ror #\\turn",
        "sxtb16 r7, r7, ror #\\turn",
        "sxtb16 r8, r8, ror #\\turn",
        "sxtb16 r9, r9, ror #\\turn",
        // Columns 0 and 1 of both tiles, then columns 2 and 3.
        "ssub16 r3, r4, r6",
        "ssub16 r4, r6, r8",
        "sadd16 r10, r5, r6",
        "sadd16 r11, r7, r8",
        "stm lr!, {{r3, r4, r10, r11}}",
        "ssub16 r3, r6, r5",
        "ssub16 r4, r8, r7",
        "ssub16 r10, r5, r7",
        "ssub16 r11, r7, r9",
        "stm lr!, {{r3, r4, r10, r11}}",
        "add r3, sp, #128",
        "cmp lr, r3",
        "bne 3b",
        "sub r0, r0, #{list}",
        ".irp column, 0, 8, 16, 24",
        "ldrd r4, r5, [sp, #\\column]",
        "ldrd r6, r7, [sp, #\\column + 32]",
        "ldrd r8, r9, [sp, #\\column + 64]",
        "ldrd r10, r11, [sp, #\\column + 96]",
        "sadd16 r3, r6, r8",
        "sadd16 lr, r7, r9",
        "strd r3, lr, [r1], #8",
        "ssub16 r3, r8, r6",
        "ssub16 lr, r9, r7",
        "strd r3, lr, [r1], #8",
        "ssub16 r4, r4, r8",
        "ssub16 r5, r5, r9",
        "strd r4, r5, [r1], #8",
        "ssub16 r6, r6, r10",
        "ssub16 r7, r7, r11",
        "strd r6, r7, [r1], #8",
        ".endr",
        ".endr",
        "ldr r2, [sp, #128]",
        "add r12, r12, #4",
        "cmp r12, r2",
        "blo.w 2b",
        "add sp, sp, #132",
        "pop {{r4-r11, pc}}",
        list = const LIST_BYTES,
    )
}

/// Products of two tiles with all channels, added up, requantized and stored.
///
/// r4 to r11 are sums of one place: of four channels, each for both tiles.
#[unsafe(naked)]
unsafe extern "C" fn multiply_tiles(tiles: *const Tiles) {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        // Fields up to the end of the weights, then: inputs of the place at work, where to go on.
        "sub sp, sp, #{frame}",
        "mov r12, sp",
        ".rept 4",
        "ldm r0!, {{r1-r4}}",
        "stm r12!, {{r1-r4}}",
        ".endr",
        "ldm r0, {{r1, r2}}",
        "str r1, [r12]",
        "mov r12, r2",
        "2:",
        "ldr r0, [sp, #{columns}]",
        "ldr r1, [sp, #{sums}]",
        "str r0, [sp, #{place}]",
        "add r1, r1, #32",
        "str r1, [sp, #{column}]",
        // One column: rows 1 and 2, of which sum and difference go on with rows 0 and 3.
        "4:",
        "adr.w r0, 5f",
        "b.w 20f",
        ".p2align 2",
        "5:",
        "ldr r0, [sp, #{sums}]",
        "stm r0, {{r4-r11}}",
        "adr.w r0, 6f",
        "b.w 20f",
        ".p2align 2",
        "6:",
        "ldr r0, [sp, #{sums}]",
        "ldrd r1, r2, [r0]",
        "sub r3, r1, r4",
        "add r4, r1, r4",
        "sub lr, r2, r5",
        "add r5, r2, r5",
        "strd r3, lr, [r0], #8",
        "ldrd r1, r2, [r0]",
        "sub r3, r1, r6",
        "add r6, r1, r6",
        "sub lr, r2, r7",
        "add r7, r2, r7",
        "strd r3, lr, [r0], #8",
        "ldrd r1, r2, [r0]",
        "sub r3, r1, r8",
        "add r8, r1, r8",
        "sub lr, r2, r9",
        "add r9, r2, r9",
        "strd r3, lr, [r0], #8",
        "ldrd r1, r2, [r0]",
        "sub r3, r1, r10",
        "add r10, r1, r10",
        "sub lr, r2, r11",
        "add r11, r2, r11",
        "strd r3, lr, [r0]",
        "adr.w r0, 7f",
        "b.w 21f",
        ".p2align 2",
        "7:",
        "ldr r0, [sp, #{column}]",
        "stm r0!, {{r4-r11}}",
        "str r0, [sp, #{column}]",
        "ldr r0, [sp, #{sums}]",
        "ldm r0, {{r4-r11}}",
        "adr.w r0, 8f",
        "b.w 21f",
        ".p2align 2",
        "8:",
        "ldr r0, [sp, #{column}]",
        "stm r0!, {{r4-r11}}",
        "str r0, [sp, #{column}]",
        "ldr r1, [sp, #{sums}]",
        "add r1, r1, #{sums_len}",
        "cmp r0, r1",
        "bne.w 4b",
        // The tiles: of each channel the second one first, since it may lie where the first one does.
        "sub r0, r0, #{sums_len}",
        "9:",
        "ldr r4, [sp, #{bias}]",
        "ldr r5, [sp, #{multipliers}]",
        "ldr r1, [r4], #4",
        "ldr r2, [r5], #4",
        "strd r4, r5, [sp, #{bias}]",
        "ldr r3, [sp, #{zero_point}]",
        "lsl r2, r2, #1",
        "ldr lr, [sp, #{c_offset}]",
        ".irp tile, 1, 0",
        "ldr r4, [r0, #32 + 4 * \\tile]",
        "ldr r5, [r0, #96 + 4 * \\tile]",
        "ldr r6, [r0, #160 + 4 * \\tile]",
        "ldr r7, [r0, #224 + 4 * \\tile]",
        "ldr r8, [r0, #64 + 4 * \\tile]",
        "ldr r9, [r0, #128 + 4 * \\tile]",
        "ldr r10, [r0, #192 + 4 * \\tile]",
        "ldr r11, [r0, #256 + 4 * \\tile]",
        "add r4, r4, r5",
        "sub r5, r5, r6",
        "add r8, r8, r9",
        "sub r9, r9, r10",
        "add r4, r4, r6",
        "sub r5, r5, r7",
        "add r8, r8, r10",
        "sub r9, r9, r11",
        "add r4, r1, r4, asr #2",
        "add r5, r1, r5, asr #2",
        "add r8, r1, r8, asr #2",
        "add r9, r1, r9, asr #2",
        "smmlar r4, r4, r2, r3",
        "smmlar r5, r5, r2, r3",
        "smmlar r8, r8, r2, r3",
        "smmlar r9, r9, r2, r3",
        "ldrd r6, r7, [sp, #{outputs} + 16 * \\tile]",
        "ldrd r10, r11, [sp, #{outputs} + 16 * \\tile + 8]",
        "ssat r4, #8, r4",
        "ssat r5, #8, r5",
        "ssat r8, #8, r8",
        "ssat r9, #8, r9",
        "strb r9, [r11, lr]",
        "strb r8, [r10, lr]",
        "strb r5, [r7, lr]",
        "strb r4, [r6, lr]",
        ".endr",
        "ldr r4, [sp, #{c_stride}]",
        "ldr r1, [sp, #{sums}]",
        "add lr, lr, r4",
        "str lr, [sp, #{c_offset}]",
        "add r0, r0, #8",
        "add r1, r1, #32",
        "cmp r0, r1",
        "bne.w 9b",
        "ldr r0, [sp, #{weights_end}]",
        "cmp r12, r0",
        "bne.w 2b",
        "add sp, sp, #{frame}",
        "pop {{r4-r11, pc}}",
        // The sums of a place, from zero on (20) or from what they are (21); then on at r0.
        "20:",
        "ldr lr, [sp, #{place}]",
        "add r0, r0, #1",
        "add r1, lr, #{place_bytes}",
        "strd r1, r0, [sp, #{place}]",
        "ldrd r0, r1, [r12], #8",
        "ldrd r2, r3, [lr], #{word}",
        "smuad r4, r0, r2",
        "smuad r5, r0, r3",
        "smuad r6, r1, r2",
        "smuad r7, r1, r3",
        "ldrd r0, r1, [r12], #8",
        "smuad r8, r0, r2",
        "smuad r9, r0, r3",
        "smuad r10, r1, r2",
        "smuad r11, r1, r3",
        "b.w 23f",
        "21:",
        "ldr lr, [sp, #{place}]",
        "add r0, r0, #1",
        "add r1, lr, #{place_bytes}",
        "strd r1, r0, [sp, #{place}]",
        "22:",
        "ldrd r0, r1, [r12], #8",
        "ldrd r2, r3, [lr], #{word}",
        "smlad r4, r0, r2, r4",
        "smlad r5, r0, r3, r5",
        "smlad r6, r1, r2, r6",
        "smlad r7, r1, r3, r7",
        "ldrd r0, r1, [r12], #8",
        "smlad r8, r0, r2, r8",
        "smlad r9, r0, r3, r9",
        "smlad r10, r1, r2, r10",
        "smlad r11, r1, r3, r11",
        "23:",
        ".rept {unrolled} - 1",
        "ldrd r0, r1, [r12], #8",
        "ldrd r2, r3, [lr], #{word}",
        "smlad r4, r0, r2, r4",
        "smlad r5, r0, r3, r5",
        "smlad r6, r1, r2, r6",
        "smlad r7, r1, r3, r7",
        "ldrd r0, r1, [r12], #8",
        "smlad r8, r0, r2, r8",
        "smlad r9, r0, r3, r9",
        "smlad r10, r1, r2, r10",
        "smlad r11, r1, r3, r11",
        ".endr",
        "ldr r0, [sp, #{columns_end}]",
        "cmp lr, r0",
        "blo.w 22b",
        "ldr pc, [sp, #{next}]",
        frame = const FRAME,
        columns = const offset_of!(Tiles, columns),
        columns_end = const offset_of!(Tiles, columns_end),
        sums = const offset_of!(Tiles, sums),
        bias = const offset_of!(Tiles, bias),
        multipliers = const offset_of!(Tiles, multipliers),
        zero_point = const offset_of!(Tiles, zero_point),
        outputs = const offset_of!(Tiles, outputs),
        c_offset = const offset_of!(Tiles, c_offset),
        c_stride = const offset_of!(Tiles, c_stride),
        weights_end = const offset_of!(Tiles, weights_end),
        column = const COLUMN,
        place = const COLUMN + 4,
        next = const COLUMN + 8,
        sums_len = const SUMS_BYTES,
        place_bytes = const PLACE_BYTES,
        word = const WORD_BYTES,
        unrolled = const UNROLLED,
    )
}

/// On the stack of [`multiply_tiles`], behind the fields: where the sums of a column go, the inputs of the next place,
/// where to go on; and the bytes of all.
const COLUMN: usize = offset_of!(Tiles, weights);
const FRAME: usize = COLUMN + 16;
