//! Fixed-size records of values and operators.

use super::words::{OpWords, ValueWords};
use crate::kernels::params::{Packing, Window};
use crate::quant::QuantParams;
use crate::shape::View;

/// Bytes of one value record.
pub const VALUE_RECORD_LEN: usize = 32;
/// Bytes of one operator record.
pub const OP_RECORD_LEN: usize = 80;
/// Stands for an absent value index or data offset.
pub const NONE: u32 = u32::MAX;

/// Where a value lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Location {
    /// In the arena, at this offset in bytes.
    Arena(u32),
    /// In the plan's data section, at this offset in bytes: a constant.
    Data(u32),
    /// Some rows of it in the arena, at this offset in bytes: those that the next operator still reads (see
    /// [`super::Group`]).
    Lines {
        /// Where the first of these rows lies.
        offset: u32,
        /// Number of rows that are held.
        rows: u16,
    },
}

/// One value: extents, layout, place and quantization.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ValueRecord {
    /// Extent and layout.
    pub view: View,
    /// Where its elements lie.
    pub location: Location,
    /// Scale and zero point.
    pub quant: QuantParams,
}

impl ValueRecord {
    pub(super) const fn read(words: &[u32; VALUE_RECORD_LEN / 4]) -> Self {
        let words = ValueWords(words);
        Self {
            view: words.view(),
            location: words.location(),
            quant: QuantParams { scale: f32::from_bits(words.scale()), zero_point: words.zero_point() },
        }
    }

    #[cfg(any(test, feature = "encode"))]
    pub(super) fn bytes(&self) -> [u8; VALUE_RECORD_LEN] {
        let mut bytes = [0; VALUE_RECORD_LEN];
        let extent = self.view.extent;
        for (at, x) in [(0, extent.h), (4, extent.w), (8, extent.c)] {
            bytes[at..at + 4].copy_from_slice(&(x as u32).to_le_bytes());
        }
        let (offset, constant, rows) = match self.location {
            Location::Arena(offset) => (offset, 0, 0),
            Location::Data(offset) => (offset, 2, 0),
            Location::Lines { offset, rows } => (offset, 0, rows),
        };
        bytes[22..24].copy_from_slice(&rows.to_le_bytes());
        bytes[12..16].copy_from_slice(&offset.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.quant.scale.to_bits().to_le_bytes());
        bytes[20] = self.quant.zero_point as u8;
        bytes[21] = constant | u8::from(self.view.layout == crate::shape::Layout::Planar);
        bytes
    }
}

/// Operators of a plan. The number is the code in the file and the bit in [`super::OpSet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum OpKind {
    /// [`crate::kernels::params::Conv2d`].
    Conv2d = 1,
    /// [`crate::kernels::params::DepthwiseConv2d`].
    DepthwiseConv2d = 2,
    /// [`crate::kernels::params::FullyConnected`].
    FullyConnected = 3,
    /// [`crate::kernels::params::MaxPool2d`].
    MaxPool2d = 4,
    /// [`crate::kernels::params::AveragePool2d`].
    AveragePool2d = 5,
    /// [`crate::kernels::params::Add`].
    Add = 6,
    /// [`crate::kernels::params::Mul`].
    Mul = 7,
    /// Table look-up: any unary function.
    Lookup = 8,
    /// [`crate::kernels::params::Softmax`].
    Softmax = 9,
    /// [`crate::kernels::params::Place`] into a part of a value: one input of a concatenation.
    Concat = 10,
    /// [`crate::kernels::params::Place`] inside a border filled with a constant.
    Pad = 11,
    /// [`crate::kernels::params::Place`] with equal extents: a change of layout.
    Copy = 12,
    /// [`crate::kernels::params::MatMul`].
    MatMul = 13,
}

impl OpKind {
    /// All operators.
    pub const ALL: [Self; 13] = [
        Self::Conv2d,
        Self::DepthwiseConv2d,
        Self::FullyConnected,
        Self::MaxPool2d,
        Self::AveragePool2d,
        Self::Add,
        Self::Mul,
        Self::Lookup,
        Self::Softmax,
        Self::Concat,
        Self::Pad,
        Self::Copy,
        Self::MatMul,
    ];

