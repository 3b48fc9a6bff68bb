//! Softmax over the channels of each position.

use core::cell::Cell;

use crate::kernels::linked::{Linked, Variant};
use crate::kernels::params::Softmax;
use crate::quant::Normalizer;
use crate::shape::Layout;

pub(super) fn softmax<L: Linked>(op: &Softmax<'_>, input: &[Cell<i8>], output: &[Cell<i8>]) {
    let extent = op.view.extent;
    let Some(exponentials) = op.exponentials.first_chunk::<256>() else { return };
    if L::VARIANTS.has(Variant::PlanarSoftmax) && op.view.layout == Layout::Planar {
        let row_len = extent.row_len().max(1);
        for (input, output) in input.chunks_exact(row_len).zip(output.chunks_exact(row_len)) {
            for x in 0..extent.w {
                let columns = |row| column(row, x, extent.w);
                position(op, exponentials, || columns(input), columns(output));
            }
        }
        return;
    }
    let (mut input, mut output) = (input, output);
    while let (Some((these, rest)), Some((results, places))) =
        (input.split_at_checked(extent.c), output.split_at_checked(extent.c))
        && !these.is_empty()
    {
        position(op, exponentials, || these.iter(), results.iter());
        (input, output) = (rest, places);
    }
}

/// The elements of position `x` in a planar row of `w` positions.
fn column(row: &[Cell<i8>], x: usize, w: usize) -> impl Iterator<Item = &Cell<i8>> {
    row.get(x..).unwrap_or(&[]).iter().step_by(w.max(1))
}

/// One position: its elements in the input and in the output, which may be the same cells.
#[inline(always)]
fn position<'c, I: Iterator<Item = &'c Cell<i8>>>(
    op: &Softmax<'_>,
    exponentials: &[u32; 256],
    input: impl Fn() -> I,
    output: impl Iterator<Item = &'c Cell<i8>>,
) {
    let max = input().fold(i8::MIN, |max, element| max.max(element.get()));
    // None is above the largest.
    let exponential = |element: &Cell<i8>| exponentials[usize::from(max.wrapping_sub(element.get()) as u8)];
    let sum = input().fold(0u32, |sum, element| sum.wrapping_add(exponential(element)));
    let normalizer = Normalizer::new(sum);
    for (element, output) in input().zip(output) {
        output.set(op.finish(normalizer, exponential(element)));
    }
}
