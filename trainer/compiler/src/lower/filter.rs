//! Convolutions and fully connected layers: weights, biases, multipliers.

use teff::kernels::packing;
use teff::kernels::params::{
    Conv2d as ConvParams, DepthwiseConv2d as DepthwiseParams, FullyConnected as FullyConnectedParams,
    Packing, Window,
};
use teff::plan::{OpKind, OpRecord};
use teff::quant::{Multiplier, QuantParams, Requantize, round_half_away};

use super::channel::{self, Exact};
use super::flash::Offer;
use super::shape::pad_with_zero;
use super::steps::{Cost, Lowering, Operand, not_quantized, too_large};
use super::wide;
use crate::cost::Work;
use crate::error::{Error, Result};
use crate::graph::{Clamp, Conv2d, Elements, Node, Padding, Value, ValueId};
use crate::target;

/// Weights of a node, one row per output channel.
struct Filter {
    /// `[c_out][taps]`.
    rows: Vec<Vec<i8>>,
    /// Scale of each row.
    scales: Vec<f32>,
    /// How often the input's channels are read, one beside the other (`super::wide`).
    summands: usize,
}

impl Filter {
    fn len(&self) -> usize {
        self.rows.iter().map(Vec::len).sum()
    }
}

/// Biases and multipliers, ready for the plan.
struct Scaling {
    bias: Vec<i32>,
    multipliers: Vec<i32>,
    shift: u8,
}

pub(super) fn conv_2d(lowering: &mut Lowering<'_>, node: &Node, attributes: &Conv2d) -> Result<()> {
    spatial(lowering, node, attributes, OpKind::Conv2d)
}

pub(super) fn depthwise_conv_2d(lowering: &mut Lowering<'_>, node: &Node, attributes: &Conv2d) -> Result<()> {
    spatial(lowering, node, attributes, OpKind::DepthwiseConv2d)
}

fn spatial(lowering: &mut Lowering<'_>, node: &Node, attributes: &Conv2d, kind: OpKind) -> Result<()> {
    let mut input = lowering.read(node.inputs[0])?;
    let filter_shape = lowering.graph.value(node.inputs[1]).shape.clone();
    let filter_size = [filter_shape[1], filter_shape[2]];
    let mut padding = attributes.padding;
    let reach = |axis: usize| attributes.dilation[axis] * (filter_size[axis] - 1) + 1;
    if padding.top >= reach(0)
        || padding.left >= reach(1)
        || padding.bottom >= reach(0)
        || padding.right >= reach(1)
    {
        // A window that lies in the padding altogether: rows and columns are made first.
        input = pad_with_zero(lowering, node, input, padding)?;
        padding = Padding::default();
    }
    let output = lowering.define(node.output())?;
    let window = window(node, filter_size, attributes.stride, attributes.dilation, padding)?;

    let channel_axis = if kind == OpKind::Conv2d { 0 } else { 3 };
    let mut filter = filter(lowering, node, channel_axis)?;
    let channels = lowering.operand(input).view.extent.c;
    input = wide::repeat_channels(lowering, node, input, filter.summands)?;
    let (kind, groups) = match kind {
        OpKind::Conv2d => (kind, attributes.groups),
        // Each channel is several now.
        _ if filter.summands > 1 => (OpKind::Conv2d, channels),
        // One channel read by all outputs: the same sums, for which packed convolutions are made.
        _ if channels == 1 && is_cheaper_as_convolution(lowering, window, input, output) => {
            (OpKind::Conv2d, 1)
        }
        _ => (kind, 1),
    };
    let (from, to) = (lowering.operand(input).clone(), lowering.operand(output).clone());
    let scaling = scaling(lowering, node, &mut filter, from.quant, to.quant)?;
    let (output_min, output_max) = lowering.clamp(attributes.activation, to.quant);
    let mut record = OpRecord {
        window,
        groups: u16::try_from(groups)
            .map_err(|_| Error::node(&node.name, kind.name(), "more than 65,535 groups"))?,
        output_min,
        output_max,
        ..OpRecord::new(kind, input, output)
    };
    attach(lowering, &mut record, &filter, &scaling, (&from, &to))?;
    let taps = filter.rows[0].len();
    let cost = Cost {
        macs: taps * to.view.extent.len(),
        parameters: filter.len() + scaling.bias.len(),
        weights_bytes: record.weights_len as usize + 4 * scaling.bias.len(),
    };
    lowering.push_step(node, record, cost);
    Ok(())
}

