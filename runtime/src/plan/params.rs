//! Kernel parameters of an operator record. Nothing is checked here: on a record that does not fit, slices are empty.

use super::model::Model;
use super::record::MatrixOrder;
use super::words::{OpWords, ValueWords};
use crate::bytes::{as_i8, as_signed};
use crate::kernels::params::{
    Add, Average, AveragePool2d, Conv2d, DepthwiseConv2d, FullyConnected, MatMul, MaxPool2d, Mul, Place,
    Softmax, Stack,
};
use crate::quant::{AddCoefficients, Requantize};
use crate::shape::{Extent, Layout, View};

impl<'a> Model<'a> {
    const fn words(&self, offset: u32, count: usize) -> &'a [u32] {
        // No data section reaches as far as `NONE`.
        self.data_words(offset, count)
    }

    const fn weights(&self, op: OpWords<'_>) -> &'a [i8] {
        as_i8(self.data(op.weights_offset(), op.weights_len()))
    }

    const fn requantize(&self, op: OpWords<'_>, channels: usize, zero_point: i8) -> Requantize<'a> {
        Requantize {
            multipliers: as_signed(self.words(op.multipliers_offset(), channels)),
            shift: op.shift(),
            zero_point,
            output_min: op.output_min(),
            output_max: op.output_max(),
        }
    }

    pub(crate) const fn conv_2d(&self, op: OpWords<'_>) -> Conv2d<'a> {
        let (input, output) = (self.value_words(op.inputs()[0]), self.value_words(op.output()));
        let channels = output.extent().c;
        Conv2d {
            input: input.view(),
            output: output.view(),
            window: op.window(),
            groups: op.groups(),
            input_zero_point: input.zero_point(),
            weights: self.weights(op),
            packing: op.packing(),
            bias: as_signed(self.words(op.bias_offset(), channels)),
            requantize: self.requantize(op, channels, output.zero_point()),
        }
    }

    pub(crate) const fn depthwise_conv_2d(&self, op: OpWords<'_>) -> DepthwiseConv2d<'a> {
        let conv = self.conv_2d(op);
        DepthwiseConv2d {
            input: conv.input,
            output: conv.output,
            window: conv.window,
            input_zero_point: conv.input_zero_point,
            weights: conv.weights,
            packing: conv.packing,
            bias: conv.bias,
            requantize: conv.requantize,
        }
    }

    #[inline(always)]
    pub(crate) const fn fully_connected(
        &self,
        op: OpWords<'_>,
        input: ValueWords<'_>,
        output: ValueWords<'_>,
    ) -> FullyConnected<'a> {
        let outputs = output.extent().c;
        FullyConnected {
            inputs: input.len(),
            outputs,
            weights: self.weights(op),
            packing: op.packing(),
            bias: as_signed(self.words(op.bias_offset(), outputs)),
            requantize: self.requantize(op, outputs, output.zero_point()),
        }
    }

    pub(crate) const fn max_pool_2d(&self, op: OpWords<'_>) -> MaxPool2d {
        MaxPool2d {
            input: self.value_words(op.inputs()[0]).view(),
            output: self.value_words(op.output()).view(),
            window: op.window(),
            output_min: op.output_min(),
            output_max: op.output_max(),
        }
    }

    pub(crate) const fn average_pool_2d(&self, op: OpWords<'_>) -> AveragePool2d {
        let (input, output) = (self.value_words(op.inputs()[0]), self.value_words(op.output()));
        AveragePool2d {
            input: input.view(),
            output: output.view(),
            window: op.window(),
            counted_padding: if op.b() == 1 { Some(input.zero_point()) } else { None },
            average: if op.a() == 0 {
                Average::Exact
            } else {
                Average::Scaled {
                    mantissa: op.a(),
                    shift: op.shift(),
                    input_zero_point: input.zero_point(),
                    output_zero_point: output.zero_point(),
                }
            },
            output_min: op.output_min(),
            output_max: op.output_max(),
        }
    }

    pub(crate) const fn add(&self, op: OpWords<'_>) -> Add {
        Add {
            coefficients: AddCoefficients { lhs: op.a(), rhs: op.b(), offset: op.c(), shift: op.shift() },
            output_min: op.output_min(),
            output_max: op.output_max(),
        }
    }

    pub(crate) const fn mul(&self, op: OpWords<'_>) -> Mul {
        let (lhs, rhs, output) = (
            self.value_words(op.inputs()[0]),
            self.value_words(op.inputs()[1]),
            self.value_words(op.output()),
        );
        Mul {
            lhs_zero_point: lhs.zero_point(),
            rhs_zero_point: rhs.zero_point(),
            view: output.view(),
            rhs_per_channel: !rhs.extent().is(output.extent()),
            mantissa: op.a(),
            shift: op.shift(),
            output_zero_point: output.zero_point(),
            output_min: op.output_min(),
            output_max: op.output_max(),
        }
    }

    pub(crate) const fn mat_mul(&self, op: OpWords<'_>) -> MatMul {
        let (lhs, rhs, output) = (
            self.value_words(op.inputs()[0]),
            self.value_words(op.inputs()[1]),
            self.value_words(op.output()),
        );
        let order = MatrixOrder::of_bits(op.b());
        let (left, right) =
            (Matrices::new(lhs.extent(), order.lhs_by_row), Matrices::new(rhs.extent(), order.rhs_by_row));
        let result = Matrices::new(output.extent(), order.output_by_row);
        MatMul {
            matrices: result.count,
            rows: result.rows,
            inner: left.columns,
            columns: result.columns,
            lhs: left.stack,
            rhs: right.stack,
            rhs_transposed: order.rhs_transposed,
            output_by_row: order.output_by_row,
            lhs_zero_point: lhs.zero_point(),
            rhs_zero_point: rhs.zero_point(),
            mantissa: op.a(),
            shift: op.shift(),
            output_zero_point: output.zero_point(),
            output_min: op.output_min(),
            output_max: op.output_max(),
        }
    }

    /// Whether the extents of a matrix product go together, and its sums fit 32 bits.
    pub(super) const fn mat_mul_fits(&self, op: OpWords<'_>) -> bool {
        let Some(order) = MatrixOrder::from_code(op.b()) else { return false };
        let views = [
            self.value_words(op.inputs()[0]).view(),
            self.value_words(op.inputs()[1]).view(),
            self.value_words(op.output()).view(),
        ];
        let left = Matrices::new(views[0].extent, order.lhs_by_row);
        let right = Matrices::new(views[1].extent, order.rhs_by_row);
        let result = Matrices::new(views[2].extent, order.output_by_row);
        let (inner, columns) =
            if order.rhs_transposed { (right.columns, right.rows) } else { (right.rows, right.columns) };
        is_nhwc(views[0])
            && is_nhwc(views[1])
            && is_nhwc(views[2])
            && left.columns <= MatMul::MAX_INNER
            && left.columns == inner
            && result.rows == left.rows
            && result.columns == columns
            && (left.count == result.count || left.count == 1)
            && (right.count == result.count || right.count == 1)
    }

    /// The 256 output values of a look-up.
    pub(crate) const fn table(&self, op: OpWords<'_>) -> &'a [i8] {
        self.weights(op)
    }

    pub(crate) const fn softmax(&self, op: OpWords<'_>) -> Softmax<'a> {
        let output = self.value_words(op.output());
        Softmax {
            view: output.view(),
            exponentials: self.words(op.weights_offset(), op.weights_len() as usize / 4),
            mantissa: op.a(),
            output_zero_point: output.zero_point(),
        }
    }

    pub(crate) const fn concat(&self, op: OpWords<'_>) -> Place {
        Place {
            input: self.value_words(op.inputs()[0]).view(),
            output: self.value_words(op.output()).view(),
            top: offset(op.a()),
            left: offset(op.b()),
            channel: offset(op.c()),
        }
    }

    pub(crate) const fn pad(&self, op: OpWords<'_>) -> Place {
        Place {
            input: self.value_words(op.inputs()[0]).view(),
            output: self.value_words(op.output()).view(),
            top: op.window().pad_top,
            left: op.window().pad_left,
            channel: 0,
        }
    }
}

/// A value seen as matrices.
struct Matrices {
    count: usize,
    rows: usize,
    columns: usize,
    stack: Stack,
}

impl Matrices {
    const fn new(extent: Extent, by_row: bool) -> Self {
        let Extent { h, w, c } = extent;
        let (count, rows, matrix_stride, row_stride) =
            if by_row { (w, h, c, extent.row_len()) } else { (h, w, extent.row_len(), c) };
        let matrix_stride = if count == 1 { 0 } else { matrix_stride };
        Self { count, rows, columns: c, stack: Stack { matrix_stride, row_stride } }
    }
}

const fn is_nhwc(view: View) -> bool {
    matches!(view.layout, Layout::Nhwc)
}

impl Place {
    /// Whether the moved input lies within the output.
    pub(crate) const fn fits(&self) -> bool {
        let (from, to) = (self.input.extent, self.output.extent);
        inside(self.top, from.h, to.h)
            && inside(self.left, from.w, to.w)
            && inside(self.channel, from.c, to.c)
    }

    /// A change of layout between views of equal extents.
    pub(crate) const fn relayout(input: View, output: View) -> Self {
        Self { input, output, top: 0, left: 0, channel: 0 }
    }
}

/// `usize::MAX` stands for a negative number, which no extent holds.
const fn offset(number: i32) -> usize {
    if number < 0 { usize::MAX } else { number as usize }
}

const fn inside(offset: usize, len: usize, limit: usize) -> bool {
    match offset.checked_add(len) {
        Some(end) => end <= limit,
        None => false,
    }
}
