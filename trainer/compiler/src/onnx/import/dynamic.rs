//! `ConvInteger` and `MatMulInteger`, whose sums are scaled by nodes after them, and
//! `DynamicQuantizeLinear`, whose scale is computed while the model runs.
//!
//! What exporters write is `Cast(ConvInteger(q, w, z, zw)) · (scale · scale_w)`. With the scale of
//! `q` this is the convolution of the real numbers by `scale_w · (w - zw)`; a dynamic `scale` drops
//! out, and the layer is one on real numbers.

use super::attributes::Reader;
use super::item::{Item, Steps, Sums, Symbol};
use super::parts::{int_attribute, part};
use super::state::{Activation, Constant, Import};
use super::tensor::Data;
use crate::error::Result;
use crate::graph::{Op, PortType, Quant, ValueId};

/// What a person is told of a model with `DynamicQuantizeLinear`.
pub(super) const NOTE: &str = "the scales of its activations are computed while the model runs (DynamicQuantizeLinear), so \
     it was read as a float model with the weights that its integers stand for; int8 scales come from calibration data: \
     `trainer quantize FILE --calibrate X.npz --out Q.onnx`";

/// DynamicQuantizeLinear: integers, scale and zero point, of which none is computed.
pub(super) fn quantize(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let x = state.activation(node, 0)?;
    let of = x.value;
    let symbols = [Symbol::Integers(x), Symbol::Scale { of, factor: None }, Symbol::ZeroPoint { of }];
    for (name, symbol) in node.proto.output.iter().zip(symbols).filter(|(name, _)| !name.is_empty()) {
        state.set(name, Item::Symbol(symbol));
    }
    state.graph.note(NOTE.to_string());
    Ok(())
}

pub(super) fn conv_integer(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    sums(state, node, "Conv", 0)
}

pub(super) fn mat_mul_integer(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    sums(state, node, "MatMul", -1)
}

fn sums(state: &mut Import, node: &Reader<'_>, operator: &str, axis: i64) -> Result<()> {
    let (x, steps) = input(state, node)?;
    let weights = weights(state, node, axis)?;
    let result = state.fresh_name(&format!("{}.real", node.output()?));
    part(state, node, operator, vec![x, weights], &result, node.all_attributes())?;
    let Some(Item::Activation(layer)) = state.find(&result).cloned() else {
        return Err(node.fault("it has no result"));
    };
    state.set(node.output()?, Item::Symbol(Symbol::Sums(Sums { layer, steps })));
    Ok(())
}

/// The real numbers that operand 0 stands for, under a name, and what one step of it is.
fn input(state: &mut Import, node: &Reader<'_>) -> Result<(String, Steps)> {
    let differ = |node: &Reader<'_>| {
        node.fault("its zero point is not that of its input")
            .remedy("give it the zero point with which its input was quantized")
    };
    let (real, steps) = match state.item(node, 0)?.clone() {
        Item::Symbol(Symbol::Integers(x)) => {
            match state.optional(node, 2)? {
                Some(Item::Symbol(Symbol::ZeroPoint { of })) if *of == x.value => {}
                _ => return Err(differ(node)),
            }
            let steps = Steps::Dynamic(x.value);
            (x, steps)
        }
        Item::Activation(x) if x.kind != PortType::F32 => {
            let shift = if x.kind == PortType::U8 { 128 } else { 0 };
            let zero = match state.optional(node, 2)? {
                None => 0,
                Some(Item::Constant(c)) => match &c.tensor.data {
                    Data::I8(v) if v.len() == 1 && x.kind == PortType::I8 => v[0].into(),
                    Data::U8(v) if v.len() == 1 && x.kind == PortType::U8 => v[0].into(),
                    _ => return Err(node.fault("its zero point is not one number of its input's type")),
                },
                Some(_) => return Err(differ(node)),
            };
            let value = state.graph.value_mut(x.value);
            // Integers that nothing gives a scale stand for themselves.
            let quant = value.quant.get_or_insert_with(|| Quant::per_tensor(1.0, zero - shift));
            if quant.zero_point != zero - shift {
                return Err(differ(node));
            }
            let steps = Steps::Fixed(quant.scale());
            (Activation { kind: PortType::F32, ..x }, steps)
        }
        _ => return Err(node.fault("operand 0 does not hold int8 or uint8 numbers")),
    };
    let name = state.fresh_name(&format!("{}.real", node.required(0)?));
    state.set(&name, Item::Activation(real));
    Ok((name, steps))
}

