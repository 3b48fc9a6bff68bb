//! One operator of the graph as ONNX nodes.

use super::shape::Form;
use super::writer::{Writer, float, int, ints, string};
use crate::error::{Error, Result};
use crate::graph::{Clamp, Conv2d, Graph, MatMul, Node, Op, Padding, Pool2d, Tensor, Unary, ValueId};
use crate::onnx::proto::AttributeProto;

pub(super) fn node(writer: &mut Writer<'_>, index: usize) -> Result<()> {
    let graph: &Graph = writer.graph;
    let node = &graph.nodes[index];
    let shape = |id: ValueId| graph.value(id).nhwc().unwrap_or([1; 4]);
    let (x_shape, y_shape) = (shape(node.inputs[0]), shape(node.output()));
    let form = Form::of(y_shape);
    match &node.op {
        Op::Conv2d(conv) => convolution(writer, node, conv, false),
        Op::DepthwiseConv2d(conv) => convolution(writer, node, conv, true),
        Op::FullyConnected { activation } if form == Form::Vector => dense(writer, node, *activation),
        Op::FullyConnected { activation } => {
            let conv = Conv2d { activation: *activation, ..Conv2d::default() };
            convolution(writer, node, &conv, false)
        }
        Op::ScaleShift => {
            let x = writer.take(node.inputs[0], Form::of(x_shape));
            let c = x_shape[3];
            let sizes = if form == Form::Vector { vec![1, c] } else { vec![1, c, 1, 1] };
            let mut numbers = Vec::new();
            for &input in &node.inputs[1..] {
                let reals = graph.value(input).constant.as_ref().and_then(Tensor::as_f32);
                let reals = reals.ok_or_else(|| fault(node, "its factors are not real"))?;
                numbers.push(writer.reals(&graph.value(input).name, &sizes, reals));
            }
            let scaled = writer.fresh(&format!("{}.scaled", node.name));
            writer.node("Mul", &node.name, &[&x, &numbers[0]], &scaled, Vec::new());
            finish(writer, node, "Add", &[&scaled, &numbers[1]], Vec::new(), Clamp::NONE, form)
        }
        Op::MaxPool2d(pool) => {
            let x = writer.take(node.inputs[0], Form::Nchw);
            let attributes = pool_attributes(pool);
            finish(writer, node, "MaxPool", &[&x], attributes, pool.activation, Form::Nchw)
        }
        Op::AveragePool2d(pool) => {
            let x = writer.take(node.inputs[0], Form::Nchw);
            let whole = pool.filter == [x_shape[1], x_shape[2]] && pool.padding.is_zero();
            if whole && form == Form::Vector {
                return finish(
                    writer,
                    node,
                    "GlobalAveragePool",
                    &[&x],
                    Vec::new(),
                    pool.activation,
                    Form::Nchw,
                );
            }
            let mut attributes = pool_attributes(pool);
            attributes.push(int("count_include_pad", i64::from(pool.count_padding)));
            finish(writer, node, "AveragePool", &[&x], attributes, pool.activation, Form::Nchw)
        }
        Op::Add { activation } | Op::Sub { activation } | Op::Mul { activation } => {
            let operands = [node.inputs[0], node.inputs[1]];
            let wanted = if operands.iter().all(|&o| Form::of(shape(o)) == Form::Vector) {
                Form::Vector
            } else {
                Form::Nchw
            };
            let [a, b] = operands.map(|o| writer.take(o, wanted));
            let name = match node.op {
                Op::Add { .. } => "Add",
                Op::Sub { .. } => "Sub",
                _ => "Mul",
            };
            finish(writer, node, name, &[&a, &b], Vec::new(), *activation, wanted)
        }
        Op::MatMul(product) => mat_mul(writer, node, product),
        Op::Concat { axis } => {
            let parts: Vec<String> = node.inputs.iter().map(|&i| writer.take(i, Form::Nchw)).collect();
            let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
            let onnx_axis = [0, 2, 3, 1][*axis];
            finish(writer, node, "Concat", &parts, vec![int("axis", onnx_axis)], Clamp::NONE, Form::Nchw)
        }
        Op::Pad { padding, value } => {
            let x = writer.take(node.inputs[0], Form::Nchw);
            let Padding { top, left, bottom, right } = *padding;
            let pads = [0, 0, top, left, 0, 0, bottom, right].map(|p| p as i64);
            let pads = writer.ints(pads.to_vec());
            let value = writer.scalar(*value);
            finish(writer, node, "Pad", &[&x, &pads, &value], Vec::new(), Clamp::NONE, Form::Nchw)
        }
        Op::Reshape { shape } => {
            let [_, h, w, c] = x_shape;
            let (name, from) = writer.tensor(node.inputs[0]);
            // The integers are the same: no rounding is written again.
            if form == Form::Vector && from == Form::Nchw {
                writer.set(node.output(), &name, Form::Flattened { h, w, c });
                return Ok(());
            }
            let x = writer.take(node.inputs[0], Form::Nchw);
            let x = writer.transpose(&x, &[0, 2, 3, 1]);
            let x = writer.reshape(&x, shape);
            let x = writer.transpose(&x, &[0, 3, 1, 2]);
            writer.set(node.output(), &x, Form::Nchw);
            Ok(())
        }
        Op::Softmax => {
            let x = writer.take(node.inputs[0], Form::of(x_shape));
            finish(writer, node, "Softmax", &[&x], vec![int("axis", 1)], Clamp::NONE, form)
        }
        Op::Unary(unary) => function(writer, node, *unary),
        Op::Requantize => {
            let (x, form) = writer.tensor(node.inputs[0]);
            if graph.value(node.output()).quant.is_some() {
                writer.give(node.output(), &x, form);
                return Ok(());
            }
            finish(writer, node, "Identity", &[&x], Vec::new(), Clamp::NONE, form)
        }
    }
}

