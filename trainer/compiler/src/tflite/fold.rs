//! Operators whose operands are all constants: computed while importing. Converters write the
//! shape of a reshape in this way where the batch is open.

use super::constant::Constant;
use super::node::{Node, options};
use super::reshape;
use super::schema::ElementType;
use super::state::{Import, Item};
use crate::error::Result;

/// The importer of operators that are only supported on constants, reached where they are not.
pub(super) fn only_constants(_: &mut Import<'_, '_>, node: &Node<'_>) -> Result<()> {
    Err(node
        .fault("it is supported for shapes and other constants only")
        .remedy("convert the model with fixed shapes, or cut it before this operator"))
}

/// Computes a node whose operands are constants. False where it is none of those.
pub(super) fn fold(state: &mut Import<'_, '_>, node: &Node<'_>) -> Result<bool> {
    if node.kind == "SHAPE" {
        let shape = match state.item(node, 0)? {
            Item::Constant(constant) => constant.tensor.shape().to_vec(),
            Item::Activation(activation) => activation.view.shape(),
            Item::PlaceOfLargest(_) => return Ok(false),
        };
        let ints: Vec<i32> = shape.iter().map(|&size| i32::try_from(size).unwrap_or(i32::MAX)).collect();
        let constant = Constant::ints(&node.name, &[shape.len()], ints)?;
        state.set(node.output(), Item::Constant(constant));
        return Ok(true);
    }
    if !matches!(
        node.kind.as_str(),
        "CAST"
            | "RESHAPE"
            | "SQUEEZE"
            | "EXPAND_DIMS"
            | "TRANSPOSE"
            | "CONCATENATION"
            | "PACK"
            | "GATHER"
            | "STRIDED_SLICE"
            | "REDUCE_PROD"
            | "ADD"
            | "SUB"
            | "MUL"
    ) {
        return Ok(false);
    }
    let count = node.operator.inputs.len();
    let mut operands: Vec<Constant> = Vec::new();
    for index in 0..count {
        match state.item(node, index)? {
            Item::Constant(constant) => operands.push(constant),
            _ => return Ok(false),
        }
    }
    let Some(first) = operands.first() else {
        return Ok(false);
    };
    let shape = first.tensor.shape().to_vec();
    let ints = |index: usize| -> Result<&[i32]> {
        operands
            .get(index)
            .and_then(Constant::as_ints)
            .ok_or_else(|| node.fault(format!("operand {index} must be integers")))
    };
    let reshaped = |shape: &[usize]| -> Result<Constant> {
        let tensor = crate::graph::Tensor::clone(&first.tensor).reshaped(shape)?;
        Ok(Constant { name: node.name.clone(), tensor: tensor.into(), quant: None })
    };
    let vector = |ints: Vec<i32>| Constant::ints(&node.name, &[ints.len()], ints);
    let only_integers = first.as_ints().is_some();
    let moved = matches!(node.kind.as_str(), "RESHAPE" | "SQUEEZE" | "EXPAND_DIMS");
    if moved && first.quant.is_some() {
        return Err(node
            .fault("moving quantized constants is not supported")
            .remedy("convert with constant folding"));
    }
    let result = match node.kind.as_str() {
        "CAST" if only_integers && matches!(node.result_type, ElementType::I32 | ElementType::I64) => {
            reshaped(&shape)?
        }
        "RESHAPE" => {
            let wanted = reshape::wanted_shape(state, node)?;
            reshaped(&reshape::resolved(node, &wanted, &shape)?)?
        }
        "SQUEEZE" => {
            let removed = reshape::squeezed(node, &shape)?;
            let kept: Vec<usize> =
                (0..shape.len()).filter(|a| !removed.contains(a)).map(|a| shape[a]).collect();
            reshaped(&kept)?
        }
        "EXPAND_DIMS" => {
            let place = reshape::expanded(state, node, shape.len())?;
            let mut more = shape.clone();
            more.insert(place, 1);
            reshaped(&more)?
        }
        "TRANSPOSE" if first.quant.is_none() => {
            let order = reshape::permutation(state, node, shape.len())?;
            let tensor = first.tensor.transposed(&order)?.into();
            Constant { name: node.name.clone(), tensor, quant: None }
        }
        "CONCATENATION" | "PACK"
            if only_integers && shape.len() == usize::from(node.kind == "CONCATENATION") =>
        {
            if node.kind == "PACK" {
                let options = node.options(options::PACK)?;
                let stated = options.map_or(Ok(0), |options| options.scalar::<i32>(1, 0))?;
                reshape::axis(node, i64::from(stated), 1)?;
            }
            let mut all = Vec::new();
            for index in 0..count {
                all.extend(ints(index)?);
            }
            vector(all)?
        }
        "GATHER" if only_integers && shape.len() == 1 && count == 2 => {
            let options = node.options(options::GATHER)?;
            if options.map_or(Ok(0), |options| options.scalar::<i32>(0, 0))? > 0 {
                return Err(node.fault("it gathers along an axis that is not there"));
            }
            let mut picked = Vec::new();
            for &index in ints(1)? {
                let element = usize::try_from(index).ok().and_then(|i| ints(0).ok()?.get(i).copied());
                picked.push(element.ok_or_else(|| node.fault(format!("index {index}")))?);
            }
            Constant::ints(&node.name, operands[1].tensor.shape(), picked)?
        }
        "STRIDED_SLICE" if only_integers && shape.len() == 1 && count == 4 => {
            slice(node, ints(0)?, [ints(1)?, ints(2)?, ints(3)?])?
        }
        "REDUCE_PROD" if only_integers && shape.len() == 1 => {
            let product = ints(0)?.iter().try_fold(1i32, |product, &i| product.checked_mul(i));
            let keep = node.options(options::REDUCER)?.map_or(Ok(false), |options| options.flag(0))?;
            let shape: &[usize] = if keep { &[1] } else { &[] };
            let product = product.ok_or_else(|| node.fault("the product is too large"))?;
            Constant::ints(&node.name, shape, vec![product])?
        }
        "ADD" | "SUB" | "MUL" if only_integers && count == 2 => {
            let (a, b) = (ints(0)?, ints(1)?);
            let len = a.len().max(b.len());
            let at = |list: &[i32], i: usize| if list.len() == 1 { list[0] } else { list[i] };
            if (a.len() != len && a.len() != 1) || (b.len() != len && b.len() != 1) || shape.len() > 1 {
                return Err(node.fault("two constants of different shapes"));
            }
            let mut results = Vec::new();
            for i in 0..len {
                let (a, b) = (at(a, i), at(b, i));
                let result = match node.kind.as_str() {
                    "ADD" => a.checked_add(b),
                    "SUB" => a.checked_sub(b),
                    _ => a.checked_mul(b),
                };
                results.push(result.ok_or_else(|| node.fault("a result is too large"))?);
            }
            let longer = if a.len() >= b.len() { 0 } else { 1 };
            Constant::ints(&node.name, operands[longer].tensor.shape(), results)?
        }
        _ => return Ok(false),
    };
    state.set(node.output(), Item::Constant(result));
    Ok(true)
}

