//! Packing of pixels, and their products with all channels.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::mem::offset_of;

use super::{enter, halves, leave, requantize, summands};
use crate::kernels::arch::arm::base::conv_2d::Block;
use crate::kernels::arch::arm::base::scratch::PIXELS;

/// Inputs in one pass of the loop of [`multiply`], a divisor of `RUN_UNIT`, and the bytes of code of each.
const UNROLLED: usize = 4;
const PASS_BYTES: usize = 58;
/// Bytes of [`Block`], behind which [`multiply`] keeps its own words.
const BLOCK_LEN: usize = size_of::<Block>();

/// Packs `count` inputs of each of three pixels, `rows_count` times, moving on by `jump` bytes in between. Gives the end of
/// what was written.
///
/// # Safety
/// Each of `rows` leads to `rows_count` runs of `count` inputs, `count + jump` apart, and `columns` has room for them.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn pack(
    rows: &[*const i8; PIXELS],
    columns: *mut i8,
    count: usize,
    rows_count: usize,
    jump: isize,
) -> *mut i8 {
    naked_asm!(
        enter!(),
        "ldr r7, [sp, #36]",
        "mov r8, r2",
        "mov r9, r3",
        "mov r10, r7",
        "ldm r0!, {{r4-r6}}",
        "2:",
        "mov r2, r8",
        "add r4, r8",
        "add r5, r8",
        "add r6, r8",
        "rsbs r3, r2, #0",
        "3:",
        "ldrsb r0, [r4, r3]",
        "ldrsb r2, [r5, r3]",
        "lsls r7, r2, #11",
        "adds r0, r0, r7",
        "lsls r2, r2, #22",
        "ldrsb r7, [r6, r3]",
        "adds r2, r2, r7",
        "stm r1!, {{r0, r2}}",
        "adds r3, r3, #1",
        "bne 3b",
        "add r4, r10",
        "add r5, r10",
        "add r6, r10",
        "mov r0, r9",
        "subs r0, r0, #1",
        "mov r9, r0",
        "bne 2b",
        "mov r0, r1",
        leave!(),
    )
}

/// Takes the accumulators of a channel apart and keeps the sums of the three pixels at r4, which moves on. Where r5 is not
/// 0, they are added to what is there.
macro_rules! keep {
    ($a:literal, $b:literal) => {
        concat!(
            "mov r0, ",
            $a,
            "\n",
            "mov r2, ",
            $b,
            "\n",
            "lsls r3, r2, #10\n",
            "asrs r3, r3, #10\n",
            "subs r2, r2, r3\n",
            "lsrs r1, r2, #11\n",
            "subs r0, r0, r1\n",
            "lsls r1, r0, #11\n",
            "asrs r1, r1, #11\n",
            "subs r0, r0, r1\n",
            "asrs r0, r0, #11\n",
            "lsrs r2, r2, #22\n",
            "adds r2, r2, r0\n",
            "cmp r5, #0\n",
            "beq 98f\n",
            "ldr r0, [r4]\n",
            "adds r1, r1, r0\n",
            "ldr r0, [r4, #4]\n",
            "adds r2, r2, r0\n",
            "ldr r0, [r4, #8]\n",
            "adds r3, r3, r0\n",
            "98:\n",
            "stm r4!, {{r1-r3}}\n",
        )
    };
}

/// Requantizes the next sum at r4 and stores it as channel r7 of a pixel.
macro_rules! finish {
    ($pixel:literal) => {
        concat!(
            "ldm r4!, {{r0}}\n",
            requantize!("r8", "r9"),
            "ldr r1, [sp, #{outputs} + ",
            $pixel,
            "]\n",
            "strb r0, [r1, r7]\n",
        )
    };
}

