//! Products of a row with columns of a matrix.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::mem::offset_of;

use crate::kernels::arch::arm::base::mat_mul::{Columns, GROUP};

/// Products of an element of the left row with those of four columns, which are summed in r8 to r11.
macro_rules! products {
    () => {
        "
        ldrsb r0, [r1], #1
        ldrsb r12, [r3, r4]
        add r0, r0, lr
        mla r9, r0, r12, r9
        ldrsb r12, [r3, r5]
        mla r10, r0, r12, r10
        ldrsb r12, [r3, r6]
        mla r11, r0, r12, r11
        ldrsb r12, [r3]
        mla r8, r0, r12, r8
        add r3, r3, r7
        "
    };
}

/// Adds the products of a row with four columns.
///
/// # Safety
/// What the block leads to is there.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn multiply_columns(block: &mut Columns) {
    naked_asm!(
        "push {{r0, r4-r11, lr}}",
        "ldrd r1, r2, [r0]",
        "add r0, r0, #{right}",
        "ldm r0, {{r3-r7, r8-r12}}",
        "mov lr, r8",
        "mov r8, r9",
        "mov r9, r10",
        "mov r10, r11",
        "mov r11, r12",
        "cmp r1, r2",
        "beq 3f",
        "2:",
        products!(),
        "cmp r1, r2",
        "bne 2b",
        "3:",
        "ldr r0, [sp]",
        "ldr r2, [r0, #{left_end}]",
        "cmp r1, r2",
        "beq 5f",
        "4:",
        ".rept {group}",
        products!(),
        ".endr",
        "cmp r1, r2",
        "bne 4b",
        "5:",
        "ldr r0, [sp]",
        "add r0, r0, #{sums}",
        "stm r0, {{r8-r11}}",
        "pop {{r0, r4-r11, pc}}",
        right = const offset_of!(Columns, right),
        left_end = const offset_of!(Columns, left_end),
        sums = const offset_of!(Columns, sums),
        group = const GROUP,
    )
}
