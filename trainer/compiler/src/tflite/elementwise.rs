//! Functions of one number, and arithmetic of two operands.

use super::constant::Constant;
use super::node::{Activation as Fused, Node, options};
use super::state::{Import, Item};
use crate::error::Result;
use crate::graph::{Clamp, Elements, Op, PortType, Unary};
use crate::import::{Activation, Arithmetic, ConstantOperand, combine, combine_with_constant};

pub(super) fn unary(state: &mut Import<'_, '_>, node: &Node<'_>) -> Result<()> {
    let unary = match node.kind.as_str() {
        "RELU" => Unary::Clamp(Clamp::RELU),
        "RELU6" => Unary::Clamp(Clamp::RELU6),
        "RELU_0_TO_1" => Unary::Clamp(Clamp { min: 0.0, max: 1.0 }),
        "RELU_N1_TO_1" => Unary::Clamp(Clamp { min: -1.0, max: 1.0 }),
        "LEAKY_RELU" => {
            let options = node.options(options::LEAKY_RELU)?;
            let alpha = options.map_or(Ok(0.0), |options| options.scalar::<f32>(0, 0.0))?;
            if !alpha.is_finite() {
                return Err(node.fault(format!("its alpha is {alpha}")));
            }
            Unary::LeakyRelu { alpha }
        }
        "LOGISTIC" => Unary::Sigmoid,
        "TANH" => Unary::Tanh,
        "HARD_SWISH" => Unary::HardSwish,
        "ELU" => Unary::Elu { alpha: 1.0, gamma: 1.0, width: 1.0 },
        "GELU" => {
            let options = node.options(options::GELU)?;
            Unary::Gelu { tanh: options.map_or(Ok(false), |options| options.flag(0))? }
        }
        "EXP" => Unary::Exp,
        "LOG" => Unary::Log,
        "SQRT" => Unary::Sqrt,
        "RSQRT" => Unary::Pow { exponent: -0.5 },
        "SQUARE" => Unary::Pow { exponent: 2.0 },
        "ABS" => Unary::Abs,
        "NEG" => Unary::Linear { scale: -1.0, offset: 0.0 },
        "SIN" => Unary::Sin,
        "COS" => Unary::Cos,
        "FLOOR" => Unary::Floor,
        "CEIL" => Unary::Ceil,
        "ROUND" => Unary::Round,
        "SIGN" => Unary::Sign,
        other => return Err(node.fault(format!("`{other}` is not a function of one number"))),
    };
    let x = state.activation(node, 0)?;
    give_unary(state, node, &x, unary)
}

fn give_unary(state: &mut Import<'_, '_>, node: &Node<'_>, x: &Activation, unary: Unary) -> Result<()> {
    let result = state.push(node, Op::Unary(unary), &[x.value])?;
    state.give(node, result, x.view.clone(), x.kind)
}

/// MAXIMUM and MINIMUM with one number.
pub(super) fn limit(state: &mut Import<'_, '_>, node: &Node<'_>) -> Result<()> {
    let operand = usize::from(matches!(state.item(node, 0)?, Item::Constant(_)));
    let x = state.activation(node, operand)?;
    let constant = state.constant(node, 1 - operand)?;
    let [number] = constant.dequantized()[..] else {
        return Err(node
            .fault(format!("the constant `{}` has {} numbers, not one", constant.name, constant.tensor.len()))
            .remedy("only a limit that is the same for all elements is supported"));
    };
    check_constant(node, &constant, x.kind)?;
    let clamp = if node.kind == "MAXIMUM" {
        Clamp { min: number, ..Clamp::NONE }
    } else {
        Clamp { max: number, ..Clamp::NONE }
    };
    if number.is_nan() {
        return Err(node.fault("its limit is not a number"));
    }
    give_unary(state, node, &x, Unary::Clamp(clamp))
}

