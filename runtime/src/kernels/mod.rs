//! One function per operator, in several implementations that agree bit for bit.
//!
//! `reference` is naive and complete and is the oracle of all tests; `generic` is portable and fast. Sets for
//! instruction sets stand beside them under `arch`. One suite (feature `kernel-suite`) runs over every set.
//!
//! # Contract
//!
//! - Parameters and slices were checked when the plan was opened: lengths fit the views, weights the window. A
//!   kernel never panics; given slices that do not fit, it leaves elements unwritten.
//! - Spatial kernels compute the output rows `rows`; `output` holds exactly these rows. Input and output do not
//!   overlap. Fully connected layers count output elements instead of rows, matrix products the rows of all results.
//! - A call may be for a band of an operator: views and padding are then those of some of its rows, seen as an operator
//!   of its own. A band runs in the scratch of the whole.
//! - Element-wise kernels take cells, since the output may lie on an input.
//! - `scratch` has at least the length that the set's `*_scratch_len` function gives and begins on a
//!   16-byte boundary. Its content is undefined before and after.

use core::cell::Cell;
use core::ops::Range;

pub mod arch;
#[cfg(test)]
pub(crate) mod band_tests;
pub mod generic;
pub mod linked;
pub mod packing;
pub mod params;
pub mod reference;
#[cfg(any(test, feature = "kernel-suite"))]
pub mod suite;

use linked::Linked;
use params::{
    Add, AveragePool2d, Conv2d, DepthwiseConv2d, FullyConnected, MatMul, MaxPool2d, Mul, Packing, Place,
    Softmax,
};

/// The fastest set for the processor that this crate is compiled for.
#[cfg(teff_mve)]
pub type Native = arch::arm::mve::Mve;
/// The fastest set for the processor that this crate is compiled for.
#[cfg(teff_dsp)]
pub type Native = arch::arm::dsp::Dsp;
/// The fastest set for the processor that this crate is compiled for.
#[cfg(any(teff_armv6m, teff_armv7m))]
pub type Native = arch::arm::base::Base;
/// The fastest set for the processor that this crate is compiled for.
#[cfg(not(any(teff_mve, teff_dsp, teff_armv6m, teff_armv7m)))]
pub type Native = generic::Generic;

/// A set of kernels: one function per operator. What a set has no kernel of its own for, the portable one does.
pub trait Kernels {
    /// Name in reports and test messages.
    const NAME: &'static str;

    /// The same kernels with only the variants that `L` says. A set that has no variants to leave out is its own.
    type For<L: Linked>: Kernels;

    /// The variants of the portable kernels that stand in for those that the set does not have.
    type Variants: Linked;

    /// The packings of weights that this set reads. Every set reads [`Packing::Plain`].
    const READS: &'static [Packing];

    /// Whether this set reads weights in `packing`.
    fn reads(packing: Packing) -> bool {
        Self::READS.contains(&packing)
    }

    /// Scratch bytes of [`Kernels::conv_2d`].
    fn conv_2d_scratch_len(op: &Conv2d<'_>) -> usize;

    /// 2-D convolution.
    fn conv_2d(op: &Conv2d<'_>, input: &[i8], output: &mut [i8], rows: Range<usize>, scratch: &mut [i8]);

    /// Scratch bytes of [`Kernels::depthwise_conv_2d`].
    fn depthwise_conv_2d_scratch_len(op: &DepthwiseConv2d<'_>) -> usize;

    /// 2-D depthwise convolution.
    fn depthwise_conv_2d(
        op: &DepthwiseConv2d<'_>,
        input: &[i8],
        output: &mut [i8],
        rows: Range<usize>,
        scratch: &mut [i8],
    );

    /// Fully connected layer, output elements `outputs`; `output` holds exactly these.
    fn fully_connected(op: &FullyConnected<'_>, input: &[i8], output: &mut [i8], outputs: Range<usize>);

    /// Product of two stacks of matrices. Rows of the output, `op.columns` elements each, count as they lie: `output`
    /// holds exactly the rows `rows`. Operands may overlap each other.
    fn mat_mul(op: &MatMul, lhs: &[i8], rhs: &[i8], output: &mut [i8], rows: Range<usize>) {
        generic::With::<Self::Variants>::mat_mul(op, lhs, rhs, output, rows);
    }

    /// Maximum over a window.
    fn max_pool_2d(op: &MaxPool2d, input: &[i8], output: &mut [i8], rows: Range<usize>) {
        generic::With::<Self::Variants>::max_pool_2d(op, input, output, rows);
    }

    /// Average over a window.
    fn average_pool_2d(op: &AveragePool2d, input: &[i8], output: &mut [i8], rows: Range<usize>) {
        generic::With::<Self::Variants>::average_pool_2d(op, input, output, rows);
    }

    /// Element-wise sum; the three slices have the same length. `output` may be either operand.
    fn add(op: &Add, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
        generic::With::<Self::Variants>::add(op, lhs, rhs, output);
    }

    /// Element-wise product. `lhs` and `output` hold whole rows of `op.view`; `output` may be `lhs`, or `rhs` unless
    /// that is per channel.
    fn mul(op: &Mul, lhs: &[Cell<i8>], rhs: &[Cell<i8>], output: &[Cell<i8>]) {
        generic::With::<Self::Variants>::mul(op, lhs, rhs, output);
    }

    /// `output[i] = table[input[i] + 128]`; `output` may be `input`. `table` has 256 elements.
    fn lookup(table: &[i8], input: &[Cell<i8>], output: &[Cell<i8>]) {
        generic::With::<Self::Variants>::lookup(table, input, output);
    }

    /// Softmax over the channels of each position in whole rows; `output` may be `input`.
    fn softmax(op: &Softmax<'_>, input: &[Cell<i8>], output: &[Cell<i8>]) {
        generic::With::<Self::Variants>::softmax(op, input, output);
    }

    /// Copies the input rows `rows` to their place in the whole output.
    fn place(op: &Place, input: &[i8], output: &mut [i8], rows: Range<usize>) {
        generic::With::<Self::Variants>::place(op, input, output, rows);
    }
}
