//! Fully connected layers, and softmax.

use super::convolve::Layer;
use super::node::{Node, options};
use super::state::{Import, Item};
use crate::error::Result;
use crate::graph::{Clamp, Elements, Op, PortType, Quant, Tensor, Unary};
use crate::import::{Activation, multiply};

pub(super) fn fully_connected(state: &mut Import<'_, '_>, node: &Node<'_>) -> Result<()> {
    let options = node.options(options::FULLY_CONNECTED)?;
    let fused = node.activation(options, 0)?;
    let format = options.map_or(Ok(0), |options| options.scalar::<i8>(1, 0))?;
    if format != 0 {
        return Err(node
            .fault(format!("weights of format {format} are not supported"))
            .remedy("convert the model again"));
    }
    let keep = options.map_or(Ok(false), |options| options.flag(2))?;
    let x = state.activation(node, 0)?;
    let mut weights = state.constant(node, 1)?;
    let &[n, k] = weights.tensor.shape() else {
        return Err(node.fault(format!("weights of shape {:?} are not a matrix", weights.tensor.shape())));
    };
    let shape = x.view.shape();
    let len: usize = shape.iter().product();
    if n == 0 || k == 0 || !len.is_multiple_of(k) || (keep && shape.last() != Some(&k)) {
        return Err(node.fault(format!("weights of shape [{n}, {k}] do not fit an input of shape {shape:?}")));
    }
    let view = if keep || shape == [len / k, k] {
        x.view.clone()
    } else {
        state.reshaped(node, &x, &[len / k, k])?
    };
    let x = Activation { view, ..x };
    let axis = x.view.axes.len() - 1;
    let (value, _, order) = state.channels_last(node, &x, &[axis])?;
    if order.windows(2).any(|w| w[0] > w[1]) {
        // Columns in the order of the bytes of the input.
        let gather: Vec<usize> =
            (0..n).flat_map(|row| order.iter().map(move |&column| row * k + column)).collect();
        let elements = match weights.tensor.elements() {
            Elements::F32(v) => Elements::F32(gather.iter().map(|&i| v[i]).collect()),
            Elements::I8(v) => Elements::I8(gather.iter().map(|&i| v[i]).collect()),
            Elements::I32(_) => return Err(node.fault("weights of type int32 are not supported")),
        };
        weights.tensor = std::rc::Rc::new(Tensor::new(&[n, k], elements)?);
    }
    let layer = Layer { weights, channel_axis: 0, c_out: n, axes: None, result_axis: 0 };
    let (inputs, (activation, later)) = layer.operands(state, node, &x, value, fused)?;
    let result = state.push(node, Op::FullyConnected { activation }, &inputs)?;
    let result = state.apply(node, result, later)?;
    let place = x.view.atoms.len() - x.view.axes[axis].len();
    state.give(node, result, x.view.with_axis(axis, n, place), x.kind)
}

/// Products of matrices of two activations; `adj_x` and `adj_y` say that one is transposed.
pub(super) fn batch_mat_mul(state: &mut Import<'_, '_>, node: &Node<'_>) -> Result<()> {
    let options = node.options(options::BATCH_MATMUL)?;
    let flag = |number: usize| options.map_or(Ok(false), |options| options.flag(number));
    let transposed = [flag(0)?, flag(1)?];
    // How weights of a hybrid product would be quantized; here both operands have a scale.
    let _asymmetric = flag(2)?;
    for operand in [0, 1] {
        if matches!(state.item(node, operand)?, Item::Constant(_)) {
            return Err(node
                .fault(format!("operand {operand} is a constant"))
                .remedy("use FULLY_CONNECTED for a product by constant weights"));
        }
    }
    let mut operands = [state.activation(node, 0)?, state.activation(node, 1)?];
    for (x, transposed) in operands.iter_mut().zip(transposed) {
        let rank = x.view.axes.len();
        if transposed && rank >= 2 {
            let mut order: Vec<usize> = (0..rank).collect();
            order.swap(rank - 2, rank - 1);
            x.view = x.view.transposed(&order);
        }
    }
    let [a, b] = operands;
    if (a.kind == PortType::F32) != (b.kind == PortType::F32) {
        return Err(node.fault(format!("its operands are {} and {}", a.kind.name(), b.kind.name())));
    }
    let kind = a.kind;
    let (result, view) = multiply(state, node, a, b, Clamp::NONE)?;
    state.give(node, result, view, kind)
}

pub(super) fn softmax(state: &mut Import<'_, '_>, node: &Node<'_>) -> Result<()> {
    let beta = match node.options(options::SOFTMAX)? {
        Some(options) => options.scalar::<f32>(0, 0.0)?,
        None => 1.0,
    };
    if !(beta.is_finite() && beta > 0.0) {
        return Err(node.fault(format!("its beta is {beta}")).remedy("use a softmax of a positive beta"));
    }
    let x = state.activation(node, 0)?;
    let Some(axis) = x.view.axes.len().checked_sub(1) else {
        return Err(node.fault("its input has no axis"));
    };
    let (mut value, _, _) = state.channels_last(node, &x, &[axis])?;
    if beta != 1.0 {
        let quant = state.graph.value(value).quant.clone();
        value = state.push(node, Op::Unary(Unary::Linear { scale: beta, offset: 0.0 }), &[value])?;
        // The same integers on another scale: nothing is rounded.
        state.graph.value_mut(value).quant = quant.map(|q| Quant::per_tensor(q.scale() * beta, q.zero_point));
    }
    let result = state.push(node, Op::Softmax, &[value])?;
    state.give(node, result, x.view.detached(), x.kind)
}