pub(super) fn fully_connected(lowering: &mut Lowering<'_>, node: &Node, activation: Clamp) -> Result<()> {
    let input = lowering.read(node.inputs[0])?;
    let output = lowering.define(node.output())?;
    let mut filter = filter(lowering, node, 0)?;
    let input = wide::repeat_channels(lowering, node, input, filter.summands)?;
    let (from, to) = (lowering.operand(input).clone(), lowering.operand(output).clone());
    let scaling = scaling(lowering, node, &mut filter, from.quant, to.quant)?;
    let (output_min, output_max) = lowering.clamp(activation, to.quant);
    // At many places it is a convolution with a window of one place.
    let one_place = to.view.extent.h == 1 && to.view.extent.w == 1;
    let kind = if one_place { OpKind::FullyConnected } else { OpKind::Conv2d };
    let mut record = OpRecord { output_min, output_max, ..OpRecord::new(kind, input, output) };
    attach(lowering, &mut record, &filter, &scaling, (&from, &to))?;
    let cost = Cost {
        macs: filter.rows[0].len() * to.view.extent.len(),
        parameters: filter.len() + scaling.bias.len(),
        weights_bytes: record.weights_len as usize + 4 * scaling.bias.len(),
    };
    lowering.push_step(node, record, cost);
    Ok(())
}

/// The window of a plan's operator; its axes are 16 bits wide.
pub(super) fn window(
    node: &Node,
    filter: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: Padding,
) -> Result<Window> {
    let axes = [filter, stride, dilation, [padding.top, padding.left]];
    if axes.iter().flatten().any(|&x| x > usize::from(u16::MAX)) {
        return Err(Error::node(
            &node.name,
            node.op.name(),
            "filter, stride, dilation or padding above 65,535",
        ));
    }
    Ok(Window {
        filter_h: filter[0],
        filter_w: filter[1],
        stride_h: stride[0],
        stride_w: stride[1],
        dilation_h: dilation[0],
        dilation_w: dilation[1],
        pad_top: padding.top,
        pad_left: padding.left,
    })
}

fn filter(lowering: &mut Lowering<'_>, node: &Node, channel_axis: usize) -> Result<Filter> {
    let value = lowering.graph.value(node.inputs[1]);
    let tensor = value.constant.as_ref().ok_or_else(|| {
        Error::node(&node.name, node.op.name(), "its weights are computed by the model")
            .remedy("use constant weights")
    })?;
    let weights: Vec<i32> = match tensor.elements() {
        Elements::I8(weights) => weights.iter().map(|&w| w.into()).collect(),
        Elements::I32(weights) => weights.clone(),
        Elements::F32(_) => return Err(real_weights(node, value)),
    };
    let quant = value.quant.as_ref().ok_or_else(|| not_quantized(value))?;
    if quant.zero_point != 0 {
        return Err(Error::node(&node.name, node.op.name(), "its weights have a zero point other than 0")
            .remedy("quantize weights symmetrically"));
    }
    if quant.channel_axis.is_some_and(|axis| axis != channel_axis) {
        return Err(Error::node(
            &node.name,
            node.op.name(),
            "its weights are quantized along another axis than the output channels",
        )
        .remedy("quantize them per output channel or per tensor"));
    }
    let channels = value.shape[channel_axis];
    let mut rows = vec![Vec::with_capacity(weights.len() / channels); channels];
    if channel_axis == 0 {
        for (row, part) in rows.iter_mut().zip(weights.chunks_exact(weights.len() / channels)) {
            row.extend_from_slice(part);
        }
    } else {
        for (i, &w) in weights.iter().enumerate() {
            rows[i % channels].push(w);
        }
    }
    let summands = wide::summands(lowering, node, &weights)?;
    Ok(Filter {
        rows: rows.iter().map(|row| wide::split(row, summands)).collect(),
        scales: (0..channels).map(|c| quant.scale_of(c)).collect(),
        summands,
    })
}