    /// Name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Conv2d => "conv_2d",
            Self::DepthwiseConv2d => "depthwise_conv_2d",
            Self::FullyConnected => "fully_connected",
            Self::MaxPool2d => "max_pool_2d",
            Self::AveragePool2d => "average_pool_2d",
            Self::Add => "add",
            Self::Mul => "mul",
            Self::Lookup => "lookup",
            Self::Softmax => "softmax",
            Self::Concat => "concat",
            Self::Pad => "pad",
            Self::Copy => "copy",
            Self::MatMul => "mat_mul",
        }
    }

    pub(super) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Conv2d),
            2 => Some(Self::DepthwiseConv2d),
            3 => Some(Self::FullyConnected),
            4 => Some(Self::MaxPool2d),
            5 => Some(Self::AveragePool2d),
            6 => Some(Self::Add),
            7 => Some(Self::Mul),
            8 => Some(Self::Lookup),
            9 => Some(Self::Softmax),
            10 => Some(Self::Concat),
            11 => Some(Self::Pad),
            12 => Some(Self::Copy),
            13 => Some(Self::MatMul),
            _ => None,
        }
    }

    /// Whether output element `i` depends on input elements at the same place only, so that the output may lie
    /// on an input.
    pub const fn is_elementwise(self) -> bool {
        matches!(self, Self::Add | Self::Mul | Self::Lookup | Self::Softmax)
    }

    /// Whether an output row depends on the input rows under its window only, so that the output may overlap the
    /// input (see [`super::Rows`]).
    pub const fn is_spatial(self) -> bool {
        matches!(self, Self::Conv2d | Self::DepthwiseConv2d | Self::MaxPool2d | Self::AveragePool2d)
    }

    /// Number of operands that are values.
    pub const fn operands(self) -> usize {
        match self {
            Self::Add | Self::Mul | Self::MatMul => 2,
            _ => 1,
        }
    }

    /// Whether output rows can be made one by one, each from some rows of the first input, so that the operator can be
    /// a member of a [`super::Group`].
    pub const fn runs_by_rows(self) -> bool {
        self.is_spatial() || self.is_elementwise()
    }
}

/// How the operands of a matrix product lie: bits of `b` of its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct MatrixOrder {
    /// The right matrices are held transposed: their channels are rows.
    pub rhs_transposed: bool,
    /// The matrices of the left operand lie along the width and their rows along the height, else the other way round.
    pub lhs_by_row: bool,
    /// The same of the right operand.
    pub rhs_by_row: bool,
    /// The same of the output.
    pub output_by_row: bool,
}

impl MatrixOrder {
    /// The order with this code; `None` for a code that is none.
    pub const fn from_code(code: i32) -> Option<Self> {
        if code < 0 || code > 15 { None } else { Some(Self::of_bits(code)) }
    }

    /// As [`MatrixOrder::from_code`], where other bits do not matter.
    pub(super) const fn of_bits(code: i32) -> Self {
        Self {
            rhs_transposed: code & 1 != 0,
            lhs_by_row: code & 2 != 0,
            rhs_by_row: code & 4 != 0,
            output_by_row: code & 8 != 0,
        }
    }

    /// The code of the order.
    pub const fn code(self) -> i32 {
        self.rhs_transposed as i32
            | (self.lhs_by_row as i32) << 1
            | (self.rhs_by_row as i32) << 2
            | (self.output_by_row as i32) << 3
    }
}

/// One operator. What `a`, `b`, `c` hold depends on the kind:
///
/// | kind | `a` | `b` | `c` | `weights` |
/// |---|---|---|---|---|
/// | conv, depthwise, fully connected | – | – | – | weights; `bias`, `multipliers` |
/// | max pool | – | – | – | – |
/// | average pool | mantissa, or 0 for exact division | 1 where padding counts | – | – |
/// | add | lhs factor | rhs factor | offset | – |
/// | mul | mantissa | – | – | – |
/// | lookup | – | – | – | 256 output values |
/// | softmax | mantissa | – | – | 256 exponentials, u32 |
/// | concat | first row | first column | first channel | – |
/// | pad | – | – | value of the border | – |
/// | mat mul | mantissa | order of the operands ([`MatrixOrder`]) | – | – |
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OpRecord {
    /// What is computed.
    pub kind: OpKind,
    /// Order of the weights.
    pub packing: Packing,
    /// Index of the output value.
    pub output: u16,
    /// Indices of the input values; the second is `u16::MAX` where there is one input.
    pub inputs: [u16; 2],
    /// Groups of a convolution.
    pub groups: u16,
    /// Left shift of a multiplier, or right shift of an addition.
    pub shift: u8,
    /// Lower clamp in quantized units.
    pub output_min: i8,
    /// Upper clamp in quantized units.
    pub output_max: i8,
    /// Whether output rows are computed from the last to the first. For spatial operators only.
    pub from_last_row: bool,
    /// Scratch in the arena: offset.
    pub scratch_offset: u32,
    /// Scratch in the arena: bytes.
    pub scratch_len: u32,
    /// Weights or table, offset in the data section, or [`NONE`].
    pub weights_offset: u32,
    /// Bytes of weights or table.
    pub weights_len: u32,
    /// Bias, i32 per output channel, offset in the data section, or [`NONE`].
    pub bias_offset: u32,
    /// Multipliers, i32 per output channel, offset in the data section, or [`NONE`].
    pub multipliers_offset: u32,
    /// Filter window.
    pub window: Window,
    /// See the table above.
    pub a: i32,
    /// See the table above.
    pub b: i32,
    /// See the table above.
    pub c: i32,
    /// Predicted instructions of one slice (see [`crate::Session::step`]).
    pub slice_cost: u32,
    /// Predicted instructions of a call besides its slices.
    pub call_cost: u32,
}