/// The weights less their zero points, which scales of 1 keep as integers.
fn weights(state: &mut Import, node: &Reader<'_>, axis: i64) -> Result<String> {
    let constant = state.constant(node, 1)?;
    if constant.quant.is_some() || !matches!(constant.tensor.data, Data::I8(_) | Data::U8(_)) {
        return Err(node.fault(format!("its weights are {}", constant.tensor.data.type_name())));
    }
    let name = state.fresh_name(&format!("{}.real", constant.name));
    let channels = match state.optional(node, 3)? {
        None => 1,
        Some(Item::Constant(zero)) => zero.tensor.len(),
        Some(_) => return Err(node.fault("the zero point of its weights is computed by the model")),
    };
    let scales = state.fresh_name(&format!("{name}.scale"));
    let shape = if channels == 1 { Vec::new() } else { vec![channels] };
    state.set_constant(&scales, super::elementwise::f32_tensor(shape, vec![1.0; channels]));
    let mut inputs = vec![node.required(1)?.to_string(), scales];
    inputs.extend(node.input(3).map(String::from));
    part(state, node, "DequantizeLinear", inputs, &name, vec![int_attribute("axis", axis)])?;
    // The parameter keeps the name of the file.
    if let Some(Item::Constant(real)) = state.find(&name).cloned() {
        state.set(&name, Item::Constant(Constant { name: constant.name, ..real }));
    }
    Ok(name)
}

/// Mul where one of the operands is a scale or sums. False where none is.
pub(super) fn multiply(state: &mut Import, node: &Reader<'_>) -> Result<bool> {
    let operands = [state.item(node, 0)?.clone(), state.item(node, 1)?.clone()];
    match operands {
        [Item::Symbol(Symbol::Scale { of, factor: None }), Item::Constant(c)]
        | [Item::Constant(c), Item::Symbol(Symbol::Scale { of, factor: None })] => {
            state.set(node.output()?, Item::Symbol(Symbol::Scale { of, factor: Some(c) }));
            Ok(true)
        }
        [Item::Symbol(Symbol::Sums(sums)), scale] | [scale, Item::Symbol(Symbol::Sums(sums))] => {
            scaled(state, node, sums, scale)?;
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// Sums times the size of a step: the layer itself, with that as the scale of its weights.
fn scaled(state: &mut Import, node: &Reader<'_>, sums: Sums, scale: Item) -> Result<()> {
    let fault = |reason: &str| {
        node.fault(reason.to_string()).remedy(
            "sums of ConvInteger and MatMulInteger are read where they are multiplied by the scale of the input and \
             that of the weights",
        )
    };
    let (factor, divisor) = match (scale, sums.steps) {
        (Item::Symbol(Symbol::Scale { of, factor }), Steps::Dynamic(input)) if of == input => (factor, 1.0),
        (Item::Constant(constant), Steps::Fixed(step)) => (Some(constant), step),
        _ => return Err(fault("its factor is not the scale of the sums")),
    };
    let layer = &sums.layer;
    let channels = state.graph.value(layer.value).shape[3];
    let factors = match &factor {
        None => vec![1.0],
        Some(constant) => {
            let factors = constant.dequantized();
            if factors.len() > 1 && !per_channel(layer, constant, channels) {
                return Err(fault("its factor is not one per output channel"));
            }
            factors
        }
    };
    if let Some(bad) = factors.iter().find(|f| !(f.is_finite() && **f > 0.0)) {
        return Err(fault(&format!("its scale is {bad}")));
    }
    let factors: Vec<f32> = factors.iter().map(|f| f / divisor).collect();
    scale_weights(state, layer.value, &factors);
    // From here on it is the layer: a bias that is added finds it by this name.
    let name = state.graph.fresh_value_name(node.output()?);
    state.graph.value_mut(layer.value).name = name;
    let (value, view) = (layer.value, layer.view.clone());
    state.give(node, value, view, PortType::F32)
}

/// True where a constant has one number for each output channel of a layer, along its axis.
fn per_channel(layer: &Activation, constant: &Constant, channels: usize) -> bool {
    let rank = layer.view.axes.len();
    let shape = &constant.tensor.shape;
    let axis = layer.view.axes.iter().position(|atoms| {
        atoms.len() == 1 && atoms[0] + 1 == layer.view.atoms.len() && layer.view.size_of(atoms) == channels
    });
    let along = axis.and_then(|axis| (shape.len() + axis).checked_sub(rank)).and_then(|a| shape.get(a));
    along == Some(&channels) && constant.tensor.len() == channels
}

/// Gives the weights of the layer that makes a value other scales.
fn scale_weights(state: &mut Import, value: ValueId, factors: &[f32]) {
    let Some(node) = state.graph.nodes.iter().find(|n| n.output() == value) else { return };
    let axis = if matches!(node.op, Op::DepthwiseConv2d(_)) { 3 } else { 0 };
    let weights = node.inputs[1];
    if let Some(quant) = &mut state.graph.value_mut(weights).quant {
        quant.scales = factors.to_vec();
        quant.channel_axis = (factors.len() > 1).then_some(axis);
    }
}