/// A piece of a list of integers: from, to, step.
fn slice(node: &Node<'_>, list: &[i32], bounds: [&[i32]; 3]) -> Result<Constant> {
    let options = node.options(options::STRIDED_SLICE)?;
    let mask = |number: usize| options.map_or(Ok(0), |options| options.scalar::<i32>(number, 0));
    let (begin_mask, end_mask, shrink) = (mask(0)?, mask(1)?, mask(4)?);
    if mask(2)? != 0 || mask(3)? != 0 || options.map_or(Ok(false), |options| options.flag(5))? {
        return Err(node.fault("an ellipsis, a new axis or a relative end is not supported"));
    }
    let (&[begin], &[end], &[1]) = (bounds[0], bounds[1], bounds[2]) else {
        return Err(node.fault("slices with a step are not supported"));
    };
    let len = list.len() as i64;
    let place = |i: i32| if i < 0 { i64::from(i) + len } else { i64::from(i) }.clamp(0, len) as usize;
    if shrink & 1 != 0 {
        let element = list.get(place(begin)).copied();
        let element =
            element.ok_or_else(|| node.fault(format!("there is no element {begin} among {len}")))?;
        return Constant::ints(&node.name, &[], vec![element]);
    }
    let start = if begin_mask & 1 != 0 { 0 } else { place(begin) };
    let stop = if end_mask & 1 != 0 { list.len() } else { place(end) };
    let piece = list.get(start..stop).unwrap_or_default().to_vec();
    Constant::ints(&node.name, &[piece.len()], piece)
}