fn fault(node: &Node, reason: &str) -> Error {
    Error::node(&node.name, node.op.name(), reason)
}

/// Adds the node, the limit on its result, and the rounding.
fn finish(
    writer: &mut Writer<'_>,
    node: &Node,
    op_type: &str,
    inputs: &[&str],
    attributes: Vec<AttributeProto>,
    activation: Clamp,
    form: Form,
) -> Result<()> {
    finish_as(writer, node, (&node.name, op_type), inputs, attributes, activation, form)
}

/// As [`finish`], with another name for the node.
fn finish_as(
    writer: &mut Writer<'_>,
    node: &Node,
    (name, op_type): (&str, &str),
    inputs: &[&str],
    attributes: Vec<AttributeProto>,
    activation: Clamp,
    form: Form,
) -> Result<()> {
    let value = node.output();
    let real = if activation.is_none() {
        let real = writer.real_name(value);
        writer.node(op_type, name, inputs, &real, attributes);
        real
    } else {
        let before = writer.fresh(&format!("{}.before", node.name));
        writer.node(op_type, name, inputs, &before, attributes);
        clamp(writer, node, &format!("{}.limit", node.name), &before, activation)
    };
    writer.give(value, &real, form);
    Ok(())
}

fn clamp(writer: &mut Writer<'_>, node: &Node, name: &str, input: &str, clamp: Clamp) -> String {
    let real = writer.real_name(node.output());
    if clamp == Clamp::RELU {
        writer.node("Relu", name, &[input], &real, Vec::new());
        return real;
    }
    let least = if clamp.min == f32::NEG_INFINITY { String::new() } else { writer.scalar(clamp.min) };
    let most = if clamp.max == f32::INFINITY { String::new() } else { writer.scalar(clamp.max) };
    let mut inputs = vec![input, &least, &most];
    while inputs.last().is_some_and(|i| i.is_empty()) {
        inputs.pop();
    }
    writer.node("Clip", name, &inputs, &real, Vec::new());
    real
}

fn pads(padding: &Padding) -> Vec<i64> {
    [padding.top, padding.left, padding.bottom, padding.right].map(|p| p as i64).to_vec()
}

fn pool_attributes(pool: &Pool2d) -> Vec<AttributeProto> {
    vec![
        ints("kernel_shape", pool.filter.map(|s| s as i64).to_vec()),
        ints("strides", pool.stride.map(|s| s as i64).to_vec()),
        ints("pads", pads(&pool.padding)),
    ]
}

