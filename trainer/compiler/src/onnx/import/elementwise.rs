//! Functions of one number, sums and products, batch normalization.

use super::attributes::Reader;
use super::dense::attach_bias;
use super::state::{Activation, Constant, Import, Item};
use super::tensor::{Data, OnnxTensor};
use super::view::View;
use crate::error::Result;
use crate::graph::{BatchNorm, Clamp, Op, PortType, Tensor, Unary, ValueId};

pub(super) fn unary(state: &mut Import, node: &Reader<'_>) -> Result<()> {
    let unary = match node.operator() {
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
        other => return Err(node.fault(format!("`{other}` is not a function of one number"))),
    };
    let x = state.activation(node, 0)?;
    give_unary(state, node, &x, unary)
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
    let mut a = state.activation(node, 0)?;
    let mut b = state.activation(node, 1)?;
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
    let rank = a.view.axes.len().max(b.view.axes.len());
    for view in [&mut a.view, &mut b.view] {
        while view.axes.len() < rank {
            view.axes.insert(0, Vec::new());
        }
    }
    let swap = a.view.atoms.len() < b.view.atoms.len();
    let (full, part) = if swap { (&b, &a) } else { (&a, &b) };
    let places = match places_in(&full.view, &part.view) {
        Some(places) => places,
        None => {
            return Err(node.fault(format!(
                "shapes {:?} and {:?} cannot be combined",
                a.view.shape(),
                b.view.shape()
            )));
        }
    };
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|&i| places[i]);
    if !part.view.lies_at(0, &order) && part.view.origin.is_none() && full.view.origin.is_some() {
        // The other operand's order is fixed, so the full one's must follow.
        let mut wanted: Vec<usize> = places.clone();
        wanted.extend((0..full.view.atoms.len()).filter(|p| !places.contains(p)));
        state.arranged(node, full, &wanted)?;
    }
    state.arranged(node, part, &order)?;

    // Sizes of the part's four axes: those of the full value, or 1.
    let whole = state.graph.value(full.value).nhwc().unwrap_or([1; 4]);
    let present: Vec<bool> = (0..full.view.atoms.len()).map(|p| places.contains(&p)).collect();
    let shapes = match group(&full.view, whole, &present) {
        Some(part_shape) => Some((whole, part_shape)),
        None => {
            let all = [1, 1, 1, full.view.atoms.iter().map(|a| a.size).product()];
            present.iter().all(|p| *p).then_some((all, all))
        }
    };
    let Some((whole, part_shape)) = shapes else {
        return Err(node.fault(format!(
            "repeating {:?} over {:?} is not supported",
            part.view.shape(),
            full.view.shape()
        )));
    };
    let (full_value, part_value) = (state.shaped(full.value, whole), state.shaped(part.value, part_shape));
    let inputs = if swap { [part_value, full_value] } else { [full_value, part_value] };
    let view = full.view.detached();
    let result = state.push(node, op, &inputs)?;
    state.give(node, result, view, PortType::F32)
}

/// For each atom of `part`, the atom of `full` that it runs along. Axes of size 1 are repeated.
fn places_in(full: &View, part: &View) -> Option<Vec<usize>> {
    let mut places = vec![0; part.atoms.len()];
    for (f, p) in full.axes.iter().zip(&part.axes) {
        if p.is_empty() {
            continue;
        }
        if f.len() != p.len() {
            return None;
        }
        for (&f, &p) in f.iter().zip(p) {
            if full.atoms[f].size != part.atoms[p].size {
                return None;
            }
            places[p] = f;
        }
    }
    Some(places)
}

