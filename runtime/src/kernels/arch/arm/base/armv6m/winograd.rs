//! Winograd's scheme: transforms of inputs, their products with pairs of channels, and what these add up to.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::mem::offset_of;

use super::{enter, halves, leave, requantize, summands};
use crate::kernels::arch::arm::base::scratch::{SUMS_LEN, TILE_COLUMNS};
use crate::kernels::arch::arm::base::winograd::{PIXELS, Results};

/// Input channels in a pass of the loop of [`tile_sums`].
const UNROLLED: usize = 4;
/// Bytes of a row of the table of [`transform`].
const ROW_LEN: usize = 4 * TILE_COLUMNS;
/// On the stack of [`transform`], behind the table.
const STRIDES: usize = 4 * ROW_LEN;
/// Bytes of the differences of rows 1 and 2, at the beginning of the stack of [`tile_sums`].
const DIFFERENCES: usize = 24;
/// Bytes of the sums of all pixels, at the beginning of the stack of [`finish`].
const APART: usize = 4 * PIXELS;

/// Of five columns in r3 to r7 as words of tiles: the first four less the last four.
macro_rules! differences {
    () => {
        "
        subs r3, r3, r4
        subs r4, r4, r5
        subs r5, r5, r6
        subs r6, r6, r7
        lsls r1, r6, #24
        adds r3, r3, r1
        lsls r1, r6, #16
        adds r4, r4, r1
        lsls r1, r6, #8
        adds r5, r5, r1
        "
    };
}

/// Columns `a`, `b`, `c` and `d` as words of tiles.
macro_rules! packed {
    ($a:literal, $b:literal, $c:literal, $d:literal, $first:literal, $second:literal, $third:literal) => {
        concat!(
            "lsls r1, ",
            $d,
            ", #24\n",
            "adds r1, r1, ",
            $a,
            "\n",
            "mov ",
            $first,
            ", r1\n",
            "lsls r1, ",
            $d,
            ", #16\n",
            "adds r1, r1, ",
            $b,
            "\n",
            "mov ",
            $second,
            ", r1\n",
            "lsls r1, ",
            $d,
            ", #8\n",
            "adds r1, r1, ",
            $c,
            "\n",
            "mov ",
            $third,
            ", r1\n",
        )
    };
}

/// Transforms the inputs of four tiles, a channel at a time: first each column, into a table on the stack, then each row
/// of that, in which tiles become words.
///
/// # Safety
/// The list has 40 pointers, each to `c` inputs, and `columns` has room for three words at 16 places of `c` channels.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn transform(list: *const *const i8, columns: *mut i8, c: usize) {
    naked_asm!(
        enter!(),
        "sub sp, sp, #{frame}",
        "str r0, [sp, #{list}]",
        "str r2, [sp, #{channels}]",
        // From what was stored at a column of places to column 3, from that to column 1, to column 2, to the next row.
        "lsls r3, r2, #4",
        "lsls r4, r2, #5",
        "adds r3, r3, r4",
        "lsls r4, r3, #1",
        "adds r5, r3, r4",
        "subs r5, r5, #12",
        "str r5, [sp, #{strides}]",
        "rsbs r6, r4, #0",
        "subs r6, r6, #12",
        "str r6, [sp, #{strides} + 4]",
        "subs r3, r3, #12",
        "str r3, [sp, #{strides} + 8]",
        "movs r0, #12",
        "muls r0, r2, r0",
        "adds r6, r6, r0",
        "str r6, [sp, #{strides} + 12]",
        "mov r2, r1",
        "movs r1, #0",
        "2:",
        "mov r8, r2",
        "add r3, sp, #{row}",
        "mov r9, r3",
        "mov r2, sp",
        "ldr r0, [sp, #{list}]",
        "3:",
        ".rept 5",
        "ldm r0!, {{r4-r7}}",
        "ldrsb r4, [r4, r1]",
        "ldrsb r5, [r5, r1]",
        "ldrsb r6, [r6, r1]",
        "ldrsb r7, [r7, r1]",
        "adds r3, r5, r6",
        "str r3, [r2]",
        "subs r3, r6, r5",
        "str r3, [r2, #{row}]",
        "subs r4, r4, r6",
        "str r4, [r2, #2 * {row}]",
        "subs r5, r5, r7",
        "str r5, [r2, #3 * {row}]",
        "adds r2, r2, #4",
        ".endr",
        "cmp r2, r9",
        "bne 3b",
        "str r1, [sp, #{channel}]",
        "mov r0, sp",
        "mov r2, r8",
        "4:",
        "ldm r0!, {{r3-r7}}",
        packed!("r4", "r5", "r6", "r7", "r8", "r9", "r10"),
        differences!(),
        "ldr r1, [sp, #{strides}]",
        "stm r2!, {{r3-r5}}",
        "adds r2, r2, r1",
        "ldm r0!, {{r3-r7}}",
        packed!("r3", "r4", "r5", "r6", "r11", "r12", "lr"),
        differences!(),
        "ldr r1, [sp, #{strides} + 4]",
        "stm r2!, {{r3-r5}}",
        "adds r2, r2, r1",
        "mov r3, r8",
        "mov r4, r9",
        "mov r5, r10",
        "add r3, r11",
        "add r4, r12",
        "add r5, lr",
        "ldr r1, [sp, #{strides} + 8]",
        "stm r2!, {{r3-r5}}",
        "adds r2, r2, r1",
        "mov r3, r8",
        "mov r1, r11",
        "subs r3, r3, r1",
        "mov r4, r9",
        "mov r1, r12",
        "subs r4, r4, r1",
        "mov r5, r10",
        "mov r1, lr",
        "subs r5, r5, r1",
        "ldr r1, [sp, #{strides} + 12]",
        "stm r2!, {{r3-r5}}",
        "adds r2, r2, r1",
        "add r1, sp, #{strides}",
        "cmp r0, r1",
        "bne 4b",
        "ldr r1, [sp, #{strides} + 8]",
        "subs r2, r2, r1",
        "ldr r1, [sp, #{channel}]",
        "ldr r3, [sp, #{channels}]",
        "adds r1, r1, #1",
        "cmp r1, r3",
        "beq 5f",
        "b 2b",
        "5:",
        "add sp, sp, #{frame}",
        leave!(),
        frame = const STRIDES + 28,
        strides = const STRIDES,
        list = const STRIDES + 16,
        channel = const STRIDES + 20,
        channels = const STRIDES + 24,
        row = const ROW_LEN,
    )
}

