//! Operators that move elements.

use teff::plan::{OpKind, OpRecord};
use teff::shape::View;

use super::elementwise::requantize_to;
use super::filter::window;
use super::steps::{Cost, Lowering, Place};
use crate::error::{Error, Result};
use crate::graph::{Node, Padding};

pub(super) fn concat(lowering: &mut Lowering<'_>, node: &Node, axis: usize) -> Result<()> {
    let mut inputs = Vec::new();
    for &id in &node.inputs {
        inputs.push(lowering.read(id)?);
    }
    let output = lowering.define(node.output())?;
    let to = lowering.operand(output).clone();
    // Tables first: from the first part on, the output must not be disturbed.
    for input in &mut inputs {
        let from = lowering.operand(*input).clone();
        if from.quant != to.quant {
            let arena = lowering.in_arena(node, *input)?;
            *input = lowering.temporary(&format!("{} rescaled", from.name), from.view, to.quant)?;
            requantize_to(lowering, node, arena, *input)?;
        }
    }
    let mut start = 0usize;
    for input in inputs {
        let extent = lowering.operand(input).view.extent;
        let at = |i: usize| if axis == i { start as i32 } else { 0 };
        let record =
            OpRecord { a: at(1), b: at(2), c: at(3), ..OpRecord::new(OpKind::Concat, input, output) };
        lowering.push_step(node, record, Cost::default());
        start += [extent.h, extent.w, extent.c][axis - 1];
    }
    Ok(())
}

pub(super) fn pad(lowering: &mut Lowering<'_>, node: &Node, padding: Padding, value: f32) -> Result<()> {
    let input = lowering.read(node.inputs[0])?;
    let output = lowering.define(node.output())?;
    let (from, to) = (lowering.operand(input).clone(), lowering.operand(output).clone());
    let mut source = input;
    if from.quant != to.quant {
        let arena = lowering.in_arena(node, input)?;
        source = lowering.temporary(&format!("{} rescaled", from.name), from.view, to.quant)?;
        requantize_to(lowering, node, arena, source)?;
    }
    push_pad(lowering, node, source, output, padding, to.quant.quantize(value))
}

/// The operand with rows and columns of real 0 around it.
pub(super) fn pad_with_zero(
    lowering: &mut Lowering<'_>,
    node: &Node,
    input: u16,
    padding: Padding,
) -> Result<u16> {
    let from = lowering.operand(input).clone();
    let extent = from.view.extent;
    let view = View::new(
        extent.h + padding.top + padding.bottom,
        extent.w + padding.left + padding.right,
        extent.c,
        from.view.layout,
    );
    let padded = lowering.temporary(&format!("{} padded", from.name), view, from.quant)?;
    push_pad(lowering, node, input, padded, padding, from.quant.zero_point)?;
    Ok(padded)
}

fn push_pad(
    lowering: &mut Lowering<'_>,
    node: &Node,
    input: u16,
    output: u16,
    padding: Padding,
    value: i8,
) -> Result<()> {
    let window = window(node, [1, 1], [1, 1], [1, 1], padding)?;
    let record = OpRecord { window, c: value.into(), ..OpRecord::new(OpKind::Pad, input, output) };
    lowering.push_step(node, record, Cost::default());
    Ok(())
}

/// The same bytes under another shape: no operator, unless the quantization changes.
pub(super) fn reshape(lowering: &mut Lowering<'_>, node: &Node) -> Result<()> {
    let input = lowering.read(node.inputs[0])?;
    let input = lowering.in_arena(node, input)?;
    let from = lowering.operand(input).clone();
    let to = lowering.graph.value(node.output());
    let quant = super::steps::activation_quant(to)?;
    if !matches!(from.place, Place::Buffer(_)) || from.view.extent.len() != to.len() {
        return Err(Error::node(&node.name, "reshape", "the numbers of elements differ"));
    }
    let mut source = input;
    if quant != from.quant {
        source = lowering.temporary(&format!("{} rescaled", from.name), from.view, quant)?;
        requantize_to(lowering, node, input, source)?;
    }
    lowering.define_alias(node.output(), source)?;
    Ok(())
}
