//! Convolutions.

use super::constant::Constant;
use super::flatbuffer::Table;
use super::node::{Activation as Fused, Node, options};
use super::state::Import;
use crate::error::Result;
use crate::graph::{Clamp, Conv2d, Elements, Op, Padding, PortType, Quant, Tensor, ValueId};
use crate::import::{Activation, View};

/// The padding of a window that field 0 of the options names.
pub(super) fn padding(
    node: &Node<'_>,
    options: Option<Table<'_>>,
    size: [usize; 2],
    filter: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
) -> Result<Padding> {
    match options.map_or(Ok(0), |options| options.scalar::<i8>(0, 0))? {
        0 => Ok(Padding::same(size, filter, stride, dilation)),
        1 => Ok(Padding::default()),
        other => Err(node.fault(format!("padding {other} is not known"))),
    }
}

pub(super) fn conv_2d(state: &mut Import<'_, '_>, node: &Node<'_>) -> Result<()> {
    let options = node.options(options::CONV_2D)?;
    let stride = [node.size(options, 2, 0, "row stride")?, node.size(options, 1, 0, "column stride")?];
    let dilation = [node.size(options, 5, 1, "row dilation")?, node.size(options, 4, 1, "column dilation")?];
    let fused = node.activation(options, 3)?;
    let x = state.activation(node, 0)?;
    let weights = state.constant(node, 1)?;
    let &[c_out, kh, kw, c_in] = weights.tensor.shape() else {
        return Err(node.fault(format!("weights of shape {:?} have not four axes", weights.tensor.shape())));
    };
    let (value, nhwc) = state.spatial(node, &x)?;
    if [c_out, kh, kw, c_in].contains(&0) || nhwc[3] % c_in != 0 || c_out % (nhwc[3] / c_in) != 0 {
        return Err(node.fault(format!(
            "weights of shape {:?} do not fit {} input channels",
            weights.tensor.shape(),
            nhwc[3]
        )));
    }
    let groups = nhwc[3] / c_in;
    let padding = padding(node, options, [nhwc[1], nhwc[2]], [kh, kw], stride, dilation)?;
    let conv = Conv2d { stride, dilation, padding, groups, activation: Clamp::NONE };
    if groups > 1 && c_in == 1 {
        let axes = [3, 1, 2, 0];
        let layer = Layer { weights, channel_axis: 0, c_out, axes: Some(&axes), result_axis: 3 };
        let (inputs, fused) = layer.operands(state, node, &x, value, fused)?;
        let op = Op::DepthwiseConv2d(Conv2d { activation: fused.0, ..conv });
        return give(state, node, &x, op, &inputs, fused.1);
    }
    let layer = Layer { weights, channel_axis: 0, c_out, axes: None, result_axis: 0 };
    let (inputs, fused) = layer.operands(state, node, &x, value, fused)?;
    give(state, node, &x, Op::Conv2d(Conv2d { activation: fused.0, ..conv }), &inputs, fused.1)
}

pub(super) fn depthwise_conv_2d(state: &mut Import<'_, '_>, node: &Node<'_>) -> Result<()> {
    let options = node.options(options::DEPTHWISE_CONV_2D)?;
    let stride = [node.size(options, 2, 0, "row stride")?, node.size(options, 1, 0, "column stride")?];
    let dilation = [node.size(options, 6, 1, "row dilation")?, node.size(options, 5, 1, "column dilation")?];
    let fused = node.activation(options, 4)?;
    let multiplier = options.map_or(Ok(0), |options| options.scalar::<i32>(3, 0))?;
    let x = state.activation(node, 0)?;
    let weights = state.constant(node, 1)?;
    let &[1, kh, kw, c_out] = weights.tensor.shape() else {
        return Err(node.fault(format!(
            "depthwise weights of shape {:?} are not [1, height, width, channels]",
            weights.tensor.shape()
        )));
    };
    let (value, nhwc) = state.spatial(node, &x)?;
    if [kh, kw, c_out].contains(&0) || c_out % nhwc[3] != 0 {
        return Err(node.fault(format!("{c_out} filters do not share {} input channels evenly", nhwc[3])));
    }
    if multiplier > 0 && usize::try_from(multiplier).ok() != Some(c_out / nhwc[3]) {
        return Err(node
            .fault(format!(
                "its multiplier is {multiplier}, for {} input and {c_out} output channels",
                nhwc[3]
            ))
            .remedy("the file is damaged"));
    }
    let padding = padding(node, options, [nhwc[1], nhwc[2]], [kh, kw], stride, dilation)?;
    let layer = Layer { weights, channel_axis: 3, c_out, axes: None, result_axis: 3 };
    let (inputs, fused) = layer.operands(state, node, &x, value, fused)?;
    let conv = Conv2d { stride, dilation, padding, groups: nhwc[3], activation: fused.0 };
    give(state, node, &x, Op::DepthwiseConv2d(conv), &inputs, fused.1)
}