impl OpRecord {
    /// A record of `kind` from `input` to `output` with everything else neutral: no weights, clamp [-128, 127],
    /// window 1 × 1.
    pub const fn new(kind: OpKind, input: u16, output: u16) -> Self {
        Self {
            kind,
            packing: Packing::Plain,
            output,
            inputs: [input, u16::MAX],
            groups: 1,
            shift: 0,
            output_min: i8::MIN,
            output_max: i8::MAX,
            from_last_row: false,
            scratch_offset: 0,
            scratch_len: 0,
            weights_offset: NONE,
            weights_len: 0,
            bias_offset: NONE,
            multipliers_offset: NONE,
            window: Window {
                filter_h: 1,
                filter_w: 1,
                stride_h: 1,
                stride_w: 1,
                dilation_h: 1,
                dilation_w: 1,
                pad_top: 0,
                pad_left: 0,
            },
            a: 0,
            b: 0,
            c: 0,
            slice_cost: 1,
            call_cost: 0,
        }
    }

    /// `None` where the operator or the packing has a code that this version does not know.
    pub(super) const fn read(words: &[u32; OP_RECORD_LEN / 4]) -> Option<Self> {
        let Some(kind) = OpKind::from_code(words[0] as u8) else { return None };
        let Some(packing) = Packing::from_code((words[0] >> 8) as u8) else { return None };
        if (words[3] >> 8) as u8 > 1 {
            return None;
        }
        let op = OpWords(words);
        Some(Self {
            kind,
            packing,
            output: op.output(),
            inputs: op.inputs(),
            groups: words[2] as u16,
            shift: op.shift(),
            output_min: op.output_min(),
            output_max: op.output_max(),
            from_last_row: op.is_from_last_row(),
            scratch_offset: words[4],
            scratch_len: words[5],
            weights_offset: op.weights_offset(),
            weights_len: op.weights_len(),
            bias_offset: op.bias_offset(),
            multipliers_offset: op.multipliers_offset(),
            window: op.window(),
            a: op.a(),
            b: op.b(),
            c: op.c(),
            slice_cost: op.slice_cost(),
            call_cost: op.call_cost(),
        })
    }

    #[cfg(any(test, feature = "encode"))]
    pub(super) fn bytes(&self) -> Option<[u8; OP_RECORD_LEN]> {
        let mut bytes = [0; OP_RECORD_LEN];
        bytes[0] = self.kind as u8;
        bytes[1] = self.packing as u8;
        bytes[10] = self.shift;
        bytes[11] = self.output_min as u8;
        bytes[12] = self.output_max as u8;
        bytes[13] = self.from_last_row.into();
        let window = &self.window;
        let axes = [
            window.filter_h,
            window.filter_w,
            window.stride_h,
            window.stride_w,
            window.dilation_h,
            window.dilation_w,
            window.pad_top,
            window.pad_left,
        ];
        let mut half_words = [(2, self.output), (4, self.inputs[0]), (6, self.inputs[1]), (8, self.groups)]
            .into_iter()
            .map(|(at, x)| Some((at, x)))
            .chain(axes.iter().enumerate().map(|(i, &x)| Some((40 + 2 * i, u16::try_from(x).ok()?))));
        half_words.try_for_each(|entry| {
            let (at, x) = entry?;
            bytes[at..at + 2].copy_from_slice(&x.to_le_bytes());
            Some(())
        })?;
        let words = [
            (16, self.scratch_offset),
            (20, self.scratch_len),
            (24, self.weights_offset),
            (28, self.weights_len),
            (32, self.bias_offset),
            (36, self.multipliers_offset),
            (56, self.a as u32),
            (60, self.b as u32),
            (64, self.c as u32),
            (68, self.slice_cost),
            (72, self.call_cost),
        ];
        for (at, x) in words {
            bytes[at..at + 4].copy_from_slice(&x.to_le_bytes());
        }
        Some(bytes)
    }
}
