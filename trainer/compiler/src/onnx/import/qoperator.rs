//! The QOperator dialect: operators that carry the scales and zero points of what they read and
//! give. Each is taken apart into `DequantizeLinear`, the operator on real numbers, and
//! `QuantizeLinear`, which is what its documentation says that it computes.

use std::rc::Rc;

use super::attributes::Reader;
use super::parts::{int_attribute, part};
use super::state::{Constant, ConstantQuant, Import, Item};
use super::tensor::Data;
use crate::error::Result;
use crate::graph::PortType;
use crate::onnx::proto::{AttributeProto, data_type};

/// An operand with the operands that hold its scale and zero point.
#[derive(Clone, Copy)]
struct Triple {
    value: usize,
    scale: usize,
    zero_point: usize,
}

/// The operand at `value`, followed by its scale and zero point.
const fn triple(value: usize) -> Triple {
    Triple { value, scale: value + 1, zero_point: value + 2 }
}

pub(super) fn conv(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let x = real(state, node, triple(0), None)?;
    let weights = real(state, node, triple(3), Some(0))?;
    let mut inputs = vec![x, weights];
    if state.optional(node, 8)?.is_some() {
        inputs.push(bias(state, node, 8, 1.0)?);
    }
    let result = state.fresh_name(&format!("{}.real", node.output()?));
    part(state, node, "Conv", inputs, &result, node.all_attributes())?;
    rounded(state, node, result, 6, 7)
}

pub(super) fn mat_mul(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let a = real(state, node, triple(0), None)?;
    let b = real(state, node, triple(3), Some(-1))?;
    let result = state.fresh_name(&format!("{}.real", node.output()?));
    part(state, node, "MatMul", vec![a, b], &result, Vec::new())?;
    rounded(state, node, result, 6, 7)
}

/// `alpha · A · B + C`, where the scale of C is `alpha` times those of A and B.
pub(super) fn gemm(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let alpha = node.float_or("alpha", 1.0)?;
    let transposed = node.flag("transB", false)?;
    if !(alpha.is_finite() && alpha > 0.0) {
        return Err(node
            .fault(format!("its factor `alpha` is {alpha}"))
            .remedy("a factor of quantized numbers must be positive: put it into the scale of the weights"));
    }
    let mut attributes = node.all_attributes();
    attributes.retain(|a| a.name.as_deref() != Some("alpha"));
    let a = real(state, node, triple(0), None)?;
    let b = real(state, node, triple(3), Some(if transposed { 0 } else { 1 }))?;
    scale_constant(state, node, &b, alpha)?;
    let mut inputs = vec![a, b];
    if state.optional(node, 6)?.is_some() {
        inputs.push(bias(state, node, 6, alpha)?);
    }
    if node.input(7).is_none() {
        // Without an output scale the result is real.
        return part(state, node, "Gemm", inputs, node.output()?, attributes);
    }
    let result = state.fresh_name(&format!("{}.real", node.output()?));
    part(state, node, "Gemm", inputs, &result, attributes)?;
    rounded(state, node, result, 7, 8)
}

/// QLinearAdd and QLinearMul.
pub(super) fn binary(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let operator = if node.operator() == "QLinearAdd" { "Add" } else { "Mul" };
    let inputs = vec![real(state, node, triple(0), None)?, real(state, node, triple(3), None)?];
    let result = state.fresh_name(&format!("{}.real", node.output()?));
    part(state, node, operator, inputs, &result, Vec::new())?;
    rounded(state, node, result, 6, 7)
}

/// Operators of one operand: its triple, then scale and zero point of the result.
pub(super) fn unary(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let operator = match node.operator() {
        "QLinearSigmoid" => "Sigmoid",
        "QLinearLeakyRelu" => "LeakyRelu",
        _ => "ReduceMean",
    };
    let x = real(state, node, triple(0), None)?;
    let result = state.fresh_name(&format!("{}.real", node.output()?));
    part(state, node, operator, vec![x], &result, node.all_attributes())?;
    rounded(state, node, result, 3, 4)
}

pub(super) fn softmax(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    // Which version of Softmax it stands for: before 13, all axes from `axis` on count as one.
    let version = node.int("opset")?.ok_or_else(|| {
        node.fault("attribute `opset` is missing").remedy("quantize the model again with ONNX Runtime")
    })?;
    let axis = node.int_or("axis", -1)?;
    let x = real(state, node, triple(0), None)?;
    let result = state.fresh_name(&format!("{}.real", node.output()?));
    let own = std::mem::replace(&mut state.opset, version);
    let done = part(state, node, "Softmax", vec![x], &result, vec![int_attribute("axis", axis)]);
    state.opset = own;
    done?;
    rounded(state, node, result, 3, 4)
}

