//! Parameters of the kernels: plain structs, everything precomputed by the compiler.

mod mat_mul;

pub use mat_mul::{MatMul, Run, Stack};

use crate::quant::{
    AddCoefficients, Normalizer, Requantize, clamp_i8, divide_half_away, multiply_high, requantize,
};
use crate::shape::{Layout, View};

/// How the weights of an operator lie in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Packing {
    /// The order of the operator's definition: OHWI, `[kh][kw][c]`, or `[out][in]`. Every kernel set reads it.
    #[default]
    Plain = 0,
    /// For the dual multiplier of Cortex-M with the DSP extension; see [`super::packing`].
    Dsp = 1,
    /// For Cortex-M without the DSP extension; see [`super::arch::arm::base`].
    Base = 2,
    /// For Cortex-M with Helium, the vector extension; see [`super::arch::arm::mve`].
    Mve = 3,
    /// As [`Packing::Dsp`], for 3×3 convolutions by Winograd's scheme, in 3.6 times the bytes; see [`super::packing`].
    DspWinograd = 4,
    /// As [`Packing::Base`], for the same convolutions by the same scheme in as many bytes.
    BaseWinograd = 5,
}

impl Packing {
    /// All packings, in the order of their codes in a plan.
    pub const ALL: [Self; 6] =
        [Self::Plain, Self::Dsp, Self::Base, Self::Mve, Self::DspWinograd, Self::BaseWinograd];

    /// The packing with this code, or `None` for one that this version does not know.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Plain),
            1 => Some(Self::Dsp),
            2 => Some(Self::Base),
            3 => Some(Self::Mve),
            4 => Some(Self::DspWinograd),
            5 => Some(Self::BaseWinograd),
            _ => None,
        }
    }

    /// Whether these are the same.
    pub(crate) const fn is(self, other: Self) -> bool {
        self as u8 == other as u8
    }
}

/// The sliding window of convolutions and pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Window {
    /// Filter rows; at least 1.
    pub filter_h: usize,
    /// Filter columns; at least 1.
    pub filter_w: usize,
    /// Input rows between output rows; at least 1.
    pub stride_h: usize,
    /// Input columns between output columns; at least 1.
    pub stride_w: usize,
    /// Input rows between filter rows; at least 1.
    pub dilation_h: usize,
    /// Input columns between filter columns; at least 1.
    pub dilation_w: usize,
    /// Rows of padding above the input. Padding below follows from the output's extent.
    pub pad_top: usize,
    /// Columns of padding left of the input.
    pub pad_left: usize,
}

/// 2-D convolution, per-channel weights. A 1-D convolution has width 1.
///
/// Padding reads the input's zero point, whose contribution (`-zero_point * Σw`) is already in the bias.
#[derive(Clone, Copy, Debug)]
pub struct Conv2d<'a> {
    /// Input `[h, w, c_in]`.
    pub input: View,
    /// Output `[oh, ow, c_out]`.
    pub output: View,
    /// Filter window.
    pub window: Window,
    /// Groups: `c_in` and `c_out` are divisible by it; 1 for an ordinary convolution.
    pub groups: usize,
    /// Value of padded elements, in [-128, 127].
    pub input_zero_point: i8,
    /// Weights OHWI `[c_out][kh][kw][c_in / groups]` in [-127, 127], zero point 0.
    pub weights: &'a [i8],
    /// Order of `weights`.
    pub packing: Packing,
    /// Bias `[c_out]` in units of `input_scale * weight_scale[c]`, input zero point folded in.
    pub bias: &'a [i32],
    /// Multipliers `[c_out]` and clamp.
    pub requantize: Requantize<'a>,
}

/// 2-D depthwise convolution: output channel `c` reads input channel `c / multiplier`, with
/// `multiplier = c_out / c_in`.
#[derive(Clone, Copy, Debug)]
pub struct DepthwiseConv2d<'a> {
    /// Input `[h, w, c_in]`.
    pub input: View,
    /// Output `[oh, ow, c_out]`, `c_out` divisible by `c_in`.
    pub output: View,
    /// Filter window.
    pub window: Window,
    /// Value of padded elements, in [-128, 127].
    pub input_zero_point: i8,
    /// Weights `[kh][kw][c_out]` in [-127, 127], zero point 0.
    pub weights: &'a [i8],
    /// Order of `weights`.
    pub packing: Packing,
    /// Bias `[c_out]`, input zero point folded in.
    pub bias: &'a [i32],
    /// Multipliers `[c_out]` and clamp.
    pub requantize: Requantize<'a>,
}

