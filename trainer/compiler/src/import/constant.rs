//! An activation combined with a constant, element by element.

use super::arrange::{Activation, Assembly, Site};
use super::view::View;
use crate::error::Result;
use crate::graph::{Op, Tensor, Unary, ValueId};

/// An operation of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
}

/// The constant of an operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ConstantOperand<'c> {
    pub shape: &'c [usize],
    pub reals: &'c [f32],
    /// Whether it stands before the activation.
    pub first: bool,
}

/// A function of one number where the constant is a single one, and a factor and summand per
/// channel elsewhere. Gives the result and how the file's tensor looks at it.
pub(crate) fn combine_with_constant(
    state: &mut Assembly,
    node: &dyn Site,
    operation: Arithmetic,
    x: &Activation,
    constant: ConstantOperand<'_>,
) -> Result<(ValueId, View)> {
    let ConstantOperand { shape, reals, first } = constant;
    if let [number] = *reals
        && shape.len() <= x.view.axes.len()
    {
        let mut value = x.value;
        let unary = match (operation, first) {
            (Arithmetic::Add, _) => Unary::Linear { scale: 1.0, offset: number },
            (Arithmetic::Sub, false) => Unary::Linear { scale: 1.0, offset: -number },
            (Arithmetic::Sub, true) => Unary::Linear { scale: -1.0, offset: number },
            (Arithmetic::Mul, _) => Unary::Linear { scale: number, offset: 0.0 },
            (Arithmetic::Div, false) if number != 0.0 => Unary::Linear { scale: 1.0 / number, offset: 0.0 },
            (Arithmetic::Div, true) => {
                value = state.push(node, Op::Unary(Unary::Reciprocal), &[value])?;
                Unary::Linear { scale: number, offset: 0.0 }
            }
            (Arithmetic::Pow, false) => Unary::Pow { exponent: number },
            _ => return Err(node.error(format!("operand {number} is not supported"))),
        };
        let result = state.push(node, Op::Unary(unary), &[value])?;
        return Ok((result, x.view.clone()));
    }

    let (varying, spread) = spread(node, x, shape)?;
    let numbers: Vec<f32> = spread.into_iter().map(|i| reals[i]).collect();
    let (scale, offset): (Vec<f32>, Vec<f32>) = match (operation, first) {
        (Arithmetic::Add, _) => (vec![1.0; numbers.len()], numbers),
        (Arithmetic::Sub, false) => (vec![1.0; numbers.len()], numbers.iter().map(|n| -n).collect()),
        (Arithmetic::Sub, true) => (vec![-1.0; numbers.len()], numbers),
        (Arithmetic::Mul, _) => {
            let zeros = vec![0.0; numbers.len()];
            (numbers, zeros)
        }
        (Arithmetic::Div, false) if numbers.iter().all(|n| *n != 0.0) => {
            (numbers.iter().map(|n| 1.0 / n).collect(), vec![0.0; numbers.len()])
        }
        _ => return Err(node.error(format!("a constant of shape {shape:?} is not supported there"))),
    };
    let channels = scale.len();
    let own = state.graph.value(x.value).nhwc().unwrap_or([1; 4]);
    let before = &x.view.atoms[..x.view.atoms.len() - varying.len()];
    let rest: usize = before.iter().map(|a| a.size).product();
    let nhwc = if own[3] == channels { own } else { [1, rest, 1, channels] };
    let value = state.shaped(x.value, nhwc);
    let result = push_scale_shift(state, node, value, scale, offset)?;
    // The constants stand in the order of the bytes as they are now.
    Ok((result, x.view.clone()))
}

/// `x * scale[c] + offset[c]`.
pub(crate) fn push_scale_shift(
    state: &mut Assembly,
    node: &dyn Site,
    value: ValueId,
    scale: Vec<f32>,
    offset: Vec<f32>,
) -> Result<ValueId> {
    let scale = state.add_parameter(&format!("{}.scale", node.name()), Tensor::vector(scale), None);
    let offset = state.add_parameter(&format!("{}.offset", node.name()), Tensor::vector(offset), None);
    state.push(node, Op::ScaleShift, &[value, scale, offset])
}

/// The axes of `x` along which a constant varies, as atoms, and for each of their places, in the
/// order of the bytes, the index of the constant's element.
fn spread(node: &dyn Site, x: &Activation, shape: &[usize]) -> Result<(Vec<usize>, Vec<usize>)> {
    let rank = x.view.axes.len();
    let sizes = x.view.shape();
    let fault = || {
        node.error(format!(
            "a constant of shape {shape:?} cannot be combined with an input of shape {sizes:?}"
        ))
    };
    let lead = rank.checked_sub(shape.len()).ok_or_else(fault)?;
    let mut strides = vec![0usize; x.view.atoms.len()];
    let mut varying = Vec::new();
    let mut stride = 1;
    for (i, &size) in shape.iter().enumerate().rev() {
        let axis = lead + i;
        if size != 1 {
            if size != sizes[axis] {
                return Err(fault());
            }
            let mut inner = stride;
            for &atom in x.view.axes[axis].iter().rev() {
                strides[atom] = inner;
                inner *= x.view.atoms[atom].size;
                varying.push(atom);
            }
        }
        stride *= size;
    }
    varying.sort_unstable();
    // Where what varies does not lie together at the end, all atoms are taken.
    if varying
        .first()
        .is_none_or(|&f| !x.view.lies_at(f, &varying) || f + varying.len() != x.view.atoms.len())
    {
        varying = (0..x.view.atoms.len()).collect();
    }
    let mut indices = vec![0usize];
    for &atom in &varying {
        let (size, stride) = (x.view.atoms[atom].size, strides[atom]);
        indices = indices.iter().flat_map(|&base| (0..size).map(move |i| base + i * stride)).collect();
    }
    Ok((varying, indices))
}
