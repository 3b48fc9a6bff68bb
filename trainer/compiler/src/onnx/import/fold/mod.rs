//! Operators whose operands are all constants: computed while importing.

mod arithmetic;
mod index;

use std::rc::Rc;

use super::attributes::Reader;
use super::elementwise::f32_tensor;
use super::item::Symbol;
use super::reshape;
use super::state::{Constant, ConstantQuant, Import, Item};
use super::tensor::{Data, OnnxTensor};
use crate::error::Result;
use crate::graph::checked_len;

/// The Constant operator.
pub(super) fn constant(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let texts = node.strings("value_strings")?.or(node.text("value_string")?.map(|text| vec![text]));
    if let Some(texts) = texts.or(node.tensor_texts("value")) {
        state.set(node.output()?, Item::Symbol(Symbol::Texts(texts)));
        return Ok(());
    }
    let tensor = if let Some(tensor) = node.tensor("value")? {
        tensor
    } else if let Some(f) = node.float("value_float")? {
        f32_tensor(Vec::new(), vec![f])
    } else if let Some(i) = node.int("value_int")? {
        OnnxTensor { shape: Vec::new(), data: Data::I64(vec![i]) }
    } else if let Some(floats) = node.floats("value_floats")? {
        f32_tensor(vec![floats.len()], floats)
    } else if let Some(ints) = node.ints("value_ints")? {
        OnnxTensor { shape: vec![ints.len()], data: Data::I64(ints) }
    } else {
        return Err(node.fault("it has no value of a supported type"));
    };
    state.set_constant(node.output()?, tensor);
    Ok(())
}

/// The importer of operators that are only supported on constants, reached where they are not.
pub(super) fn only_constants(_: &mut Import, node: &Reader<'_>) -> Result<()> {
    Err(node
        .fault("it is supported for constants only")
        .remedy("simplify the model (for example with onnx-simplifier) or export with fixed shapes"))
}