/// The four axes of `whole`, with 1 for those whose atoms are not present; `None` where some of
/// an axis' atoms are and others are not.
fn group(view: &View, whole: [usize; 4], present: &[bool]) -> Option<[usize; 4]> {
    let mut shape = whole;
    let mut atom = 0;
    for size in &mut shape {
        let mut covered = 1;
        let start = atom;
        while covered < *size {
            covered *= view.atoms.get(atom)?.size;
            atom += 1;
        }
        if covered != *size {
            return None;
        }
        let here = &present[start..atom];
        if here.iter().all(|p| !p) {
            *size = 1;
        } else if !here.iter().all(|p| *p) {
            return None;
        }
    }
    Some(shape)
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

    if let [number] = reals[..]
        && constant.tensor.shape.len() <= x.view.axes.len()
    {
        let unary = match (operator, first) {
            ("Add", _) => Unary::Linear { scale: 1.0, offset: number },
            ("Sub", false) => Unary::Linear { scale: 1.0, offset: -number },
            ("Sub", true) => Unary::Linear { scale: -1.0, offset: number },
            ("Mul", _) => Unary::Linear { scale: number, offset: 0.0 },
            ("Div", false) if number != 0.0 => Unary::Linear { scale: 1.0 / number, offset: 0.0 },
            ("Div", true) => {
                let inverse = state.push(node, Op::Unary(Unary::Reciprocal), &[x.value])?;
                let x = Activation { value: inverse, ..x };
                return give_unary(state, node, &x, Unary::Linear { scale: number, offset: 0.0 });
            }
            ("Pow", false) => Unary::Pow { exponent: number },
            _ => return Err(node.fault(format!("operand {number} is not supported"))),
        };
        return give_unary(state, node, &x, unary);
    }

    let (varying, spread) = spread(node, &x, &constant.tensor)?;
    let numbers: Vec<f32> = spread.into_iter().map(|i| reals[i]).collect();
    let (scale, offset): (Vec<f32>, Vec<f32>) = match (operator, first) {
        ("Add", _) => (vec![1.0; numbers.len()], numbers),
        ("Sub", false) => (vec![1.0; numbers.len()], numbers.iter().map(|n| -n).collect()),
        ("Sub", true) => (vec![-1.0; numbers.len()], numbers),
        ("Mul", _) => {
            let zeros = vec![0.0; numbers.len()];
            (numbers, zeros)
        }
        ("Div", false) if numbers.iter().all(|n| *n != 0.0) => {
            (numbers.iter().map(|n| 1.0 / n).collect(), vec![0.0; numbers.len()])
        }
        _ => {
            return Err(
                node.fault(format!("a constant of shape {:?} is not supported there", constant.tensor.shape))
            );
        }
    };
    scale_shift(state, node, &x, &varying, scale, offset)
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

/// The axes of `x` along which a constant varies, as atoms, and for each of their places, in the
/// order of the bytes, the index of the constant's element.
fn spread(node: &Reader<'_>, x: &Activation, constant: &OnnxTensor) -> Result<(Vec<usize>, Vec<usize>)> {
    let rank = x.view.axes.len();
    let sizes = x.view.shape();
    let fault = || {
        node.fault(format!(
            "a constant of shape {:?} cannot be combined with an input of shape {sizes:?}",
            constant.shape
        ))
    };
    let lead = rank.checked_sub(constant.shape.len()).ok_or_else(fault)?;
    let mut strides = vec![0usize; x.view.atoms.len()];
    let mut varying = Vec::new();
    let mut stride = 1;
    for (i, &size) in constant.shape.iter().enumerate().rev() {
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

/// `x * scale + offset`, both running over the last atoms.
fn scale_shift(
    state: &mut Import,
    node: &Reader<'_>,
    x: &Activation,
    atoms: &[usize],
    scale: Vec<f32>,
    offset: Vec<f32>,
) -> Result<()> {
    let channels = scale.len();
    let own = state.graph.value(x.value).nhwc().unwrap_or([1; 4]);
    let rest: usize = x.view.atoms[..x.view.atoms.len() - atoms.len()].iter().map(|a| a.size).product();
    let nhwc = if own[3] == channels { own } else { [1, rest, 1, channels] };
    let value = state.shaped(x.value, nhwc);
    let result = push_scale_shift(state, node, value, scale, offset)?;
    // The constants stand in the order of the bytes as they are now.
    let view = View { origin: x.view.origin, ..x.view.clone() };
    state.give(node, result, view, PortType::F32)
}

fn push_scale_shift(
    state: &mut Import,
    node: &Reader<'_>,
    value: ValueId,
    scale: Vec<f32>,
    offset: Vec<f32>,
) -> Result<ValueId> {
    let scale = state.add_parameter(&format!("{}.scale", node.name), Tensor::vector(scale), None);
    let offset = state.add_parameter(&format!("{}.offset", node.name), Tensor::vector(offset), None);
    state.push(node, Op::ScaleShift, &[value, scale, offset])
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
