//! Operators whose operands are all constants: computed while importing.

use super::attributes::Reader;
use super::elementwise::f32_tensor;
use super::item::Symbol;
use super::reshape;
use super::state::{Import, Item};
use super::tensor::{Data, MAX_ELEMENTS, OnnxTensor};
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
    if node.operator() == "Shape" {
        return shape_of(state, node);
    }
    let count = node.proto.input.len();
    if count == 0 && node.operator() != "Constant" {
        return Err(node.fault("it has no operands"));
    }
    let mut operands = Vec::new();
    for index in 0..count {
        match state.optional(node, index)? {
            Some(Item::Constant(c)) if c.quant.is_none() => operands.push(c.tensor.clone()),
            // Dequantized weights keep their integers; only moving them is done here.
            _ => return Ok(false),
        }
    }
    let ints = |index: usize| -> Result<Vec<i64>> {
        operands
            .get(index)
            .and_then(|t| t.as_ints())
            .ok_or_else(|| node.fault(format!("operand {index} must be a list of integers")))
    };
    let Some(first) = operands.first() else {
        return Ok(false);
    };
    let rank = first.shape.len();
    let result = match node.operator() {
        "Identity" => OnnxTensor::clone(first),
        "Cast" => cast(node, first)?,
        "Transpose" => first.transposed(&reshape::permutation(node, rank)?),
        "Reshape" => {
            let keep_zero = node.flag("allowzero", false)?;
            reshaped(node, first, &ints(1)?, keep_zero)?
        }
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
            let axis = node.int("axis")?.ok_or_else(|| node.fault("attribute `axis` is missing"))?;
            if rank != 1 || reshape::axis(node, axis, rank)? != 0 {
                return Ok(false);
            }
            let mut all = Vec::new();
            for index in 0..count {
                all.extend(ints(index)?);
            }
            vector(all)
        }
        "Gather" if rank == 1 && reshape::axis(node, node.int_or("axis", 0)?, rank)? == 0 => {
            let numbers = ints(0)?;
            let mut picked = Vec::new();
            for index in ints(1)? {
                let at = if index < 0 { index + numbers.len() as i64 } else { index };
                let element = usize::try_from(at).ok().and_then(|i| numbers.get(i));
                picked.push(*element.ok_or_else(|| node.fault(format!("index {index}")))?);
            }
            OnnxTensor { shape: operands[1].shape.clone(), data: Data::I64(picked) }
        }
        "Slice" if rank == 1 && count >= 3 => {
            let numbers = ints(0)?;
            let (start, end) = (ints(1)?, ints(2)?);
            let step = if count > 4 { ints(4)? } else { vec![1] };
            let len = numbers.len() as i64;
            match (start.as_slice(), end.as_slice(), step.as_slice()) {
                (&[start], &[end], &[1]) => {
                    let place = |i: i64| if i < 0 { i.saturating_add(len) } else { i }.clamp(0, len) as usize;
                    vector(numbers.get(place(start)..place(end)).unwrap_or_default().to_vec())
                }
                _ => return Err(node.fault("slices with a step are not supported")),
            }
        }
        "ConstantOfShape" => {
            let fill = node.tensor("value")?.unwrap_or_else(|| f32_tensor(vec![1], vec![0.0]));
            let shape: Vec<usize> = ints(0)?.iter().filter_map(|&d| usize::try_from(d).ok()).collect();
            let len = checked_len(&shape).filter(|&l| l <= MAX_ELEMENTS);
            match len {
                Some(len) if fill.len() == 1 => OnnxTensor { data: fill.data.gathered(&vec![0; len]), shape },
                _ => return Err(node.fault(format!("a constant of shape {shape:?} is too large"))),
            }
        }
        "Add" | "Sub" | "Mul" | "Div" if count == 2 => match arithmetic(node, first, &operands[1])? {
            Some(result) => result,
            None => return Ok(false),
        },
        _ => return Ok(false),
    };
    state.set_constant(node.output()?, result);
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

fn reshaped(node: &Reader<'_>, tensor: &OnnxTensor, wanted: &[i64], keep_zero: bool) -> Result<OnnxTensor> {
    let mut shape = Vec::new();
    for (i, &size) in wanted.iter().enumerate() {
        shape.push(match size {
            -1 => 1,
            0 if !keep_zero => tensor.shape.get(i).copied().unwrap_or(0),
            size => usize::try_from(size).map_err(|_| node.fault(format!("shape {wanted:?}")))?,
        });
    }
    if let Some(free) = wanted.iter().position(|&s| s == -1) {
        let known = checked_len(&shape).filter(|&k| k > 0);
        shape[free] = tensor.len() / known.ok_or_else(|| node.fault(format!("shape {wanted:?}")))?;
    }
    same_elements(node, tensor, shape)
}

fn cast(node: &Reader<'_>, tensor: &OnnxTensor) -> Result<OnnxTensor> {
    use crate::onnx::proto::data_type;
    let to = node.int("to")?.ok_or_else(|| node.fault("attribute `to` is missing"))?;
    let _for_float8_only = node.int("saturate")?;
    let reals = || tensor.to_f32();
    let data = match to as i32 {
        data_type::FLOAT | data_type::DOUBLE | data_type::FLOAT16 => Data::F32(reals()),
        data_type::INT64 => Data::I64(match tensor.as_ints() {
            Some(ints) => ints,
            None => reals().iter().map(|&x| x as i64).collect(),
        }),
        data_type::INT32 => Data::I32(match tensor.as_ints() {
            Some(ints) => ints.iter().map(|&x| x as i32).collect(),
            None => reals().iter().map(|&x| x as i32).collect(),
        }),
        other => {
            return Err(node.fault(format!("a cast to {} is not supported", data_type::name(other))));
        }
    };
    Ok(OnnxTensor { shape: tensor.shape.clone(), data })
}

/// Sums and the like of two constants of one shape, or of one and a single number.
fn arithmetic(node: &Reader<'_>, a: &OnnxTensor, b: &OnnxTensor) -> Result<Option<OnnxTensor>> {
    let len = a.len().max(b.len());
    let one = |t: &OnnxTensor| t.len() == 1;
    if !(a.shape == b.shape || one(a) || one(b)) {
        return Ok(None);
    }
    let shape = if one(a) && !one(b) { b.shape.clone() } else { a.shape.clone() };
    let at = |t: &OnnxTensor, i: usize| if one(t) { 0 } else { i };
    let data = match (a.as_ints(), b.as_ints(), &a.data, &b.data) {
        (Some(x), Some(y), _, _) => {
            let mut ints = Vec::with_capacity(len);
            for i in 0..len {
                let (x, y) = (x[at(a, i)], y[at(b, i)]);
                let z = match node.operator() {
                    "Add" => x.checked_add(y),
                    "Sub" => x.checked_sub(y),
                    "Mul" => x.checked_mul(y),
                    _ => x.checked_div(y),
                };
                ints.push(z.ok_or_else(|| node.fault(format!("{x} and {y} overflow")))?);
            }
            Data::I64(ints)
        }
        (None, None, Data::F32(x), Data::F32(y)) => {
            let combine = |i: usize| {
                let (x, y) = (x[at(a, i)], y[at(b, i)]);
                match node.operator() {
                    "Add" => x + y,
                    "Sub" => x - y,
                    "Mul" => x * y,
                    _ => x / y,
                }
            };
            Data::F32((0..len).map(combine).collect())
        }
        _ => return Err(node.fault("its operands are of different types")),
    };
    Ok(Some(OnnxTensor { shape, data }))
}