fn real_weights(node: &Node, value: &Value) -> Error {
    let reason = format!("its weights `{}` are real numbers, in a model that is quantized", value.name);
    Error::node(&node.name, node.op.name(), reason)
        .remedy("quantize the float model with `trainer quantize`, or quantize these weights too")
}

/// Real biases in units of `input_scale * weight_scale[c]`, before rounding; exact where the file has integers on that
/// very scale.
fn bias(lowering: &Lowering<'_>, node: &Node, filter: &Filter, input: QuantParams) -> Result<Vec<f64>> {
    let Some(&id) = node.inputs.get(2) else {
        return Ok(vec![0.0; filter.rows.len()]);
    };
    bias_of(lowering, node, id, filter, input)
}

fn bias_of(
    lowering: &Lowering<'_>,
    node: &Node,
    id: ValueId,
    filter: &Filter,
    input: QuantParams,
) -> Result<Vec<f64>> {
    let value = lowering.graph.value(id);
    let fault =
        |reason: &str| Error::node(&node.name, node.op.name(), format!("its bias `{}` {reason}", value.name));
    let tensor = value
        .constant
        .as_ref()
        .ok_or_else(|| fault("is computed by the model").remedy("use a constant bias"))?;
    let scales = filter.scales.iter().map(|&s| f64::from(input.scale) * f64::from(s));
    match (tensor.elements(), &value.quant) {
        (Elements::I32(q), Some(quant)) => Ok(q
            .iter()
            .zip(scales)
            .enumerate()
            .map(|(c, (&q, scale))| {
                let own = f64::from(quant.scale_of(c));
                let same = (own / scale - 1.0).abs() < 1e-5;
                let shifted = f64::from(q) - f64::from(quant.zero_point);
                if same { shifted } else { shifted * own / scale }
            })
            .collect()),
        (Elements::I8(q), Some(quant)) => Ok(q
            .iter()
            .zip(scales)
            .enumerate()
            .map(|(c, (&q, scale))| {
                f64::from(i32::from(q) - quant.zero_point) * f64::from(quant.scale_of(c)) / scale
            })
            .collect()),
        (Elements::F32(real), _) => {
            Ok(real.iter().zip(scales).map(|(&b, scale)| f64::from(b) / scale).collect())
        }
        _ => Err(fault("is integer without a scale")),
    }
}

/// Biases and multipliers of a layer; weights of extreme channels are changed.
fn scaling(
    lowering: &mut Lowering<'_>,
    node: &Node,
    filter: &mut Filter,
    input: QuantParams,
    output: QuantParams,
) -> Result<Scaling> {
    let real_bias = bias(lowering, node, filter, input)?;
    let fault = |c: usize, reason: String| {
        Error::node(&node.name, node.op.name(), format!("output channel {c}: {reason}"))
    };
    let factors: Vec<f64> = filter
        .scales
        .iter()
        .map(|&s| f64::from(input.scale) * f64::from(s) / f64::from(output.scale))
        .collect();
    let mut shift = 0;
    for (c, &factor) in factors.iter().enumerate() {
        let multiplier = Multiplier::from_factor(factor).ok_or_else(|| {
            fault(c, format!("its scales give a factor of {factor:e}, out of range"))
                .remedy("calibrate the model again")
        })?;
        shift = shift.max(multiplier.shift);
    }
    let mut scaling = Scaling { bias: Vec::new(), multipliers: Vec::new(), shift };
    let mut extremes = Vec::new();
    for (c, (&factor, row)) in factors.iter().zip(&mut filter.rows).enumerate() {
        if row.iter().all(|&w| w == 0) {
            // The exact constant: (constant << 8) * 2^(23 - shift) * 2^shift / 2^31.
            let constant = round_half_away((real_bias[c] * factor).clamp(-512.0, 512.0)) as i32;
            scaling.bias.push(constant << 8);
            scaling.multipliers.push(1 << (23 - i32::from(shift.min(23))));
            if shift > 23 {
                return Err(fault(c, "a weight scale that dwarfs the others".to_string())
                    .remedy("remove the dead channel"));
            }
            continue;
        }
        let weight_sum: i64 = row.iter().map(|&w| i64::from(w)).sum();
        let folded = real_bias[c] - (i64::from(input.zero_point) * weight_sum) as f64;
        let exact = Exact { row, bias: folded, factor };
        let (channel, extreme) = exact.fit(shift).map_err(|reach| {
            fault(c, format!("its accumulator may reach {reach}, beyond 32 bits"))
                .remedy("use a smaller filter or bias, or calibrate the model again")
        })?;
        extremes.extend(extreme);
        if let Some(changed) = channel.row {
            *row = changed;
        }
        scaling.bias.push(channel.bias);
        scaling.multipliers.push(channel.multiplier);
    }
    lowering.notes.extend(channel::note(&node.name, &extremes));
    Ok(scaling)
}

