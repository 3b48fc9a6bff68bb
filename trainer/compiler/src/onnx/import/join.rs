//! Concatenation.

use super::attributes::Reader;
use super::reshape;
use super::state::{Activation, Import};
use crate::error::Result;
use crate::import::join;

pub(super) fn concat(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let count = node.proto.input.len();
    if count == 0 {
        return Err(node.fault("it has no operands"));
    }
    let parts: Vec<Activation> = (0..count).map(|i| state.any_activation(node, i)).collect::<Result<_>>()?;
    let rank = parts[0].view.axes.len();
    let axis = node.int("axis")?.ok_or_else(|| node.fault("attribute `axis` is missing"))?;
    let axis = reshape::axis(node, axis, rank)?;
    for part in &parts {
        let mut expected = parts[0].view.shape();
        let shape = part.view.shape();
        if shape.len() == rank {
            expected[axis] = shape[axis];
        }
        if shape != expected || part.kind != parts[0].kind {
            return Err(node.fault(format!(
                "operands of shape {:?} and {shape:?} cannot be joined along axis {axis}",
                parts[0].view.shape()
            )));
        }
    }
    if count == 1 {
        return reshape::identity(state, node);
    }

    let kind = parts[0].kind;
    let (result, view) = join(state, node, &parts, axis)?;
    let inputs: Vec<_> = parts.iter().map(|part| part.value).collect();
    state.keep_integers(node, kind, &inputs, result);
    state.give(node, result, view, kind)
}
