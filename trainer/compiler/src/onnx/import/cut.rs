//! Parts of activations: Slice, Split, and Gather at constant places.
//!
//! A part along an axis is a convolution whose filter is 1 at one tap and 0 at the others, which
//! computes nothing and so rounds nothing. It costs the multiply-accumulates that a note states.

use super::attributes::Reader;
use super::reshape;
use super::state::{Activation, Import, Item};
use crate::error::Result;
use crate::graph::{Conv2d, Elements, Op, Quant, Tensor};
use crate::onnx::proto::NodeProto;

/// Elements `start`, `start + step`, … of an axis, `len` of them.
#[derive(Debug, Clone, Copy)]
struct Part {
    axis: usize,
    start: usize,
    len: usize,
    step: usize,
}

pub(super) fn slice(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let mut x = state.any_activation(node, 0)?;
    let rank = x.view.axes.len();
    let (starts, ends, axes, steps) = if state.opset < 10 {
        (node.ints("starts")?, node.ints("ends")?, node.ints("axes")?, None)
    } else {
        (state.ints(node, 1)?, state.ints(node, 2)?, state.ints(node, 3)?, state.ints(node, 4)?)
    };
    let starts = starts.ok_or_else(|| node.fault("its starts are missing"))?;
    let ends = ends.ok_or_else(|| node.fault("its ends are missing"))?;
    let axes = axes.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = steps.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(node.fault("starts, ends, axes and steps differ in length"));
    }
    for i in 0..starts.len() {
        let axis = reshape::axis(node, axes[i], rank)?;
        let size = x.view.shape()[axis];
        let step = usize::try_from(steps[i]).ok().filter(|&s| s > 0).ok_or_else(|| {
            node.fault(format!("a slice with step {}", steps[i])).remedy("only steps forwards are supported")
        })?;
        let place = |p: i64| {
            let counted = if p < 0 { p.saturating_add(size as i64) } else { p };
            counted.clamp(0, size as i64) as usize
        };
        let (start, end) = (place(starts[i]), place(ends[i]));
        let len = end.saturating_sub(start).div_ceil(step);
        x = cut(state, node, x, Part { axis, start, len, step })?;
    }
    state.give(node, x.value, x.view, x.kind)
}

pub(super) fn split(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let x = state.any_activation(node, 0)?;
    let axis = reshape::axis(node, node.int_or("axis", 0)?, x.view.axes.len())?;
    let size = x.view.shape()[axis];
    let count = node.proto.output.len();
    let stated_count = node.int("num_outputs")?;
    let listed = match node.ints("split")? {
        Some(list) => Some(list),
        None => state.ints(node, 1)?,
    };
    let sizes: Vec<usize> = match listed {
        Some(list) => list.iter().filter_map(|&s| usize::try_from(s).ok()).collect(),
        // The last one is smaller where they are not equal.
        None => {
            let each = size.div_ceil(count.max(1));
            (0..count).map(|i| each.min(size.saturating_sub(i * each))).collect()
        }
    };
    let total = sizes.iter().fold(0usize, |sum, &s| sum.saturating_add(s));
    if sizes.len() != count || total != size || stated_count.is_some_and(|n| n != count as i64) {
        return Err(node.fault(format!("parts of {sizes:?} for {count} results of an axis of {size}")));
    }
    let mut start = 0;
    for (name, len) in node.proto.output.iter().zip(sizes) {
        if !name.is_empty() && len > 0 {
            let own = NodeProto {
                op_type: node.proto.op_type.clone(),
                output: vec![name.clone()],
                ..NodeProto::default()
            };
            let own = Reader::part_of(&own, node);
            let part = cut(state, &own, x.clone(), Part { axis, start, len, step: 1 })?;
            state.set(name, Item::Activation(part));
        }
        start += len;
    }
    Ok(())
}

