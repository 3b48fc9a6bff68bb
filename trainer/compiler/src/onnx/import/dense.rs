//! Matrix products by constant weights, and softmax.

use super::attributes::Reader;
use super::state::{Activation, Constant, Import, Item};
use super::tensor::{Data, OnnxTensor};
use crate::error::Result;
use crate::graph::{Clamp, Elements, Op, PortType, Tensor, ValueId};
use crate::import::{View, multiply};

pub(super) fn gemm(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let (alpha, beta) = (node.float_or("alpha", 1.0)?, node.float_or("beta", 1.0)?);
    let transposed = node.flag("transB", false)?;
    let mut weights = state.constant(node, 1)?;
    scale_constant(&mut weights, alpha);
    let mut x = state.activation(node, 0)?;
    if x.view.axes.len() != 2 {
        return Err(node.fault(format!("its input has {} axes, not two", x.view.axes.len())));
    }
    if node.flag("transA", false)? {
        x.view = x.view.transposed(&[1, 0]);
    }
    let (value, view, n) = product(state, node, &x, &weights, transposed)?;
    if state.optional(node, 2)?.is_some() {
        let mut bias = state.constant(node, 2)?;
        scale_constant(&mut bias, beta);
        if bias.tensor.len() == 1 && n > 1 {
            let repeated = OnnxTensor { shape: vec![n], data: bias.tensor.data.gathered(&vec![0; n]) };
            bias.tensor = std::rc::Rc::new(repeated);
        }
        if !attach_bias(state, node, value, &bias)? {
            return Err(node.fault(format!("a bias of shape {:?} for {n} outputs", bias.tensor.shape)));
        }
    }
    state.give(node, value, view, PortType::F32)
}

pub(super) fn mat_mul(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let constant =
        |index: usize| -> Result<bool> { Ok(matches!(state.item(node, index)?, Item::Constant(_))) };
    let (first, second) = (constant(0)?, constant(1)?);
    let (value, view) = match (first, second) {
        (true, false) => {
            // `(W · x)ᵀ = xᵀ · Wᵀ`: the weights are those of a layer over the last axis but one.
            let weights = state.constant(node, 0)?;
            let mut x = state.activation(node, 1)?;
            let Some(order) = last_two_swapped(x.view.axes.len()) else {
                return Err(node.fault(format!("an operand of shape {:?} is no matrix", x.view.shape())));
            };
            x.view = x.view.transposed(&order);
            let (value, view, _) = product(state, node, &x, &weights, true)?;
            (value, view.transposed(&order))
        }
        (_, true) => {
            let weights = state.constant(node, 1)?;
            let x = state.activation(node, 0)?;
            let (value, view, _) = product(state, node, &x, &weights, false)?;
            (value, view)
        }
        (false, false) => {
            let (a, b) = (state.activation(node, 0)?, state.activation(node, 1)?);
            multiply(state, node, a, b, Clamp::NONE)?
        }
    };
    state.give(node, value, view, PortType::F32)
}

/// The order of axes in which the last two have changed places; `None` where there are none.
fn last_two_swapped(rank: usize) -> Option<Vec<usize>> {
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(rank.checked_sub(2)?, rank - 1);
    Some(order)
}

