//! Pooling, reductions and padding.

use super::convolve::padding;
use super::node::{Activation as Fused, Node, options};
use super::reshape;
use super::state::Import;
use crate::error::Result;
use crate::graph::{Clamp, Elements, Op, Padding, Pool2d, PortType};
use crate::import::{View, reduce as reduce_axes};

pub(super) fn pool(state: &mut Import<'_, '_>, node: &Node<'_>) -> Result<()> {
    let options = node.options(options::POOL_2D)?;
    let stride = [node.size(options, 2, 0, "row stride")?, node.size(options, 1, 0, "column stride")?];
    let filter = [node.size(options, 4, 0, "window height")?, node.size(options, 3, 0, "window width")?];
    let fused = node.activation(options, 5)?;
    let x = state.activation(node, 0)?;
    let (value, nhwc) = state.spatial(node, &x)?;
    let padding = padding(node, options, [nhwc[1], nhwc[2]], filter, stride, [1, 1])?;
    let (activation, later) = match fused {
        Fused::Clamp(clamp) => (clamp, Fused::Clamp(Clamp::NONE)),
        Fused::Tanh => (Clamp::NONE, fused),
    };
    let pool = Pool2d { filter, stride, padding, count_padding: false, activation };
    let op = if node.kind == "MAX_POOL_2D" { Op::MaxPool2d(pool) } else { Op::AveragePool2d(pool) };
    let result = state.push(node, op, &[value])?;
    let result = state.apply(node, result, later)?;
    let nhwc = state.graph.value(result).nhwc().unwrap_or([1; 4]);
    state.give(node, result, View::permuted(&nhwc, &[0, 1, 2, 3]), x.kind)
}

/// MEAN and REDUCE_MAX.
pub(super) fn reduce(state: &mut Import<'_, '_>, node: &Node<'_>) -> Result<()> {
    let options = node.options(options::REDUCER)?;
    let keep = options.map_or(Ok(false), |options| options.flag(0))?;
    let x = state.activation(node, 0)?;
    let list = state.ints(node, 1)?;
    let axes = reshape::axes(node, &list, x.view.axes.len())?;
    if axes.is_empty() {
        return state.give_view(node, &x, x.view.clone());
    }
    let op = if node.kind == "MEAN" { Op::AveragePool2d } else { Op::MaxPool2d };
    let (result, view) = reduce_axes(state, node, &x, &axes, keep, op)?;
    state.give(node, result, view, x.kind)
}

/// PAD and PADV2.
pub(super) fn pad(state: &mut Import<'_, '_>, node: &Node<'_>) -> Result<()> {
    let x = state.activation(node, 0)?;
    let rank = x.view.axes.len();
    let pads = state.ints(node, 1)?;
    if pads.len() != 2 * rank {
        return Err(node.fault(format!("{} pads for {rank} axes", pads.len())));
    }
    let side = |pad: i64| {
        usize::try_from(pad)
            .ok()
            .filter(|&pad| pad <= 1 << 20)
            .ok_or_else(|| node.fault(format!("a pad of {pad} is not supported")))
    };
    let sides = pads.iter().map(|&pad| side(pad)).collect::<Result<Vec<usize>>>()?;
    let value = padded_with(state, node, x.kind)?;
    if sides.iter().all(|&side| side == 0) {
        return state.give_view(node, &x, x.view.clone());
    }
    let &[0, 0, top, bottom, left, right, 0, 0] = sides.as_slice() else {
        return Err(node
            .fault(format!("pads {pads:?} for an input of shape {:?}", x.view.shape()))
            .remedy("only height and width of [1, height, width, channels] can be padded"));
    };
    let (input, _) = state.spatial(node, &x)?;
    let padding = Padding { top, left, bottom, right };
    let result = state.push(node, Op::Pad { padding, value }, &[input])?;
    let nhwc = state.graph.value(result).nhwc().unwrap_or([1; 4]);
    state.give(node, result, View::permuted(&nhwc, &[0, 1, 2, 3]), x.kind)
}

/// The real number that PADV2 pads with; 0 for PAD.
fn padded_with(state: &mut Import<'_, '_>, node: &Node<'_>, kind: PortType) -> Result<f32> {
    if node.input(2).is_none() {
        return Ok(0.0);
    }
    let constant = state.constant(node, 2)?;
    let fits = match constant.tensor.elements() {
        Elements::F32(_) => kind == PortType::F32,
        Elements::I8(_) => kind != PortType::F32 && constant.quant.is_some(),
        Elements::I32(_) => false,
    };
    match constant.dequantized()[..] {
        [value] if fits => Ok(value),
        _ => Err(node.fault(format!(
            "the constant `{}` to pad with is not one number of the input's type",
            constant.name
        ))),
    }
}