/// Fully connected layer: `output[o] = Σ weights[o][i] * input[i]`.
#[derive(Clone, Copy, Debug)]
pub struct FullyConnected<'a> {
    /// Number of inputs.
    pub inputs: usize,
    /// Number of outputs.
    pub outputs: usize,
    /// Weights `[out][in]` in [-127, 127], zero point 0.
    pub weights: &'a [i8],
    /// Order of `weights`.
    pub packing: Packing,
    /// Bias `[out]`, input zero point folded in.
    pub bias: &'a [i32],
    /// Multipliers `[out]` and clamp.
    pub requantize: Requantize<'a>,
}

/// Maximum over a window; padding does not take part. Input and output share their quantization.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool2d {
    /// Input `[h, w, c]`.
    pub input: View,
    /// Output `[oh, ow, c]`.
    pub output: View,
    /// Window.
    pub window: Window,
    /// Lower clamp of a fused activation.
    pub output_min: i8,
    /// Upper clamp of a fused activation.
    pub output_max: i8,
}

impl MaxPool2d {
    /// Whether channels lie side by side, and are enough for a word.
    pub const fn is_by_channels(&self) -> bool {
        is_by_channels(self.input, self.output)
    }
}

const fn is_by_channels(input: View, output: View) -> bool {
    let are_nhwc = matches!((input.layout, output.layout), (Layout::Nhwc, Layout::Nhwc));
    are_nhwc && input.extent.c >= 4 && input.extent.c == output.extent.c
}

/// How an average is brought to the output's scale.
#[derive(Clone, Copy, Debug)]
pub enum Average {
    /// Input and output share their quantization: the sum is divided exactly, ties away from zero.
    Exact,
    /// The sum, less `count * input_zero_point`, is requantized by `input_scale / (output_scale * count)`,
    /// where `count` is the number of elements of a full window; no window of the operator is cut by padding.
    Scaled {
        /// Q0.31 mantissa.
        mantissa: i32,
        /// Left shift.
        shift: u8,
        /// Zero point of the input.
        input_zero_point: i8,
        /// Zero point of the output.
        output_zero_point: i8,
    },
}

/// Average over a window. The whole input as window is global average pooling.
#[derive(Clone, Copy, Debug)]
pub struct AveragePool2d {
    /// Input `[h, w, c]`.
    pub input: View,
    /// Output `[oh, ow, c]`.
    pub output: View,
    /// Window.
    pub window: Window,
    /// `None`: padding does not count. `Some(v)`: padded elements count, with value `v` (the zero point).
    pub counted_padding: Option<i8>,
    /// Scaling of the result.
    pub average: Average,
    /// Lower clamp of a fused activation.
    pub output_min: i8,
    /// Upper clamp of a fused activation.
    pub output_max: i8,
}

impl AveragePool2d {
    /// Whether the window is the whole input, of at most 255 positions with channels in whole words, so that sums of
    /// two channels fit one word.
    pub const fn is_global(&self) -> bool {
        let (w, from, to) = (&self.window, self.input.extent, self.output.extent);
        to.h == 1
            && to.w == 1
            && w.pad_top == 0
            && w.pad_left == 0
            && w.filter_h == from.h
            && w.filter_w == from.w
            && w.dilation_h == 1
            && w.dilation_w == 1
            && from.c == to.c
            && from.c.is_multiple_of(4)
            && matches!(self.input.layout, Layout::Nhwc)
            && from.h * from.w <= 255
            && self.has_small_factor()
    }

    /// Whether channels lie side by side, are enough for a word, and the window's elements are so few that a sum is
    /// divided exactly by a product of 32 bits.
    pub const fn is_by_channels(&self) -> bool {
        is_by_channels(self.input, self.output) && self.elements() <= 4096 && self.has_small_factor()
    }

    /// Whether sums of two channels do not fit one word.
    pub const fn is_large(&self) -> bool {
        self.elements() > 255
    }

    const fn elements(&self) -> usize {
        self.window.filter_h.saturating_mul(self.window.filter_w)
    }

    /// Whether sums of 4096 elements, scaled, have at most 29 bits before they are multiplied by a mantissa.
    const fn has_small_factor(&self) -> bool {
        match self.average {
            Average::Exact => true,
            Average::Scaled { shift, .. } => shift <= 7,
        }
    }

