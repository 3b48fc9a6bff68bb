//! Products of a vector with the weights of eight outputs.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::mem::offset_of;

use super::{enter, halves, leave, requantize, summands};
use crate::kernels::arch::arm::base::fully_connected::Outputs;

/// Takes three accumulators apart and keeps the sums of the four outputs at r7, which moves on.
macro_rules! keep {
    ($first:literal, $second:literal, $third:literal) => {
        concat!(
            "mov r0, ",
            $first,
            "\n",
            "mov r1, ",
            $second,
            "\n",
            "mov r2, ",
            $third,
            "\n",
            "lsls r4, r2, #16\n",
            "subs r0, r0, r4\n",
            "sxth r4, r1\n",
            "lsls r3, r4, #8\n",
            "subs r0, r0, r3\n",
            "lsls r3, r0, #8\n",
            "asrs r3, r3, #8\n",
            "subs r0, r0, r3\n",
            "asrs r0, r0, #8\n",
            "adds r4, r4, r0\n",
            "subs r1, r1, r4\n",
            "lsrs r5, r1, #8\n",
            "subs r2, r2, r5\n",
            "lsls r5, r2, #8\n",
            "asrs r5, r5, #8\n",
            "subs r2, r2, r5\n",
            "asrs r2, r2, #8\n",
            "lsrs r1, r1, #16\n",
            "adds r6, r1, r2\n",
            "stm r7!, {{r3-r6}}\n",
        )
    };
}

/// Eight outputs, requantized and stored.
///
/// r8, r9, r10 and r11, r12, lr are the accumulators of the two blocks of weights.
///
/// # Safety
/// What the block leads to is there: inputs, two blocks of weights, eight biases, multipliers and places for results.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn multiply_vector(block: &Outputs) {
    naked_asm!(
        enter!(),
        "sub sp, sp, #36",
        "str r0, [sp, #32]",
        "ldr r1, [r0, #{start}]",
        "ldr r2, [r0, #{start} + 4]",
        "ldr r3, [r0, #{start} + 8]",
        "mov r8, r1",
        "mov r9, r2",
        "mov r10, r3",
        "mov r11, r1",
        "mov r12, r2",
        "mov lr, r3",
        "ldr r6, [r0, #{weights}]",
        "ldr r7, [r0, #{weights} + 4]",
        "ldr r5, [r0, #{input}]",
        "ldr r4, [r0, #{input_end}]",
        "movs r3, #0xFF",
        "lsls r0, r3, #16",
        "orrs r3, r0",
        "subs r5, r5, r4",
        "beq 3f",
        "2:",
        "ldrsb r0, [r4, r5]",
        "ldm r6!, {{r1}}",
        "lsrs r2, r1, #8",
        "ands r2, r3",
        "muls r2, r0, r2",
        "add r9, r2",
        "lsrs r2, r1, #16",
        "muls r2, r0, r2",
        "add r10, r2",
        "muls r1, r0, r1",
        "add r8, r1",
        "ldm r7!, {{r1}}",
        "lsrs r2, r1, #8",
        "ands r2, r3",
        "muls r2, r0, r2",
        "add r12, r2",
        "lsrs r2, r1, #16",
        "muls r2, r0, r2",
        "add lr, r2",
        "muls r1, r0, r1",
        "add r11, r1",
        "adds r5, r5, #1",
        "bne 2b",
        "3:",
        "mov r7, sp",
        keep!("r8", "r9", "r10"),
        keep!("r11", "r12", "lr"),
        "mov r4, sp",
        "ldr r3, [sp, #32]",
        "ldr r0, [r3, #{bias}]",
        "mov r10, r0",
        "ldr r0, [r3, #{multipliers}]",
        "mov r11, r0",
        "ldr r7, [r3, #{output}]",
        "ldr r1, [r3, #{zero_point}]",
        summands!(),
        "mov r8, r0",
        "mov r9, r1",
        "movs r3, #8",
        "4:",
        "mov r0, r11",
        "ldm r0!, {{r6}}",
        "mov r11, r0",
        halves!(),
        "mov r1, r10",
        "ldm r1!, {{r0}}",
        "mov r10, r1",
        "ldm r4!, {{r1}}",
        "adds r0, r0, r1",
        requantize!("r8", "r9"),
        "strb r0, [r7]",
        "adds r7, r7, #1",
        "subs r3, r3, #1",
        "bne 4b",
        "add sp, sp, #36",
        leave!(),
        input = const offset_of!(Outputs, input),
        input_end = const offset_of!(Outputs, input_end),
        weights = const offset_of!(Outputs, weights),
        start = const offset_of!(Outputs, start),
        bias = const offset_of!(Outputs, bias),
        multipliers = const offset_of!(Outputs, multipliers),
        zero_point = const offset_of!(Outputs, zero_point),
        output = const offset_of!(Outputs, output),
    )
}
