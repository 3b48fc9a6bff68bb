//! As `armv6m/elementwise.rs`.
#![allow(unsafe_code)]

use crate::kernels::arch::arm::base::elementwise::{Products, Sums};
use crate::quant::clamp_i8;

/// Sums of `len` elements.
pub(crate) unsafe fn sums(numbers: &Sums, lhs: *const i8, rhs: *const i8, output: *mut i8, len: usize) {
    for i in 0..len {
        // SAFETY: the caller's, here and below.
        let (a, b) = unsafe { (i32::from(*lhs.add(i)), i32::from(*rhs.add(i))) };
        let products = a.wrapping_mul(numbers.lhs_factor).wrapping_add(b.wrapping_mul(numbers.rhs_factor));
        let sum = products.wrapping_add(numbers.offset) >> numbers.shift;
        // SAFETY: as above.
        unsafe { *output.add(i) = clamp_i8(sum, i8::MIN, i8::MAX) };
    }
}

/// Products of `len` elements.
pub(crate) unsafe fn products(
    numbers: &Products,
    lhs: *const i8,
    rhs: *const i8,
    output: *mut i8,
    len: usize,
) {
    let (upper, lower) = (numbers.mantissa >> 15, numbers.mantissa & 0x7FFF);
    for i in 0..len {
        // SAFETY: the caller's, here and below.
        let (a, b) = unsafe { (i32::from(*lhs.add(i)), i32::from(*rhs.add(i))) };
        let product = (a + numbers.lhs_offset) * (b + numbers.rhs_offset);
        // No sum overflows, since products are at most 255 * 255 and the mantissa is below 2^30.
        let scaled = product * upper + ((product * lower) >> 15) + (1 << 15) + (numbers.zero_point << 16);
        // SAFETY: as above.
        unsafe { *output.add(i) = clamp_i8(scaled >> 16, i8::MIN, i8::MAX) };
    }
}

/// `output[i] = middle[input[i]]`.
pub(crate) unsafe fn look_up(middle: *const i8, input: *const i8, output: *mut i8, len: usize) {
    for i in 0..len {
        // SAFETY: the caller's.
        unsafe { *output.add(i) = *middle.offset((*input.add(i)).into()) };
    }
}
