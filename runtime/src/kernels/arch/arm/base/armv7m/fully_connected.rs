//! Products of a vector with the weights of eight outputs.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::mem::offset_of;

use crate::kernels::arch::arm::base::fully_connected::Outputs;

/// Inputs in one pass of the loop, and the bytes of code of each.
const UNROLLED: usize = 4;
const PASS_BYTES: usize = 52;

/// Eight outputs, requantized and stored.
///
/// r4 to r6 and r7 to r9 are the accumulators of the two blocks of weights.
///
/// # Safety
/// What the block leads to is there: inputs, two blocks of weights, eight biases, multipliers and places for results.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn multiply_vector(block: &Outputs) {
    naked_asm!(
        "push {{r0, r4-r11, lr}}",
        "ldrd lr, r1, [r0]",
        "ldrd r11, r12, [r0, #{weights}]",
        "add r2, r0, #{start}",
        "ldm r2, {{r4-r6}}",
        "mov r7, r4",
        "mov r8, r5",
        "mov r9, r6",
        "mov r10, #0x00FF00FF",
        "subs r2, lr, r1",
        "beq 4f",
        "and r2, r2, #{unrolled} - 1",
        "movs r3, #{pass_bytes}",
        "adr.w r1, 3f",
        "mla r2, r2, r3, r1",
        "orr r2, r2, #1",
        "bx r2",
        ".p2align 2",
        "3:",
        ".rept {unrolled}",
        "ldrsb r0, [lr], #1",
        "ldr r1, [r11], #4",
        "ldr r2, [r12], #4",
        "mla r4, r1, r0, r4",
        "and r3, r10, r1, lsr #8",
        "mla r5, r3, r0, r5",
        "lsr.w r1, r1, #16",
        "mla r6, r1, r0, r6",
        "mla r7, r2, r0, r7",
        "and r3, r10, r2, lsr #8",
        "mla r8, r3, r0, r8",
        "lsr.w r2, r2, #16",
        "mla r9, r2, r0, r9",
        ".endr",
        "ldr r0, [sp]",
        "ldr r1, [r0, #{input_end}]",
        "cmp lr, r1",
        "bne.w 3b",
        "4:",
        "ldr r0, [sp]",
        "ldrd lr, r12, [r0, #{bias}]",
        "ldrd r11, r10, [r0, #{zero_point}]",
        // The sums of four outputs in r1, r0, r2, r3.
        "5:",
        "sub r4, r4, r6, lsl #16",
        "sxth r0, r5",
        "sub r4, r4, r0, lsl #8",
        "sbfx r1, r4, #0, #24",
        "sub r4, r4, r1",
        "add r0, r0, r4, asr #8",
        "sub r5, r5, r0",
        "sub r6, r6, r5, lsr #8",
        "sbfx r2, r6, #0, #24",
        "sub r6, r6, r2",
        "lsr r5, r5, #16",
        "add r3, r5, r6, asr #8",
        ".irp sum, r1, r0, r2, r3",
        "ldr r4, [lr], #4",
        "ldr r5, [r12], #4",
        "add \\sum, \\sum, r4",
        "lsl r5, r5, #1",
        "smull r4, r5, \\sum, r5",
        "lsls r4, r4, #1",
        "adc \\sum, r5, r11",
        "ssat \\sum, #8, \\sum",
        "strb \\sum, [r10], #1",
        ".endr",
        "ldr r0, [sp]",
        "ldr r0, [r0, #{output}]",
        "adds r0, #8",
        "cmp r10, r0",
        "beq 6f",
        "mov r4, r7",
        "mov r5, r8",
        "mov r6, r9",
        "b 5b",
        "6:",
        "pop {{r0, r4-r11, pc}}",
        unrolled = const UNROLLED,
        pass_bytes = const PASS_BYTES,
        input_end = const offset_of!(Outputs, input_end),
        weights = const offset_of!(Outputs, weights),
        start = const offset_of!(Outputs, start),
        bias = const offset_of!(Outputs, bias),
        zero_point = const offset_of!(Outputs, zero_point),
        output = const offset_of!(Outputs, output),
    )
}
