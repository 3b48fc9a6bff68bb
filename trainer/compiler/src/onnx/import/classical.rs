//! The operators of domain `ai.onnx.ml` that stand for layers: what scikit-learn's exporter makes of
//! scalers and linear models.

use super::attributes::Reader;
use super::classes::class_names;
use super::elementwise::f32_tensor;
use super::item::{Item, Place, Symbol};
use super::parts::{int_attribute, part};
use super::state::Import;
use crate::error::Result;
use crate::graph::{Op, PortType, Unary};
use crate::import::{Arithmetic, ConstantOperand, combine_with_constant};

/// `(x - offset) * scale`.
pub(super) fn scaler(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let mut x = state.activation(node, 0)?;
    for (name, operation) in [("offset", Arithmetic::Sub), ("scale", Arithmetic::Mul)] {
        let Some(numbers) = node.floats(name)? else { continue };
        let shape = if numbers.len() == 1 { vec![] } else { vec![numbers.len()] };
        let operand = ConstantOperand { shape: &shape, reals: &numbers, first: false };
        (x.value, x.view) = combine_with_constant(state, node, operation, &x, operand)?;
    }
    state.give(node, x.value, x.view, PortType::F32)
}

/// Fills in numbers that are missing, which int8 cannot say.
pub(super) fn imputer(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let missing = node.float_or("replaced_value_float", 0.0)?;
    let _never_used = node.floats("imputed_value_floats")?;
    if !missing.is_nan() {
        return Err(node
            .fault(format!("it replaces the number {missing}"))
            .remedy("replace it before the model, and leave the imputer out"));
    }
    state.activation(node, 0)?;
    state.graph.note(format!(
        "`{}` (Imputer) is left out: integers have no missing numbers; fill them in before the model",
        node.name
    ));
    let item = state.item(node, 0)?.clone();
    state.set(node.output()?, item);
    Ok(())
}

pub(super) fn linear_regressor(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let targets = node.int_or("targets", 1)?;
    let post = node.string_or("post_transform", "NONE")?;
    if post != "NONE" {
        return Err(refused_transform(node, &post));
    }
    let targets = usize::try_from(targets).ok().filter(|&t| t > 0);
    let targets = targets.ok_or_else(|| node.fault("attribute `targets` is not positive"))?;
    let offsets = node.floats("intercepts")?.unwrap_or_else(|| vec![0.0; targets]);
    let factors = node.floats("coefficients")?.unwrap_or_default();
    linear(state, node, factors, offsets, node.output()?)
}

/// Scores, and the class of the largest, which is left out.
pub(super) fn linear_classifier(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let names = class_names(node, "classlabels_ints", "classlabels_strings")?;
    let post = node.string_or("post_transform", "NONE")?;
    // Says how scores were trained, not how they are computed.
    let _of_training = node.int("multi_class")?;
    let mut factors = node.floats("coefficients")?.unwrap_or_default();
    let classes = names.as_ref().map_or(0, Vec::len);
    let mut offsets = node.floats("intercepts")?.unwrap_or_else(|| vec![0.0; classes.max(1)]);
    if offsets.len() == 1 && classes == 2 {
        if post != "LOGISTIC" {
            return Err(node
                .fault(format!("one score for two classes, with post_transform `{post}`"))
                .remedy("export one score per class"));
        }
        // The first class has what the second lacks.
        factors = factors.iter().map(|f| -f).chain(factors.iter().copied()).collect();
        offsets = vec![-offsets[0], offsets[0]];
    }
    let scores = match node.proto.output.get(1) {
        Some(name) if !name.is_empty() => name.clone(),
        _ => state.fresh_name(&format!("{}.scores", node.output()?)),
    };
    let after = match post.as_str() {
        "NONE" => None,
        "LOGISTIC" => Some(("Sigmoid", vec![])),
        "SOFTMAX" => Some(("Softmax", vec![int_attribute("axis", 1)])),
        _ => return Err(refused_transform(node, &post)),
    };
    match after {
        None => linear(state, node, factors, offsets, &scores)?,
        Some((operator, attributes)) => {
            let sums = state.fresh_name(&format!("{scores}.sums"));
            linear(state, node, factors, offsets, &sums)?;
            part(state, node, operator, vec![sums], &scores, attributes)?;
        }
    }
    if let Some(Item::Activation(activation)) = state.find(&scores).cloned() {
        if let Some(names) = names {
            state.name_classes(activation.value, names);
        }
        let place = Place { scores: activation, name: scores };
        if let Some(label) = node.proto.output.first().filter(|name| !name.is_empty()) {
            state.set(label, Item::Symbol(Symbol::Place(place)));
        }
    }
    Ok(())
}

