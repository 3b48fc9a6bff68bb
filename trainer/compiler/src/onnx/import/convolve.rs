//! Convolutions.

use super::attributes::Reader;
use super::state::Import;
use crate::error::Result;
use crate::graph::{Clamp, Conv2d, Op, Padding, PortType};
use crate::import::View;

/// Window of a convolution or pooling, rows and columns; a 1-D window has one column.
pub(super) struct Window {
    pub filter: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    pub padding: Padding,
}

/// Reads `kernel_shape`, `strides`, `dilations`, `pads` and `auto_pad` for an input of that size.
/// `filter` is the size that the weights have, if there are any.
pub(super) fn window(
    node: &Reader<'_>,
    rank: usize,
    size: [usize; 2],
    filter: Option<[usize; 2]>,
) -> Result<Window> {
    let spatial = rank - 2;
    let pair = |sizes: Vec<usize>| [sizes[0], sizes.get(1).copied().unwrap_or(1)];
    let stated = node.sizes("kernel_shape", spatial, 1)?.map(pair);
    let filter = match (stated, filter) {
        (Some(stated), Some(filter)) if stated != filter => {
            return Err(node.fault(format!("kernel_shape is {stated:?}, the weights have {filter:?}")));
        }
        (Some(filter), _) | (None, Some(filter)) => filter,
        (None, None) => return Err(node.fault("attribute `kernel_shape` is missing")),
    };
    let stride = node.sizes("strides", spatial, 1)?.map_or([1, 1], pair);
    let dilation = node.sizes("dilations", spatial, 1)?.map_or([1, 1], pair);
    let auto_pad = node.string_or("auto_pad", "NOTSET")?;
    let pads = node.sizes("pads", 2 * spatial, 0)?;
    let same = Padding::same(size, filter, stride, dilation);
    let padding = match auto_pad.as_str() {
        "NOTSET" => match pads.as_deref() {
            None => Padding::default(),
            Some(&[top, bottom]) => Padding { top, bottom, left: 0, right: 0 },
            Some(&[top, left, bottom, right]) => Padding { top, left, bottom, right },
            Some(other) => return Err(node.fault(format!("pads {other:?}"))),
        },
        "VALID" => Padding::default(),
        "SAME_UPPER" => same,
        "SAME_LOWER" => Padding { top: same.bottom, left: same.right, bottom: same.top, right: same.left },
        other => return Err(node.fault(format!("auto_pad `{other}` is not known"))),
    };
    Ok(Window { filter, stride, dilation, padding })
}

/// View of a result `[1, h, w, c]` with as many ONNX axes as the input.
pub(super) fn spatial_view(rank: usize, nhwc: [usize; 4]) -> View {
    let [_, h, w, c] = nhwc;
    if rank == 3 { View::fresh(3, &[(2, h), (1, c)]) } else { View::fresh(4, &[(2, h), (3, w), (1, c)]) }
}

pub(super) fn conv(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let x = state.activation(node, 0)?;
    let rank = x.view.axes.len();
    let weights = state.constant(node, 1)?;
    let shape = weights.tensor.shape.clone();
    if shape.len() != rank || shape.contains(&0) {
        return Err(node.fault(format!("weights of shape {shape:?} for an input of {rank} axes")));
    }
    let (value, nhwc) = state.spatial(node, &x)?;
    let filter = [shape[2], shape.get(3).copied().unwrap_or(1)];
    let window = window(node, rank, [nhwc[1], nhwc[2]], Some(filter))?;
    let groups = usize::try_from(node.int_or("group", 1)?).unwrap_or(0);
    if groups == 0 || shape[1].checked_mul(groups) != Some(nhwc[3]) || shape[0] % groups != 0 {
        return Err(node.fault(format!(
            "weights of shape {shape:?} in {groups} groups do not fit {} input channels",
            nhwc[3]
        )));
    }
    let depthwise = groups > 1 && groups == nhwc[3];
    let (axes, sizes): (&[usize], [usize; 4]) = match (depthwise, rank) {
        (false, 4) => (&[0, 2, 3, 1], [shape[0], filter[0], filter[1], shape[1]]),
        (false, _) => (&[0, 2, 1], [shape[0], filter[0], 1, shape[1]]),
        (true, 4) => (&[1, 2, 3, 0], [1, filter[0], filter[1], shape[0]]),
        (true, _) => (&[1, 2, 0], [1, filter[0], 1, shape[0]]),
    };
    let (tensor, mut quant) = weights.parameter(node, axes)?;
    if let Some(quant) = &mut quant
        && let Some(axis) = &mut quant.channel_axis
    {
        if weights.quant.as_ref().is_some_and(|q| q.axis != 0) {
            return Err(node
                .fault("its weights are quantized along another axis than the output channels")
                .remedy("quantize per output channel (axis 0) or per tensor"));
        }
        *axis = if depthwise { 3 } else { 0 };
    }
    let tensor = tensor.reshaped(&sizes)?;
    let mut inputs = vec![value, state.add_parameter(&weights.name, tensor, quant)];
    if state.optional(node, 2)?.is_some() {
        let bias = state.constant(node, 2)?;
        if bias.tensor.len() != shape[0] {
            return Err(node.fault(format!("{} biases for {} channels", bias.tensor.len(), shape[0])));
        }
        let all: Vec<usize> = (0..bias.tensor.shape.len()).collect();
        let (tensor, quant) = bias.parameter(node, &all)?;
        let tensor = tensor.reshaped(&[shape[0]])?;
        inputs.push(state.add_parameter(&bias.name, tensor, quant));
    }
    let conv = Conv2d {
        stride: window.stride,
        dilation: window.dilation,
        padding: window.padding,
        groups,
        activation: Clamp::NONE,
    };
    let op = if depthwise { Op::DepthwiseConv2d(conv) } else { Op::Conv2d(conv) };
    let result = state.push(node, op, &inputs)?;
    let nhwc = state.graph.value(result).nhwc().unwrap_or([1; 4]);
    state.give(node, result, spatial_view(rank, nhwc), PortType::F32)
}
