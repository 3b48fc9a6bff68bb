//! Pooling.

use teff::plan::{OpKind, OpRecord};
use teff::quant::Multiplier;

use super::elementwise::requantize_to;
use super::filter::window;
use super::shape::pad_with_zero;
use super::steps::{Cost, Lowering};
use crate::error::{Error, Result};
use crate::graph::{Node, Padding, Pool2d};

pub(super) fn max_pool_2d(lowering: &mut Lowering<'_>, node: &Node, attributes: &Pool2d) -> Result<()> {
    let input = lowering.read(node.inputs[0])?;
    let output = lowering.define(node.output())?;
    let (from, to) = (lowering.operand(input).clone(), lowering.operand(output).clone());
    let window = window(node, attributes.filter, attributes.stride, [1, 1], attributes.padding)?;
    // The maximum is taken in the input's integers; another scale is a table afterwards.
    let same = from.quant == to.quant;
    let pooled = if same {
        output
    } else {
        lowering.temporary(&format!("{} pooled", to.name), to.view, from.quant)?
    };
    let (output_min, output_max) = lowering.clamp(attributes.activation, from.quant);
    let record =
        OpRecord { window, output_min, output_max, ..OpRecord::new(OpKind::MaxPool2d, input, pooled) };
    lowering.push_step(node, record, Cost::default());
    if !same {
        requantize_to(lowering, node, pooled, output)?;
    }
    Ok(())
}

pub(super) fn average_pool_2d(lowering: &mut Lowering<'_>, node: &Node, attributes: &Pool2d) -> Result<()> {
    let mut input = lowering.read(node.inputs[0])?;
    let mut padding = attributes.padding;
    if attributes.count_padding && !padding.is_zero() {
        // Counted padding is real zeros: they are made first, so that rows beyond it still do not count.
        input = pad_with_zero(lowering, node, input, padding)?;
        padding = Padding::default();
    }
    let output = lowering.define(node.output())?;
    let (from, to) = (lowering.operand(input).clone(), lowering.operand(output).clone());
    let window = window(node, attributes.filter, attributes.stride, [1, 1], padding)?;
    let (extent, out) = (from.view.extent, to.view.extent);
    let inside =
        |outputs: usize, stride: usize, filter: usize, len: usize| (outputs - 1) * stride + filter <= len;
    let all_full = padding.is_zero()
        && inside(out.h, attributes.stride[0], attributes.filter[0], extent.h)
        && inside(out.w, attributes.stride[1], attributes.filter[1], extent.w);
    let same = from.quant == to.quant;
    let scaled = !same && all_full;
    let averaged = if same || scaled {
        output
    } else {
        lowering.temporary(&format!("{} averaged", to.name), to.view, from.quant)?
    };
    let quant = lowering.operand(averaged).quant;
    let (output_min, output_max) = lowering.clamp(attributes.activation, quant);
    let mut record =
        OpRecord { window, output_min, output_max, ..OpRecord::new(OpKind::AveragePool2d, input, averaged) };
    if scaled {
        let count = (attributes.filter[0] * attributes.filter[1]) as f64;
        let factor = f64::from(from.quant.scale) / (f64::from(to.quant.scale) * count);
        let multiplier = Multiplier::from_factor(factor).filter(|m| m.mantissa > 0).ok_or_else(|| {
            Error::node(
                &node.name,
                node.op.name(),
                format!("its scales give a factor of {factor:e}, out of range"),
            )
            .remedy("calibrate the model again")
        })?;
        (record.a, record.shift) = (multiplier.mantissa, multiplier.shift);
    }
    lowering.push_step(node, record, Cost::default());
    if averaged != output {
        requantize_to(lowering, node, averaged, output)?;
    }
    Ok(())
}
