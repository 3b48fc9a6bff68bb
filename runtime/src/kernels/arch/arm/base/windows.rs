//! Maximum over windows whose channels lie side by side: four channels at a time.
#![allow(unsafe_code)]

use core::ops::Range;

use super::inner;
use crate::kernels::arch::arm::windows;
pub(super) use crate::kernels::arch::arm::windows::Windows;
use crate::kernels::params::MaxPool2d;

/// Channels at a time.
pub(super) const CHANNELS: usize = 4;

pub(super) fn max_pool_2d(op: &MaxPool2d, input: &[i8], output: &mut [i8], rows: Range<usize>) {
    windows::max_pool_2d(op, input, output, rows, CHANNELS, i32::from, |windows| {
        // SAFETY: what the block leads to is there.
        unsafe { inner::maxima(windows) }
    });
}
