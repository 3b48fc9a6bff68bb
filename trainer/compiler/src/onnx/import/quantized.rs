//! QuantizeLinear and DequantizeLinear.

use std::rc::Rc;

use super::attributes::Reader;
use super::reshape::axis;
use super::state::{Constant, ConstantQuant, Import, Item};
use super::tensor::{Data, OnnxTensor};
use crate::error::Result;
use crate::graph::{Op, PortType, Quant, Unary};
use crate::onnx::proto::data_type;

fn refuse_blocks(node: &Reader<'_>) -> Result<()> {
    if node.int_or("block_size", 0)? != 0 {
        return Err(node
            .fault("quantization in blocks is not supported")
            .remedy("quantize per tensor or per channel"));
    }
    Ok(())
}

fn scales(state: &Import, node: &Reader<'_>) -> Result<Vec<f32>> {
    let scales = state.reals(node, 1)?;
    match scales.iter().find(|s| !(s.is_finite() && **s > 0.0)) {
        Some(bad) => Err(node
            .fault(format!("its scale is {bad}"))
            .remedy("scales must be positive; calibrate the model again")),
        None if scales.is_empty() => Err(node.fault("it has no scale")),
        None => Ok(scales),
    }
}

/// The zero points as they stand in the file, and their type.
fn zero_points(state: &Import, node: &Reader<'_>) -> Result<Option<(Vec<i32>, PortType)>> {
    let Some(item) = state.optional(node, 2)? else {
        return Ok(None);
    };
    let Item::Constant(constant) = item else {
        return Err(node.fault("its zero point is computed by the model"));
    };
    match &constant.tensor.data {
        Data::I8(v) => Ok(Some((v.iter().map(|&z| i32::from(z)).collect(), PortType::I8))),
        Data::U8(v) => Ok(Some((v.iter().map(|&z| i32::from(z)).collect(), PortType::U8))),
        Data::I32(v) => Ok(Some((v.clone(), PortType::F32))),
        other => Err(node.fault(format!("a zero point of type {}", other.type_name()))),
    }
}

/// One scale and zero point, as held by an int8 value.
fn per_tensor(node: &Reader<'_>, scales: &[f32], zero: i32, kind: PortType) -> Result<Quant> {
    let &[scale] = scales else {
        return Err(node
            .fault("an activation is quantized per channel")
            .remedy("quantize activations per tensor"));
    };
    let shift = if kind == PortType::U8 { 128 } else { 0 };
    Ok(Quant::per_tensor(scale, zero - shift))
}

pub(super) fn quantize(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    refuse_blocks(node)?;
    let stated_axis = node.int_or("axis", 1)?;
    let saturate = node.flag("saturate", true)?;
    let output_type = node.int_or("output_dtype", 0)? as i32;
    let _internal_precision = node.int_or("precision", 0)?;
    if !saturate {
        return Err(node
            .fault("quantization without saturation is not supported")
            .remedy("export with saturate = 1"));
    }
    let scales = scales(state, node)?;
    let (zeros, kind) = match zero_points(state, node)? {
        Some(found) => found,
        None => {
            let kind = if output_type == data_type::INT8 { PortType::I8 } else { PortType::U8 };
            (vec![0], kind)
        }
    };
    let wanted = match kind {
        PortType::I8 => data_type::INT8,
        _ => data_type::UINT8,
    };
    if kind == PortType::F32 || (output_type != 0 && output_type != wanted) {
        return Err(node.fault("only int8 and uint8 are supported").remedy("quantize to int8"));
    }
    if let Item::Constant(constant) = state.item(node, 0)? {
        let constant = constant.clone();
        let tensor = quantize_constant(node, &constant, &scales, &zeros, kind, stated_axis)?;
        let tensor = Rc::new(tensor);
        let name = node.output()?.to_string();
        let constant = Constant { name, tensor, quant: None };
        state.set(node.output()?, Item::Constant(constant));
        return Ok(());
    }
    let quant = per_tensor(node, &scales, zeros[0], kind)?;
    let x = state.activation(node, 0)?;
    if state.graph.value(x.value).quant.as_ref() == Some(&quant) {
        return state.give(node, x.value, x.view.clone(), kind);
    }
    let result = state.push(node, Op::Requantize, &[x.value])?;
    state.graph.value_mut(result).quant = Some(quant);
    state.give(node, result, x.view.clone(), kind)
}

