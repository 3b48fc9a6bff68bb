//! Portable kernels in safe Rust, for processors without a set of their own.

use core::cell::Cell;
use core::ops::Range;

use super::Kernels;
use super::params::{
    Add, AveragePool2d, Conv2d, DepthwiseConv2d, FullyConnected, MaxPool2d, Mul, Packing, Place, Softmax,
};
use super::reference::Reference;

/// The portable set.
#[derive(Clone, Copy, Debug)]
pub struct Generic;

impl Kernels for Generic {
    const NAME: &'static str = "generic";

    fn reads(packing: Packing) -> bool {
        packing == Packing::Plain
    }

    fn conv_2d_scratch_len(_: &Conv2d<'_>) -> usize {
        0
    }

    fn conv_2d(op: &Conv2d<'_>, input: &[i8], output: &mut [i8], rows: Range<usize>, _: &mut [i8]) {
        Reference::conv_2d(op, input, output, rows, &mut []);
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
        Reference::depthwise_conv_2d(op, input, output, rows, &mut []);
    }

    fn fully_connected(op: &FullyConnected<'_>, input: &[i8], output: &mut [i8], outputs: Range<usize>) {
        Reference::fully_connected(op, input, output, outputs);
    }

    fn max_pool_2d(op: &MaxPool2d, input: &[i8], output: &mut [i8], rows: Range<usize>) {
        Reference::max_pool_2d(op, input, output, rows);
    }

    fn average_pool_2d(op: &AveragePool2d, input: &[i8], output: &mut [i8], rows: Range<usize>) {
        Reference::average_pool_2d(op, input, output, rows);
    }

    fn add(op: &Add, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
        Reference::add(op, lhs, rhs, output);
    }

    fn mul(op: &Mul, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
        Reference::mul(op, lhs, rhs, output);
    }

    fn lookup(table: &[i8], input: &[Cell<i8>], output: &[Cell<i8>]) {
        Reference::lookup(table, input, output);
    }

    fn softmax(op: &Softmax<'_>, input: &[Cell<i8>], output: &[Cell<i8>]) {
        Reference::softmax(op, input, output);
    }

    fn place(op: &Place, input: &[i8], output: &mut [i8], rows: Range<usize>) {
        Reference::place(op, input, output, rows);
    }
}

#[cfg(test)]
mod tests {
    use super::Generic;

    crate::kernels::suite::kernel_suite!(Generic);
}
