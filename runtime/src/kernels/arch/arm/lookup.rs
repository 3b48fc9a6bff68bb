//! Table look-up, four elements at a time.
#![allow(unsafe_code)]

use core::arch::naked_asm;

/// `output[i] = middle[input[i]]`.
///
/// # Safety
/// 128 elements lie before `middle` and as many from there on; `len` elements of input and output, 1 or more. The output
/// may be the input.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn look_up(middle: *const i8, input: *const i8, output: *mut i8, len: usize) {
    naked_asm!(
        "push {{r4-r7, lr}}",
        "subs r3, r3, #4",
        "blo 3f",
        "2:",
        "ldrsb r4, [r1], #4",
        "ldrsb r5, [r1, #-3]",
        "ldrsb r6, [r1, #-2]",
        "ldrsb r7, [r1, #-1]",
        "ldrb r4, [r0, r4]",
        "ldrb r5, [r0, r5]",
        "ldrb r6, [r0, r6]",
        "ldrb r7, [r0, r7]",
        "strb r5, [r2, #1]",
        "strb r6, [r2, #2]",
        "strb r7, [r2, #3]",
        "strb r4, [r2], #4",
        "subs r3, r3, #4",
        "bhs 2b",
        "3:",
        "adds r3, r3, #4",
        "beq 5f",
        "4:",
        "ldrsb r4, [r1], #1",
        "ldrb r4, [r0, r4]",
        "strb r4, [r2], #1",
        "subs r3, r3, #1",
        "bne 4b",
        "5:",
        "pop {{r4-r7, pc}}",
    )
}