fn give(
    state: &mut Import<'_, '_>,
    node: &Node<'_>,
    x: &Activation,
    op: Op,
    inputs: &[ValueId],
    later: Fused,
) -> Result<()> {
    let result = state.push(node, op, inputs)?;
    let result = state.apply(node, result, later)?;
    let nhwc = state.graph.value(result).nhwc().unwrap_or([1; 4]);
    let view = View::permuted(&nhwc, &[0, 1, 2, 3]);
    state.give(node, result, view, x.kind)
}

/// The weights of a layer, and its bias where operand 2 is there.
pub(super) struct Layer<'a> {
    pub weights: Constant,
    /// Axis of the output channels in the file.
    pub channel_axis: usize,
    pub c_out: usize,
    /// Order of the file's axes in the graph, where it differs.
    pub axes: Option<&'a [usize]>,
    /// Axis of the output channels in the graph.
    pub result_axis: usize,
}

impl Layer<'_> {
    /// The operands of the graph's operator, the limit that is part of it, and the function that
    /// has to follow.
    pub fn operands(
        &self,
        state: &mut Import<'_, '_>,
        node: &Node<'_>,
        x: &Activation,
        value: ValueId,
        fused: Fused,
    ) -> Result<(Vec<ValueId>, (Clamp, Fused))> {
        let fused = match fused {
            Fused::Clamp(clamp) => (clamp, Fused::Clamp(Clamp::NONE)),
            Fused::Tanh => (Clamp::NONE, fused),
        };
        let integers = x.kind != PortType::F32;
        state.spend(node, self.weights.tensor.len())?;
        let weights = &self.weights;
        let (tensor, quant) = match (integers, weights.tensor.elements()) {
            (false, Elements::F32(_)) => (Tensor::clone(&weights.tensor), None),
            (false, Elements::I8(_)) if weights.quant.is_some() => {
                state.widened += 1;
                (Tensor::clone(&weights.real()?.tensor), None)
            }
            (true, Elements::I8(_)) => {
                let (tensor, quant) = weights.weights(node, self.channel_axis)?;
                let channel_axis = quant.channel_axis.map(|_| self.result_axis);
                (tensor, Some(Quant { channel_axis, ..quant }))
            }
            _ => {
                return Err(node
                    .fault(format!(
                        "its weights `{}` are {} and its input is {}",
                        weights.name,
                        weights.tensor.element_type().name(),
                        x.kind.name()
                    ))
                    .remedy("convert the model again with full int8 quantization, or in float32"));
            }
        };
        let tensor = match self.axes {
            Some(axes) => tensor.transposed(axes)?,
            None => tensor,
        };
        let mut inputs = vec![value, state.add_parameter(&weights.name, tensor, quant.clone())];
        if let Some(bias) = self.bias(state, node, x, quant.as_ref())? {
            inputs.push(bias);
        }
        Ok((inputs, fused))
    }
}

impl Layer<'_> {
    fn bias(
        &self,
        state: &mut Import<'_, '_>,
        node: &Node<'_>,
        x: &Activation,
        weights: Option<&Quant>,
    ) -> Result<Option<ValueId>> {
        if node.input(2).is_none() {
            return Ok(None);
        }
        let bias = state.constant(node, 2)?;
        if bias.tensor.len() != self.c_out {
            return Err(node.fault(format!("{} biases for {} channels", bias.tensor.len(), self.c_out)));
        }
        let tensor = Tensor::clone(&bias.tensor).reshaped(&[self.c_out])?;
        let quant = match (tensor.elements(), weights) {
            (Elements::F32(_), None) => None,
            (Elements::I32(_), Some(weights)) => {
                // Whatever scale the file gives it, a bias is added to the accumulator as it stands.
                let input = state.graph.value(x.value).quant.as_ref().map_or(1.0, Quant::scale);
                let scale = |c: usize| (f64::from(input) * f64::from(weights.scale_of(c))) as f32;
                Some(Quant::bias((0..self.c_out).map(scale).collect()))
            }
            _ => {
                return Err(node
                    .fault(format!("its bias `{}` is {}", bias.name, tensor.element_type().name()))
                    .remedy("biases are int32 beside int8 weights, and float32 beside float32 ones"));
            }
        };
        Ok(Some(state.add_parameter(&bias.name, tensor, quant)))
    }
}
