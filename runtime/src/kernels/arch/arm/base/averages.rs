//! Averages over windows whose channels lie side by side: four channels at a time.
#![allow(unsafe_code)]

use core::ops::Range;

use super::inner;
use crate::kernels::arch::arm::averages;
pub(super) use crate::kernels::arch::arm::averages::{Averages, CHANNELS};
use crate::kernels::linked::Linked;
use crate::kernels::params::AveragePool2d;

pub(super) fn average_pool_2d<L: Linked>(
    op: &AveragePool2d,
    input: &[i8],
    output: &mut [i8],
    rows: Range<usize>,
) {
    averages::average_pool_2d::<L>(op, input, output, rows, |block| {
        // SAFETY: what the block leads to is there.
        unsafe { inner::averages(block) }
    });
}

pub(super) fn global_average<L: Linked>(op: &AveragePool2d, input: &[i8], output: &mut [i8]) {
    averages::global_average::<L>(op, input, output, |block| {
        // SAFETY: what the block leads to is there.
        unsafe { inner::averages(block) }
    });
}
