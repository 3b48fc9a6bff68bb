//! Softmax over the channels of each position.

use core::cell::Cell;

use crate::kernels::params::Softmax;
use crate::quant::Normalizer;
use crate::shape::Layout;

pub(super) fn softmax(op: &Softmax<'_>, input: &[Cell<i8>], output: &[Cell<i8>]) {
    let (channels, row_len) = (op.view.extent.c.max(1), op.view.extent.row_len().max(1));
    match op.view.layout {
        Layout::Nhwc => {
            let positions = input.chunks_exact(channels).zip(output.chunks_exact(channels));
            positions.for_each(|(input, output)| position(op, input.iter(), output.iter()));
        }
        Layout::Planar => {
            let width = op.view.extent.w.max(1);
            for (input, output) in input.chunks_exact(row_len).zip(output.chunks_exact(row_len)) {
                for x in 0..width {
                    let (input, output) = (input.iter().skip(x), output.iter().skip(x));
                    position(op, input.step_by(width), output.step_by(width));
                }
            }
        }
    }
}

/// One position: its elements in the input and in the output, which may be the same cells.
#[inline(always)]
fn position<'c>(
    op: &Softmax<'_>,
    input: impl Iterator<Item = &'c Cell<i8>> + Clone,
    output: impl Iterator<Item = &'c Cell<i8>>,
) {
    let max = input.clone().fold(i8::MIN, |max, q| max.max(q.get()));
    let sum = input.clone().fold(0u32, |sum, q| sum.wrapping_add(op.exponential(max, q.get())));
    let normalizer = Normalizer::new(sum);
    for (input, output) in input.zip(output) {
        output.set(op.finish(normalizer, op.exponential(max, input.get())));
    }
}
