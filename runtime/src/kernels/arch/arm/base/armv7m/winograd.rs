//! Winograd's scheme: transforms of inputs, their products with pairs of channels, and what these add up to.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::mem::offset_of;

use crate::kernels::arch::arm::base::scratch::{LIST_LEN, SUMS_LEN, TILE_COLUMNS};
use crate::kernels::arch::arm::base::winograd::{PIXELS, Results};

/// Input channels in a pass of the loop of [`tile_sums`].
const UNROLLED: usize = 8;
/// Bytes of a row of the table of [`transform`].
const ROW_LEN: usize = 4 * TILE_COLUMNS;

/// Transforms the inputs of four tiles, a channel at a time: first each column, into a table on the stack, then each row
/// of that, in which tiles become words.
///
/// # Safety
/// The list has 40 pointers, each to `c` inputs, and `columns` has room for three words at 16 places of `c` channels.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn transform(list: *const *const i8, columns: *mut i8, c: usize) {
    naked_asm!(
        "push {{r4-r11, lr}}",
        "sub sp, sp, #{frame}",
        // From a column of places to the next, and from the second one back to the next row of the first.
        "add r3, r2, r2, lsl #1",
        "lsl r4, r3, #4",
        "sub r5, r4, r3, lsl #2",
        "strd r4, r5, [sp, #{strides}]",
        "str r2, [sp, #{channels}]",
        "mov r12, #0",
        "2:",
        "mov lr, sp",
        "add r11, sp, #{row}",
        "3:",
        ".rept 5",
        "ldm r0!, {{r4-r7}}",
        "ldrsb r4, [r4, r12]",
        "ldrsb r5, [r5, r12]",
        "ldrsb r6, [r6, r12]",
        "ldrsb r7, [r7, r12]",
        "add r8, r5, r6",
        "sub r9, r6, r5",
        "sub r4, r4, r6",
        "sub r5, r5, r7",
        "str r9, [lr, #{row}]",
        "str r4, [lr, #2 * {row}]",
        "str r5, [lr, #3 * {row}]",
        "str r8, [lr], #4",
        ".endr",
        "cmp lr, r11",
        "bne.w 3b",
        "sub r0, r0, #{list}",
        "mov lr, sp",
        "4:",
        // Columns 0 and 2 of the tiles, packed, in r3, r8, r9 and r4, r5, r6: columns 0, 2, 4, 6, 8 of the row.
        "ldm lr!, {{r3-r7}}",
        "add r8, r4, r6, lsl #16",
        "add r9, r5, r6, lsl #8",
        "add r3, r3, r6, lsl #24",
        "add r4, r4, r7, lsl #24",
        "add r5, r5, r7, lsl #16",
        "add r6, r6, r7, lsl #8",
        "sub r3, r3, r4",
        "sub r8, r8, r5",
        "sub r9, r9, r6",
        "stm r1, {{r3, r8, r9}}",
        // Columns 1 and 3 in r3, r11, r2 and r7, r8, r9: columns 1, 3, 5, 7, 9 of the row.
        "ldm lr!, {{r3, r7-r10}}",
        "add r11, r7, r9, lsl #16",
        "add r2, r8, r9, lsl #8",
        "add r3, r3, r9, lsl #24",
        "add r7, r7, r10, lsl #24",
        "add r8, r8, r10, lsl #16",
        "add r9, r9, r10, lsl #8",
        "ldr r10, [sp, #{strides}]",
        "sub r7, r3, r7",
        "sub r8, r11, r8",
        "sub r9, r2, r9",
        "add r1, r1, r10",
        "add r1, r1, r10, lsl #1",
        "stm r1, {{r7, r8, r9}}",
        "sub r7, r4, r3",
        "sub r8, r5, r11",
        "sub r9, r6, r2",
        "sub r1, r1, r10",
        "stm r1, {{r7, r8, r9}}",
        "add r4, r4, r3",
        "add r5, r5, r11",
        "add r6, r6, r2",
        "sub r1, r1, r10",
        "ldr r10, [sp, #{strides} + 4]",
        "stm r1, {{r4, r5, r6}}",
        "add r3, sp, #{strides}",
        "sub r1, r1, r10",
        "cmp lr, r3",
        "bne.w 4b",
        "ldr r10, [sp, #{strides}]",
        "ldr r2, [sp, #{channels}]",
        "sub r1, r1, r10",
        "add r12, r12, #1",
        "add r1, r1, #12",
        "cmp r12, r2",
        "bne.w 2b",
        "add sp, sp, #{frame}",
        "pop {{r4-r11, pc}}",
        frame = const STRIDES + 12,
        strides = const STRIDES,
        channels = const STRIDES + 8,
        row = const ROW_LEN,
        list = const LIST_LEN,
    )
}

