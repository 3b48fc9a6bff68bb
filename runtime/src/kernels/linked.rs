//! Which variants of kernels a program links.
//!
//! A set of kernels is told by a type what its model needs ([`Kernels::For`](super::Kernels::For)). It compares with a
//! constant of that type wherever it chooses between implementations, so that the compiler drops the others.

use super::arch::arm::dsp;
use super::generic;
use super::packing::{BLOCK, FOUR, PART};
use super::params::{Add, AveragePool2d, Conv2d, DepthwiseConv2d, FullyConnected, MaxPool2d, Mul, Packing};
use crate::quant::Requantize;
use crate::shape::Layout;

/// What the operators of a model need of the kernels, one bit each. A bit that is set without need costs only code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Variants(u64);

/// Weighted operators have a bit for each packing, from these on.
const CONV_2D: u32 = 0;
const DEPTHWISE_CONV_2D: u32 = 8;
const FULLY_CONNECTED: u32 = 16;

/// A property of operators that kernels have code of their own for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Variant {
    /// A clamp narrower than int8.
    Clamp = 24,
    /// A convolution with an odd number of output channels.
    OddChannels = 25,
    /// A convolution whose input is copied whole with its padding ([`dsp::copies_input`]).
    InputCopied = 26,
    /// A convolution of which filter rows are copied one by one ([`dsp::copies_rows`]).
    RowsCopied = 27,
    /// A convolution that is not dense: planar input, several groups, or dilation along the width.
    Gathered = 28,
    /// A depthwise convolution of 3×3 with stride 1 and without dilation.
    Depthwise3x3 = 29,
    /// A depthwise convolution of 3×3 with another stride, without dilation.
    Depthwise3x3Strided = 30,
    /// A depthwise convolution with any other window.
    DepthwiseOther = 31,
    /// A depthwise convolution with several output channels for each input channel.
    ChannelMultiplier = 32,
    /// A depthwise convolution that reads planar values.
    DepthwisePlanar = 33,
    /// A fully connected layer with one or two outputs behind those that are taken by eight or four.
    PairLeftOver = 34,
    /// An average over the whole input ([`AveragePool2d::is_global`]).
    GlobalAverage = 35,
    /// An average over another window, of channels that lie side by side ([`AveragePool2d::is_by_channels`]), that is not
    /// large.
    WindowedAverage = 36,
    /// A product with one factor per channel.
    PerChannel = 37,
    /// An operator whose input is a constant of the plan.
    ConstantInput = 38,
    /// A product of matrices of which the right one is held transposed.
    RhsTransposed = 39,
    /// A product of matrices of which the right one is held as it is.
    RhsPlain = 40,
    /// An average over any other window.
    OtherAverage = 41,
    /// A maximum of channels that lie side by side ([`MaxPool2d::is_by_channels`]).
    MaxByChannels = 42,
    /// Any other maximum.
    OtherMax = 43,
    /// A product as nearly all are ([`Mul::is_usual`]).
    UsualProduct = 44,
    /// Any other product.
    OtherProduct = 45,
    /// An average as [`Variant::WindowedAverage`] that is large ([`AveragePool2d::is_large`]).
    LargeAverage = 46,
    /// Softmax of planar values.
    PlanarSoftmax = 47,
    /// A fully connected layer with at least eight outputs.
    OutputsInBlocks = 48,
    /// A fully connected layer with three or four outputs behind those that are taken by eight, or more.
    FourLeftOver = 49,
    /// A fully connected layer whose inputs are summed in parts.
    InputsInParts = 50,
}

impl Variants {
    /// Every variant.
    pub const ALL: Self = Self(u64::MAX);
    /// No variant.
    pub const NONE: Self = Self(0);

    /// Whether a convolution has its weights in `packing`.
    #[inline(always)]
    pub const fn conv_2d(self, packing: Packing) -> bool {
        self.0 >> (CONV_2D + packing as u32) & 1 == 1
    }

    /// Whether a depthwise convolution has its weights in `packing`.
    #[inline(always)]
    pub const fn depthwise_conv_2d(self, packing: Packing) -> bool {
        self.0 >> (DEPTHWISE_CONV_2D + packing as u32) & 1 == 1
    }

    /// Whether a fully connected layer has its weights in `packing`.
    #[inline(always)]
    pub const fn fully_connected(self, packing: Packing) -> bool {
        self.0 >> (FULLY_CONNECTED + packing as u32) & 1 == 1
    }

