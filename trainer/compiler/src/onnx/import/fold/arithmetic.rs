//! Arithmetic and comparisons of constants.

use super::super::attributes::Reader;
use super::super::tensor::{Data, OnnxTensor};
use super::index::{broadcast, expanded};
use crate::error::Result;

/// An operation on two constants, of which the smaller is repeated. `None` where it is none of those
/// that are computed.
pub(super) fn binary(node: &Reader<'_>, a: &OnnxTensor, b: &OnnxTensor) -> Result<Option<OnnxTensor>> {
    let like_c = node.operator() == "Mod" && node.flag("fmod", false)?;
    let shape = broadcast(node, &a.shape, &b.shape)?;
    let (a, b) = (expanded(a, &shape), expanded(b, &shape));
    let data = match (a.as_ints(), b.as_ints(), &a.data, &b.data) {
        (Some(x), Some(y), _, _) => {
            let mut ints = Vec::with_capacity(x.len());
            for (&x, &y) in x.iter().zip(&y) {
                match of_ints(node.operator(), x, y, like_c) {
                    Outcome::Number(z) => ints.push(z),
                    Outcome::Fault => {
                        return Err(node.fault(format!("{x} and {y} have no result in 64 bits")));
                    }
                    Outcome::Unknown => return Ok(None),
                }
            }
            integers(node.operator(), &a, ints)
        }
        (None, None, Data::F32(x), Data::F32(y)) => {
            if let Some(compare) = comparison(node.operator()) {
                Data::U8(x.iter().zip(y).map(|(x, y)| compare(x.total_cmp(y)).into()).collect())
            } else {
                let reals: Option<Vec<f32>> =
                    x.iter().zip(y).map(|(&x, &y)| of_reals(node.operator(), x, y, like_c)).collect();
                match reals {
                    Some(reals) => Data::F32(reals),
                    None => return Ok(None),
                }
            }
        }
        (None, None, Data::U8(x), Data::U8(y)) => {
            let logic = |x: bool, y: bool| match node.operator() {
                "And" => Some(x && y),
                "Or" => Some(x || y),
                "Xor" => Some(x != y),
                "Equal" => Some(x == y),
                _ => None,
            };
            let bools: Option<Vec<u8>> =
                x.iter().zip(y).map(|(&x, &y)| logic(x != 0, y != 0).map(u8::from)).collect();
            match bools {
                Some(bools) => Data::U8(bools),
                None => return Ok(None),
            }
        }
        _ => return Err(node.fault("its operands are of different types")),
    };
    Ok(Some(OnnxTensor { shape, data }))
}

enum Outcome {
    Number(i64),
    Fault,
    Unknown,
}

fn comparison(operator: &str) -> Option<fn(std::cmp::Ordering) -> bool> {
    Some(match operator {
        "Equal" => |o| o.is_eq(),
        "Greater" => |o| o.is_gt(),
        "GreaterOrEqual" => |o| o.is_ge(),
        "Less" => |o| o.is_lt(),
        "LessOrEqual" => |o| o.is_le(),
        _ => return None,
    })
}

fn of_ints(operator: &str, x: i64, y: i64, like_c: bool) -> Outcome {
    if let Some(compare) = comparison(operator) {
        return Outcome::Number(compare(x.cmp(&y)).into());
    }
    let result = match operator {
        "Add" => x.checked_add(y),
        "Sub" => x.checked_sub(y),
        "Mul" => x.checked_mul(y),
        "Div" => x.checked_div(y),
        // The sign of the divisor, or that of the dividend.
        "Mod" if like_c => x.checked_rem(y),
        "Mod" => x.checked_rem(y).map(|r| if r != 0 && (r < 0) != (y < 0) { r + y } else { r }),
        "Pow" => u32::try_from(y).ok().and_then(|y| x.checked_pow(y)),
        "Max" => Some(x.max(y)),
        "Min" => Some(x.min(y)),
        _ => return Outcome::Unknown,
    };
    result.map_or(Outcome::Fault, Outcome::Number)
}

/// Integers of the type that the operator gives for operands like `a`.
fn integers(operator: &str, a: &OnnxTensor, ints: Vec<i64>) -> Data {
    if comparison(operator).is_some() {
        return Data::U8(ints.iter().map(|&i| i as u8).collect());
    }
    match a.data {
        Data::I32(_) => Data::I32(ints.iter().map(|&i| i as i32).collect()),
        _ => Data::I64(ints),
    }
}

fn of_reals(operator: &str, x: f32, y: f32, like_c: bool) -> Option<f32> {
    Some(match operator {
        "Add" => x + y,
        "Sub" => x - y,
        "Mul" => x * y,
        "Div" => x / y,
        "Mod" if like_c => x % y,
        "Pow" => libm::powf(x, y),
        "Max" => x.max(y),
        "Min" => x.min(y),
        _ => return None,
    })
}

/// A function of one constant. `None` where it is none of those that are computed.
pub(super) fn unary(node: &Reader<'_>, x: &OnnxTensor) -> Result<Option<OnnxTensor>> {
    let data = match (node.operator(), &x.data) {
        ("Not", Data::U8(v)) => Data::U8(v.iter().map(|&b| u8::from(b == 0)).collect()),
        ("Neg", Data::I64(v)) => Data::I64(v.iter().map(|i| i.wrapping_neg()).collect()),
        ("Abs", Data::I64(v)) => Data::I64(v.iter().map(|i| i.wrapping_abs()).collect()),
        (_, Data::F32(v)) => {
            let Ok(function) = super::super::elementwise::function(node) else { return Ok(None) };
            Data::F32(v.iter().map(|&x| function.apply(x)).collect())
        }
        _ => return Ok(None),
    };
    Ok(Some(OnnxTensor { shape: x.shape.clone(), data }))
}