/// On the stack of [`transform`], behind the table.
const STRIDES: usize = 4 * ROW_LEN;

/// The sums of two channels of four tiles in words, for each column of places both rows of a tile. Gives the end of the
/// weights.
///
/// r4 to r6 are the words of the first, r7 to r9 those of the second channel.
///
/// # Safety
/// There are 16 places of `place_len` bytes of transformed inputs, a multiple of [`UNROLLED`] channels, as many weights of
/// two channels, and room for `SUMS_LEN` bytes.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn tile_sums(
    columns: *const i8,
    weights: *const i8,
    sums: *mut i32,
    place_len: usize,
) -> *const i8 {
    naked_asm!(
        "push {{r4-r11, lr}}",
        "sub sp, sp, #{frame}",
        "add r4, r2, #{sums_len}",
        "strd r3, r2, [sp, #{place_len}]",
        "str r4, [sp, #{sums_end}]",
        "mov lr, r0",
        "mov r12, r1",
        // One column: rows 1 and 2, of which sum and difference go on with rows 0 and 3.
        "4:",
        "adr.w r0, 5f",
        "b.w 20f",
        ".p2align 2",
        "5:",
        "stm sp, {{r4-r9}}",
        "adr.w r0, 6f",
        "b.w 20f",
        ".p2align 2",
        "6:",
        "ldm sp, {{r0-r2}}",
        "sub r3, r0, r4",
        "sub r10, r1, r5",
        "sub r11, r2, r6",
        "add r4, r0, r4",
        "add r5, r1, r5",
        "add r6, r2, r6",
        "ldrd r0, r1, [sp, #12]",
        "ldr r2, [sp, #20]",
        "stm sp, {{r3, r10, r11}}",
        "sub r3, r0, r7",
        "sub r10, r1, r8",
        "sub r11, r2, r9",
        "strd r3, r10, [sp, #12]",
        "str r11, [sp, #20]",
        "add r7, r0, r7",
        "add r8, r1, r8",
        "add r9, r2, r9",
        "adr.w r0, 7f",
        "b.w 21f",
        ".p2align 2",
        "7:",
        "ldr r0, [sp, #{place_len} + 4]",
        "stm r0!, {{r4-r9}}",
        "ldm sp, {{r4-r9}}",
        "str r0, [sp, #{place_len} + 4]",
        "adr.w r0, 8f",
        "b.w 21f",
        ".p2align 2",
        "8:",
        "ldrd r0, r1, [sp, #{place_len} + 4]",
        "stm r0!, {{r4-r9}}",
        "str r0, [sp, #{place_len} + 4]",
        "cmp r0, r1",
        "bne.w 4b",
        "mov r0, r12",
        "add sp, sp, #{frame}",
        "pop {{r4-r11, pc}}",
        // The sums of a place, from zero on (20) or from what they are (21); then on at r0.
        "20:",
        "ldr r3, [sp, #{place_len}]",
        "add r0, r0, #1",
        "str r0, [sp, #{next}]",
        "add r3, r3, lr",
        "ldrsh r10, [r12], #4",
        "ldrsh r11, [r12, #-2]",
        "ldm lr!, {{r0-r2}}",
        "mul r4, r10, r0",
        "mul r5, r10, r1",
        "mul r6, r10, r2",
        "mul r7, r11, r0",
        "mul r8, r11, r1",
        "mul r9, r11, r2",
        "b.w 23f",
        "21:",
        "ldr r3, [sp, #{place_len}]",
        "add r0, r0, #1",
        "str r0, [sp, #{next}]",
        "add r3, r3, lr",
        "22:",
        "ldrsh r10, [r12], #4",
        "ldrsh r11, [r12, #-2]",
        "ldm lr!, {{r0-r2}}",
        "mla r4, r10, r0, r4",
        "mla r5, r10, r1, r5",
        "mla r6, r10, r2, r6",
        "mla r7, r11, r0, r7",
        "mla r8, r11, r1, r8",
        "mla r9, r11, r2, r9",
        "23:",
        ".rept {unrolled} - 1",
        "ldrsh r10, [r12], #4",
        "ldrsh r11, [r12, #-2]",
        "ldm lr!, {{r0-r2}}",
        "mla r4, r10, r0, r4",
        "mla r5, r10, r1, r5",
        "mla r6, r10, r2, r6",
        "mla r7, r11, r0, r7",
        "mla r8, r11, r1, r8",
        "mla r9, r11, r2, r9",
        ".endr",
        "cmp lr, r3",
        "bne.w 22b",
        "ldr pc, [sp, #{next}]",
        frame = const DIFFERENCES + 16,
        place_len = const DIFFERENCES,
        sums_end = const DIFFERENCES + 8,
        next = const DIFFERENCES + 12,
        sums_len = const SUMS_LEN,
        unrolled = const UNROLLED,
    )
}