/// `x · W`, without bias. Gives the result, its view and the number of outputs.
fn product(
    state: &mut Import,
    node: &Reader<'_>,
    x: &Activation,
    weights: &Constant,
    transposed: bool,
) -> Result<(ValueId, View, usize)> {
    let &[rows, columns] = weights.tensor.shape.as_slice() else {
        return Err(node.fault(format!("weights of shape {:?} are not a matrix", weights.tensor.shape)));
    };
    let (k, n) = if transposed { (columns, rows) } else { (rows, columns) };
    let rank = x.view.axes.len();
    if rank == 0 || k == 0 || n == 0 || x.view.size_of(&x.view.axes[rank - 1]) != k {
        return Err(node.fault(format!(
            "weights of shape {:?} do not fit an input of shape {:?}",
            weights.tensor.shape,
            x.view.shape()
        )));
    }
    let (value, _, order) = state.channels_last(node, x, &[rank - 1])?;
    let (tensor, mut quant) = weights.parameter(node, if transposed { &[0, 1] } else { &[1, 0] })?;
    if let Some(quant) = &mut quant
        && quant.channel_axis == Some(1)
    {
        return Err(node
            .fault("its weights are quantized along the inputs, not the outputs")
            .remedy("quantize per output channel or per tensor"));
    }
    // Columns in the order of the bytes of the input.
    let gather: Vec<usize> =
        (0..n).flat_map(|row| order.iter().map(move |&column| row * k + column)).collect();
    let elements = match tensor.elements() {
        Elements::F32(v) => Elements::F32(gather.iter().map(|&i| v[i]).collect()),
        Elements::I8(v) => Elements::I8(gather.iter().map(|&i| v[i]).collect()),
        Elements::I32(v) => Elements::I32(gather.iter().map(|&i| v[i]).collect()),
    };
    let tensor = Tensor::new(&[n, k], elements)?;
    let filter = state.add_parameter(&weights.name, tensor, quant);
    let op = Op::FullyConnected { activation: Clamp::NONE };
    let result = state.push(node, op, &[value, filter])?;
    let place = x.view.atoms.len() - x.view.axes[rank - 1].len();
    Ok((result, x.view.with_axis(rank - 1, n, place), n))
}

/// Multiplies a constant by a number, where that is not 1: its scales, if it has any.
fn scale_constant(constant: &mut Constant, factor: f32) {
    if factor == 1.0 {
        return;
    }
    if let Some(quant) = constant.quant.as_mut().filter(|_| factor > 0.0) {
        quant.scales.iter_mut().for_each(|s| *s *= factor);
        return;
    }
    let data = constant.dequantized().into_iter().map(|x| x * factor).collect();
    let shape = constant.tensor.shape.clone();
    *constant = Constant {
        name: constant.name.clone(),
        tensor: std::rc::Rc::new(OnnxTensor { shape, data: Data::F32(data) }),
        quant: None,
    };
}

/// Makes a constant the bias of the layer that gives `value`. False where it has one already, is
/// no such layer, or the constant does not have one number for each channel.
pub(super) fn attach_bias(
    state: &mut Import,
    node: &Reader<'_>,
    value: ValueId,
    bias: &Constant,
) -> Result<bool> {
    let channels = state.graph.value(value).shape[3];
    let takes = state.graph.nodes.iter().any(|n| {
        n.output() == value
            && n.inputs.len() == 2
            && matches!(n.op, Op::FullyConnected { .. } | Op::Conv2d(_) | Op::DepthwiseConv2d(_))
    });
    if !takes || bias.tensor.len() != channels {
        return Ok(false);
    }
    let all: Vec<usize> = (0..bias.tensor.shape.len()).collect();
    let (tensor, mut quant) = bias.parameter(node, &all)?;
    let tensor = tensor.reshaped(&[channels])?;
    if let Some(quant) = &mut quant
        && quant.channel_axis.is_some()
    {
        quant.channel_axis = Some(0);
    }
    let bias = state.add_parameter(&bias.name, tensor, quant);
    if let Some(producer) = state.graph.nodes.iter_mut().find(|n| n.output() == value) {
        producer.inputs.push(bias);
    }
    Ok(true)
}

pub(super) fn softmax(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let x = state.activation(node, 0)?;
    let rank = x.view.axes.len();
    let default = if state.opset < 13 { 1 } else { -1 };
    let axis = super::reshape::axis(node, node.int_or("axis", default)?, rank)?;
    // Before version 13, all axes from this one on count as one.
    let axes: Vec<usize> = if state.opset < 13 { (axis..rank).collect() } else { vec![axis] };
    let (value, _, _) = state.channels_last(node, &x, &axes)?;
    let result = state.push(node, Op::Softmax, &[value])?;
    state.give(node, result, x.view.detached(), PortType::F32)
}
