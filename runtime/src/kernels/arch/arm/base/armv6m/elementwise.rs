//! Sums, products and table look-up. An index that ends at 0 counts elements.
#![allow(unsafe_code)]

use core::arch::naked_asm;

use super::{enter, leave};
use crate::kernels::arch::arm::base::elementwise::{Products, Sums};

/// Loads the operands at index r3 to r4 and r5.
macro_rules! operands {
    () => {
        "
        ldrsb r4, [r0, r3]
        ldrsb r5, [r1, r3]
        "
    };
}

/// Moves the pointers in r0 to r2 to their ends, `len` elements on, and makes the index. The numbers are in r4 to r7.
macro_rules! begin {
    () => {
        "
        mov r8, r0
        ldr r0, [sp, #36]
        adds r1, r1, r0
        adds r2, r2, r0
        adds r3, r3, r0
        mov r12, r0
        mov r0, r8
        ldm r0!, {{r4-r7}}
        mov r8, r4
        mov r9, r5
        mov r0, r1
        mov r1, r2
        mov r2, r3
        mov r3, r12
        rsbs r3, r3, #0
        "
    };
}

/// Saturates r4 to int8, stores it, and goes on at 2. Behind the last element it returns.
macro_rules! store {
    () => {
        concat!(
            "
            sxtb r5, r4
            cmp r4, r5
            bne 4f
            3:
            strb r4, [r2, r3]
            adds r3, r3, #1
            bne 2b
            ",
            leave!(),
            "
            4:
            asrs r4, r4, #31
            movs r5, #127
            eors r4, r5
            b 3b
            "
        )
    };
}

/// Sums of `len` elements.
///
/// # Safety
/// `len` elements of each operand and of the output are there, 1 or more. The output may be an operand.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn sums(
    numbers: &Sums,
    lhs: *const i8,
    rhs: *const i8,
    output: *mut i8,
    len: usize,
) {
    naked_asm!(
        enter!(),
        begin!(),
        "mov r9, r6",
        "mov r10, r7",
        "mov r6, r4",
        "mov r7, r5",
        "2:",
        operands!(),
        "muls r4, r6, r4",
        "muls r5, r7, r5",
        "adds r4, r4, r5",
        "add r4, r9",
        "mov r5, r10",
        "asrs r4, r5",
        store!(),
    )
}

/// Products of `len` elements: with `m = 2^15 u + l` the mantissa, `x * m / 2^31` is `(x u + x l / 2^15) / 2^16`, each
/// quotient rounded down. No sum of these overflows, since products are at most 255 * 255 and the mantissa is below 2^30.
///
/// # Safety
/// As of [`sums`].
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn products(
    numbers: &Products,
    lhs: *const i8,
    rhs: *const i8,
    output: *mut i8,
    len: usize,
) {
    naked_asm!(
        enter!(),
        begin!(),
        // The zero point and one half.
        "lsls r7, r7, #1",
        "adds r7, r7, #1",
        "lsls r7, r7, #15",
        "mov r10, r7",
        "lsls r7, r6, #17",
        "lsrs r7, r7, #17",
        "lsrs r6, r6, #15",
        "2:",
        operands!(),
        "add r4, r8",
        "add r5, r9",
        "muls r4, r5, r4",
        "mov r5, r7",
        "muls r5, r4, r5",
        "asrs r5, r5, #15",
        "muls r4, r6, r4",
        "adds r4, r4, r5",
        "add r4, r10",
        "asrs r4, r4, #16",
        store!(),
    )
}

/// `output[i] = middle[input[i]]`, two elements at a time.
///
/// # Safety
/// 128 elements lie before `middle` and as many from there on; `len` elements of input and output, 1 or more. The output
/// may be the input.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn look_up(middle: *const i8, input: *const i8, output: *mut i8, len: usize) {
    naked_asm!(
        "push {{r4-r7, lr}}",
        "adds r1, r1, r3",
        "adds r2, r2, r3",
        "adds r6, r1, #1",
        "adds r7, r2, #1",
        "rsbs r3, r3, #0",
        "lsrs r4, r3, #1",
        "bcc 2f",
        "ldrsb r4, [r1, r3]",
        "ldrb r4, [r0, r4]",
        "strb r4, [r2, r3]",
        "adds r3, r3, #1",
        "beq 3f",
        "2:",
        "ldrsb r4, [r1, r3]",
        "ldrsb r5, [r6, r3]",
        "ldrb r4, [r0, r4]",
        "ldrb r5, [r0, r5]",
        "strb r4, [r2, r3]",
        "strb r5, [r7, r3]",
        "adds r3, r3, #2",
        "bne 2b",
        "3:",
        "pop {{r4-r7, pc}}",
    )
}