    /// The set with `variant` added.
    pub const fn with(self, variant: Variant) -> Self {
        Self(self.0 | 1 << variant as u32)
    }

    const fn with_if(self, holds: bool, variant: Variant) -> Self {
        if holds { self.with(variant) } else { self }
    }

    const fn with_clamp(self, output_min: i8, output_max: i8) -> Self {
        self.with_if(output_min != i8::MIN || output_max != i8::MAX, Variant::Clamp)
    }

    const fn with_requantize(self, requantize: &Requantize<'_>) -> Self {
        self.with_clamp(requantize.output_min, requantize.output_max)
    }

    /// The set with what a convolution needs.
    pub const fn with_conv_2d(self, op: &Conv2d<'_>) -> Self {
        let odd = !op.output.extent.c.is_multiple_of(2);
        Self(self.0 | 1 << (CONV_2D + op.packing as u32))
            .with_requantize(&op.requantize)
            .with_if(!generic::has_dense_rows(op), Variant::Gathered)
            .with_if(odd, Variant::OddChannels)
            .with_if(dsp::copies_input(op), Variant::InputCopied)
            .with_if(dsp::copies_rows(op), Variant::RowsCopied)
    }

    /// The set with what a depthwise convolution needs.
    pub const fn with_depthwise_conv_2d(self, op: &DepthwiseConv2d<'_>) -> Self {
        let multiplied = op.input.extent.c != op.output.extent.c;
        let window = match (dsp::runs_in_row_pairs(op), dsp::runs_along_rows(op)) {
            (true, _) => Variant::Depthwise3x3,
            (false, true) => Variant::Depthwise3x3Strided,
            _ => Variant::DepthwiseOther,
        };
        Self(self.0 | 1 << (DEPTHWISE_CONV_2D + op.packing as u32))
            .with_requantize(&op.requantize)
            .with_if(multiplied, Variant::ChannelMultiplier)
            .with_if(matches!(op.input.layout, Layout::Planar), Variant::DepthwisePlanar)
            .with(window)
    }

    /// The set with what a fully connected layer needs.
    pub const fn with_fully_connected(self, op: &FullyConnected<'_>) -> Self {
        Self(self.0 | 1 << (FULLY_CONNECTED + op.packing as u32))
            .with_requantize(&op.requantize)
            .with_if(op.outputs >= BLOCK, Variant::OutputsInBlocks)
            .with_if(op.outputs % BLOCK > 2, Variant::FourLeftOver)
            .with_if(matches!(op.outputs % FOUR, 1 | 2), Variant::PairLeftOver)
            .with_if(op.inputs > PART, Variant::InputsInParts)
    }

    /// The set with what an average needs.
    pub const fn with_average_pool_2d(self, op: &AveragePool2d) -> Self {
        self.with_clamp(op.output_min, op.output_max).with(match (op.is_global(), op.is_by_channels()) {
            (true, _) => Variant::GlobalAverage,
            (false, true) if op.is_large() => Variant::LargeAverage,
            (false, true) => Variant::WindowedAverage,
            (false, false) => Variant::OtherAverage,
        })
    }

    /// The set with what a maximum needs.
    pub const fn with_max_pool_2d(self, op: &MaxPool2d) -> Self {
        self.with(if op.is_by_channels() { Variant::MaxByChannels } else { Variant::OtherMax })
    }

    /// The set with what a sum needs.
    pub const fn with_add(self, op: &Add) -> Self {
        self.with_clamp(op.output_min, op.output_max)
    }

    /// The set with what a product needs.
    pub const fn with_mul(self, op: &Mul) -> Self {
        self.with_clamp(op.output_min, op.output_max)
            .with_if(op.rhs_per_channel, Variant::PerChannel)
            .with(if op.is_usual() { Variant::UsualProduct } else { Variant::OtherProduct })
    }

    /// Whether averages over windows of channels that lie side by side are needed, large or not.
    #[inline(always)]
    pub const fn has_windowed_average(self) -> bool {
        self.has(Variant::WindowedAverage) || self.has(Variant::LargeAverage)
    }

    /// Whether `variant` is needed.
    #[inline(always)]
    pub const fn has(self, variant: Variant) -> bool {
        self.0 >> (variant as u32) & 1 == 1
    }
}

/// A type that stands for what a program links.
pub trait Linked {
    /// The variants; kernels drop the others.
    const VARIANTS: Variants;
}

/// Everything is linked.
#[derive(Clone, Copy, Debug)]
pub struct All;

impl Linked for All {
    const VARIANTS: Variants = Variants::ALL;
}
