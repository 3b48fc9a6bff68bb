//! Functions of one number, sums and products, batch normalization.

use super::attributes::Reader;
use super::dense::attach_bias;
use super::dynamic;
use super::state::{Activation, Constant, Import, Item};
use super::tensor::{Data, OnnxTensor};
use crate::error::Result;
use crate::graph::{BatchNorm, Clamp, Op, PortType, Unary};
use crate::import::{Arithmetic, ConstantOperand, combine, combine_with_constant, push_scale_shift};

pub(super) fn unary(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let unary = function(node)?;
    let x = state.activation(node, 0)?;
    give_unary(state, node, &x, unary)
}

/// The function of one number that a node stands for.
pub(super) fn function(node: &Reader<'_>) -> Result<Unary> {
    Ok(match node.operator() {
        "Relu" => Unary::Clamp(Clamp::RELU),
        "Sigmoid" => Unary::Sigmoid,
        "Tanh" => Unary::Tanh,
        "HardSigmoid" => {
            Unary::HardSigmoid { alpha: node.float_or("alpha", 0.2)?, beta: node.float_or("beta", 0.5)? }
        }
        "HardSwish" => Unary::HardSwish,
        "LeakyRelu" => Unary::LeakyRelu { alpha: node.float_or("alpha", 0.01)? },
        "Elu" => Unary::Elu { alpha: node.float_or("alpha", 1.0)?, gamma: 1.0, width: 1.0 },
        "Selu" => Unary::Elu {
            alpha: node.float_or("alpha", 1.673_263_2)?,
            gamma: node.float_or("gamma", 1.050_701)?,
            width: 1.0,
        },
        "Celu" => {
            let alpha = node.float_or("alpha", 1.0)?;
            Unary::Elu { alpha, gamma: 1.0, width: alpha }
        }
        "Gelu" => match node.string_or("approximate", "none")?.as_str() {
            "none" => Unary::Gelu { tanh: false },
            "tanh" => Unary::Gelu { tanh: true },
            other => return Err(node.fault(format!("approximation `{other}` is not known"))),
        },
        "Mish" => Unary::Mish,
        "ThresholdedRelu" => Unary::ThresholdedRelu { alpha: node.float_or("alpha", 1.0)? },
        "Softplus" => Unary::Softplus,
        "Softsign" => Unary::Softsign,
        "Exp" => Unary::Exp,
        "Log" => Unary::Log,
        "Sqrt" => Unary::Sqrt,
        "Reciprocal" => Unary::Reciprocal,
        "Abs" => Unary::Abs,
        "Neg" => Unary::Linear { scale: -1.0, offset: 0.0 },
        "Erf" => Unary::Erf,
        "Sin" => Unary::Sin,
        "Cos" => Unary::Cos,
        "Floor" => Unary::Floor,
        "Ceil" => Unary::Ceil,
        "Round" => Unary::Round,
        "Sign" => Unary::Sign,
        "Swish" => Unary::Swish { alpha: node.float_or("alpha", 1.0)? },
        other => return Err(node.fault(format!("`{other}` is not a function of one number"))),
    })
}

fn give_unary(state: &mut Import, node: &Reader<'_>, x: &Activation, unary: Unary) -> Result<()> {
    let result = state.push(node, Op::Unary(unary), &[x.value])?;
    state.give(node, result, x.view.clone(), PortType::F32)
}

/// Clip, and Max or Min with one number.
pub(super) fn clip(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let mut clamp = Clamp::NONE;
    let mut operand = 0;
    match node.operator() {
        "Clip" if state.opset < 11 => {
            clamp.min = node.float_or("min", clamp.min)?;
            clamp.max = node.float_or("max", clamp.max)?;
        }
        "Clip" => {
            clamp.min = state.scalar(node, 1)?.unwrap_or(clamp.min);
            clamp.max = state.scalar(node, 2)?.unwrap_or(clamp.max);
        }
        name => {
            if node.proto.input.len() != 2 {
                return Err(node.fault(format!("{} operands, not two", node.proto.input.len())));
            }
            operand = usize::from(matches!(state.item(node, 0)?, Item::Constant(_)));
            let limit = state.scalar(node, 1 - operand)?.unwrap_or(0.0);
            if name == "Max" {
                clamp.min = limit;
            } else {
                clamp.max = limit;
            }
        }
    }
    if clamp.min.is_nan() || clamp.max.is_nan() || clamp.min > clamp.max {
        return Err(node.fault(format!("limits {} and {}", clamp.min, clamp.max)));
    }
    let x = state.activation(node, operand)?;
    give_unary(state, node, &x, Unary::Clamp(clamp))
}

