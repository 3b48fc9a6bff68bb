//! Sum of two values: four elements at a time.
#![allow(unsafe_code)]

use core::arch::asm;
use core::cell::Cell;

use crate::kernels::params::Add;

/// Elements at a time.
const RUN: usize = 4;

/// Adds whole words of elements, saturating to int8; says how many elements these are.
fn add_words(op: &Add, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) -> usize {
    let words = lhs.len().min(rhs.len()).min(output.len()) / RUN;
    if words == 0 {
        return 0;
    }
    let c = &op.coefficients;
    // SAFETY: `words` words of each operand are read and as many of the output are written, all of them inside slices of
    // cells, which may be changed while they are shared. A word is read before it is written, so that the output may lie
    // on an operand.
    unsafe {
        asm!(
            "2:",
            "ldr {l}, [{lhs}], #4",
            "ldr {r}, [{rhs}], #4",
            ".irp turn, 0, 8, 16, 24",
            "sxtb {a}, {l}, ror #\\turn",
            "sxtb {b}, {r}, ror #\\turn",
            "mla {a}, {a}, {lhs_factor}, {offset}",
            "mla {a}, {b}, {rhs_factor}, {a}",
            "asr {a}, {a}, {shift}",
            "ssat {a}, #8, {a}",
            "strb {a}, [{output}], #1",
            ".endr",
            "subs {words}, {words}, #1",
            "bne 2b",
            l = out(reg) _,
            r = out(reg) _,
            a = out(reg) _,
            b = out(reg) _,
            lhs = inout(reg) lhs.as_ptr() => _,
            rhs = inout(reg) rhs.as_ptr() => _,
            output = inout(reg) output.as_ptr() => _,
            words = inout(reg) words => _,
            lhs_factor = in(reg) c.lhs,
            rhs_factor = in(reg) c.rhs,
            offset = in(reg) c.offset,
            shift = in(reg) u32::from(c.shift & 31),
            options(nostack),
        );
    }
    words * RUN
}

pub(super) fn add(op: &Add, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
    let done = add_words(op, lhs, rhs, output);
    if (op.output_min, op.output_max) != (i8::MIN, i8::MAX) {
        for element in output.iter().take(done) {
            element.set(element.get().max(op.output_min).min(op.output_max));
        }
    }
    for ((lhs, rhs), output) in lhs.iter().zip(rhs).zip(output).skip(done) {
        output.set(op.coefficients.apply(lhs.get(), rhs.get(), op.output_min, op.output_max));
    }
}
