//! Operators that only look at the bytes in another way.

use super::attributes::Reader;
use super::classes;
use super::item::Symbol;
use super::state::{Activation, Import, Item};
use crate::error::Result;
use crate::graph::{PortType, checked_len};
use crate::import::View;
use crate::onnx::proto::data_type;

/// An axis that may be counted from the end.
pub(super) fn axis(node: &Reader<'_>, axis: i64, rank: usize) -> Result<usize> {
    let counted = if axis < 0 { axis.saturating_add(rank as i64) } else { axis };
    usize::try_from(counted)
        .ok()
        .filter(|&a| a < rank)
        .ok_or_else(|| node.fault(format!("there is no axis {axis} among {rank}")))
}

/// Axes that may be counted from the end, in ascending order.
pub(super) fn axes(node: &Reader<'_>, list: &[i64], rank: usize) -> Result<Vec<usize>> {
    let mut found = list.iter().map(|&a| axis(node, a, rank)).collect::<Result<Vec<usize>>>()?;
    found.sort_unstable();
    if found.windows(2).any(|w| w[0] == w[1]) {
        return Err(node.fault(format!("axes {list:?} name one twice")));
    }
    Ok(found)
}

/// Axes given as an attribute in older versions of the operator and as an operand in newer ones.
pub(super) fn axes_of(state: &Import, node: &Reader<'_>, rank: usize) -> Result<Option<Vec<usize>>> {
    let list = match node.ints("axes")? {
        Some(list) => Some(list),
        None => state.ints(node, 1)?,
    };
    list.map(|list| axes(node, &list, rank)).transpose()
}

pub(super) fn identity(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    if node.operator() == "Dropout" {
        let _unused_in_inference = (node.float("ratio")?, node.int("seed")?);
        if state.scalar(node, 2)?.is_some_and(|training| training != 0.0) {
            return Err(node.fault("it is in training mode").remedy("export the model in eval mode"));
        }
    }
    let item = state.item(node, 0)?.clone();
    state.set(node.output()?, item);
    Ok(())
}

/// A cast of what the model computes: to real numbers only, which it is already.
pub(super) fn cast(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    if classes::passed_on(state, node)? {
        return Ok(());
    }
    let to = node.int("to")?.ok_or_else(|| node.fault("attribute `to` is missing"))?;
    let _for_float8_only = (node.int("saturate")?, node.int("round_mode")?);
    let to_real =
        matches!(to as i32, data_type::FLOAT | data_type::FLOAT16 | data_type::DOUBLE | data_type::BFLOAT16);
    match state.item(node, 0)? {
        Item::Activation(x) if x.kind != PortType::F32 && to_real && is_plain_input(state, x) => {
            let x = Activation { kind: PortType::F32, ..x.clone() };
            let kind = state.graph.inputs.iter_mut().find(|port| port.value == x.value).map(|port| {
                let was = std::mem::replace(&mut port.kind, PortType::F32);
                (port.name.clone(), was)
            });
            if let Some((name, was)) = kind.filter(|(_, was)| *was != PortType::F32) {
                let (type_name, range) =
                    if was == PortType::U8 { ("uint8", "0 to 255") } else { ("int8", "-128 to 127") };
                state.graph.note(format!(
                    "input `{name}` is {type_name} in the file and cast to float there; here it takes real numbers from {range}"
                ));
            }
            state.set(node.output()?, Item::Activation(x));
            Ok(())
        }
        Item::Activation(x) if x.kind != PortType::F32 => Err(node
            .fault("it reads the integers of a quantized tensor")
            .remedy("use DequantizeLinear to make real numbers of them")),
        Item::Activation(_) | Item::Symbol(Symbol::Sums(_)) if to_real => {
            let item = state.item(node, 0)?.clone();
            state.set(node.output()?, item);
            Ok(())
        }
        Item::Symbol(_) => Err(state.symbol_fault(node, 0)),
        _ => Err(node
            .fault(format!("a cast to {} of what the model computes", data_type::name(to as i32)))
            .remedy("only casts between float types are supported; cut the model before it")),
    }
}

/// True for an input of the model that has no scale: numbers that are integers by chance.
fn is_plain_input(state: &Import, x: &Activation) -> bool {
    state.graph.is_input(x.value) && state.graph.value(x.value).quant.is_none()
}

fn give(state: &mut Import, node: &Reader<'_>, x: Activation, view: View) -> Result<()> {
    let item = Item::Activation(Activation { view, ..x });
    state.set(node.output()?, item);
    Ok(())
}

fn give_shape(state: &mut Import, node: &Reader<'_>, x: Activation, shape: &[usize]) -> Result<()> {
    let before = x.view.shape();
    if checked_len(shape) != checked_len(&before) {
        return Err(node.fault(format!("{before:?} has not as many elements as {shape:?}")));
    }
    match x.view.reshaped(shape) {
        Some(view) => give(state, node, x, view),
        None => {
            // The bytes of a model input can be had in the order of its ONNX tensor.
            let sequence = x.view.sequence();
            state.arranged(node, &x, &sequence).map_err(|_| {
                node.fault(format!("a reshape from {before:?} to {shape:?} would have to move elements"))
                    .remedy("reshape by whole axes only, or leave it out of the model")
            })?;
            Err(node.fault(format!("{before:?} cannot be seen as {shape:?}")))
        }
    }
}