/// ADD, SUB, MUL, DIV and POW.
pub(super) fn binary(state: &mut Import<'_, '_>, node: &Node<'_>) -> Result<()> {
    let (operation, kind) = match node.kind.as_str() {
        "ADD" => (Arithmetic::Add, options::ADD),
        "SUB" => (Arithmetic::Sub, options::SUB),
        "MUL" => (Arithmetic::Mul, options::MUL),
        "DIV" => (Arithmetic::Div, options::DIV),
        _ => (Arithmetic::Pow, 0),
    };
    let fused = match operation {
        Arithmetic::Pow => Fused::Clamp(Clamp::NONE),
        _ => node.activation(node.options(kind)?, 0)?,
    };
    let first = matches!(state.item(node, 0)?, Item::Constant(_));
    let second = matches!(state.item(node, 1)?, Item::Constant(_));
    match (first, second) {
        (true, true) => Err(node
            .fault("an operation on two constants is not folded")
            .remedy("convert with constant folding")),
        (false, false) => two_activations(state, node, operation, fused),
        (first, _) => with_constant(state, node, operation, fused, first),
    }
}

/// The operator of the graph, with the limit that is part of it, and the function that follows.
fn operator(node: &Node<'_>, operation: Arithmetic, fused: Fused) -> Result<(Op, Fused)> {
    let (activation, later) = match fused {
        Fused::Clamp(clamp) => (clamp, Fused::Clamp(Clamp::NONE)),
        Fused::Tanh => (Clamp::NONE, fused),
    };
    let op = match operation {
        Arithmetic::Add => Op::Add { activation },
        Arithmetic::Sub => Op::Sub { activation },
        Arithmetic::Mul => Op::Mul { activation },
        Arithmetic::Div | Arithmetic::Pow => {
            return Err(node
                .fault("it is not supported between these operands")
                .remedy("only ADD, SUB and MUL of two activations are"));
        }
    };
    Ok((op, later))
}

fn two_activations(
    state: &mut Import<'_, '_>,
    node: &Node<'_>,
    operation: Arithmetic,
    fused: Fused,
) -> Result<()> {
    let (op, later) = operator(node, operation, fused)?;
    let (a, b) = (state.activation(node, 0)?, state.activation(node, 1)?);
    if (a.kind == PortType::F32) != (b.kind == PortType::F32) {
        return Err(node.fault(format!("its operands are {} and {}", a.kind.name(), b.kind.name())));
    }
    let kind = a.kind;
    let (result, view) = combine(state, node, op, a, b)?;
    let result = state.apply(node, result, later)?;
    state.give(node, result, view, kind)
}

fn check_constant(node: &Node<'_>, constant: &Constant, kind: PortType) -> Result<()> {
    let fits = match constant.tensor.elements() {
        Elements::F32(_) => kind == PortType::F32,
        Elements::I8(_) => kind != PortType::F32 && constant.quant.is_some(),
        Elements::I32(_) => false,
    };
    if fits {
        return Ok(());
    }
    Err(node.fault(format!(
        "the constant `{}` is {} and its input is {}",
        constant.name,
        constant.tensor.element_type().name(),
        kind.name()
    )))
}

fn with_constant(
    state: &mut Import<'_, '_>,
    node: &Node<'_>,
    operation: Arithmetic,
    fused: Fused,
    first: bool,
) -> Result<()> {
    let x = state.activation(node, usize::from(first))?;
    let constant = state.constant(node, usize::from(!first))?;
    let kind = x.kind;
    // Weights of a float model may stand in the file as integers here too.
    let constant =
        if kind == PortType::F32 && constant.quant.is_some() { constant.real()? } else { constant };
    check_constant(node, &constant, kind)?;
    // Between integers, too, it is a function of one number, or a factor and summand per channel.
    let reals = constant.dequantized();
    state.spend(node, x.view.shape().iter().product())?;
    let operand = ConstantOperand { shape: constant.tensor.shape(), reals: &reals, first };
    let (result, view) = combine_with_constant(state, node, operation, &x, operand)?;
    let result = state.apply(node, result, fused)?;
    state.give(node, result, view, kind)
}