    /// The output value of a window with `count` elements and sum `sum`; 0 is the exact average of no element.
    #[inline(always)]
    pub fn finish(&self, sum: i32, count: u32) -> i8 {
        let (min, max) = (self.output_min, self.output_max);
        match self.average {
            Average::Exact => clamp_i8(divide_half_away(sum, count), min, max),
            Average::Scaled { mantissa, shift, input_zero_point, output_zero_point } => {
                let offset = (count as i32).wrapping_mul(i32::from(input_zero_point));
                requantize(sum.wrapping_sub(offset), mantissa, shift, output_zero_point, min, max)
            }
        }
    }
}

/// Element-wise sum of two values of the same extent and layout.
#[derive(Clone, Copy, Debug)]
pub struct Add {
    /// Integer form of the three quantizations.
    pub coefficients: AddCoefficients,
    /// Lower clamp.
    pub output_min: i8,
    /// Upper clamp.
    pub output_max: i8,
}

/// Element-wise product of two values of the same extent and layout, or of a value `[h, w, c]` with one
/// factor per channel `[1, 1, c]` on the right.
#[derive(Clone, Copy, Debug)]
pub struct Mul {
    /// Zero point of the left operand.
    pub lhs_zero_point: i8,
    /// Zero point of the right operand.
    pub rhs_zero_point: i8,
    /// Extent and layout of left operand and output.
    pub view: View,
    /// Whether the right operand has one element per channel.
    pub rhs_per_channel: bool,
    /// Q0.31 mantissa of `lhs_scale * rhs_scale / output_scale`.
    pub mantissa: i32,
    /// Left shift of that factor.
    pub shift: u8,
    /// Zero point of the output.
    pub output_zero_point: i8,
    /// Lower clamp.
    pub output_min: i8,
    /// Upper clamp.
    pub output_max: i8,
}

impl Mul {
    /// Whether the factor is below one half, as nearly always, and operands lie side by side: factors per channel in NHWC.
    pub const fn is_usual(&self) -> bool {
        let is_small = self.shift == 0 && self.mantissa < 1 << 30;
        is_small && (!self.rhs_per_channel || matches!(self.view.layout, Layout::Nhwc))
    }

    /// The product of two operands as an output value.
    #[inline(always)]
    pub fn apply(&self, lhs: i8, rhs: i8) -> i8 {
        // At most 255 * 255: no overflow.
        let lhs = i32::from(lhs) - i32::from(self.lhs_zero_point);
        let rhs = i32::from(rhs) - i32::from(self.rhs_zero_point);
        requantize(
            lhs * rhs,
            self.mantissa,
            self.shift,
            self.output_zero_point,
            self.output_min,
            self.output_max,
        )
    }
}

/// Softmax over the channels of each position.
#[derive(Clone, Copy, Debug)]
pub struct Softmax<'a> {
    /// Input and output: same extent, same layout.
    pub view: View,
    /// `exponentials[d] = round(2^f * exp(-d * input_scale))` for `d = max - q` in [0, 255], with
    /// `f = 31 - ceil(log2(channels))` limited to 24, so that a sum over the channels fits 32 bits.
    pub exponentials: &'a [u32],
    /// Q0.31 mantissa of `1 / (output_scale * 2^23)`.
    pub mantissa: i32,
    /// Zero point of the output.
    pub output_zero_point: i8,
}

impl Softmax<'_> {
    /// The exponential of element `q` where `max` is the largest of its position.
    #[inline(always)]
    pub fn exponential(&self, max: i8, q: i8) -> u32 {
        self.exponentials.get(usize::from(max.abs_diff(q))).copied().unwrap_or(0)
    }

    /// The element with exponential `exponential` as an output value; `normalizer` is made from the sum of the
    /// position's exponentials.
    #[inline(always)]
    pub fn finish(&self, normalizer: Normalizer, exponential: u32) -> i8 {
        // As `requantize` of a number that is not negative.
        let share = normalizer.share(exponential) as u32;
        let scaled = multiply_high(share, (self.mantissa as u32).wrapping_mul(2), 1 << 15) as i32;
        clamp_i8(scaled.wrapping_add(self.output_zero_point.into()), i8::MIN, i8::MAX)
    }
}

/// A copy of a value into a part of another: one input of a concatenation, the inside of a padded value, or
/// (with extents equal) a change of layout.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    /// Input.
    pub input: View,
    /// Output; at least as large as `input` moved by the offsets.
    pub output: View,
    /// Row of the output where the input's first row goes.
    pub top: usize,
    /// Column of the output where the input's first column goes.
    pub left: usize,
    /// Channel of the output where the input's first channel goes.
    pub channel: usize,
}
