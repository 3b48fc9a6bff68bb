//! Windows along a row, and windows whose taps lie anywhere.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::mem::offset_of;

use crate::kernels::arch::arm::base::depthwise_conv_2d::Pixels;

/// Bytes of [`Pixels`] that the functions copy to their stack: all up to `rows`.
const COPIED: usize = offset_of!(Pixels, rows);

/// Copies the front of the block at r0 to the stack.
macro_rules! copy_block {
    () => {
        "
        push {{r4-r11, lr}}
        sub sp, sp, #{copied}
        ldm r0!, {{r1-r6}}
        stm sp, {{r1-r6}}
        "
    };
}

/// Takes the bias of a channel to `$acc`.
macro_rules! bias {
    ($acc:literal) => {
        concat!("ldr r12, [sp, #{bias}]\n", "ldr ", $acc, ", [r12], #4\n", "str r12, [sp, #{bias}]\n")
    };
}

/// Takes the doubled multiplier of a channel to r9 and the zero point to lr.
macro_rules! multiplier {
    () => {
        "
        ldr r12, [sp, #{multipliers}]
        ldr r9, [r12], #4
        ldr lr, [sp, #{zero_point}]
        str r12, [sp, #{multipliers}]
        lsl r9, r9, #1
        "
    };
}

/// Requantizes `$acc`.
macro_rules! requantize {
    ($acc:literal) => {
        concat!(
            "smull r10, r11, ",
            $acc,
            ", r9\n",
            "lsls r10, r10, #1\n",
            "adc ",
            $acc,
            ", r11, lr\n",
            "ssat ",
            $acc,
            ", #8, ",
            $acc,
            "\n",
        )
    };
}

/// A filter row at the columns of `$row` for three windows one column apart.
macro_rules! row {
    ($row:literal) => {
        concat!(
            "ldrsb r9, [r5], #3\n",
            "ldrsb r10, [r5, #-2]\n",
            "ldrsb r11, [r5, #-1]\n",
            "ldrsb r12, [",
            $row,
            ", r3]\n",
            "ldrsb lr, [",
            $row,
            ", r3, lsl #1]\n",
            "mla r6, r10, r12, r6\n",
            "mla r7, r9, r12, r7\n",
            "mla r6, r11, lr, r6\n",
            "mla r7, r10, lr, r7\n",
            "mla r8, r9, lr, r8\n",
            "ldrsb r12, [",
            $row,
            ", r4]\n",
            "ldrsb lr, [",
            $row,
            ", r3, lsl #2]\n",
            "mla r7, r11, r12, r7\n",
            "mla r8, r10, r12, r8\n",
            "ldrsb r12, [",
            $row,
            "], #1\n",
            "mla r8, r11, lr, r8\n",
            "mla r6, r9, r12, r6\n",
        )
    };
}

/// Three pixels whose windows of 3×3 are one column apart, all channels.
///
/// # Safety
/// What the pixels lead to is there: inputs of each tap, weights, biases, multipliers and places for all channels.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn along_row(pixels: &Pixels) {
    naked_asm!(
        copy_block!(),
        "mov r5, r1",
        "mov r3, r6",
        "ldm r0, {{r0-r2}}",
        "add r4, r3, r3, lsl #1",
        "2:",
        bias!("r6"),
        "mov r7, r6",
        "mov r8, r6",
        row!("r0"),
        row!("r1"),
        row!("r2"),
        multiplier!(),
        requantize!("r6"),
        requantize!("r7"),
        requantize!("r8"),
        "ldrd r9, r10, [sp, #{output}]",
        "strb r7, [r9, r3]",
        "strb r8, [r9, r3, lsl #1]",
        "strb r6, [r9], #1",
        "subs r10, r10, #1",
        "strd r9, r10, [sp, #{output}]",
        "bne.w 2b",
        "add sp, sp, #{copied}",
        "pop {{r4-r11, pc}}",
        copied = const COPIED,
        bias = const offset_of!(Pixels, bias),
        multipliers = const offset_of!(Pixels, multipliers),
        zero_point = const offset_of!(Pixels, zero_point),
        output = const offset_of!(Pixels, output),
    )
}

/// As `row`, for two windows two columns apart.
macro_rules! row_apart {
    ($row:literal) => {
        concat!(
            "ldrsb r9, [r5], #3\n",
            "ldrsb r10, [r5, #-2]\n",
            "ldrsb r11, [r5, #-1]\n",
            "ldrsb r12, [",
            $row,
            ", r3]\n",
            "ldrsb lr, [",
            $row,
            ", r3, lsl #1]\n",
            "mla r6, r10, r12, r6\n",
            "mla r6, r11, lr, r6\n",
            "mla r7, r9, lr, r7\n",
            "ldrsb r12, [",
            $row,
            ", r4]\n",
            "ldrsb lr, [",
            $row,
            ", r3, lsl #2]\n",
            "ldrsb r8, [",
            $row,
            "], #1\n",
            "mla r7, r10, r12, r7\n",
            "mla r7, r11, lr, r7\n",
            "mla r6, r9, r8, r6\n",
        )
    };
}

/// Two pixels whose windows of 3×3 are two columns apart, all channels.
///
/// # Safety
/// What the pixels lead to is there: inputs of each tap, weights, biases, multipliers and places for all channels.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn along_row_apart(pixels: &Pixels) {
    naked_asm!(
        copy_block!(),
        "mov r5, r1",
        "mov r3, r6",
        "ldm r0, {{r0-r2}}",
        "add r4, r3, r3, lsl #1",
        "2:",
        bias!("r6"),
        "mov r7, r6",
        row_apart!("r0"),
        row_apart!("r1"),
        row_apart!("r2"),
        multiplier!(),
        requantize!("r6"),
        requantize!("r7"),
        "ldrd r9, r10, [sp, #{output}]",
        "strb r7, [r9, r3]",
        "strb r6, [r9], #1",
        "subs r10, r10, #1",
        "strd r9, r10, [sp, #{output}]",
        "bne.w 2b",
        "add sp, sp, #{copied}",
        "pop {{r4-r11, pc}}",
        copied = const COPIED,
        bias = const offset_of!(Pixels, bias),
        multipliers = const offset_of!(Pixels, multipliers),
        zero_point = const offset_of!(Pixels, zero_point),
        output = const offset_of!(Pixels, output),
    )
}

/// Requantizes and stores `$acc`: the multipliers lie at r12, the zero point in lr, the output at r11.
macro_rules! finish {
    ($acc:literal) => {
        concat!(
            "ldr r9, [r12], #4\n",
            "lsl r9, r9, #1\n",
            "smull r8, r10, ",
            $acc,
            ", r9\n",
            "lsls r8, r8, #1\n",
            "adc ",
            $acc,
            ", r10, lr\n",
            "ssat ",
            $acc,
            ", #8, ",
            $acc,
            "\n",
            "strb ",
            $acc,
            ", [r11], #1\n",
        )
    };
}

/// One pixel, all channels: four at a time, then one by one.
///
/// r0 lies at the weights, r1 at the list of taps, r2 is their number, r3 the channel; r4 to r7 are accumulators.
///
/// # Safety
/// What the pixels lead to is there: inputs of each tap, weights, biases, multipliers and places for all channels.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn at_taps(pixels: &Pixels) {
    naked_asm!(
        copy_block!(),
        "ldrd r4, r2, [r0, #{taps} - {copied}]",
        "mov r0, r1",
        "movs r3, #0",
        "add r1, r4, r2, lsl #2",
        "str r1, [sp, #{list_end}]",
        "2:",
        "mov r1, r4",
        "push {{r4}}",
        "ldr r12, [sp, #4 + {channels}]",
        "ldr r8, [sp, #4 + {bias}]",
        "ldr r11, [sp, #4 + {list_end}]",
        "sub r12, r12, r3",
        "cmp r12, #4",
        "blt 6f",
        "ldm r8!, {{r4-r7}}",
        "str r8, [sp, #4 + {bias}]",
        "add lr, r2, r2, lsl #1",
        "3:",
        "ldr r12, [r1], #4",
        "add r12, r12, r3",
        "ldrsb r8, [r12]",
        "ldrsb r9, [r0, r2]",
        "ldrsb r10, [r12, #1]",
        "mla r5, r9, r10, r5",
        "ldrsb r9, [r0, r2, lsl #1]",
        "ldrsb r10, [r12, #2]",
        "mla r6, r9, r10, r6",
        "ldrsb r9, [r0, lr]",
        "ldrsb r10, [r12, #3]",
        "mla r7, r9, r10, r7",
        "ldrsb r9, [r0], #1",
        "cmp r1, r11",
        "mla r4, r9, r8, r4",
        "bne 3b",
        "add r0, r0, lr",
        "adds r3, r3, #4",
        "ldr r12, [sp, #4 + {multipliers}]",
        "ldr lr, [sp, #4 + {zero_point}]",
        "ldr r11, [sp, #4 + {output}]",
        finish!("r4"),
        finish!("r5"),
        finish!("r6"),
        finish!("r7"),
        "b 8f",
        "6:",
        "ldr r4, [r8], #4",
        "str r8, [sp, #4 + {bias}]",
        "7:",
        "ldr r12, [r1], #4",
        "ldrsb r8, [r12, r3]",
        "ldrsb r9, [r0], #1",
        "cmp r1, r11",
        "mla r4, r9, r8, r4",
        "bne 7b",
        "adds r3, r3, #1",
        "ldr r12, [sp, #4 + {multipliers}]",
        "ldr lr, [sp, #4 + {zero_point}]",
        "ldr r11, [sp, #4 + {output}]",
        finish!("r4"),
        "8:",
        "str r12, [sp, #4 + {multipliers}]",
        "str r11, [sp, #4 + {output}]",
        "pop {{r4}}",
        "ldr r12, [sp, #{channels}]",
        "cmp r3, r12",
        "bne.w 2b",
        "add sp, sp, #{copied}",
        "pop {{r4-r11, pc}}",
        copied = const COPIED,
        taps = const offset_of!(Pixels, taps),
        channels = const offset_of!(Pixels, channels),
        bias = const offset_of!(Pixels, bias),
        multipliers = const offset_of!(Pixels, multipliers),
        zero_point = const offset_of!(Pixels, zero_point),
        output = const offset_of!(Pixels, output),
        list_end = const offset_of!(Pixels, weights),
    )
}
