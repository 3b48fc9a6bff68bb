//! Constants whose elements are picked out of others: joined, cut, repeated.

use super::super::attributes::Reader;
use super::super::reshape;
use super::super::tensor::{Data, OnnxTensor};
use crate::error::Result;
use crate::graph::checked_len;

/// Largest number of elements of a constant that is made by repeating others.
const MAX_COMPUTED: usize = 1 << 22;

/// For each element of a tensor of `shape`, the index of the element that it is a copy of: the sum
/// over the axes of what `at` gives for the place along each.
fn order_of(shape: &[usize], at: impl Fn(usize, usize) -> usize) -> Vec<usize> {
    let mut order = vec![0usize];
    for (axis, &size) in shape.iter().enumerate() {
        order = order
            .iter()
            .flat_map(|&base| (0..size).map(move |i| (base, i)))
            .map(|(b, i)| b + at(axis, i))
            .collect();
    }
    order
}

fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1usize; shape.len()];
    for i in (0..shape.len().saturating_sub(1)).rev() {
        strides[i] = strides[i + 1] * shape[i + 1];
    }
    strides
}

/// Checks the size of a result before it is made.
pub(super) fn bounded(node: &Reader<'_>, shape: &[usize]) -> Result<()> {
    match checked_len(shape) {
        Some(len) if len <= MAX_COMPUTED => Ok(()),
        _ => Err(node.fault(format!("a constant of shape {shape:?} is too large"))),
    }
}

/// The elements of `tensor` along `axis` at `indices`, seen with the shape `seen` in place of the axis.
fn take(tensor: &OnnxTensor, axis: usize, indices: &[usize], seen: &[usize]) -> OnnxTensor {
    let mut picked = tensor.shape.clone();
    picked[axis] = indices.len();
    let strides = strides(&tensor.shape);
    let order = order_of(&picked, |a, i| if a == axis { indices[i] * strides[a] } else { i * strides[a] });
    let mut shape = tensor.shape[..axis].to_vec();
    shape.extend(seen);
    shape.extend(&tensor.shape[axis + 1..]);
    OnnxTensor { shape, data: tensor.data.gathered(&order) }
}

pub(super) fn gather(node: &Reader<'_>, tensor: &OnnxTensor, indices: &OnnxTensor) -> Result<OnnxTensor> {
    let axis = reshape::axis(node, node.int_or("axis", 0)?, tensor.shape.len())?;
    let size = tensor.shape[axis];
    let list = indices.as_ints().ok_or_else(|| node.fault("its indices are not integers"))?;
    let mut places = Vec::with_capacity(list.len());
    for index in list {
        let place = if index < 0 { index.checked_add(size as i64) } else { Some(index) };
        let place = place.and_then(|i| usize::try_from(i).ok()).filter(|&i| i < size);
        places.push(place.ok_or_else(|| node.fault(format!("index {index} of an axis of {size}")))?);
    }
    let mut shape = tensor.shape.clone();
    shape[axis] = places.len();
    bounded(node, &shape)?;
    Ok(take(tensor, axis, &places, &indices.shape))
}

/// The operands of Slice, or its attributes before version 10.
pub(super) struct Ranges {
    pub starts: Vec<i64>,
    pub ends: Vec<i64>,
    pub axes: Option<Vec<i64>>,
    pub steps: Option<Vec<i64>>,
}

pub(super) fn slice(node: &Reader<'_>, tensor: &OnnxTensor, ranges: &Ranges) -> Result<OnnxTensor> {
    let count = ranges.starts.len();
    let axes = ranges.axes.clone().unwrap_or_else(|| (0..count as i64).collect());
    let steps = ranges.steps.clone().unwrap_or_else(|| vec![1; count]);
    if [ranges.ends.len(), axes.len(), steps.len()] != [count; 3] {
        return Err(node.fault("starts, ends, axes and steps differ in length"));
    }
    let mut result = tensor.clone();
    for i in 0..count {
        let axis = reshape::axis(node, axes[i], tensor.shape.len())?;
        let size = result.shape[axis] as i64;
        let step = steps[i];
        if step == 0 {
            return Err(node.fault("a slice with step 0"));
        }
        let place = |p: i64| if p < 0 { p.saturating_add(size) } else { p };
        if size == 0 {
            continue;
        }
        let (mut at, end) = match step > 0 {
            true => (place(ranges.starts[i]).clamp(0, size), place(ranges.ends[i]).clamp(0, size)),
            false => (place(ranges.starts[i]).clamp(0, size - 1), place(ranges.ends[i]).clamp(-1, size - 1)),
        };
        let mut places = Vec::new();
        while (step > 0 && at < end) || (step < 0 && at > end) {
            places.push(at as usize);
            at = at.saturating_add(step);
        }
        result = take(&result, axis, &places, &[places.len()]);
    }
    Ok(result)
}