/// Computes a node whose operands are constants. False where it is none of those.
pub(super) fn fold(state: &mut Import, node: &Reader<'_>) -> Result<bool> {
    if matches!(node.operator(), "Shape" | "Size") {
        return shape_of(state, node);
    }
    let count = node.proto.input.len();
    if count == 0 && node.operator() != "Constant" {
        return Err(node.fault("it has no operands"));
    }
    if let Some(Item::Constant(Constant { quant: Some(_), .. })) = state.optional(node, 0)? {
        return move_dequantized(state, node);
    }
    let mut operands: Vec<Option<Rc<OnnxTensor>>> = Vec::new();
    for index in 0..count {
        match state.optional(node, index)? {
            Some(Item::Constant(c)) if c.quant.is_none() => operands.push(Some(Rc::clone(&c.tensor))),
            None => operands.push(None),
            _ => return Ok(false),
        }
    }
    let operand = |index: usize| operands.get(index).and_then(Option::as_deref);
    let Some(first) = operand(0) else {
        return Ok(false);
    };
    let ints = |index: usize| -> Result<Vec<i64>> {
        operand(index)
            .and_then(OnnxTensor::as_ints)
            .ok_or_else(|| node.fault(format!("operand {index} must be a list of integers")))
    };
    let listed = |index: usize| operand(index).map(|_| ints(index)).transpose();
    let sizes = |list: Vec<i64>| -> Result<Vec<usize>> {
        let sizes = list.iter().map(|&d| usize::try_from(d).ok()).collect::<Option<Vec<usize>>>();
        sizes.ok_or_else(|| node.fault(format!("sizes {list:?}")))
    };
    let rank = first.shape.len();
    let result = match node.operator() {
        "Identity" => first.clone(),
        "Cast" => cast(node, first)?,
        "Transpose" => first.transposed(&reshape::permutation(node, rank)?),
        "Reshape" => {
            let keep_zero = node.flag("allowzero", false)?;
            same_elements(node, first, reshape::wanted_shape(node, &first.shape, &ints(1)?, keep_zero)?)?
        }
        "Flatten" => same_elements(node, first, reshape::flat_shape(node, &first.shape)?)?,
        "Squeeze" => {
            let axes = match reshape::axes_of(state, node, rank)? {
                Some(axes) => axes,
                None => (0..rank).filter(|&a| first.shape[a] == 1).collect(),
            };
            let shape = (0..rank).filter(|a| !axes.contains(a)).map(|a| first.shape[a]).collect();
            same_elements(node, first, shape)?
        }
        "Unsqueeze" => {
            let list = match node.ints("axes")? {
                Some(list) => list,
                None => ints(1)?,
            };
            let axes = reshape::axes(node, &list, rank + list.len())?;
            let mut old = first.shape.iter().copied();
            let shape = (0..rank + list.len())
                .map(|a| if axes.contains(&a) { 1 } else { old.next().unwrap_or(1) })
                .collect();
            same_elements(node, first, shape)?
        }
        "Concat" => {
            let parts: Vec<&OnnxTensor> = (0..count).filter_map(operand).collect();
            index::concat(node, &parts)?
        }
        "Gather" => match operand(1) {
            Some(indices) => index::gather(node, first, indices)?,
            None => return Err(node.fault("operand 1 is missing")),
        },
        "Slice" => {
            let ranges = match count {
                1 => index::Ranges {
                    starts: node.ints("starts")?.unwrap_or_default(),
                    ends: node.ints("ends")?.unwrap_or_default(),
                    axes: node.ints("axes")?,
                    steps: None,
                },
                _ => index::Ranges { starts: ints(1)?, ends: ints(2)?, axes: listed(3)?, steps: listed(4)? },
            };
            index::slice(node, first, &ranges)?
        }
        "ConstantOfShape" => {
            let fill = node.tensor("value")?.unwrap_or_else(|| f32_tensor(vec![1], vec![0.0]));
            let shape = sizes(ints(0)?)?;
            index::bounded(node, &shape)?;
            if fill.len() != 1 {
                return Err(node.fault(format!("its value has {} elements, not one", fill.len())));
            }
            let len = shape.iter().product();
            OnnxTensor { data: fill.data.gathered(&vec![0; len]), shape }
        }
        "Expand" => {
            let shape = index::broadcast(node, &first.shape, &sizes(ints(1)?)?)?;
            index::expanded(first, &shape)
        }
        "Tile" => index::tile(node, first, &sizes(ints(1)?)?)?,
        "Range" => match (ints(0)?.as_slice(), ints(1)?.as_slice(), ints(2)?.as_slice()) {
            (&[start], &[limit], &[step]) => index::range(node, start, limit, step)?,
            _ => return Err(node.fault("its start, limit and step are not single numbers")),
        },
        "Where" => match (operand(1), operand(2)) {
            (Some(a), Some(b)) => {
                let shape = index::broadcast(node, &a.shape, &b.shape)?;
                let shape = index::broadcast(node, &shape, &first.shape)?;
                let Data::U8(chosen) = index::expanded(first, &shape).data else {
                    return Err(node.fault("its condition is not bool"));
                };
                let chosen: Vec<bool> = chosen.iter().map(|&b| b != 0).collect();
                index::choose(node, &chosen, &index::expanded(a, &shape), &index::expanded(b, &shape))?
            }
            _ => return Err(node.fault("an operand is missing")),
        },
        "Dropout" | "DequantizeLinear" | "QuantizeLinear" => return Ok(false),
        _ => {
            let computed = match (count, operand(1)) {
                (2, Some(second)) => arithmetic::binary(node, first, second)?,
                (1, _) => arithmetic::unary(node, first)?,
                _ => None,
            };
            match computed {
                Some(result) => result,
                None => return Ok(false),
            }
        }
    };
    state.spend(node, result.len())?;
    state.set_constant(node.output()?, result);
    Ok(true)
}

