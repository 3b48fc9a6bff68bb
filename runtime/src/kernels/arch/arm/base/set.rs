//! The set: fast paths where there is one, the portable kernels for the rest.

use core::cell::Cell;
use core::marker::PhantomData;
use core::ops::Range;

use super::{
    averages, conv_2d, depthwise_conv_2d, elementwise, fully_connected, mat_mul, scratch, windows, winograd,
};
use crate::kernels::Kernels;
use crate::kernels::arch::arm::multiplied;
use crate::kernels::generic;
use crate::kernels::linked::{All, Linked, Variant};
use crate::kernels::params::{
    Add, AveragePool2d, Conv2d, DepthwiseConv2d, FullyConnected, MatMul, MaxPool2d, Mul, Packing,
};

/// The set for Cortex-M without the DSP extension.
pub type Base = With<All>;

/// The set for Cortex-M without the DSP extension with the variants of `L`.
#[derive(Clone, Copy, Debug)]
pub struct With<L>(PhantomData<L>);

type Generic<L> = generic::With<L>;

impl<L: Linked> Kernels for With<L> {
    const NAME: &'static str = "base";
    type For<M: Linked> = With<M>;
    type Variants = L;
    const READS: &'static [Packing] = &[Packing::Plain, Packing::Base, Packing::BaseWinograd];

    fn conv_2d_scratch_len(op: &Conv2d<'_>) -> usize {
        scratch::conv_2d_scratch_len(op)
    }

    fn conv_2d(op: &Conv2d<'_>, input: &[i8], output: &mut [i8], rows: Range<usize>, scratch: &mut [i8]) {
        match op.packing {
            Packing::Base if L::VARIANTS.conv_2d(Packing::Base) => {
                conv_2d::conv_2d(op, input, output, rows, scratch)
            }
            Packing::BaseWinograd if L::VARIANTS.conv_2d(Packing::BaseWinograd) => {
                winograd::conv_2d(op, input, output, rows, scratch)
            }
            Packing::Plain if L::VARIANTS.conv_2d(Packing::Plain) => {
                Generic::<L>::conv_2d(op, input, output, rows, scratch)
            }
            _ => {}
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
            Packing::Base if !L::VARIANTS.depthwise_conv_2d(Packing::Base) => {}
            Packing::Base if L::VARIANTS.has(Variant::ChannelMultiplier) && multiplied::is_multiplied(op) => {
                let kernel = depthwise_conv_2d::depthwise_conv_2d;
                multiplied::in_bands(op, input, output, rows, scratch, kernel);
            }
            Packing::Base => depthwise_conv_2d::depthwise_conv_2d(op, input, output, rows, scratch),
            Packing::Plain if L::VARIANTS.depthwise_conv_2d(Packing::Plain) => {
                Generic::<L>::depthwise_conv_2d(op, input, output, rows, scratch)
            }
            _ => {}
        }
    }

    fn fully_connected(op: &FullyConnected<'_>, input: &[i8], output: &mut [i8], outputs: Range<usize>) {
        match op.packing {
            Packing::Base if L::VARIANTS.fully_connected(Packing::Base) => {
                fully_connected::fully_connected(op, input, output, outputs)
            }
            Packing::Plain if L::VARIANTS.fully_connected(Packing::Plain) => {
                Generic::<L>::fully_connected(op, input, output, outputs)
            }
            _ => {}
        }
    }

    fn mat_mul(op: &MatMul, lhs: &[i8], rhs: &[i8], output: &mut [i8], rows: Range<usize>) {
        mat_mul::mat_mul(op, lhs, rhs, output, rows);
    }

    fn max_pool_2d(op: &MaxPool2d, input: &[i8], output: &mut [i8], rows: Range<usize>) {
        if L::VARIANTS.has(Variant::MaxByChannels) && op.is_by_channels() {
            windows::max_pool_2d(op, input, output, rows);
        } else if L::VARIANTS.has(Variant::OtherMax) {
            Generic::<L>::max_pool_2d(op, input, output, rows);
        }
    }

    fn average_pool_2d(op: &AveragePool2d, input: &[i8], output: &mut [i8], rows: Range<usize>) {
        if L::VARIANTS.has(Variant::GlobalAverage) && op.is_global() && rows == (0..1) {
            averages::global_average::<L>(op, input, output);
        } else if L::VARIANTS.has_windowed_average() && op.is_by_channels() {
            averages::average_pool_2d::<L>(op, input, output, rows);
        } else if L::VARIANTS.has(Variant::OtherAverage) {
            Generic::<L>::average_pool_2d(op, input, output, rows);
        }
    }

    fn add(op: &Add, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
        elementwise::add::<L>(op, lhs, rhs, output);
    }

    fn mul(op: &Mul, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
        if L::VARIANTS.has(Variant::UsualProduct) && op.is_usual() {
            elementwise::mul::<L>(op, lhs, rhs, output);
        } else if L::VARIANTS.has(Variant::OtherProduct) {
            Generic::<L>::mul(op, lhs, rhs, output);
        }
    }

    fn lookup(table: &[i8], input: &[Cell<i8>], output: &[Cell<i8>]) {
        elementwise::lookup(table, input, output);
    }
}