/// Products of three pixels with all channels of a block, requantized and stored.
///
/// r6, r8, r9, r10 are the first, r7, r11, r12, lr the second accumulators of four channels.
///
/// # Safety
/// What the block leads to is there: packed pixels, weights, biases and multipliers of its channels, and places for the
/// results.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn multiply(block: &Block) {
    naked_asm!(
        enter!(),
        "sub sp, sp, #{frame}",
        "mov r1, sp",
        ".rept 3",
        "ldm r0!, {{r2-r5}}",
        "stm r1!, {{r2-r5}}",
        ".endr",
        "ldr r2, [r0]",
        "str r2, [r1]",
        // Where the loop is entered.
        "ldr r0, [sp, #{missing}]",
        "movs r1, #{unrolled} - 1",
        "ands r0, r1",
        "movs r1, #{pass_bytes}",
        "muls r0, r1, r0",
        "adr r1, 3f",
        "adds r0, r0, r1",
        "adds r0, r0, #1",
        "str r0, [sp, #{missing}]",
        "2:",
        "ldr r0, [sp, #{bias}]",
        "ldm r0!, {{r1-r4}}",
        "str r0, [sp, #{bias}]",
        "lsls r6, r1, #11",
        "adds r6, r6, r1",
        "lsls r7, r1, #22",
        "adds r7, r7, r1",
        "lsls r5, r2, #11",
        "adds r5, r5, r2",
        "mov r8, r5",
        "lsls r5, r2, #22",
        "adds r5, r5, r2",
        "mov r11, r5",
        "lsls r5, r3, #11",
        "adds r5, r5, r3",
        "mov r9, r5",
        "lsls r5, r3, #22",
        "adds r5, r5, r3",
        "mov r12, r5",
        "lsls r5, r4, #11",
        "adds r5, r5, r4",
        "mov r10, r5",
        "lsls r5, r4, #22",
        "adds r5, r5, r4",
        "mov lr, r5",
        "ldr r0, [sp, #{first_end}]",
        "str r0, [sp, #{run_end}]",
        "ldr r0, [sp, #{missing}]",
        "ldr r4, [sp, #{weights}]",
        "ldr r5, [sp, #{columns}]",
        "bx r0",
        ".p2align 2",
        "3:",
        ".rept {unrolled}",
        "ldm r5!, {{r0, r1}}",
        "ldm r4!, {{r2}}",
        "sxtb r3, r2",
        "muls r3, r0, r3",
        "adds r6, r6, r3",
        "sxtb r3, r2",
        "muls r3, r1, r3",
        "adds r7, r7, r3",
        "lsrs r2, r2, #8",
        "sxtb r3, r2",
        "muls r3, r0, r3",
        "add r8, r3",
        "sxtb r3, r2",
        "muls r3, r1, r3",
        "add r11, r3",
        "lsrs r2, r2, #8",
        "sxtb r3, r2",
        "muls r3, r0, r3",
        "add r9, r3",
        "sxtb r3, r2",
        "muls r3, r1, r3",
        "add r12, r3",
        "lsrs r2, r2, #8",
        "sxtb r3, r2",
        "muls r3, r0, r3",
        "add r10, r3",
        "sxtb r3, r2",
        "muls r3, r1, r3",
        "add lr, r3",
        ".endr",
        "ldr r0, [sp, #{run_end}]",
        "cmp r5, r0",
        "bne 3b",
        // A run is over: its sums are kept, or added to those of the runs before it.
        "str r4, [sp, #{weights}]",
        "ldr r5, [sp, #{first_end}]",
        "subs r5, r5, r0",
        "add r4, sp, #{sums}",
        keep!("r6", "r7"),
        keep!("r8", "r11"),
        keep!("r9", "r12"),
        keep!("r10", "lr"),
        "ldr r5, [sp, #{run_end}]",
        "ldr r0, [sp, #{columns_end}]",
        "cmp r5, r0",
        "beq 5f",
        "ldr r0, [sp, #{run_len}]",
        "adds r0, r0, r5",
        "str r0, [sp, #{run_end}]",
        "movs r6, #0",
        "movs r7, #0",
        "mov r8, r7",
        "mov r9, r7",
        "mov r10, r7",
        "mov r11, r7",
        "mov r12, r7",
        "mov lr, r7",
        "ldr r4, [sp, #{weights}]",
        "b 3b",
        "5:",
        "ldr r1, [sp, #{zero_point}]",
        summands!(),
        "mov r8, r0",
        "mov r9, r1",
        "add r4, sp, #{sums}",
        "movs r7, #0",
        "6:",
        "ldr r0, [sp, #{multipliers}]",
        "ldm r0!, {{r6}}",
        "str r0, [sp, #{multipliers}]",
        halves!(),
        finish!("0"),
        finish!("4"),
        finish!("8"),
        "adds r7, r7, #1",
        "cmp r7, #4",
        "bne 6b",
        "add r0, sp, #{outputs}",
        "ldm r0!, {{r1-r3}}",
        "adds r1, r1, #4",
        "adds r2, r2, #4",
        "adds r3, r3, #4",
        "subs r0, r0, #12",
        "stm r0!, {{r1-r3}}",
        "ldr r0, [sp, #{weights}]",
        "ldr r1, [sp, #{weights_end}]",
        "cmp r0, r1",
        "beq 7f",
        "b 2b",
        "7:",
        "add sp, sp, #{frame}",
        leave!(),
        frame = const BLOCK_LEN + 52,
        unrolled = const UNROLLED,
        pass_bytes = const PASS_BYTES,
        columns = const offset_of!(Block, columns),
        first_end = const offset_of!(Block, first_end),
        columns_end = const offset_of!(Block, columns_end),
        run_len = const offset_of!(Block, run_len),
        missing = const offset_of!(Block, missing),
        bias = const offset_of!(Block, bias),
        multipliers = const offset_of!(Block, multipliers),
        zero_point = const offset_of!(Block, zero_point),
        outputs = const offset_of!(Block, outputs),
        weights = const offset_of!(Block, weights),
        weights_end = const offset_of!(Block, weights_end),
        run_end = const BLOCK_LEN,
        sums = const BLOCK_LEN + 4,
    )
}