/// Stores the accumulators at r0, which moves on.
macro_rules! store {
    () => {
        "
        mov r1, r7
        mov r2, r8
        mov r3, r9
        stm r0!, {{r1-r3}}
        mov r1, r10
        mov r2, r11
        mov r3, r12
        stm r0!, {{r1-r3}}
        "
    };
}

/// Adds the three words at r0 to accumulators and puts what they are more than these in their place.
macro_rules! sum_and_difference {
    ($first:literal, $second:literal, $third:literal) => {
        concat!(
            "ldm r0!, {{r1-r3}}\n",
            "mov r6, ",
            $first,
            "\n",
            "add ",
            $first,
            ", r1\n",
            "subs r1, r1, r6\n",
            "mov r6, ",
            $second,
            "\n",
            "add ",
            $second,
            ", r2\n",
            "subs r2, r2, r6\n",
            "mov r6, ",
            $third,
            "\n",
            "add ",
            $third,
            ", r3\n",
            "subs r3, r3, r6\n",
            "subs r0, r0, #12\n",
            "stm r0!, {{r1-r3}}\n",
        )
    };
}

/// The sums of two channels of four tiles in words, for each column of places both rows of a tile. Gives the end of the
/// weights.
///
/// r7, r8 and r9 are the words of the first, r10, r11 and r12 those of the second channel.
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
        enter!(),
        "sub sp, sp, #{frame}",
        "str r2, [sp, #{sums}]",
        "adds r2, r2, #{sums_len}",
        "str r2, [sp, #{sums} + 4]",
        "str r3, [sp, #{place_len}]",
        "mov r4, r0",
        "mov r5, r1",
        // One column: rows 1 and 2, of which sum and difference go on with rows 0 and 3.
        "2:",
        "bl 20f",
        "mov r0, sp",
        store!(),
        "bl 20f",
        "mov r0, sp",
        sum_and_difference!("r7", "r8", "r9"),
        sum_and_difference!("r10", "r11", "r12"),
        "bl 21f",
        "ldr r0, [sp, #{sums}]",
        store!(),
        "str r0, [sp, #{sums}]",
        "mov r0, sp",
        "ldm r0!, {{r1-r3}}",
        "mov r7, r1",
        "mov r8, r2",
        "mov r9, r3",
        "ldm r0!, {{r1-r3}}",
        "mov r10, r1",
        "mov r11, r2",
        "mov r12, r3",
        "bl 21f",
        "ldr r0, [sp, #{sums}]",
        store!(),
        "str r0, [sp, #{sums}]",
        "ldr r1, [sp, #{sums} + 4]",
        "cmp r0, r1",
        "bne 2b",
        "mov r0, r5",
        "add sp, sp, #{frame}",
        leave!(),
        // The sums of a place, from zero on (20) or from what they are (21).
        "20:",
        "movs r7, #0",
        "mov r8, r7",
        "mov r9, r7",
        "mov r10, r7",
        "mov r11, r7",
        "mov r12, r7",
        "21:",
        "ldr r0, [sp, #{place_len}]",
        "adds r0, r0, r4",
        "str r0, [sp, #{place_end}]",
        "22:",
        ".rept {unrolled}",
        "ldm r4!, {{r0-r2}}",
        "ldm r5!, {{r6}}",
        "sxth r3, r6",
        "muls r3, r0, r3",
        "adds r7, r7, r3",
        "sxth r3, r6",
        "muls r3, r1, r3",
        "add r8, r3",
        "sxth r3, r6",
        "muls r3, r2, r3",
        "add r9, r3",
        "asrs r6, r6, #16",
        "muls r0, r6, r0",
        "add r10, r0",
        "muls r1, r6, r1",
        "add r11, r1",
        "muls r2, r6, r2",
        "add r12, r2",
        ".endr",
        "ldr r0, [sp, #{place_end}]",
        "cmp r4, r0",
        "bne 22b",
        "bx lr",
        frame = const DIFFERENCES + 16,
        sums = const DIFFERENCES,
        place_len = const DIFFERENCES + 8,
        place_end = const DIFFERENCES + 12,
        sums_len = const SUMS_LEN,
        unrolled = const UNROLLED,
    )
}