/// Filter and bias of a layer: the filter seen as `from`, its axes taken in the order `axes`, seen
/// as `shape`.
fn weights(
    writer: &mut Writer<'_>,
    node: &Node,
    from: &[usize],
    axes: &[usize],
    shape: &[usize],
) -> Result<(String, Option<String>)> {
    let graph = writer.graph;
    let filter = graph.value(node.inputs[1]);
    let tensor = filter.constant.as_ref().ok_or_else(|| fault(node, "its weights are not constant"))?;
    let tensor = tensor.clone().reshaped(from)?.transposed(axes)?.reshaped(shape)?;
    let filter = writer.parameter(&filter.name, &tensor, filter.quant.as_ref(), 0)?;
    let bias = match node.inputs.get(2) {
        None => None,
        Some(&id) => {
            let bias = graph.value(id);
            let tensor = bias.constant.as_ref().ok_or_else(|| fault(node, "its bias is not constant"))?;
            Some(writer.parameter(&bias.name, tensor, bias.quant.as_ref(), 0)?)
        }
    };
    Ok((filter, bias))
}

fn convolution(writer: &mut Writer<'_>, node: &Node, conv: &Conv2d, depthwise: bool) -> Result<()> {
    let graph = writer.graph;
    let from = &graph.value(node.inputs[1]).shape;
    let (axes, sizes): (&[usize], Vec<usize>) = match (depthwise, from.as_slice()) {
        (false, &[o, h, w, i]) => (&[0, 3, 1, 2], vec![o, i, h, w]),
        (true, &[_, h, w, o]) => (&[3, 0, 1, 2], vec![o, 1, h, w]),
        (_, &[o, i]) => (&[0, 1], vec![o, i, 1, 1]),
        _ => return Err(fault(node, "its filter has no such shape")),
    };
    let (h, w) = (sizes[2], sizes[3]);
    let (filter, bias) = weights(writer, node, from, axes, &sizes)?;
    let x = writer.take(node.inputs[0], Form::Nchw);
    let mut inputs = vec![x.as_str(), &filter];
    inputs.extend(bias.as_deref());
    let groups = if depthwise { graph.value(node.inputs[0]).shape[3] } else { conv.groups };
    let attributes = vec![
        ints("kernel_shape", vec![h as i64, w as i64]),
        ints("strides", conv.stride.map(|s| s as i64).to_vec()),
        ints("dilations", conv.dilation.map(|s| s as i64).to_vec()),
        ints("pads", pads(&conv.padding)),
        int("group", groups as i64),
    ];
    finish(writer, node, "Conv", &inputs, attributes, conv.activation, Form::Nchw)
}

/// Tensors `[1, c, h, w]` of stacks of matrices, transposed to `[1, matrices, rows, columns]`, and back.
fn mat_mul(writer: &mut Writer<'_>, node: &Node, product: &MatMul) -> Result<()> {
    let order = &product.order;
    let [a, b] = [0, 1].map(|i| writer.take(node.inputs[i], Form::Nchw));
    let a = writer.transpose(&a, if order.lhs_by_row { &[0, 3, 2, 1] } else { &[0, 2, 3, 1] });
    let b = match (order.rhs_transposed, order.rhs_by_row) {
        (false, false) => writer.transpose(&b, &[0, 2, 3, 1]),
        (false, true) => writer.transpose(&b, &[0, 3, 2, 1]),
        (true, false) => writer.transpose(&b, &[0, 2, 1, 3]),
        (true, true) => writer.transpose(&b, &[0, 3, 1, 2]),
    };
    let result = writer.step("MatMul", &node.name, &[&a, &b], Vec::new());
    let axes = if order.output_by_row { vec![0, 3, 2, 1] } else { vec![0, 3, 1, 2] };
    let attributes = vec![ints("perm", axes)];
    let name = format!("{}.transposed", node.name);
    finish_as(writer, node, (&name, "Transpose"), &[&result], attributes, product.activation, Form::Nchw)
}

fn dense(writer: &mut Writer<'_>, node: &Node, activation: Clamp) -> Result<()> {
    let graph = writer.graph;
    let (name, form) = writer.tensor(node.inputs[0]);
    let filter = graph.value(node.inputs[1]).shape.clone();
    let &[outputs, inputs] = filter.as_slice() else {
        return Err(fault(node, "its filter has no such shape"));
    };
    let (x, filter, bias) = match form {
        Form::Flattened { h, w, c } => {
            // The file flattens in the order c, h, w: so do the columns.
            let x = writer.step("Flatten", &format!("{}.flatten", node.name), &[&name], vec![int("axis", 1)]);
            let (from, axes) = ([outputs, h, w, c], [0, 3, 1, 2]);
            let (filter, bias) = weights(writer, node, &from, &axes, &[outputs, inputs])?;
            (x, filter, bias)
        }
        _ => {
            let x = writer.take(node.inputs[0], Form::Vector);
            let (filter, bias) = weights(writer, node, &[outputs, inputs], &[0, 1], &[outputs, inputs])?;
            (x, filter, bias)
        }
    };
    let mut operands = vec![x.as_str(), &filter];
    operands.extend(bias.as_deref());
    finish(writer, node, "Gemm", &operands, vec![int("transB", 1)], activation, Form::Vector)
}

