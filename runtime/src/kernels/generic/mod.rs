//! Portable kernels in safe Rust, for processors without a set of their own: hosts, RISC-V, small Cortex-M.
//!
//! Written as iterator chains over slices of equal length, so that LLVM vectorizes where it can and no panic path is
//! linked. The formulas stand in `docs/arithmetic.md`.

mod conv_2d;
pub use conv_2d::conv_2d_scratch_len;
pub(crate) use conv_2d::has_dense_rows;
mod depthwise_conv_2d;
mod dot;
mod elementwise;
mod fully_connected;
pub(in crate::kernels) mod mat_mul;
mod place;
mod pool;
mod softmax;
#[cfg(test)]
mod tests;
pub(in crate::kernels) mod window;

use core::cell::Cell;
use core::marker::PhantomData;
use core::ops::Range;

use super::Kernels;
use super::linked::{All, Linked};
use super::params::{
    Add, AveragePool2d, Conv2d, DepthwiseConv2d, FullyConnected, MatMul, MaxPool2d, Mul, Packing, Place,
    Softmax,
};
use super::reference::Reference;

/// Whether packings of other sets are read too, by the reference: on a host, where a plan for a device is examined. On a
/// device they would be code that nothing runs.
const READS_ALL: bool = cfg!(not(target_os = "none"));

/// The portable set.
pub type Generic = With<All>;

/// The portable set with the variants of `L`.
#[derive(Clone, Copy, Debug)]
pub struct With<L>(PhantomData<L>);

impl<L: Linked> Kernels for With<L> {
    const NAME: &'static str = "generic";
    type For<M: Linked> = With<M>;
    type Variants = L;
    const READS: &'static [Packing] = if READS_ALL { &Packing::ALL } else { &[Packing::Plain] };

    fn conv_2d_scratch_len(op: &Conv2d<'_>) -> usize {
        if op.packing == Packing::Plain { conv_2d::conv_2d_scratch_len(op) } else { 0 }
    }

    fn conv_2d(op: &Conv2d<'_>, input: &[i8], output: &mut [i8], rows: Range<usize>, scratch: &mut [i8]) {
        if READS_ALL && op.packing != Packing::Plain {
            return Reference::conv_2d(op, input, output, rows, scratch);
        }
        conv_2d::conv_2d::<L>(op, input, output, rows, scratch);
    }

    fn depthwise_conv_2d_scratch_len(_: &DepthwiseConv2d<'_>) -> usize {
        0
    }

    fn depthwise_conv_2d(
        op: &DepthwiseConv2d<'_>,
        input: &[i8],
        output: &mut [i8],
        rows: Range<usize>,
        scratch: &mut [i8],
    ) {
        if READS_ALL && op.packing != Packing::Plain {
            return Reference::depthwise_conv_2d(op, input, output, rows, scratch);
        }
        depthwise_conv_2d::depthwise_conv_2d::<L>(op, input, output, rows);
    }

    fn fully_connected(op: &FullyConnected<'_>, input: &[i8], output: &mut [i8], outputs: Range<usize>) {
        if READS_ALL && op.packing != Packing::Plain {
            return Reference::fully_connected(op, input, output, outputs);
        }
        fully_connected::fully_connected(op, input, output, outputs);
    }

    fn mat_mul(op: &MatMul, lhs: &[i8], rhs: &[i8], output: &mut [i8], rows: Range<usize>) {
        mat_mul::mat_mul::<L>(op, lhs, rhs, output, rows);
    }

    fn max_pool_2d(op: &MaxPool2d, input: &[i8], output: &mut [i8], rows: Range<usize>) {
        pool::max_pool_2d(op, input, output, rows);
    }

    fn average_pool_2d(op: &AveragePool2d, input: &[i8], output: &mut [i8], rows: Range<usize>) {
        pool::average_pool_2d(op, input, output, rows);
    }

    fn add(op: &Add, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
        elementwise::add(op, lhs, rhs, output);
    }

    fn mul(op: &Mul, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
        elementwise::mul::<L>(op, lhs, rhs, output);
    }

    fn lookup(table: &[i8], input: &[Cell<i8>], output: &[Cell<i8>]) {
        elementwise::lookup(table, input, output);
    }

    fn softmax(op: &Softmax<'_>, input: &[Cell<i8>], output: &[Cell<i8>]) {
        softmax::softmax::<L>(op, input, output);
    }

    fn place(op: &Place, input: &[i8], output: &mut [i8], rows: Range<usize>) {
        place::place(op, input, output, rows);
    }
}
