//! What the operators of a model need of the kernels.

use super::model::Model;
use super::record::OpKind;
use crate::kernels::linked::{Variant, Variants};
use crate::shape::Layout;

impl Model<'_> {
    /// The variants of kernels that the model needs.
    pub const fn variants(&self) -> Variants {
        let mut variants = Variants::NONE;
        let mut index = 0;
        while let Some(op) = self.op_words(index) {
            variants = match op.kind() {
                OpKind::Conv2d => variants.with_conv_2d(&self.conv_2d(op)),
                OpKind::DepthwiseConv2d => variants.with_depthwise_conv_2d(&self.depthwise_conv_2d(op)),
                OpKind::FullyConnected => variants.with_fully_connected(&{
                    let (input, output) = (self.value_words(op.inputs()[0]), self.value_words(op.output()));
                    self.fully_connected(op, input, output)
                }),
                OpKind::AveragePool2d => variants.with_average_pool_2d(&self.average_pool_2d(op)),
                OpKind::MaxPool2d => variants.with_max_pool_2d(&self.max_pool_2d(op)),
                OpKind::Add => variants.with_add(&self.add(op)),
                OpKind::Mul => variants.with_mul(&self.mul(op)),
                OpKind::Softmax if matches!(self.softmax(op).view.layout, Layout::Planar) => {
                    variants.with(Variant::PlanarSoftmax)
                }
                OpKind::MatMul if self.mat_mul(op).rhs_transposed => variants.with(Variant::RhsTransposed),
                OpKind::MatMul => variants.with(Variant::RhsPlain),
                _ => variants,
            };
            if self.is_constant(op.inputs()[0])
                || (op.kind().operands() > 1 && self.is_constant(op.inputs()[1]))
            {
                variants = variants.with(Variant::ConstantInput);
            }
            index += 1;
        }
        variants
    }

    const fn is_constant(&self, value: u16) -> bool {
        self.value_words(value).is_constant()
    }
}
