//! Sums and products, several elements at a time.
#![allow(unsafe_code)]

use core::arch::naked_asm;

use crate::kernels::arch::arm::base::elementwise::{Products, Sums};

/// Elements in one pass of the loops, and the bytes of code of each.
const SUMS: usize = 4;
const SUM_BYTES: usize = 26;
const PRODUCTS: usize = 2;
const PRODUCT_BYTES: usize = 32;

/// Begins a loop over as many elements as r12 says, `unrolled` in each pass, at the one that leaves whole passes. Uses r0
/// and lr.
macro_rules! begin {
    () => {
        "
        rsb r0, r12, #0
        and r0, r0, #{unrolled} - 1
        mov lr, #{pass_bytes}
        mul r0, r0, lr
        adr.w lr, 2f
        add r0, r0, lr
        orr r0, r0, #1
        bx r0
        .p2align 2
        2:
        "
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
        "push {{r4-r8, lr}}",
        "ldr r12, [sp, #24]",
        "ldm r0, {{r4-r7}}",
        begin!(),
        ".rept {unrolled}",
        "ldrsb r0, [r1], #1",
        "ldrsb r8, [r2], #1",
        "mla r0, r0, r4, r6",
        "mla r0, r8, r5, r0",
        "asrs r0, r7",
        "ssat r0, #8, r0",
        "strb r0, [r3], #1",
        ".endr",
        "subs r12, r12, #{unrolled}",
        "bgt 2b",
        "pop {{r4-r8, pc}}",
        unrolled = const SUMS,
        pass_bytes = const SUM_BYTES,
    )
}

/// Products of `len` elements.
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
        "push {{r4-r8, lr}}",
        "ldr r12, [sp, #24]",
        "ldm r0, {{r4-r7}}",
        "lsls r6, r6, #1",
        "mov r8, r7",
        begin!(),
        ".rept {unrolled}",
        "ldrsb r0, [r1], #1",
        "ldrsb r7, [r2], #1",
        "add r0, r0, r4",
        "add r7, r7, r5",
        "muls r0, r7, r0",
        "smull r7, r0, r0, r6",
        "lsls r7, r7, #1",
        "adc r0, r0, r8",
        "ssat r0, #8, r0",
        "strb r0, [r3], #1",
        ".endr",
        "subs r12, r12, #{unrolled}",
        "bgt 2b",
        "pop {{r4-r8, pc}}",
        unrolled = const PRODUCTS,
        pass_bytes = const PRODUCT_BYTES,
    )
}
