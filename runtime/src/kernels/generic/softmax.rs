//! Softmax over the channels of each position.

use core::cell::Cell;

use crate::kernels::params::Softmax;
use crate::quant::Normalizer;
use crate::shape::Layout;

pub(super) fn softmax(op: &Softmax<'_>, input: &[Cell<i8>], output: &[Cell<i8>]) {
    let extent = op.view.extent;
    // From one position to the next, and from one of its elements to the next.
    let (step, stride) = match op.view.layout {
        Layout::Nhwc => (extent.c, 1),
        Layout::Planar => (1, extent.w),
    };
    let len = input.len().min(output.len());
    let mut row = 0;
    while row < len {
        for x in 0..extent.w {
            position(op, input, output, row + x * step, stride);
        }
        row += extent.row_len().max(1);
    }
}

/// One position: its elements in the input and in the output, which may be the same cells, from `start` on.
fn position(op: &Softmax<'_>, input: &[Cell<i8>], output: &[Cell<i8>], start: usize, stride: usize) {
    let places = || (0..op.view.extent.c).map(|c| start + c * stride);
    let element = |at: usize| input.get(at).map_or(i8::MIN, Cell::get);
    let max = places().fold(i8::MIN, |max, at| max.max(element(at)));
    let sum = places().fold(0u32, |sum, at| sum.wrapping_add(op.exponential(max, element(at))));
    let normalizer = Normalizer::new(sum);
    for at in places() {
        if let Some(output) = output.get(at) {
            output.set(op.finish(normalizer, op.exponential(max, element(at))));
        }
    }
}