/// QLinearAveragePool and QLinearGlobalAveragePool.
pub(super) fn average_pool(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let operator = &node.operator()["QLinear".len()..];
    let channels_last = node.flag("channels_last", false)?;
    let mut attributes = node.all_attributes();
    attributes.retain(|a| a.name.as_deref() != Some("channels_last"));
    let mut x = real(state, node, triple(0), None)?;
    let mut result = state.fresh_name(&format!("{}.real", node.output()?));
    let rank = state.rank(node, 0)?;
    if channels_last {
        let first: Vec<i64> = [0, rank as i64 - 1].into_iter().chain(1..rank as i64 - 1).collect();
        let seen = state.fresh_name(&format!("{x}.channels_first"));
        part(state, node, "Transpose", vec![x], &seen, vec![permutation(first)])?;
        x = seen;
    }
    part(state, node, operator, vec![x], &result, attributes)?;
    if channels_last {
        let last: Vec<i64> = [0].into_iter().chain(2..rank as i64).chain([1]).collect();
        let seen = state.fresh_name(&format!("{result}.channels_last"));
        part(state, node, "Transpose", vec![result], &seen, vec![permutation(last)])?;
        result = seen;
    }
    rounded(state, node, result, 3, 4)
}

/// Scale and zero point of the result, then the triples of the operands.
pub(super) fn concat(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let count = node.proto.input.len();
    if count < 5 || !(count - 2).is_multiple_of(3) {
        return Err(node.fault(format!("{count} operands are no scale, zero point and triples")));
    }
    let inputs: Vec<String> =
        (2..count).step_by(3).map(|first| real(state, node, triple(first), None)).collect::<Result<_>>()?;
    let result = state.fresh_name(&format!("{}.real", node.output()?));
    part(state, node, "Concat", inputs, &result, node.all_attributes())?;
    rounded_as(state, node, result, 0, 1, 2)
}

fn permutation(order: Vec<i64>) -> AttributeProto {
    AttributeProto { name: Some("perm".into()), ints: order, ..AttributeProto::default() }
}

/// The real numbers of a quantized operand: gives the name that they have. `axis` is that of the
/// scales where there may be several.
fn real(state: &mut Import, node: &Reader<'_>, at: Triple, axis: Option<i64>) -> Result<String> {
    let name = node.required(at.value)?;
    let result = state.fresh_name(&format!("{name}.real"));
    let mut inputs = vec![name.to_string(), node.required(at.scale)?.to_string()];
    inputs.extend(node.input(at.zero_point).map(String::from));
    let attributes = axis.map(|axis| int_attribute("axis", axis)).into_iter().collect();
    part(state, node, "DequantizeLinear", inputs, &result, attributes)?;
    Ok(result)
}

/// The result in integers. Where there is no zero point they have the type of operand 0.
fn rounded(
    state: &mut Import,
    node: &Reader<'_>,
    result: String,
    scale: usize,
    zero_point: usize,
) -> Result<()> {
    rounded_as(state, node, result, scale, zero_point, 0)
}

fn rounded_as(
    state: &mut Import,
    node: &Reader<'_>,
    result: String,
    scale: usize,
    zero_point: usize,
    like: usize,
) -> Result<()> {
    let mut inputs = vec![result, node.required(scale)?.to_string()];
    let mut attributes = Vec::new();
    match node.input(zero_point) {
        Some(name) => inputs.push(name.to_string()),
        None => {
            let signed = match state.item(node, like)? {
                Item::Activation(x) => x.kind == PortType::I8,
                Item::Constant(c) => matches!(c.tensor.data, Data::I8(_)),
                Item::Symbol(_) => return Err(state.symbol_fault(node, like)),
            };
            let kind = if signed { data_type::INT8 } else { data_type::UINT8 };
            attributes.push(int_attribute("output_dtype", kind.into()));
        }
    }
    part(state, node, "QuantizeLinear", inputs, node.output()?, attributes)
}

/// An int32 bias, whose scale is `factor` times those of the first two triples.
fn bias(state: &mut Import, node: &Reader<'_>, index: usize, factor: f32) -> Result<String> {
    let constant = state.constant(node, index)?;
    if !matches!(constant.tensor.data, Data::I32(_)) || constant.quant.is_some() {
        return Err(node.fault(format!("its bias is {}, not int32", constant.tensor.data.type_name())));
    }
    let (of_input, of_weights) = (state.reals(node, 1)?, state.reals(node, 4)?);
    let &[of_input] = of_input.as_slice() else {
        return Err(node.fault("its input has several scales").remedy("quantize activations per tensor"));
    };
    let scales: Vec<f32> =
        of_weights.iter().map(|&s| (f64::from(of_input) * f64::from(s) * f64::from(factor)) as f32).collect();
    let channels = constant.tensor.len();
    if scales.len() != 1 && scales.len() != channels {
        return Err(node.fault(format!("{} scales for {channels} biases", scales.len())));
    }
    let axis = constant.tensor.shape.iter().position(|&d| d == channels).unwrap_or(0);
    let name = state.fresh_name(&format!("{}.real", constant.name));
    let quant = ConstantQuant { scales, zero_points: vec![0], axis };
    state.set(&name, Item::Constant(Constant { quant: Some(quant), ..constant }));
    Ok(name)
}

/// Multiplies the scales of a dequantized constant.
fn scale_constant(state: &mut Import, node: &Reader<'_>, name: &str, factor: f32) -> Result<()> {
    let Some(Item::Constant(constant)) = state.find(name).cloned() else {
        return Err(node
            .fault("its weights are computed by the model")
            .remedy("products of two activations are not supported"));
    };
    if let Some(mut quant) = constant.quant.clone() {
        quant.scales.iter_mut().for_each(|s| *s *= factor);
        let tensor = Rc::clone(&constant.tensor);
        state.set(name, Item::Constant(Constant { tensor, quant: Some(quant), ..constant }));
    }
    Ok(())
}
