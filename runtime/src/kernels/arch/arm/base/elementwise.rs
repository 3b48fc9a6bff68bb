//! Sum and product of two values, and table look-up.
#![allow(unsafe_code)]

use core::cell::Cell;

use super::inner;
use crate::kernels::arch::arm::elementwise;
use crate::kernels::linked::Linked;
use crate::kernels::params::{Add, Mul};

/// What [`inner::sums`] works on.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Sums {
    pub lhs_factor: i32,
    pub rhs_factor: i32,
    pub offset: i32,
    pub shift: u32,
}

pub(super) fn add<L: Linked>(op: &Add, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
    let c = &op.coefficients;
    let numbers =
        Sums { lhs_factor: c.lhs, rhs_factor: c.rhs, offset: c.offset, shift: u32::from(c.shift & 31) };
    elementwise::add::<L>(op, lhs, rhs, output, |lhs, rhs, output, len| {
        // SAFETY: as many elements as there are. Each is read before it is written, so that the output may lie on an
        // operand.
        unsafe { inner::sums(&numbers, lhs, rhs, output, len) }
    });
}

/// What [`inner::products`] works on.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Products {
    /// Less the zero points.
    pub lhs_offset: i32,
    pub rhs_offset: i32,
    /// Below 2^30.
    pub mantissa: i32,
    pub zero_point: i32,
}

pub(super) fn mul<L: Linked>(op: &Mul, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
    let numbers = Products {
        lhs_offset: -i32::from(op.lhs_zero_point),
        rhs_offset: -i32::from(op.rhs_zero_point),
        mantissa: op.mantissa,
        zero_point: op.output_zero_point.into(),
    };
    elementwise::mul::<L>(op, lhs, rhs, output, |lhs, rhs, output, len| {
        // SAFETY: as in `add`.
        unsafe { inner::products(&numbers, lhs, rhs, output, len) }
    });
}

pub(super) fn lookup(table: &[i8], input: &[Cell<i8>], output: &[Cell<i8>]) {
    elementwise::lookup(table, input, output, |middle, input, output, len| {
        // SAFETY: the table has an element for each input on either side of the middle; as many elements as there are.
        unsafe { inner::look_up(middle, input, output, len) }
    });
}