/// Puts weights, biases and multipliers into the plan, the weights in the target's packing where the operator suits it;
/// sets the scratch.
fn attach(
    lowering: &mut Lowering<'_>,
    record: &mut OpRecord,
    filter: &Filter,
    scaling: &Scaling,
    (from, to): (&Operand, &Operand),
) -> Result<()> {
    let taps = filter.rows[0].len();
    let weights: Vec<i8> = match record.kind {
        OpKind::DepthwiseConv2d => {
            (0..taps).flat_map(|t| filter.rows.iter().map(move |row| row[t])).collect()
        }
        _ => filter.rows.concat(),
    };
    record.shift = scaling.shift;
    let weights = match cheapest_packing(lowering, record, scaling, &weights, (from, to)) {
        Some((packing, packed)) => {
            record.packing = packing;
            packed
        }
        None => weights,
    };
    record.scratch_len = Packable::new(record, scaling, &weights, (from, to)).scratch_len() as u32;
    let bytes: Vec<u8> = weights.iter().map(|&w| w as u8).collect();
    record.weights_len =
        u32::try_from(bytes.len()).map_err(|_| too_large(teff::plan::WriteError::TooLong))?;
    record.weights_offset = lowering.writer.push_data(&bytes, 4).map_err(too_large)?;
    record.bias_offset = lowering.writer.push_words(scaling.bias.iter().copied()).map_err(too_large)?;
    record.multipliers_offset =
        lowering.writer.push_words(scaling.multipliers.iter().copied()).map_err(too_large)?;
    Ok(())
}

/// The weights in the packing that the target's fast kernels read, where the operator suits it and it takes fewer
/// instructions than plain weights.
fn cheapest_packing(
    lowering: &mut Lowering<'_>,
    record: &OpRecord,
    scaling: &Scaling,
    weights: &[i8],
    operands: (&Operand, &Operand),
) -> Option<(Packing, Vec<i8>)> {
    let packing = fast_packing(lowering);
    if packing == Packing::Plain {
        return None;
    }
    let plain = Packable::new(record, scaling, weights, operands);
    let packed = plain.pack(packing)?;
    let (input, output) = (operands.0.view, operands.1.view);
    let cost =
        |packing| Work::new(&OpRecord { packing, ..*record }, input, output, 1).instructions(lowering.target);
    let is_forced = lowering.options.packing.is_some();
    if !is_forced && cost(packing) > cost(Packing::Plain) {
        return None;
    }
    // Behind it comes what more flash could buy.
    let step = lowering.steps.len();
    if let Some(larger) = larger_packing(lowering, packing)
        && let Some(weights) = plain.pack(larger)
    {
        if lowering.larger.contains(&step) {
            return Some((larger, weights));
        }
        let gain = cost(packing).saturating_sub(cost(larger));
        let bytes = weights.len().saturating_sub(packed.len());
        lowering.offers.push(Offer { step, bytes, gain });
    }
    Some((packing, packed))
}

