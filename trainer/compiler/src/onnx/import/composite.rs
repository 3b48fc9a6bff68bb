//! Operators that are sums, products and functions of others.

use super::attributes::Reader;
use super::elementwise::f32_tensor;
use super::item::Item;
use super::parts::part;
use super::state::Import;
use crate::error::Result;

/// Sum of any number of operands.
pub(super) fn sum(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let count = node.proto.input.len();
    let mut name = node.required(0)?.to_string();
    if count == 1 {
        return part(state, node, "Identity", vec![name], node.output()?, vec![]);
    }
    for index in 1..count {
        let next = match index + 1 == count {
            true => node.output()?.to_string(),
            false => state.fresh_name(&format!("{}.{index}", node.output()?)),
        };
        part(state, node, "Add", vec![name, node.required(index)?.to_string()], &next, vec![])?;
        name = next;
    }
    Ok(())
}

/// `x` where positive, `slope · x` elsewhere: `slope · x + (1 - slope) · relu(x)`.
pub(super) fn p_relu(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let slope = state.constant(node, 1)?;
    let reals = slope.dequantized();
    let x = node.required(0)?.to_string();
    if let [alpha] = reals[..] {
        let attribute = crate::onnx::proto::AttributeProto {
            name: Some("alpha".into()),
            f: Some(alpha),
            ..Default::default()
        };
        return part(state, node, "LeakyRelu", vec![x], node.output()?, vec![attribute]);
    }
    let rest = reals.iter().map(|s| 1.0 - s).collect();
    let mut names = Vec::new();
    for (what, numbers) in [("slope", reals), ("rest", rest)] {
        let name = state.fresh_name(&format!("{}.{what}", node.output()?));
        state.set_constant(&name, f32_tensor(slope.tensor.shape.clone(), numbers));
        names.push(name);
    }
    let mut fresh =
        |what: &str| -> Result<String> { Ok(state.fresh_name(&format!("{}.{what}", node.output()?))) };
    let (below, positive, above) = (fresh("below")?, fresh("positive")?, fresh("above")?);
    part(state, node, "Relu", vec![x.clone()], &positive, vec![])?;
    part(state, node, "Mul", vec![x, names[0].clone()], &below, vec![])?;
    part(state, node, "Mul", vec![positive, names[1].clone()], &above, vec![])?;
    part(state, node, "Add", vec![below, above], node.output()?, vec![])
}

/// The logarithm of a softmax.
pub(super) fn log_softmax(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let scores = state.fresh_name(&format!("{}.softmax", node.output()?));
    let x = node.required(0)?.to_string();
    part(state, node, "Softmax", vec![x], &scores, node.all_attributes())?;
    part(state, node, "Log", vec![scores], node.output()?, vec![])
}

/// ReduceSum: the mean, as often as there are elements in it.
pub(super) fn reduce_sum(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let before = state.activation(node, 0)?.view.shape().iter().product::<usize>();
    let mean = state.fresh_name(&format!("{}.mean", node.output()?));
    part(state, node, "ReduceMean", operands(node), &mean, node.all_attributes())?;
    let after = match state.find(&mean) {
        Some(Item::Activation(x)) => x.view.shape().iter().product::<usize>(),
        _ => before,
    };
    let count = state.fresh_name(&format!("{}.count", node.output()?));
    state.set_constant(&count, f32_tensor(Vec::new(), vec![(before / after.max(1)) as f32]));
    part(state, node, "Mul", vec![mean, count], node.output()?, vec![])
}

/// ReduceMin: the largest of the negatives.
pub(super) fn reduce_min(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let negative = state.fresh_name(&format!("{}.negative", node.output()?));
    let largest = state.fresh_name(&format!("{}.largest", node.output()?));
    let mut inputs = operands(node);
    part(state, node, "Neg", vec![node.required(0)?.to_string()], &negative, vec![])?;
    inputs[0] = negative;
    part(state, node, "ReduceMax", inputs, &largest, node.all_attributes())?;
    part(state, node, "Neg", vec![largest], node.output()?, vec![])
}

fn operands(node: &Reader<'_>) -> Vec<String> {
    node.proto.input.clone()
}
