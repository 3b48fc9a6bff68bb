//! As `armv7m/mat_mul.rs`.
#![allow(unsafe_code)]

use crate::kernels::arch::arm::base::mat_mul::{Columns, GROUP};

/// Adds the products of one element of the left row; moves on.
unsafe fn products(block: &Columns, sums: &mut [i32; 4], left: &mut *const i8, right: &mut *const i8) {
    // SAFETY: the caller's, here and below.
    let a = unsafe { i32::from(**left) } + block.added;
    let [o1, o2, o3] = block.offsets;
    for (sum, offset) in sums.iter_mut().zip([0, o1, o2, o3]) {
        // SAFETY: as above.
        *sum = sum.wrapping_add(a * i32::from(unsafe { *right.add(offset) }));
    }
    *left = left.wrapping_add(1);
    *right = right.wrapping_add(block.step);
}

/// Adds the products of a row with four columns.
pub(crate) unsafe fn multiply_columns(block: &mut Columns) {
    let (mut left, mut right, mut sums) = (block.left, block.right, block.sums);
    while left != block.rest_end {
        // SAFETY: the caller's.
        unsafe { products(block, &mut sums, &mut left, &mut right) };
    }
    while left != block.left_end {
        for _ in 0..GROUP {
            // SAFETY: the caller's.
            unsafe { products(block, &mut sums, &mut left, &mut right) };
        }
    }
    block.sums = sums;
}