/// Gather at constant places that follow one another.
pub(super) fn gather(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let x = state.any_activation(node, 0)?;
    let axis = reshape::axis(node, node.int_or("axis", 0)?, x.view.axes.len())?;
    let size = x.view.shape()[axis];
    let indices = state.constant(node, 1)?;
    let list = indices.tensor.as_ints().ok_or_else(|| node.fault("its indices are not integers"))?;
    let place = |index: i64| {
        let counted = if index < 0 { index.saturating_add(size as i64) } else { index };
        usize::try_from(counted).ok().filter(|&i| i < size)
    };
    let places: Option<Vec<usize>> = list.iter().map(|&index| place(index)).collect();
    let places = places.ok_or_else(|| node.fault(format!("indices {list:?} of an axis of {size}")))?;
    let (Some(&start), 0..=1) = (places.first(), indices.tensor.shape.len()) else {
        return Err(node.fault(format!("indices of shape {:?} are not supported", indices.tensor.shape)));
    };
    let step = places.get(1).map_or(1, |second| second.wrapping_sub(start));
    if step == 0 || step >= size.max(2) || places.iter().enumerate().any(|(i, &p)| p != start + i * step) {
        return Err(node
            .fault(format!("indices {list:?} do not go forwards in equal steps"))
            .remedy("reorder outputs in the program that reads them, or weights when exporting"));
    }
    let mut part = cut(state, node, x, Part { axis, start, len: places.len(), step })?;
    if indices.tensor.shape.is_empty() {
        part.view.axes.remove(axis);
    }
    state.give(node, part.value, part.view, part.kind)
}

fn cut(state: &mut Import, node: &Reader<'_>, x: Activation, part: Part) -> Result<Activation> {
    let Part { axis, start, len, step } = part;
    let atoms = x.view.axes[axis].clone();
    let size = x.view.size_of(&atoms);
    if len == 0 {
        return Err(node.fault(format!("nothing of axis {axis} of {:?} is left", x.view.shape())));
    }
    if len == size {
        return Ok(x);
    }
    let first = atoms.iter().copied().min().unwrap_or(0);
    if !x.view.lies_at(first, &atoms) {
        let rest = (0..x.view.atoms.len()).filter(|a| !atoms.contains(a));
        let order: Vec<usize> = atoms.iter().copied().chain(rest).collect();
        state.arranged(node, &x, &order)?;
    }
    let product = |range: std::ops::Range<usize>| x.view.atoms[range].iter().map(|a| a.size).product();
    let before: usize = product(0..first);
    let after: usize = product(first + atoms.len()..x.view.atoms.len());
    let own = state.graph.value(x.value).nhwc().unwrap_or([1; 4]);
    // The filter reaches from the first element that the first output could take to the last.
    let taps = size - (len - 1) * step;
    let rows = before == 1 && own[1] == size && own[2] * own[3] == after;
    let (nhwc, filter, stride) = match rows {
        true => (own, [1, taps, 1, own[3]], [step, 1]),
        false => ([1, before, size, after], [1, 1, taps, after], [1, step]),
    };
    let channels = filter[3];
    let mut weights = vec![0i8; taps * channels];
    weights[start * channels..(start + 1) * channels].fill(1);
    let weights = Tensor::new(&filter, Elements::I8(weights))?;
    let one = Quant { scales: vec![1.0], channel_axis: None, ..Quant::per_channel(Vec::new(), 0) };
    let value = state.shaped(x.value, nhwc);
    let weights = state.add_parameter(&format!("{}.part", node.name), weights, Some(one));
    let conv = Conv2d { stride, groups: channels, ..Conv2d::default() };
    // One channel is no depthwise convolution.
    let op = if channels == 1 { Op::Conv2d(conv) } else { Op::DepthwiseConv2d(conv) };
    let value = state.push(node, op, &[value, weights])?;
    let macs = state.graph.value(value).len() * taps;
    state.graph.note(format!(
        "`{}` ({}) takes a part of a tensor, at {macs} multiply-accumulates",
        node.name,
        node.operator()
    ));
    state.keep_integers(node, x.kind, &[x.value], value);
    let view = x.view.with_axis(axis, len, first);
    Ok(Activation { value, view, kind: x.kind })
}