fn refused_transform(node: &Reader<'_>, post: &str) -> crate::error::Error {
    node.fault(format!("post_transform `{post}` is not supported"))
        .remedy("export the raw scores: they have the same order")
}

/// `x · factorsᵀ + offsets`, one row of factors per offset.
fn linear(
    state: &mut Import,
    node: &Reader<'_>,
    factors: Vec<f32>,
    offsets: Vec<f32>,
    output: &str,
) -> Result<()> {
    let x = state.activation(node, 0)?;
    let inputs = x.view.shape().last().copied().unwrap_or(0);
    let outputs = offsets.len();
    if x.view.axes.len() != 2 || outputs == 0 || inputs.checked_mul(outputs) != Some(factors.len()) {
        return Err(node.fault(format!(
            "{} coefficients and {outputs} intercepts for an input of shape {:?}",
            factors.len(),
            x.view.shape()
        )));
    }
    let weights = state.fresh_name(&format!("{}.coefficients", node.name));
    state.set_constant(&weights, f32_tensor(vec![outputs, inputs], factors));
    let bias = state.fresh_name(&format!("{}.intercepts", node.name));
    state.set_constant(&bias, f32_tensor(vec![outputs], offsets));
    let operands = vec![node.required(0)?.to_string(), weights, bias];
    part(state, node, "Gemm", operands, output, vec![int_attribute("transB", 1)])
}

/// Normalizer: nothing after a softmax, and a softmax of logarithms after a logistic function.
pub(super) fn normalizer(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let norm = node.string_or("norm", "MAX")?;
    let x = state.activation(node, 0)?;
    let rank = x.view.axes.len();
    let all_channels = state.graph.value(x.value).shape[3] == x.view.shape().iter().product::<usize>();
    let producer =
        state.graph.nodes.iter().find(|n| n.output() == x.value).map(|n| (n.op.clone(), n.inputs[0]));
    match (norm.as_str(), producer) {
        // Scores that add up to 1 already.
        ("L1", Some((Op::Softmax, _))) if all_channels => {
            let item = state.item(node, 0)?.clone();
            state.set(node.output()?, item);
            Ok(())
        }
        // s(z) / sum(s(z)) = softmax(ln s(z)), and ln s(z) = -softplus(-z).
        ("L1", Some((Op::Unary(Unary::Sigmoid), z))) if rank > 0 => {
            let mut name = state.fresh_name(&format!("{}.logit", node.output()?));
            let z = super::state::Activation { value: z, ..x };
            state.set(&name, Item::Activation(z));
            for operator in ["Neg", "Softplus", "Neg"] {
                let next = state.fresh_name(&format!("{}.{operator}", node.output()?));
                part(state, node, operator, vec![name], &next, vec![])?;
                name = next;
            }
            let axis = int_attribute("axis", rank as i64 - 1);
            part(state, node, "Softmax", vec![name], node.output()?, vec![axis])
        }
        _ => Err(node
            .fault(format!("it divides by a norm ({norm}) that is computed while the model runs"))
            .remedy("leave the normalization of scores out: it does not change their order; normalize inputs before the model")),
    }
}
