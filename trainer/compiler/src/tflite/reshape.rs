//! Operators that only look at the bytes in another way, and those that a model ends with.

use super::node::{Activation as Fused, Node, options};
use super::state::{Import, Item};
use crate::error::Result;
use crate::graph::checked_len;
use crate::import::{Activation, View, join};

/// An axis that may be counted from the end.
pub(super) fn axis(node: &Node<'_>, axis: i64, rank: usize) -> Result<usize> {
    let counted = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(counted)
        .ok()
        .filter(|&a| a < rank)
        .ok_or_else(|| node.fault(format!("there is no axis {axis} among {rank}")))
}

/// Axes that may be counted from the end, in ascending order.
pub(super) fn axes(node: &Node<'_>, list: &[i64], rank: usize) -> Result<Vec<usize>> {
    let mut found = list.iter().map(|&a| axis(node, a, rank)).collect::<Result<Vec<usize>>>()?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// A shape in which one size may be -1: whatever is left.
pub(super) fn resolved(node: &Node<'_>, wanted: &[i64], before: &[usize]) -> Result<Vec<usize>> {
    let mut shape = Vec::new();
    let mut free = None;
    if wanted.len() > super::schema::MAX_RANK {
        return Err(node.fault(format!("{} axes are too many", wanted.len())));
    }
    for (i, &size) in wanted.iter().enumerate() {
        match size {
            -1 if free.is_none() => {
                free = Some(i);
                shape.push(1);
            }
            0.. => shape.push(size as usize),
            _ => return Err(node.fault(format!("shape {wanted:?}"))),
        }
    }
    let (known, total) = (checked_len(&shape).unwrap_or(0), checked_len(before).unwrap_or(0));
    match free {
        Some(free) if known > 0 && total.is_multiple_of(known) => shape[free] = total / known,
        None if known == total => {}
        _ => return Err(node.fault(format!("{before:?} does not become {wanted:?}"))),
    }
    Ok(shape)
}

/// The shape that a RESHAPE is to give: its second operand, or its options in older files.
pub(super) fn wanted_shape(state: &mut Import<'_, '_>, node: &Node<'_>) -> Result<Vec<i64>> {
    if node.input(1).is_some() {
        return state.ints(node, 1);
    }
    let options = node.options(options::RESHAPE)?;
    let stated = options.map_or(Ok(None), |o| o.scalars::<i32>(0, super::schema::MAX_RANK))?;
    match stated {
        Some(sizes) => Ok(sizes.into_iter().map(i64::from).collect()),
        None => Err(node.fault("it does not say which shape it gives").remedy("convert the model again")),
    }
}

pub(super) fn reshape(state: &mut Import<'_, '_>, node: &Node<'_>) -> Result<()> {
    let x = state.activation(node, 0)?;
    let wanted = wanted_shape(state, node)?;
    let shape = resolved(node, &wanted, &x.view.shape())?;
    let view = state.reshaped(node, &x, &shape)?;
    state.give_view(node, &x, view)
}

/// The axes that a SQUEEZE of that shape takes away.
pub(super) fn squeezed(node: &Node<'_>, shape: &[usize]) -> Result<Vec<usize>> {
    let options = node.options(options::SQUEEZE)?;
    let stated =
        options.map_or(Ok(None), |o| o.scalars::<i32>(0, super::schema::MAX_RANK))?.unwrap_or_default();
    let removed = if stated.is_empty() {
        (0..shape.len()).filter(|&a| shape[a] == 1).collect()
    } else {
        let list: Vec<i64> = stated.into_iter().map(i64::from).collect();
        axes(node, &list, shape.len())?
    };
    match removed.iter().find(|&&a| shape[a] != 1) {
        Some(axis) => Err(node.fault(format!("axis {axis} of {shape:?} is not 1"))),
        None => Ok(removed),
    }
}

pub(super) fn squeeze(state: &mut Import<'_, '_>, node: &Node<'_>) -> Result<()> {
    let x = state.activation(node, 0)?;
    let shape = x.view.shape();
    let removed = squeezed(node, &shape)?;
    let kept = (0..shape.len()).filter(|a| !removed.contains(a));
    let view = View { axes: kept.map(|a| x.view.axes[a].clone()).collect(), ..x.view.clone() };
    state.give_view(node, &x, view)
}

/// The place where an EXPAND_DIMS puts a new axis.
pub(super) fn expanded(state: &mut Import<'_, '_>, node: &Node<'_>, rank: usize) -> Result<usize> {
    if rank >= super::schema::MAX_RANK {
        return Err(node.fault(format!("{} axes are too many", rank + 1)));
    }
    match state.ints(node, 1)?[..] {
        [place] => axis(node, place, rank + 1),
        _ => Err(node.fault("operand 1 is not one number")),
    }
}

pub(super) fn expand_dims(state: &mut Import<'_, '_>, node: &Node<'_>) -> Result<()> {
    let x = state.activation(node, 0)?;
    let place = expanded(state, node, x.view.axes.len())?;
    let mut view = x.view.clone();
    view.axes.insert(place, Vec::new());
    state.give_view(node, &x, view)
}

/// The order of axes that a TRANSPOSE gives.
pub(super) fn permutation(state: &mut Import<'_, '_>, node: &Node<'_>, rank: usize) -> Result<Vec<usize>> {
    let list = state.ints(node, 1)?;
    let found = list.iter().map(|&a| axis(node, a, rank)).collect::<Result<Vec<usize>>>()?;
    let mut sorted = found.clone();
    sorted.sort_unstable();
    if sorted != (0..rank).collect::<Vec<_>>() {
        return Err(node.fault(format!("{list:?} is no order of {rank} axes")));
    }
    Ok(found)
}

pub(super) fn transpose(state: &mut Import<'_, '_>, node: &Node<'_>) -> Result<()> {
    let x = state.activation(node, 0)?;
    let permutation = permutation(state, node, x.view.axes.len())?;
    state.give_view(node, &x, x.view.transposed(&permutation))
}

pub(super) fn concat(state: &mut Import<'_, '_>, node: &Node<'_>) -> Result<()> {
    let options = node.options(options::CONCATENATION)?;
    let fused = node.activation(options, 1)?;
    let count = node.operator.inputs.len();
    let parts: Vec<Activation> = (0..count).map(|i| state.activation(node, i)).collect::<Result<_>>()?;
    let Some(first) = parts.first() else {
        return Err(node.fault("it has no operands"));
    };
    let shape = first.view.shape();
    let stated = options.map_or(Ok(0), |options| options.scalar::<i32>(0, 0))?;
    let axis = axis(node, i64::from(stated), shape.len())?;
    for part in &parts {
        let mut expected = shape.clone();
        let found = part.view.shape();
        if found.len() == shape.len() {
            expected[axis] = found[axis];
        }
        if found != expected || part.kind != first.kind {
            return Err(node.fault(format!(
                "operands of shape {shape:?} and {found:?} cannot be joined along axis {axis}"
            )));
        }
    }
    let kind = first.kind;
    if let ([only], Fused::Clamp(clamp)) = (parts.as_slice(), fused)
        && clamp.is_none()
    {
        return state.give_view(node, only, only.view.clone());
    }
    let (result, view) = join(state, node, &parts, axis)?;
    let result = state.apply(node, result, fused)?;
    state.give(node, result, view, kind)
}

/// ARG_MAX: where the largest element stands. As an output of the model it gives way to the
/// elements themselves.
pub(super) fn arg_max(state: &mut Import<'_, '_>, node: &Node<'_>) -> Result<()> {
    let x = state.activation(node, 0)?;
    let rank = x.view.axes.len();
    let list = state.ints(node, 1)?;
    axes(node, &list, rank)?;
    let of = node.input(0).unwrap_or(-1);
    state.set(node.output(), Item::PlaceOfLargest(of));
    Ok(())
}

/// CAST of what ARG_MAX gives: the type of a place does not matter.
pub(super) fn cast(state: &mut Import<'_, '_>, node: &Node<'_>) -> Result<()> {
    match state.item(node, 0)? {
        place @ Item::PlaceOfLargest(_) => {
            state.set(node.output(), place);
            Ok(())
        }
        _ => Err(node
            .fault("a change of type is supported for constants only")
            .remedy("use QUANTIZE or DEQUANTIZE, or leave it out of the model")),
    }
}