/// Add, Sub, Mul, Div and Pow.
pub(super) fn binary(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    if node.operator() == "Mul" && dynamic::multiply(state, node)? {
        return Ok(());
    }
    // Broadcasting by attribute belongs to versions before those that are read.
    let first_constant = matches!(state.item(node, 0)?, Item::Constant(_));
    let second_constant = matches!(state.item(node, 1)?, Item::Constant(_));
    match (first_constant, second_constant) {
        (true, true) => Err(node
            .fault("an operation on two constants is not folded")
            .remedy("export with constant folding")),
        (false, false) => two_activations(state, node),
        (first, _) => with_constant(state, node, first),
    }
}

fn two_activations(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let a = state.activation(node, 0)?;
    let b = state.activation(node, 1)?;
    let activation = Clamp::NONE;
    let op = match node.operator() {
        "Add" => Op::Add { activation },
        "Sub" => Op::Sub { activation },
        "Mul" => Op::Mul { activation },
        _ => {
            return Err(node
                .fault("both operands are computed by the model")
                .remedy("only Add, Sub and Mul of two activations are supported"));
        }
    };
    let (result, view) = combine(state, node, op, a, b)?;
    state.give(node, result, view, PortType::F32)
}

/// An activation and a constant.
fn with_constant(state: &mut Import, node: &Reader<'_>, first: bool) -> Result<()> {
    let x = state.activation(node, usize::from(first))?;
    let constant = state.constant(node, usize::from(!first))?;
    let operator = node.operator();
    let reals = constant.dequantized();

    // A constant after a matrix product or convolution without bias is its bias.
    if operator == "Add"
        && is_bias(state, node, &x, &constant, usize::from(first))
        && attach_bias(state, node, x.value, &constant)?
    {
        return state.give(node, x.value, x.view.clone(), PortType::F32);
    }

    let operation = match operator {
        "Add" => Arithmetic::Add,
        "Sub" => Arithmetic::Sub,
        "Mul" => Arithmetic::Mul,
        "Div" => Arithmetic::Div,
        _ => Arithmetic::Pow,
    };
    let operand = ConstantOperand { shape: &constant.tensor.shape, reals: &reals, first };
    let (result, view) = combine_with_constant(state, node, operation, &x, operand)?;
    state.give(node, result, view, PortType::F32)
}

fn is_bias(state: &Import, node: &Reader<'_>, x: &Activation, constant: &Constant, operand: usize) -> bool {
    let value = state.graph.value(x.value);
    let channels = value.shape[3];
    // The channels are the last axis of a product, the second one of a convolution.
    let axis = x.view.axes.iter().position(|atoms| {
        atoms.len() == 1 && atoms[0] + 1 == x.view.atoms.len() && x.view.size_of(atoms) == channels
    });
    let Some(axis) = axis else { return false };
    let rank = x.view.axes.len();
    let shape = &constant.tensor.shape;
    let along = (shape.len() + axis).checked_sub(rank).and_then(|a| shape.get(a));
    along == Some(&channels)
        && constant.tensor.len() == channels
        && channels > 1
        && value.quant.is_none()
        && node
            .input(operand)
            // The product itself, not another look at it that shares it with other readers.
            .is_some_and(|name| value.name == name && state.reader_count(name) == 1)
}

pub(super) fn batch_norm(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let epsilon = node.float_or("epsilon", 1e-5)?;
    let _training_only = node.float("momentum")?;
    if node.flag("training_mode", false)? || !node.flag("spatial", true)? {
        return Err(node.fault("it is in training mode").remedy("export the model in eval mode"));
    }
    let x = state.activation(node, 0)?;
    if x.view.axes.len() < 2 {
        return Err(node.fault("its input has no channel axis"));
    }
    let (scale, offset) = (state.reals(node, 1)?, state.reals(node, 2)?);
    let (mean, variance) = (state.reals(node, 3)?, state.reals(node, 4)?);
    let (value, nhwc, order) = state.channels_last(node, &x, &[1])?;
    if [scale.len(), offset.len(), mean.len(), variance.len()] != [nhwc[3]; 4] {
        return Err(node.fault(format!("needs {} of each of its parameters", nhwc[3])));
    }
    let norm = BatchNorm { scale: &scale, offset: &offset, mean: &mean, variance: &variance, epsilon };
    let (scale, offset) = norm.to_scale_shift();
    let gather = |list: &[f32]| order.iter().map(|&i| list[i]).collect::<Vec<f32>>();
    let result = push_scale_shift(state, node, value, gather(&scale), gather(&offset))?;
    state.give(node, result, x.view.clone(), PortType::F32)
}

/// Reals of a constant tensor as `f32` data.
pub(super) fn f32_tensor(shape: Vec<usize>, reals: Vec<f32>) -> OnnxTensor {
    OnnxTensor { shape, data: Data::F32(reals) }
}
