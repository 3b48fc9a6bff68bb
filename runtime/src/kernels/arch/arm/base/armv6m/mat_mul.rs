//! As `armv7m/mat_mul.rs`. Sums, the step and what is added to the left elements are in the upper registers.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::mem::offset_of;

use super::{enter, leave};
use crate::kernels::arch::arm::base::mat_mul::{Columns, GROUP};

/// Products of an element of the left row, which lies r7 bytes from r2, with those of four columns, which are summed in
/// r8 to r11.
macro_rules! products {
    () => {
        "
        ldrsb r1, [r2, r7]
        movs r0, #0
        ldrsb r0, [r3, r0]
        add r1, lr
        muls r0, r1, r0
        add r8, r0
        ldrsb r0, [r3, r4]
        muls r0, r1, r0
        add r9, r0
        ldrsb r0, [r3, r5]
        muls r0, r1, r0
        add r10, r0
        ldrsb r0, [r3, r6]
        muls r0, r1, r0
        add r11, r0
        add r3, r12
        adds r7, r7, #1
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
        enter!(),
        "push {{r0}}",
        // The sums, and before them the step and what is added.
        "mov r1, r0",
        "adds r1, r1, #{step}",
        "ldm r1!, {{r2-r7}}",
        "mov r12, r2",
        "mov lr, r3",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "mov r11, r7",
        "ldr r7, [r0]",
        "ldr r2, [r0, #{rest_end}]",
        "ldr r3, [r0, #{right}]",
        "ldr r4, [r0, #{offsets}]",
        "ldr r5, [r0, #{offsets} + 4]",
        "ldr r6, [r0, #{offsets} + 8]",
        // From minus the number of elements up to 0.
        "subs r7, r7, r2",
        "beq 3f",
        "2:",
        products!(),
        "bne 2b",
        "3:",
        "ldr r0, [sp]",
        "mov r7, r2",
        "ldr r2, [r0, #{left_end}]",
        "subs r7, r7, r2",
        "beq 5f",
        "4:",
        ".rept {group}",
        products!(),
        ".endr",
        "bne 4b",
        "5:",
        "pop {{r0}}",
        "adds r0, r0, #{sums}",
        "mov r4, r8",
        "mov r5, r9",
        "mov r6, r10",
        "mov r7, r11",
        "stm r0!, {{r4-r7}}",
        leave!(),
        step = const offset_of!(Columns, step),
        right = const offset_of!(Columns, right),
        rest_end = const offset_of!(Columns, rest_end),
        offsets = const offset_of!(Columns, offsets),
        left_end = const offset_of!(Columns, left_end),
        sums = const offset_of!(Columns, sums),
        group = const GROUP,
    )
}
