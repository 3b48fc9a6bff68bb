//! The set: fast paths where there is one, the portable kernels for the rest.

use core::cell::Cell;
use core::ops::Range;

use super::{conv_2d, depthwise_conv_2d, fully_connected, pool, scratch};
use crate::kernels::Kernels;
use crate::kernels::generic::Generic;
use crate::kernels::params::{
    Add, AveragePool2d, Conv2d, DepthwiseConv2d, FullyConnected, MaxPool2d, Mul, Packing, Place, Softmax,
};

/// The set for the DSP extension.
#[derive(Clone, Copy, Debug)]
pub struct Dsp;

impl Kernels for Dsp {
    const NAME: &'static str = "dsp";

    fn reads(_: Packing) -> bool {
        true
    }

    fn conv_2d_scratch_len(op: &Conv2d<'_>) -> usize {
        scratch::conv_2d_scratch_len(op)
    }

    fn conv_2d(op: &Conv2d<'_>, input: &[i8], output: &mut [i8], rows: Range<usize>, scratch: &mut [i8]) {
        match op.packing {
            Packing::Plain => Generic::conv_2d(op, input, output, rows, scratch),
            Packing::Dsp => conv_2d::conv_2d(op, input, output, rows, scratch),
        }
    }

    fn depthwise_conv_2d_scratch_len(op: &DepthwiseConv2d<'_>) -> usize {
        scratch::depthwise_conv_2d_scratch_len(op)
    }

    fn depthwise_conv_2d(
        op: &DepthwiseConv2d<'_>,
        input: &[i8],
        output: &mut [i8],
        rows: Range<usize>,
        scratch: &mut [i8],
    ) {
        match op.packing {
            Packing::Plain => Generic::depthwise_conv_2d(op, input, output, rows, scratch),
            Packing::Dsp => depthwise_conv_2d::depthwise_conv_2d(op, input, output, rows, scratch),
        }
    }

    fn fully_connected(op: &FullyConnected<'_>, input: &[i8], output: &mut [i8], outputs: Range<usize>) {
        match op.packing {
            Packing::Plain => Generic::fully_connected(op, input, output, outputs),
            Packing::Dsp => fully_connected::fully_connected(op, input, output, outputs),
        }
    }

    fn max_pool_2d(op: &MaxPool2d, input: &[i8], output: &mut [i8], rows: Range<usize>) {
        Generic::max_pool_2d(op, input, output, rows);
    }

    fn average_pool_2d(op: &AveragePool2d, input: &[i8], output: &mut [i8], rows: Range<usize>) {
        if pool::is_global(op) && rows == (0..1) {
            pool::global_average(op, input, output);
        } else {
            Generic::average_pool_2d(op, input, output, rows);
        }
    }

    fn add(op: &Add, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
        Generic::add(op, lhs, rhs, output);
    }

    fn mul(op: &Mul, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
        Generic::mul(op, lhs, rhs, output);
    }

    fn lookup(table: &[i8], input: &[Cell<i8>], output: &[Cell<i8>]) {
        Generic::lookup(table, input, output);
    }

    fn softmax(op: &Softmax<'_>, input: &[Cell<i8>], output: &[Cell<i8>]) {
        Generic::softmax(op, input, output);
    }

    fn place(op: &Place, input: &[i8], output: &mut [i8], rows: Range<usize>) {
        Generic::place(op, input, output, rows);
    }
}