pub(super) fn concat(node: &Reader<'_>, parts: &[&OnnxTensor]) -> Result<OnnxTensor> {
    let axis = node.int("axis")?.ok_or_else(|| node.fault("attribute `axis` is missing"))?;
    let first = parts[0];
    let axis = reshape::axis(node, axis, first.shape.len())?;
    let mut shape = first.shape.clone();
    shape[axis] = 0;
    let mut data = parts[0].data.gathered(&[]);
    for part in parts {
        let fits = part.shape.len() == shape.len()
            && (0..shape.len()).all(|a| a == axis || part.shape[a] == shape[a]);
        if !fits || !data.extend(&part.data) {
            return Err(node.fault(format!("{:?} and {:?} do not join", first.shape, part.shape)));
        }
        shape[axis] += part.shape[axis];
    }
    bounded(node, &shape)?;
    // The parts lie one after the other; along an inner axis they are interleaved.
    let inner: usize = shape[axis + 1..].iter().product();
    let outer: usize = shape[..axis].iter().product();
    let mut order = Vec::with_capacity(data.len());
    for o in 0..outer {
        let mut start = 0;
        for part in parts {
            let run = part.shape[axis] * inner;
            order.extend(start + o * run..start + (o + 1) * run);
            start += part.len();
        }
    }
    Ok(OnnxTensor { shape, data: data.gathered(&order) })
}

/// The shape that two operands have together.
pub(super) fn broadcast(node: &Reader<'_>, a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let rank = a.len().max(b.len());
    let size = |s: &[usize], axis: usize| (axis + s.len()).checked_sub(rank).map_or(1, |i| s[i]);
    let shape = (0..rank).map(|axis| match (size(a, axis), size(b, axis)) {
        (x, y) if x == y || y == 1 => Ok(x),
        (1, y) => Ok(y),
        _ => Err(node.fault(format!("shapes {a:?} and {b:?} do not match"))),
    });
    let shape = shape.collect::<Result<Vec<usize>>>()?;
    bounded(node, &shape)?;
    Ok(shape)
}

/// A tensor repeated to a shape that [`broadcast`] gives.
pub(super) fn expanded(tensor: &OnnxTensor, shape: &[usize]) -> OnnxTensor {
    let lead = shape.len() - tensor.shape.len();
    let strides = strides(&tensor.shape);
    let order = order_of(shape, |axis, i| match axis.checked_sub(lead) {
        Some(own) if tensor.shape[own] != 1 => i * strides[own],
        _ => 0,
    });
    OnnxTensor { shape: shape.to_vec(), data: tensor.data.gathered(&order) }
}

pub(super) fn tile(node: &Reader<'_>, tensor: &OnnxTensor, repeats: &[usize]) -> Result<OnnxTensor> {
    if repeats.len() != tensor.shape.len() {
        return Err(node.fault(format!("{} repeats for {} axes", repeats.len(), tensor.shape.len())));
    }
    let sizes = tensor.shape.iter().zip(repeats).map(|(&size, &n)| size.checked_mul(n));
    let shape: Option<Vec<usize>> = sizes.collect();
    let shape = shape.ok_or_else(|| node.fault(format!("repeats {repeats:?} overflow")))?;
    bounded(node, &shape)?;
    let strides = strides(&tensor.shape);
    let order = order_of(&shape, |axis, i| i % tensor.shape[axis].max(1) * strides[axis]);
    Ok(OnnxTensor { shape, data: tensor.data.gathered(&order) })
}

/// Where: elements of one or the other.
pub(super) fn choose(
    node: &Reader<'_>,
    if_true: &[bool],
    a: &OnnxTensor,
    b: &OnnxTensor,
) -> Result<OnnxTensor> {
    let mut both = a.data.clone();
    if !both.extend(&b.data) {
        return Err(node.fault("its operands are of different types"));
    }
    let order: Vec<usize> =
        if_true.iter().enumerate().map(|(i, &first)| if first { i } else { a.len() + i }).collect();
    Ok(OnnxTensor { shape: a.shape.clone(), data: both.gathered(&order) })
}

/// Integers from a start to a limit.
pub(super) fn range(node: &Reader<'_>, start: i64, limit: i64, step: i64) -> Result<OnnxTensor> {
    let distance = limit.checked_sub(start).ok_or_else(|| node.fault("its limits overflow"))?;
    let count = match step {
        0 => return Err(node.fault("a range with step 0")),
        _ if (distance > 0) != (step > 0) => 0,
        _ => distance.unsigned_abs().div_ceil(step.unsigned_abs()),
    };
    bounded(node, &[usize::try_from(count).unwrap_or(usize::MAX)])?;
    let ints: Vec<i64> = (0..count as i64).map(|i| start + i * step).collect();
    Ok(OnnxTensor { shape: vec![ints.len()], data: Data::I64(ints) })
}