/// Weights that have been dequantized keep their integers where their elements are only moved.
fn move_dequantized(state: &mut Import, node: &Reader<'_>) -> Result<bool> {
    let Some(Item::Constant(constant)) = state.optional(node, 0)?.cloned() else { return Ok(false) };
    let Some(quant) = constant.quant.clone() else { return Ok(false) };
    let tensor = &constant.tensor;
    let shape = &tensor.shape;
    let per_channel = quant.scales.len() > 1 || quant.zero_points.len() > 1;
    let (moved, axis) = match node.operator() {
        "Identity" => (Rc::clone(tensor), Some(quant.axis)),
        "Transpose" => {
            let axes = reshape::permutation(node, shape.len())?;
            (Rc::new(tensor.transposed(&axes)), axes.iter().position(|&a| a == quant.axis))
        }
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" => {
            let new = match node.operator() {
                "Reshape" => {
                    let keep_zero = node.flag("allowzero", false)?;
                    let wanted = state.ints(node, 1)?.ok_or_else(|| node.fault("operand 1 is missing"))?;
                    reshape::wanted_shape(node, shape, &wanted, keep_zero)?
                }
                "Flatten" => reshape::flat_shape(node, shape)?,
                "Squeeze" => {
                    let axes = reshape::axes_of(state, node, shape.len())?;
                    let gone = |a: usize| axes.as_ref().map_or(shape[a] == 1, |axes| axes.contains(&a));
                    (0..shape.len()).filter(|&a| !gone(a)).map(|a| shape[a]).collect()
                }
                _ => {
                    let list = match node.ints("axes")? {
                        Some(list) => list,
                        None => state.ints(node, 1)?.unwrap_or_default(),
                    };
                    let axes = reshape::axes(node, &list, shape.len() + list.len())?;
                    let mut old = shape.iter().copied();
                    let size = |a: usize| if axes.contains(&a) { 1 } else { old.next().unwrap_or(1) };
                    (0..shape.len() + list.len()).map(size).collect()
                }
            };
            let moved = same_elements(node, tensor, new)?;
            // The channels' axis is the one with as many elements before it and along it.
            let before = |shape: &[usize], a: usize| shape[..a].iter().product::<usize>();
            let same = |a: &usize| {
                let size = shape.get(quant.axis).copied();
                Some(moved.shape[*a]) == size && before(&moved.shape, *a) == before(shape, quant.axis)
            };
            let axis = (0..moved.shape.len()).find(same);
            (Rc::new(moved), axis)
        }
        _ => return Ok(false),
    };
    let axis = match axis {
        Some(axis) => axis,
        None if !per_channel => 0,
        None => {
            return Err(node
                .fault(format!("the axis of the scales of `{}` gets lost", constant.name))
                .remedy("quantize per tensor, or keep that axis"));
        }
    };
    let quant = Some(ConstantQuant { axis, ..quant });
    let name = constant.name.clone();
    state.set(node.output()?, Item::Constant(Constant { name, tensor: moved, quant }));
    Ok(true)
}

fn vector(ints: Vec<i64>) -> OnnxTensor {
    OnnxTensor { shape: vec![ints.len()], data: Data::I64(ints) }
}

/// The Shape operator: all shapes are known.
fn shape_of(state: &mut Import, node: &Reader<'_>) -> Result<bool> {
    let shape = match state.item(node, 0)? {
        Item::Constant(c) => c.tensor.shape.clone(),
        Item::Activation(x) => x.view.shape(),
        Item::Symbol(_) => return Err(state.symbol_fault(node, 0)),
    };
    if node.operator() == "Size" {
        let len = checked_len(&shape).unwrap_or(0) as i64;
        state.set_constant(node.output()?, OnnxTensor { shape: Vec::new(), data: Data::I64(vec![len]) });
        return Ok(true);
    }
    let rank = shape.len() as i64;
    let place = |i: i64| if i < 0 { i.saturating_add(rank) } else { i }.clamp(0, rank) as usize;
    let start = place(node.int_or("start", 0)?);
    let end = place(node.int_or("end", rank)?);
    let part = shape.get(start..end).unwrap_or_default();
    let ints = part.iter().map(|&d| d as i64).collect();
    state.set_constant(node.output()?, vector(ints));
    Ok(true)
}

fn same_elements(node: &Reader<'_>, tensor: &OnnxTensor, shape: Vec<usize>) -> Result<OnnxTensor> {
    if checked_len(&shape) != Some(tensor.len()) {
        return Err(node.fault(format!("{:?} does not become {shape:?}", tensor.shape)));
    }
    Ok(OnnxTensor { shape, data: tensor.data.clone() })
}

fn cast(node: &Reader<'_>, tensor: &OnnxTensor) -> Result<OnnxTensor> {
    use crate::onnx::proto::data_type;
    let to = node.int("to")?.ok_or_else(|| node.fault("attribute `to` is missing"))?;
    let _for_float8_only = (node.int("saturate")?, node.int("round_mode")?);
    let reals = || tensor.to_f32();
    let data = match to as i32 {
        data_type::FLOAT | data_type::DOUBLE | data_type::FLOAT16 | data_type::BFLOAT16 => Data::F32(reals()),
        data_type::INT64 => Data::I64(match tensor.as_ints() {
            Some(ints) => ints,
            None => reals().iter().map(|&x| x as i64).collect(),
        }),
        data_type::INT32 => Data::I32(match tensor.as_ints() {
            Some(ints) => ints.iter().map(|&x| x as i32).collect(),
            None => reals().iter().map(|&x| x as i32).collect(),
        }),
        data_type::BOOL => Data::U8(reals().iter().map(|&x| u8::from(x != 0.0)).collect()),
        other => {
            return Err(node
                .fault(format!("a cast to {} is not supported", data_type::name(other)))
                .remedy("export with constant folding"));
        }
    };
    Ok(OnnxTensor { shape: tensor.shape.clone(), data })
}