fn function(writer: &mut Writer<'_>, node: &Node, unary: Unary) -> Result<()> {
    let (x, form) = match writer.tensor(node.inputs[0]) {
        (name, form @ (Form::Nchw | Form::Vector)) => (name, form),
        _ => (writer.take(node.inputs[0], Form::Vector), Form::Vector),
    };
    let plain = |name: &'static str| (name, Vec::new());
    let (op_type, attributes): (&str, Vec<AttributeProto>) = match unary {
        Unary::Clamp(limits) => {
            let real = clamp(writer, node, &node.name, &x, limits);
            writer.give(node.output(), &real, form);
            return Ok(());
        }
        Unary::Linear { scale, offset } => {
            let scale = writer.scalar(scale);
            let offset = writer.scalar(offset);
            let scaled = writer.fresh(&format!("{}.scaled", node.name));
            writer.node("Mul", &node.name, &[&x, &scale], &scaled, Vec::new());
            return finish(writer, node, "Add", &[&scaled, &offset], Vec::new(), Clamp::NONE, form);
        }
        Unary::Swish { alpha } => {
            let mut scaled = x.clone();
            if alpha != 1.0 {
                let factor = writer.scalar(alpha);
                scaled = writer.step("Mul", &format!("{}.scaled", node.name), &[&x, &factor], Vec::new());
            }
            let gate = writer.step("Sigmoid", &format!("{}.gate", node.name), &[&scaled], Vec::new());
            return finish(writer, node, "Mul", &[&x, &gate], Vec::new(), Clamp::NONE, form);
        }
        Unary::Pow { exponent } => {
            let exponent = writer.scalar(exponent);
            return finish(writer, node, "Pow", &[&x, &exponent], Vec::new(), Clamp::NONE, form);
        }
        Unary::Sigmoid => plain("Sigmoid"),
        Unary::Tanh => plain("Tanh"),
        Unary::HardSigmoid { alpha, beta } => {
            ("HardSigmoid", vec![float("alpha", alpha), float("beta", beta)])
        }
        Unary::HardSwish => plain("HardSwish"),
        Unary::LeakyRelu { alpha } => ("LeakyRelu", vec![float("alpha", alpha)]),
        Unary::Elu { alpha, gamma: 1.0, width: 1.0 } => ("Elu", vec![float("alpha", alpha)]),
        Unary::Elu { alpha, gamma, width: 1.0 } => {
            ("Selu", vec![float("alpha", alpha), float("gamma", gamma)])
        }
        Unary::Elu { alpha, gamma: 1.0, width } if alpha == width => ("Celu", vec![float("alpha", alpha)]),
        Unary::Elu { .. } => return Err(fault(node, "this exponential unit has no ONNX operator")),
        Unary::Gelu { tanh } => ("Gelu", vec![string("approximate", if tanh { "tanh" } else { "none" })]),
        Unary::Mish => plain("Mish"),
        Unary::ThresholdedRelu { alpha } => ("ThresholdedRelu", vec![float("alpha", alpha)]),
        Unary::Softplus => plain("Softplus"),
        Unary::Softsign => plain("Softsign"),
        Unary::Exp => plain("Exp"),
        Unary::Log => plain("Log"),
        Unary::Sqrt => plain("Sqrt"),
        Unary::Reciprocal => plain("Reciprocal"),
        Unary::Abs => plain("Abs"),
        Unary::Erf => plain("Erf"),
        Unary::Sin => plain("Sin"),
        Unary::Cos => plain("Cos"),
        Unary::Floor => plain("Floor"),
        Unary::Ceil => plain("Ceil"),
        Unary::Round => plain("Round"),
        Unary::Sign => plain("Sign"),
    };
    finish(writer, node, op_type, &[&x], attributes, Clamp::NONE, form)
}
