//! What the operators of a model need of the kernels.

use super::model::Model;
use super::record::{Location, OpKind};
use crate::kernels::linked::{Variant, Variants};

impl Model<'_> {
    /// The variants of kernels that the model needs.
    pub const fn variants(&self) -> Variants {
        let mut variants = Variants::NONE;
        let mut index = 0;
        while let Some(op) = self.op(index) {
            variants = match op.kind {
                OpKind::Conv2d => variants.with_conv_2d(&self.conv_2d(&op)),
                OpKind::DepthwiseConv2d => variants.with_depthwise_conv_2d(&self.depthwise_conv_2d(&op)),
                OpKind::FullyConnected => variants.with_fully_connected(&self.fully_connected(&op)),
                OpKind::AveragePool2d => variants.with_average_pool_2d(&self.average_pool_2d(&op)),
                OpKind::Mul if self.mul(&op).rhs_per_channel => variants.with(Variant::PerChannel),
                _ => variants,
            };
            if matches!(self.value(op.inputs[0]).location, Location::Data(_)) {
                variants = variants.with(Variant::ConstantInput);
            }
            index += 1;
        }
        variants
    }
}
