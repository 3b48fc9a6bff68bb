//! Sum and product of two values, four elements at a time; table look-up, 16 at a time.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::cell::Cell;

use crate::kernels::linked::{Linked, Variant};
use crate::kernels::params::{Add, Mul};
use crate::shape::Layout;

/// What [`sums`] works on.
#[repr(C)]
struct Sums {
    lhs_factor: i32,
    rhs_factor: i32,
    offset: i32,
    /// Less than 0: to the right.
    left_shift: i32,
    output_min: i32,
    output_max: i32,
}

pub(super) fn add(op: &Add, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
    let c = &op.coefficients;
    let numbers = Sums {
        lhs_factor: c.lhs,
        rhs_factor: c.rhs,
        offset: c.offset,
        left_shift: -i32::from(c.shift & 31),
        output_min: op.output_min.into(),
        output_max: op.output_max.into(),
    };
    let len = lhs.len().min(rhs.len()).min(output.len());
    // SAFETY: `len` elements of each operand are read and as many of the output are written, inside slices of cells, which
    // may be changed while they are shared. Four elements are read before they are written, so that the output may lie
    // on an operand.
    unsafe { sums(&numbers, lhs.as_ptr().cast(), rhs.as_ptr().cast(), output.as_ptr().cast(), len) }
}

#[unsafe(naked)]
unsafe extern "C" fn sums(numbers: &Sums, lhs: *const i8, rhs: *const i8, output: *const i8, len: usize) {
    naked_asm!(
        processor!(),
        "push {{r4-r9, lr}}",
        "ldr r12, [sp, #28]",
        "ldm r0, {{r4-r9}}",
        "vdup.32 q2, r8",
        "vdup.32 q3, r9",
        "wlstp.32 lr, r12, 3f",
        "2:",
        "vldrb.s32 q0, [r1], #4",
        "vmul.i32 q0, q0, r4",
        "vldrb.s32 q1, [r2], #4",
        "vmla.i32 q0, q1, r5",
        "vadd.i32 q0, q0, r6",
        "vshl.s32 q0, r7",
        "vmax.s32 q0, q0, q2",
        "vmin.s32 q0, q0, q3",
        "vstrb.32 q0, [r3], #4",
        "letp lr, 2b",
        "3:",
        "pop {{r4-r9, pc}}",
    )
}

/// What [`products`] works on.
#[repr(C)]
struct Products {
    lhs_zero_point: i32,
    rhs_zero_point: i32,
    left_shift: i32,
    mantissa: i32,
    output_zero_point: i32,
    /// From four right operands to the next four.
    rhs_step: usize,
    output_min: i32,
    output_max: i32,
}

pub(super) fn mul<L: Linked>(op: &Mul, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
    let mut numbers = Products {
        lhs_zero_point: op.lhs_zero_point.into(),
        rhs_zero_point: op.rhs_zero_point.into(),
        left_shift: op.shift.into(),
        mantissa: op.mantissa,
        output_zero_point: op.output_zero_point.into(),
        rhs_step: 4,
        output_min: op.output_min.into(),
        output_max: op.output_max.into(),
    };
    if !L::VARIANTS.has(Variant::PerChannel) || !op.rhs_per_channel {
        return multiply(&numbers, lhs, rhs, output);
    }
    let extent = op.view.extent;
    if op.view.layout == Layout::Nhwc && extent.c > 1 {
        for (lhs, output) in lhs.chunks(extent.c).zip(output.chunks(extent.c)) {
            multiply(&numbers, lhs, rhs, output);
        }
        return;
    }
    // Neighbours along the width share a factor.
    numbers.rhs_step = 0;
    let run = extent.w.max(1);
    for ((lhs, output), factor) in lhs.chunks(run).zip(output.chunks(run)).zip(rhs.iter().cycle()) {
        let factors = [(); 4].map(|()| Cell::new(factor.get()));
        let len = lhs.len().min(output.len());
        // SAFETY: four right operands are read again and again; for the others see `multiply`.
        unsafe {
            products(&numbers, lhs.as_ptr().cast(), factors.as_ptr().cast(), output.as_ptr().cast(), len);
        }
    }
}

/// Products of as many elements as all three slices have.
fn multiply(numbers: &Products, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
    let len = lhs.len().min(rhs.len()).min(output.len());
    // SAFETY: `len` elements of each operand are read and as many of the output are written, inside slices of cells, which
    // may be changed while they are shared. Four elements are read before they are written, so that the output may lie
    // on an operand.
    unsafe { products(numbers, lhs.as_ptr().cast(), rhs.as_ptr().cast(), output.as_ptr().cast(), len) }
}

#[unsafe(naked)]
unsafe extern "C" fn products(
    numbers: &Products,
    lhs: *const i8,
    rhs: *const i8,
    output: *const i8,
    len: usize,
) {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        "ldr r12, [sp, #36]",
        "ldm r0, {{r4-r11}}",
        "vdup.32 q2, r10",
        "vdup.32 q3, r11",
        "wlstp.32 lr, r12, 3f",
        "2:",
        "vldrb.s32 q0, [r1], #4",
        "vsub.i32 q0, q0, r4",
        "vldrb.s32 q1, [r2]",
        "vsub.i32 q1, q1, r5",
        "vmul.i32 q0, q0, q1",
        "add r2, r2, r9",
        "vqshl.s32 q0, r6",
        "vqrdmulh.s32 q0, q0, r7",
        "vqadd.s32 q0, q0, r8",
        "vmax.s32 q0, q0, q2",
        "vmin.s32 q0, q0, q3",
        "vstrb.32 q0, [r3], #4",
        "letp lr, 2b",
        "3:",
        "pop {{r4-r11, pc}}",
    )
}

pub(super) fn lookup(table: &[i8], input: &[Cell<i8>], output: &[Cell<i8>]) {
    let len = input.len().min(output.len());
    if table.len() < 256 {
        return;
    }
    // SAFETY: the table has an element for each index of eight bits; for the slices of cells see `add`.
    unsafe { look_up(table.as_ptr(), input.as_ptr().cast(), output.as_ptr().cast(), len) }
}

#[unsafe(naked)]
unsafe extern "C" fn look_up(table: *const i8, input: *const i8, output: *const i8, len: usize) {
    naked_asm!(
        processor!(),
        "push {{r4, lr}}",
        // -128 is the first element: the sign bit flipped is `input + 128`.
        "mov r12, #128",
        "vdup.8 q2, r12",
        "wlstp.8 lr, r3, 3f",
        "2:",
        "vldrb.u8 q0, [r1], #16",
        "veor q0, q0, q2",
        "vldrb.u8 q1, [r0, q0]",
        "vstrb.8 q1, [r2], #16",
        "letp lr, 2b",
        "3:",
        "pop {{r4, pc}}",
    )
}
