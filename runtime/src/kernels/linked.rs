//! Which variants of kernels a program links.
//!
//! A set of kernels is told by a type what its model needs ([`Kernels::For`](super::Kernels::For)). It compares with a
//! constant of that type wherever it chooses between implementations, so that the compiler drops the others.

use super::params::Packing;

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
    /// A value lies planar.
    Planar = 24,
    /// A convolution with several groups.
    Groups = 25,
    /// A depthwise convolution with several output channels for each input channel.
    ChannelMultiplier = 26,
    /// A multiplier of 1 or more, which needs a shift.
    Shift = 27,
    /// A clamp narrower than int8.
    Clamp = 28,
    /// A dilated window.
    Dilation = 29,
    /// A convolution whose packed weights have a channel without a partner.
    OddChannels = 30,
    /// A convolution with a window of 1×1, without stride and padding.
    Pointwise = 31,
    /// A convolution with any other window.
    Windowed = 32,
    /// A depthwise convolution of 3×3 without dilation.
    Depthwise3x3 = 33,
    /// A depthwise convolution with any other window.
    DepthwiseOther = 34,
    /// An average over the whole input.
    GlobalAverage = 35,
    /// An average over any other window.
    WindowedAverage = 36,
    /// A sum or product with one factor per channel.
    PerChannel = 37,
    /// A fully connected layer whose outputs are not whole blocks of eight.
    OutputsLeftOver = 38,
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