/// The packing that takes fewer instructions and more flash than `packing`, where a flash budget is given.
fn larger_packing(lowering: &Lowering<'_>, packing: Packing) -> Option<Packing> {
    let has_budget = lowering.options.flash_bytes.is_some() && lowering.options.packing.is_none();
    if has_budget { target::larger(packing) } else { None }
}

/// Whether a depthwise convolution of one channel takes fewer instructions as a convolution in the fast packing.
fn is_cheaper_as_convolution(lowering: &Lowering<'_>, window: Window, input: u16, output: u16) -> bool {
    let fast = fast_packing(lowering);
    let (from, to) = (lowering.operand(input).view, lowering.operand(output).view);
    let cost = |kind, packing| {
        let record = OpRecord { window, packing, ..OpRecord::new(kind, input, output) };
        Work::new(&record, from, to, 1).instructions(lowering.target)
    };
    let is_forced = lowering.options.packing.is_some();
    fast != Packing::Plain
        && (is_forced || cost(OpKind::Conv2d, fast) <= cost(OpKind::DepthwiseConv2d, Packing::Plain))
}

/// The packing of the target's fast kernels, or the one that was asked for.
fn fast_packing(lowering: &Lowering<'_>) -> Packing {
    lowering.options.packing.unwrap_or_else(|| target::packing(lowering.target))
}

/// An operator with weights as the kernels take it.
enum Packable<'p> {
    Conv2d(ConvParams<'p>),
    Depthwise(DepthwiseParams<'p>),
    FullyConnected(FullyConnectedParams<'p>),
}

impl<'p> Packable<'p> {
    fn new(
        record: &OpRecord,
        scaling: &'p Scaling,
        weights: &'p [i8],
        (from, to): (&Operand, &Operand),
    ) -> Self {
        let (input, output) = (from.view, to.view);
        let (window, packing, bias) = (record.window, record.packing, &scaling.bias[..]);
        let requantize = Requantize {
            multipliers: &scaling.multipliers,
            shift: scaling.shift,
            zero_point: to.quant.zero_point,
            output_min: record.output_min,
            output_max: record.output_max,
        };
        let input_zero_point = from.quant.zero_point;
        match record.kind {
            OpKind::FullyConnected => Self::FullyConnected(FullyConnectedParams {
                inputs: input.extent.len(),
                outputs: output.extent.c,
                weights,
                packing,
                bias,
                requantize,
            }),
            OpKind::DepthwiseConv2d => Self::Depthwise(DepthwiseParams {
                input,
                output,
                window,
                input_zero_point,
                weights,
                packing,
                bias,
                requantize,
            }),
            _ => Self::Conv2d(ConvParams {
                input,
                output,
                window,
                groups: record.groups.into(),
                input_zero_point,
                weights,
                packing,
                bias,
                requantize,
            }),
        }
    }

    /// The weights in `packing`, or `None` where the operator does not suit it.
    fn pack(&self, packing: Packing) -> Option<Vec<i8>> {
        match self {
            Self::Conv2d(op) if op.suits(packing) => {
                let mut packed = vec![0; ConvParams { packing, ..*op }.weights_len()];
                op.pack(packing, &mut packed).map(|()| packed)
            }
            Self::Depthwise(op) if op.suits(packing) => {
                let mut packed = vec![0; DepthwiseParams { packing, ..*op }.weights_len()];
                op.pack(packing, &mut packed).map(|()| packed)
            }
            Self::FullyConnected(op) if op.suits(packing) => {
                let mut packed = vec![0; FullyConnectedParams { packing, ..*op }.weights_len()];
                op.pack(packing, &mut packed).map(|()| packed)
            }
            _ => None,
        }
    }

    fn scratch_len(&self) -> usize {
        match self {
            Self::Conv2d(op) => packing::conv_2d_scratch_len(op),
            Self::Depthwise(op) => packing::depthwise_conv_2d_scratch_len(op),
            Self::FullyConnected(_) => 0,
        }
    }
}