/// Three words of columns of places: of those at r0, 48 and 96 bytes behind it the first with the other two added or
/// subtracted.
macro_rules! columns {
    ($op:literal) => {
        concat!(
            "ldr r3, [r0]\n",
            "ldr r6, [r0, #48]\n",
            $op,
            " r3, r3, r6\n",
            "ldr r6, [r0, #96]\n",
            $op,
            " r3, r3, r6\n",
            "ldr r4, [r0, #4]\n",
            "ldr r6, [r0, #52]\n",
            $op,
            " r4, r4, r6\n",
            "ldr r6, [r0, #100]\n",
            $op,
            " r4, r4, r6\n",
            "ldr r5, [r0, #8]\n",
            "ldr r6, [r0, #56]\n",
            $op,
            " r5, r5, r6\n",
            "ldr r6, [r0, #104]\n",
            $op,
            " r5, r5, r6\n",
        )
    };
}

/// Takes the sums of four tiles in r3, r4 and r5 apart, and stores them at r1, the last tile first.
macro_rules! apart {
    () => {
        "
        lsls r7, r3, #8
        asrs r7, r7, #8
        subs r3, r3, r7
        lsrs r6, r3, #8
        subs r4, r4, r6
        lsls r6, r4, #8
        asrs r6, r6, #8
        subs r4, r4, r6
        lsrs r2, r3, #16
        subs r5, r5, r2
        lsrs r2, r4, #8
        subs r5, r5, r2
        lsrs r3, r3, #24
        lsrs r4, r4, #16
        adds r3, r3, r4
        lsls r4, r5, #8
        asrs r4, r4, #8
        subs r5, r5, r4
        asrs r5, r5, #8
        adds r3, r3, r5
        stm r1!, {{r3, r4, r6, r7}}
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
        enter!(),
        "sub sp, sp, #{frame}",
        "str r0, [sp, #{sums}]",
        "str r1, [sp, #{results}]",
        "str r2, [sp, #{channel}]",
        "adds r2, r2, #2",
        "str r2, [sp, #{channel} + 4]",
        "ldr r1, [r1, #{zero_point}]",
        summands!(),
        "mov r8, r0",
        "mov r9, r1",
        "2:",
        // The lower row first.
        "ldr r0, [sp, #{sums}]",
        "adds r0, r0, #24",
        "mov r1, sp",
        "3:",
        "adds r0, r0, #48",
        columns!("subs"),
        apart!(),
        "subs r0, r0, #48",
        columns!("adds"),
        apart!(),
        "subs r0, r0, #24",
        "add r2, sp, #{apart}",
        "cmp r1, r2",
        "bne 3b",
        "ldr r0, [sp, #{sums}]",
        "adds r0, r0, #12",
        "str r0, [sp, #{sums}]",
        "ldr r4, [sp, #{results}]",
        "ldr r7, [sp, #{channel}]",
        "lsls r1, r7, #2",
        "ldr r0, [r4, #{bias}]",
        "ldr r0, [r0, r1]",
        "mov r10, r0",
        "ldr r0, [r4, #{multipliers}]",
        "ldr r6, [r0, r1]",
        halves!(),
        "mov r3, sp",
        "4:",
        "ldm r3!, {{r0}}",
        "asrs r0, r0, #2",
        "add r0, r10",
        requantize!("r8", "r9"),
        "ldm r4!, {{r1}}",
        "strb r0, [r1, r7]",
        "add r1, sp, #{apart}",
        "cmp r3, r1",
        "bne 4b",
        "adds r7, r7, #1",
        "str r7, [sp, #{channel}]",
        "ldr r0, [sp, #{channel} + 4]",
        "cmp r7, r0",
        "beq 5f",
        "b 2b",
        "5:",
        "add sp, sp, #{frame}",
        leave!(),
        frame = const APART + 16,
        apart = const APART,
        sums = const APART,
        results = const APART + 4,
        channel = const APART + 8,
        bias = const offset_of!(Results, bias),
        multipliers = const offset_of!(Results, multipliers),
        zero_point = const offset_of!(Results, zero_point),
    )
}