/// Bytes of the differences of rows 1 and 2, at the beginning of the stack of [`tile_sums`].
const DIFFERENCES: usize = 24;

/// Takes the sums of four tiles in r3, r4 and r5 apart; stores them requantized, the last tile first.
macro_rules! store {
    () => {
        "sbfx r9, r3, #0, #24
        sub r3, r3, r9
        sub r4, r4, r3, lsr #8
        sbfx r10, r4, #0, #24
        sub r4, r4, r10
        sub r5, r5, r3, lsr #16
        sub r5, r5, r4, lsr #8
        lsr r3, r3, #24
        add r3, r3, r4, lsr #16
        sbfx r4, r5, #0, #24
        sub r5, r5, r4
        add r3, r3, r5, asr #8
        add r3, r12, r3, asr #2
        smull r5, r3, r3, r11
        lsls r5, r5, #1
        adc r3, r3, lr
        add r4, r12, r4, asr #2
        smull r5, r4, r4, r11
        lsls r5, r5, #1
        adc r4, r4, lr
        add r10, r12, r10, asr #2
        smull r5, r10, r10, r11
        lsls r5, r5, #1
        adc r10, r10, lr
        add r9, r12, r9, asr #2
        smull r5, r9, r9, r11
        lsls r5, r5, #1
        adc r9, r9, lr
        ldr r5, [r1], #4
        ssat r3, #8, r3
        strb r3, [r5, r2]
        ldrd r3, r5, [r1], #8
        ssat r4, #8, r4
        ssat r10, #8, r10
        strb r4, [r3, r2]
        strb r10, [r5, r2]
        ldr r5, [r1], #4
        ssat r9, #8, r9
        strb r9, [r5, r2]
        "
    };
}

/// Adds the columns of places up, takes the sums apart, and stores them requantized: channels `c` and `c + 1`.
///
/// # Safety
/// There are `SUMS_LEN` bytes of sums, biases and multipliers of the two channels, and places for them in each pixel.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn finish(sums: *const i32, results: &Results, c: usize) {
    naked_asm!(
        "push {{r4-r11, lr}}",
        "ldr r3, [r1, #{bias}]",
        "ldr r4, [r1, #{multipliers}]",
        "ldr lr, [r1, #{zero_point}]",
        "add r3, r3, r2, lsl #2",
        "add r4, r4, r2, lsl #2",
        "ldrd r5, r6, [r3]",
        "ldrd r7, r8, [r4]",
        "mov r12, r5",
        "lsl r11, r7, #1",
        "lsl r8, r8, #1",
        // Bias and multiplier of the second channel, the end of the pixels, the channel behind.
        "add r9, r1, #{outputs_len}",
        "add r10, r2, #2",
        "push {{r6, r8, r9, r10}}",
        // The lower row.
        "add r0, r0, #24",
        "2:",
        // x0 = Y0 + Y1 + Y2 and x1 = Y1 - Y2 - Y3.
        "ldm r0, {{r6-r8}}",
        "ldrd r3, r4, [r0, #48]",
        "ldr r5, [r0, #56]",
        "ldrd r9, r10, [r0, #96]",
        "add r6, r6, r3",
        "add r7, r7, r4",
        "add r8, r8, r5",
        "add r6, r6, r9",
        "sub r3, r3, r9",
        "add r7, r7, r10",
        "sub r4, r4, r10",
        "ldr r9, [r0, #104]",
        "ldr r10, [r0, #144]",
        "add r8, r8, r9",
        "sub r5, r5, r9",
        "sub r3, r3, r10",
        "ldrd r9, r10, [r0, #148]",
        "sub r4, r4, r9",
        "sub r5, r5, r10",
        store!(),
        "mov r3, r6",
        "mov r4, r7",
        "mov r5, r8",
        store!(),
        "ldr r3, [sp, #8]",
        "cmp r1, r3",
        "itt ne",
        "subne r0, r0, #24",
        "bne.w 2b",
        "ldr r3, [sp, #12]",
        "add r2, r2, #1",
        "ldr r12, [sp]",
        "ldr r11, [sp, #4]",
        "sub r1, r1, #{outputs_len}",
        "add r0, r0, #36",
        "cmp r2, r3",
        "bne.w 2b",
        "add sp, sp, #16",
        "pop {{r4-r11, pc}}",
        outputs_len = const 4 * PIXELS,
        bias = const offset_of!(Results, bias),
        multipliers = const offset_of!(Results, multipliers),
        zero_point = const offset_of!(Results, zero_point),
    )
}
