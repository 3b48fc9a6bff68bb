//! Pooling, reductions and padding.

use super::attributes::Reader;
use super::convolve::{spatial_view, window};
use super::reshape;
use super::state::{Activation, Import};
use crate::error::Result;
use crate::graph::{Clamp, Op, Padding, Pool2d, PortType};
use crate::import::reduce as reduce_axes;

pub(super) fn max_pool(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let x = state.any_activation(node, 0)?;
    // The order in which indices of maxima are counted; the indices themselves are not given.
    let _indices_only = node.int("storage_order")?;
    pool(state, node, x, Op::MaxPool2d)
}

pub(super) fn average_pool(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let x = state.activation(node, 0)?;
    pool(state, node, x, Op::AveragePool2d)
}

fn pool(state: &mut Import, node: &Reader<'_>, x: Activation, op: fn(Pool2d) -> Op) -> Result<()> {
    let rank = x.view.axes.len();
    let (value, nhwc) = state.spatial(node, &x)?;
    let mut window = window(node, rank, [nhwc[1], nhwc[2]], None)?;
    if window.dilation != [1, 1] {
        return Err(node.fault("dilated pooling is not supported").remedy("use dilation 1"));
    }
    let count_padding = node.flag("count_include_pad", false)?;
    if node.flag("ceil_mode", false)? {
        let grown = grow(&window.padding, [nhwc[1], nhwc[2]], window.filter, window.stride);
        if grown != window.padding && count_padding && matches!(op(Pool2d::default()), Op::AveragePool2d(_)) {
            return Err(node
                .fault("ceil_mode with count_include_pad, where windows hang over the edge")
                .remedy("use one of the two only"));
        }
        window.padding = grown;
    }
    let count_padding = count_padding && !window.padding.is_zero();
    let pool = Pool2d {
        filter: window.filter,
        stride: window.stride,
        padding: window.padding,
        count_padding,
        activation: Clamp::NONE,
    };
    let pool = match op(pool) {
        // A maximum never takes the padding, counted or not.
        Op::MaxPool2d(pool) => Op::MaxPool2d(Pool2d { count_padding: false, ..pool }),
        other => other,
    };
    let result = state.push(node, pool, &[value])?;
    state.keep_integers(node, x.kind, &[x.value, value], result);
    let nhwc = state.graph.value(result).nhwc().unwrap_or([1; 4]);
    state.give(node, result, spatial_view(rank, nhwc), x.kind)
}

/// The padding with which the last, incomplete window counts too. A window must begin inside the
/// input or the padding before it.
fn grow(padding: &Padding, size: [usize; 2], filter: [usize; 2], stride: [usize; 2]) -> Padding {
    let along = |before: usize, after: usize, axis: usize| {
        let padded = size[axis] + before + after;
        if padded < filter[axis] {
            return after;
        }
        let mut count = (padded - filter[axis]).div_ceil(stride[axis]) + 1;
        if (count - 1) * stride[axis] >= size[axis] + before {
            count -= 1;
        }
        let reach = (count - 1) * stride[axis] + filter[axis];
        reach.saturating_sub(size[axis] + before).max(after)
    };
    Padding {
        bottom: along(padding.top, padding.bottom, 0),
        right: along(padding.left, padding.right, 1),
        ..*padding
    }
}

pub(super) fn global_pool(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let mean = node.operator() == "GlobalAveragePool";
    let x = if mean { state.activation(node, 0)? } else { state.any_activation(node, 0)? };
    let rank = x.view.axes.len();
    let (value, nhwc) = state.spatial(node, &x)?;
    let pool = Pool2d { filter: [nhwc[1], nhwc[2]], ..Pool2d::default() };
    let op = if mean { Op::AveragePool2d(pool) } else { Op::MaxPool2d(pool) };
    let result = state.push(node, op, &[value])?;
    state.keep_integers(node, x.kind, &[x.value, value], result);
    state.give(node, result, spatial_view(rank, [1, 1, 1, nhwc[3]]), x.kind)
}

/// ReduceMean and ReduceMax: a pooling whose window is the axes taken together.
pub(super) fn reduce(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let x = state.activation(node, 0)?;
    let rank = x.view.axes.len();
    let keep = node.flag("keepdims", true)?;
    let nothing = node.flag("noop_with_empty_axes", false)?;
    let listed = reshape::axes_of(state, node, rank)?.filter(|axes| !axes.is_empty());
    if listed.is_none() && nothing {
        return reshape::identity(state, node);
    }
    let axes = listed.unwrap_or_else(|| (0..rank).collect());
    let op = if node.operator() == "ReduceMean" { Op::AveragePool2d } else { Op::MaxPool2d };
    let (result, view) = reduce_axes(state, node, &x, &axes, keep, op)?;
    state.give(node, result, view, PortType::F32)
}

pub(super) fn pad(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let x = state.any_activation(node, 0)?;
    let rank = x.view.axes.len();
    let mode = node.string_or("mode", "constant")?;
    if mode != "constant" {
        return Err(node.fault(format!("mode `{mode}` is not supported")).remedy("pad with a constant"));
    }
    let (pads, value) = if state.opset < 11 {
        (node.ints("pads")?, node.float_or("value", 0.0)?)
    } else {
        (state.ints(node, 1)?, state.scalar(node, 2)?.unwrap_or(0.0))
    };
    let value = match (x.kind, &state.graph.value(x.value).quant) {
        (PortType::F32, _) => value,
        // Integers are padded with an integer.
        (kind, Some(quant)) => {
            let shift = if kind == PortType::U8 { 128.0 } else { 0.0 };
            quant.scale() * (value - shift - quant.zero_point as f32)
        }
        (_, None) => {
            return Err(node
                .fault("it pads integers whose scale is not known")
                .remedy("put a DequantizeLinear before it and a QuantizeLinear behind it"));
        }
    };
    let pads = pads.ok_or_else(|| node.fault("the pads are missing"))?;
    let axes = match state.ints(node, 3)? {
        Some(list) => {
            let found = list.iter().map(|&a| reshape::axis(node, a, rank));
            found.collect::<Result<Vec<usize>>>()?
        }
        None => (0..rank).collect(),
    };
    if pads.len() != 2 * axes.len() {
        return Err(node.fault(format!("{} pads for {} axes", pads.len(), axes.len())));
    }
    let mut sides = vec![(0usize, 0usize); rank];
    for (i, &axis) in axes.iter().enumerate() {
        let side = |p: i64| {
            usize::try_from(p).ok().filter(|&p| p <= 1 << 20).ok_or_else(|| {
                node.fault(format!("a pad of {p} is not supported"))
                    .remedy("pads go from 0 to 2^20; crop inputs before the model")
            })
        };
        sides[axis] = (side(pads[i])?, side(pads[i + axes.len()])?);
    }
    if sides.iter().all(|s| *s == (0, 0)) {
        return reshape::identity(state, node);
    }
    if sides[..2.min(rank)].iter().any(|s| *s != (0, 0)) {
        return Err(node
            .fault(format!("pads {pads:?} add to batch or channels"))
            .remedy("only height and width can be padded"));
    }
    let (input, nhwc) = state.spatial(node, &x)?;
    let (top, bottom) = sides[2];
    let (left, right) = sides.get(3).copied().unwrap_or((0, 0));
    let padding = Padding { top, left, bottom, right };
    let result = state.push(node, Op::Pad { padding, value }, &[input])?;
    state.keep_integers(node, x.kind, &[x.value, input], result);
    let nhwc = state.graph.value(result).nhwc().unwrap_or(nhwc);
    state.give(node, result, spatial_view(rank, nhwc), x.kind)
}