/// Rounds to nearest, ties to even, as the ONNX operator does.
fn quantize_constant(
    node: &Reader<'_>,
    constant: &Constant,
    scales: &[f32],
    zeros: &[i32],
    kind: PortType,
    stated_axis: i64,
) -> Result<OnnxTensor> {
    let shape = constant.tensor.shape.clone();
    let inner = if scales.len() > 1 {
        let axis = axis(node, stated_axis, shape.len())?;
        if shape[axis] != scales.len() {
            return Err(node.fault(format!("{} scales for {} channels", scales.len(), shape[axis])));
        }
        shape[axis + 1..].iter().product::<usize>()
    } else {
        1
    };
    if zeros.len() != 1 && zeros.len() != scales.len() {
        return Err(node.fault(format!("{} zero points for {} scales", zeros.len(), scales.len())));
    }
    let (least, most) = if kind == PortType::U8 { (0.0, 255.0) } else { (-128.0, 127.0) };
    let rounded: Vec<f32> = constant
        .dequantized()
        .iter()
        .enumerate()
        .map(|(i, &x)| {
            let channel = if scales.len() > 1 { i / inner % scales.len() } else { 0 };
            let zero = if zeros.len() > 1 { zeros[channel] } else { zeros[0] };
            (libm::rintf(x / scales[channel]) + zero as f32).clamp(least, most)
        })
        .collect();
    let data = if kind == PortType::U8 {
        Data::U8(rounded.iter().map(|&q| q as u8).collect())
    } else {
        Data::I8(rounded.iter().map(|&q| q as i8).collect())
    };
    Ok(OnnxTensor { shape, data })
}

pub(super) fn dequantize(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    refuse_blocks(node)?;
    let stated_axis = node.int_or("axis", 1)?;
    let output_type = node.int_or("output_dtype", 0)? as i32;
    if output_type != 0 && output_type != data_type::FLOAT {
        return Err(node.fault("only float results are supported").remedy("export in float32"));
    }
    let scales = scales(state, node)?;
    let zeros = zero_points(state, node)?;
    match state.item(node, 0)?.clone() {
        Item::Constant(constant) => {
            if constant.quant.is_some() || matches!(constant.tensor.data, Data::F32(_) | Data::I64(_)) {
                return Err(node.fault(format!(
                    "it reads {}, not int8, uint8 or int32",
                    constant.tensor.data.type_name()
                )));
            }
            let of_type = zeros.as_ref().is_none_or(|(_, kind)| match constant.tensor.data {
                Data::I8(_) => *kind == PortType::I8,
                Data::U8(_) => *kind == PortType::U8,
                _ => *kind == PortType::F32,
            });
            if !of_type {
                return Err(node.fault("its zero point is not of the type of its input"));
            }
            let zeros = zeros.map_or(vec![0], |(z, _)| z);
            if zeros.len() != 1 && zeros.len() != scales.len() {
                return Err(node.fault(format!("{} zero points for {} scales", zeros.len(), scales.len())));
            }
            let shape = &constant.tensor.shape;
            let mut channel_axis = 0;
            if scales.len() > 1 {
                // A vector has one axis only, whatever the attribute says.
                channel_axis = if shape.len() == 1 { 0 } else { axis(node, stated_axis, shape.len())? };
                if shape[channel_axis] != scales.len() {
                    return Err(node.fault(format!(
                        "{} scales for {} channels",
                        scales.len(),
                        shape[channel_axis]
                    )));
                }
            }
            let quant = ConstantQuant { scales, zero_points: zeros, axis: channel_axis };
            let item = Item::Constant(Constant { quant: Some(quant), ..constant });
            state.set(node.output()?, item);
            Ok(())
        }
        Item::Symbol(_) => Err(state.symbol_fault(node, 0)),
        Item::Activation(x) => {
            if x.kind == PortType::F32 {
                return Err(node.fault("it reads real numbers").remedy("remove it, or quantize before it"));
            }
            let (zeros, kind) = zeros.unwrap_or((vec![0], x.kind));
            if kind != x.kind || zeros.len() != 1 {
                return Err(node.fault("its zero point is not of the type of its input"));
            }
            let quant = per_tensor(node, &scales, zeros[0], kind)?;
            if state.graph.inputs.iter().any(|port| port.value == x.value && port.kind == PortType::F32) {
                return Err(node
                    .fault("another node casts the integers that it reads to float")
                    .remedy("read the input in one of the two ways only"));
            }
            let known = state.graph.value(x.value).quant.clone();
            match known {
                None => state.graph.value_mut(x.value).quant = Some(quant),
                Some(known) if known == quant => {}
                // Integers of one scale read as those of another: a function of the number they stand for.
                Some(known) => {
                    let (scale, zero) = (known.scale(), known.zero_point);
                    let function = Unary::Linear {
                        scale: quant.scale() / scale,
                        offset: quant.scale() * (zero - quant.zero_point) as f32,
                    };
                    let result = state.push(node, Op::Unary(function), &[x.value])?;
                    state.graph.value_mut(result).quant = Some(quant);
                    return state.give(node, result, x.view, PortType::F32);
                }
            }
            state.give(node, x.value, x.view, PortType::F32)
        }
    }
}