pub(super) fn reshape(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    if classes::passed_on(state, node)? {
        return Ok(());
    }
    let x = state.any_activation(node, 0)?;
    let before = x.view.shape();
    let keep_zero = node.flag("allowzero", false)?;
    let wanted = state.ints(node, 1)?.ok_or_else(|| node.fault("operand 1 is missing"))?;
    let shape = wanted_shape(node, &before, &wanted, keep_zero)?;
    give_shape(state, node, x, &shape)
}

/// The shape that a Reshape from `before` gives: 0 copies an axis, one -1 takes what is left.
pub(super) fn wanted_shape(
    node: &Reader<'_>,
    before: &[usize],
    wanted: &[i64],
    keep_zero: bool,
) -> Result<Vec<usize>> {
    let mut shape = Vec::new();
    let mut free = None;
    for (i, &size) in wanted.iter().enumerate() {
        let size = match size {
            -1 if free.is_none() => {
                free = Some(i);
                1
            }
            -1 => return Err(node.fault(format!("shape {wanted:?} leaves two sizes open"))),
            0 if !keep_zero => *before
                .get(i)
                .ok_or_else(|| node.fault(format!("shape {wanted:?} copies axis {i} of {before:?}")))?,
            1.. if size < 1 << 31 => size as usize,
            _ => return Err(node.fault(format!("shape {wanted:?} is out of range"))),
        };
        shape.push(size);
    }
    let total = checked_len(before).unwrap_or(0);
    if let Some(free) = free {
        let known = checked_len(&shape).filter(|&k| k > 0);
        match known {
            Some(known) if total.is_multiple_of(known) => shape[free] = total / known,
            _ => return Err(node.fault(format!("{before:?} does not become {wanted:?}"))),
        }
    } else if let Some(known) = checked_len(&shape)
        && known != total
        && wanted.first() == Some(&(known as i64 / total.max(1) as i64))
    {
        return Err(node
            .fault(format!("shape {wanted:?} has a batch written into it"))
            .remedy("export with batch size 1"));
    }
    Ok(shape)
}

pub(super) fn flatten(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    if classes::passed_on(state, node)? {
        return Ok(());
    }
    let x = state.any_activation(node, 0)?;
    let shape = x.view.shape();
    let shape = flat_shape(node, &shape)?;
    give_shape(state, node, x, &shape)
}

/// The two axes that Flatten makes of a shape.
pub(super) fn flat_shape(node: &Reader<'_>, shape: &[usize]) -> Result<Vec<usize>> {
    let rank = shape.len() as i64;
    let axis = node.int_or("axis", 1)?;
    let counted = if axis < 0 { axis.saturating_add(rank) } else { axis };
    if !(0..=rank).contains(&counted) {
        return Err(node.fault(format!("there is no axis {axis} among {rank}")));
    }
    let (outer, inner) = shape.split_at(counted as usize);
    Ok(vec![outer.iter().product(), inner.iter().product()])
}

pub(super) fn squeeze(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    if classes::passed_on(state, node)? {
        return Ok(());
    }
    let x = state.any_activation(node, 0)?;
    let shape = x.view.shape();
    let removed = match axes_of(state, node, shape.len())? {
        Some(axes) => axes,
        None => (0..shape.len()).filter(|&a| shape[a] == 1).collect(),
    };
    if let Some(axis) = removed.iter().find(|&&a| shape[a] != 1) {
        return Err(node.fault(format!("axis {axis} of {shape:?} is not 1")));
    }
    let axes = (0..shape.len()).filter(|a| !removed.contains(a)).map(|a| x.view.axes[a].clone());
    let view = View { axes: axes.collect(), ..x.view.clone() };
    give(state, node, x, view)
}

pub(super) fn unsqueeze(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    if classes::passed_on(state, node)? {
        return Ok(());
    }
    let x = state.any_activation(node, 0)?;
    let list = match node.ints("axes")? {
        Some(list) => list,
        None => state.ints(node, 1)?.ok_or_else(|| node.fault("axes are missing"))?,
    };
    let rank = x.view.axes.len() + list.len();
    if rank > 8 {
        return Err(node.fault(format!("{rank} axes are too many")));
    }
    let added = axes(node, &list, rank)?;
    let mut old = x.view.axes.iter().cloned();
    let axes = (0..rank)
        .map(|a| if added.contains(&a) { Vec::new() } else { old.next().unwrap_or_default() })
        .collect();
    let view = View { axes, ..x.view.clone() };
    give(state, node, x, view)
}

pub(super) fn transpose(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let x = state.any_activation(node, 0)?;
    let permutation = permutation(node, x.view.axes.len())?;
    let view = x.view.transposed(&permutation);
    give(state, node, x, view)
}

/// The `perm` attribute; all axes reversed where it is left out.
pub(super) fn permutation(node: &Reader<'_>, rank: usize) -> Result<Vec<usize>> {
    let Some(perm) = node.ints("perm")? else {
        return Ok((0..rank).rev().collect());
    };
    let found: Vec<usize> = perm.iter().filter_map(|&p| usize::try_from(p).ok()).collect();
    let mut sorted = found.clone();
    sorted.sort_unstable();
    if sorted != (0..rank).collect::<Vec<_>>() {
        return Err(node.fault(format!("perm {perm:?} is no order of {rank} axes")));
    }
    Ok(found)
}
