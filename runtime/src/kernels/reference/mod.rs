//! Naive kernels: the definition of every operator, written for reading. All other sets equal them bit for bit.
//!
//! The formulas stand in `docs/arithmetic.md`. Elements are addressed through [`View::index`], so every layout
//! is the same code; accumulators wrap on overflow, which a checked plan excludes.

mod average_pool_2d;
pub(crate) mod conv_2d;
pub(crate) mod depthwise_conv_2d;
mod elementwise;
pub(crate) mod fully_connected;
pub(crate) mod mat_mul;
mod max_pool_2d;
mod place;
mod softmax;
#[cfg(test)]
mod tests;

use core::cell::Cell;
use core::ops::Range;

use super::Kernels;
use super::linked::{All, Linked};
use super::params::{
    Add, AveragePool2d, Conv2d, DepthwiseConv2d, FullyConnected, MatMul, MaxPool2d, Mul, Packing, Place,
    Softmax, Window,
};
use crate::shape::View;

/// The oracle: complete, naive, slow.
#[derive(Clone, Copy, Debug)]
pub struct Reference;

impl Kernels for Reference {
    const NAME: &'static str = "reference";
    type For<L: Linked> = Self;
    type Variants = All;
    const READS: &'static [Packing] = &Packing::ALL;

    fn conv_2d_scratch_len(_: &Conv2d<'_>) -> usize {
        0
    }

    fn conv_2d(op: &Conv2d<'_>, input: &[i8], output: &mut [i8], rows: Range<usize>, _: &mut [i8]) {
        conv_2d::conv_2d(op, input, output, rows);
    }

    fn depthwise_conv_2d_scratch_len(_: &DepthwiseConv2d<'_>) -> usize {
        0
    }

    fn depthwise_conv_2d(
        op: &DepthwiseConv2d<'_>,
        input: &[i8],
        output: &mut [i8],
        rows: Range<usize>,
        _: &mut [i8],
    ) {
        depthwise_conv_2d::depthwise_conv_2d(op, input, output, rows);
    }

    fn fully_connected(op: &FullyConnected<'_>, input: &[i8], output: &mut [i8], outputs: Range<usize>) {
        fully_connected::fully_connected(op, input, output, outputs);
    }

    fn mat_mul(op: &MatMul, lhs: &[i8], rhs: &[i8], output: &mut [i8], rows: Range<usize>) {
        mat_mul::mat_mul(op, lhs, rhs, output, rows);
    }

    fn max_pool_2d(op: &MaxPool2d, input: &[i8], output: &mut [i8], rows: Range<usize>) {
        max_pool_2d::max_pool_2d(op, input, output, rows);
    }

    fn average_pool_2d(op: &AveragePool2d, input: &[i8], output: &mut [i8], rows: Range<usize>) {
        average_pool_2d::average_pool_2d(op, input, output, rows);
    }

    fn add(op: &Add, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
        elementwise::add(op, lhs, rhs, output);
    }

    fn mul(op: &Mul, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
        elementwise::mul(op, lhs, rhs, output);
    }

    fn lookup(table: &[i8], input: &[Cell<i8>], output: &[Cell<i8>]) {
        elementwise::lookup(table, input, output);
    }

    fn softmax(op: &Softmax<'_>, input: &[Cell<i8>], output: &[Cell<i8>]) {
        softmax::softmax(op, input, output);
    }

    fn place(op: &Place, input: &[i8], output: &mut [i8], rows: Range<usize>) {
        place::place(op, input, output, rows);
    }
}

/// Calls `visit` with every position (`y`, `x`, `c`) of the rows `rows` and the element's index in a slice that
/// holds exactly these rows.
fn for_each_output(view: View, rows: Range<usize>, mut visit: impl FnMut(usize, usize, usize, usize)) {
    for (row, y) in rows.enumerate() {
        for x in 0..view.extent.w {
            for c in 0..view.extent.c {
                visit(y, x, c, view.index(row, x, c));
            }
        }
    }
}

/// Input position under filter tap (`ky`, `kx`) of output position (`y`, `x`), or `None` in the padding.
fn tap(window: &Window, input: View, y: usize, x: usize, ky: usize, kx: usize) -> Option<(usize, usize)> {
    let iy = (y * window.stride_h + ky * window.dilation_h).checked_sub(window.pad_top)?;
    let ix = (x * window.stride_w + kx * window.dilation_w).checked_sub(window.pad_left)?;
    (iy < input.extent.h && ix < input.extent.w).then_some((iy, ix))
}

/// Element `index`, 0 outside the slice.
fn at<T: Copy + Default>(slice: &[T], index: usize) -> T {
    slice.get(index).copied().unwrap_or_default()
}

/// Stores `value` at `index`, nothing outside the slice.
fn put(slice: &mut [i8], index: usize, value: i8) {
    if let Some(element) = slice.get_mut(index) {
        *element = value;
    }
}
