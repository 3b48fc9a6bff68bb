//! Sum of two values: four elements at a time.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::cell::Cell;

use crate::kernels::params::Add;

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
