//! Sum and product of two values, four elements at a time.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::cell::Cell;

use crate::kernels::arch::arm::{elementwise, lookup};
use crate::kernels::linked::Linked;
use crate::kernels::params::{Add, Mul};

/// What [`sums`] works on.
#[repr(C)]
struct Sums {
    lhs_factor: i32,
    rhs_factor: i32,
    offset: i32,
    shift: u32,
}

pub(super) fn add<L: Linked>(op: &Add, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
    let c = &op.coefficients;
    let numbers =
        Sums { lhs_factor: c.lhs, rhs_factor: c.rhs, offset: c.offset, shift: u32::from(c.shift & 31) };
    elementwise::add::<L>(op, lhs, rhs, output, |lhs, rhs, output, len| {
        // SAFETY: as many elements as there are. Four are read before they are written, so that the output may lie on an
        // operand.
        unsafe { sums(&numbers, lhs, rhs, output, len) }
    });
}

/// Sums of `len` elements.
#[unsafe(naked)]
unsafe extern "C" fn sums(numbers: &Sums, lhs: *const i8, rhs: *const i8, output: *mut i8, len: usize) {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        "ldr r12, [sp, #36]",
        "ldm r0, {{r4-r7}}",
        "subs r12, r12, #4",
        "blo 3f",
        "2:",
        "ldr r10, [r1], #4",
        "ldr r11, [r2], #4",
        ".irp turn, 0, 8, 16, 24",
        "sxtb r0, r10, ror #\\turn",
        "sxtb r8, r11, ror #\\turn",
        "mla r0, r0, r4, r6",
        "mla r0, r8, r5, r0",
        "asrs r0, r0, r7",
        "ssat r0, #8, r0",
        "strb r0, [r3], #1",
        ".endr",
        "subs r12, r12, #4",
        "bhs 2b",
        "3:",
        "adds r12, r12, #4",
        "beq 5f",
        "4:",
        "ldrsb r0, [r1], #1",
        "ldrsb r8, [r2], #1",
        "mla r0, r0, r4, r6",
        "mla r0, r8, r5, r0",
        "asrs r0, r0, r7",
        "ssat r0, #8, r0",
        "strb r0, [r3], #1",
        "subs r12, r12, #1",
        "bne 4b",
        "5:",
        "pop {{r4-r11, pc}}",
    )
}

/// What [`products`] works on.
#[repr(C)]
struct Products {
    /// Less the zero points, in both halves.
    lhs_offset: u32,
    rhs_offset: u32,
    /// The doubled mantissa.
    multiplier: i32,
    zero_point: i32,
}

pub(super) fn mul<L: Linked>(op: &Mul, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
    let offset = |zero_point: i8| u32::from((-i16::from(zero_point)) as u16) * 0x1_0001;
    let numbers = Products {
        lhs_offset: offset(op.lhs_zero_point),
        rhs_offset: offset(op.rhs_zero_point),
        multiplier: op.mantissa.wrapping_mul(2),
        zero_point: op.output_zero_point.into(),
    };
    elementwise::mul::<L>(op, lhs, rhs, output, |lhs, rhs, output, len| {
        // SAFETY: as in `add`.
        unsafe { products(&numbers, lhs, rhs, output, len) }
    });
}

/// Products of `len` elements.
#[unsafe(naked)]
unsafe extern "C" fn products(
    numbers: &Products,
    lhs: *const i8,
    rhs: *const i8,
    output: *mut i8,
    len: usize,
) {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        "ldr r12, [sp, #36]",
        "ldm r0, {{r8-r11}}",
        "subs r12, r12, #4",
        "blo 3f",
        "2:",
        "ldr r0, [r1], #4",
        "ldr r4, [r2], #4",
        // Elements 0 and 2, then 1 and 3.
        "sxtab16 r5, r8, r0",
        "sxtab16 r6, r9, r4",
        "sxtab16 r0, r8, r0, ror #8",
        "sxtab16 r4, r9, r4, ror #8",
        "smulbb r7, r5, r6",
        "smultt r5, r5, r6",
        "smulbb r6, r0, r4",
        "smultt r0, r0, r4",
        ".irp product, r7, r6, r5, r0",
        "smmlar \\product, \\product, r10, r11",
        "ssat \\product, #8, \\product",
        ".endr",
        "strb r6, [r3, #1]",
        "strb r5, [r3, #2]",
        "strb r0, [r3, #3]",
        "strb r7, [r3], #4",
        "subs r12, r12, #4",
        "bhs 2b",
        "3:",
        "adds r12, r12, #4",
        "beq 5f",
        "4:",
        "ldrb r0, [r1], #1",
        "ldrb r4, [r2], #1",
        "sxtab16 r0, r8, r0",
        "sxtab16 r4, r9, r4",
        "smulbb r0, r0, r4",
        "smmlar r0, r0, r10, r11",
        "ssat r0, #8, r0",
        "strb r0, [r3], #1",
        "subs r12, r12, #1",
        "bne 4b",
        "5:",
        "pop {{r4-r11, pc}}",
    )
}

pub(super) fn lookup(table: &[i8], input: &[Cell<i8>], output: &[Cell<i8>]) {
    elementwise::lookup(table, input, output, |middle, input, output, len| {
        // SAFETY: the table has an element for each input on either side of the middle; as many elements as there are.
        unsafe { lookup::look_up(middle, input, output, len) }
    });
}
