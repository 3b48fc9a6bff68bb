//! One operator in floating point.

use super::{State, conv, dequantized, elementwise, mat_mul, transposed};
use crate::graph::{Graph, Op, ValueId};

/// Weights in the order in which the loops read them.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// `[k][c_out]` for convolutions and matrix products, as it stands otherwise.
    filter: Vec<f32>,
    bias: Vec<f32>,
}

impl Prepared {
    /// The weights of one node.
    pub fn new(graph: &Graph, index: usize) -> Prepared {
        let node = &graph.nodes[index];
        let constant = |index: usize| match node.inputs.get(index) {
            Some(&id) => graph.value(id).constant.as_ref().map(|t| (t, &graph.value(id).quant)),
            None => None,
        };
        let filter = constant(1).map(|(t, q)| dequantized(t, q.as_ref())).unwrap_or_default();
        let bias = constant(2).map(|(t, q)| dequantized(t, q.as_ref())).unwrap_or_default();
        let filter = match node.op {
            Op::Conv2d(_) | Op::FullyConnected { .. } => {
                let outputs = graph.value(node.inputs[1]).shape[0];
                transposed(&filter, outputs)
            }
            _ => filter,
        };
        Prepared { filter, bias }
    }
}

/// Computes one operator, unrounded. Its operands have been computed.
pub(crate) fn run_node(graph: &Graph, index: usize, prepared: &Prepared, state: &mut State) {
    let node = &graph.nodes[index];
    let output_id = node.output();
    let shape = |id: ValueId| graph.value(id).nhwc().unwrap_or([1; 4]);
    let mut output = std::mem::take(&mut state.values[output_id.index()]);
    output.resize(graph.value(output_id).len(), 0.0);
    let State { values, scratch } = &mut *state;
    let operand = |i: usize| values[node.inputs[i].index()].as_slice();
    let (x_shape, y_shape) = (shape(node.inputs[0]), shape(output_id));
    match &node.op {
        Op::Conv2d(conv) => {
            let filter = graph.value(node.inputs[1]).nhwc().unwrap_or([1; 4]);
            let problem = conv::Problem { conv, filter, x_shape, y_shape };
            let x = &values[node.inputs[0].index()];
            conv::conv_2d(&problem, x, &prepared.filter, &prepared.bias, &mut output, scratch);
        }
        Op::DepthwiseConv2d(conv) => {
            let filter = graph.value(node.inputs[1]).nhwc().unwrap_or([1; 4]);
            let problem = conv::Problem { conv, filter, x_shape, y_shape };
            conv::depthwise_conv_2d(&problem, operand(0), &prepared.filter, &prepared.bias, &mut output);
        }
        Op::FullyConnected { .. } => {
            conv::rows_by_matrix(
                operand(0),
                x_shape[3],
                &prepared.filter,
                &prepared.bias,
                y_shape[3],
                &mut output,
            );
        }
        Op::ScaleShift => {
            let x = operand(0);
            let channels = x_shape[3];
            for (y, x) in output.chunks_exact_mut(channels).zip(x.chunks_exact(channels)) {
                for c in 0..channels {
                    y[c] = x[c] * prepared.filter[c] + prepared.bias[c];
                }
            }
        }
        Op::MaxPool2d(pool) => conv::max_pool(pool, operand(0), x_shape, y_shape, &mut output),
        Op::AveragePool2d(pool) => {
            conv::average_pool(pool, operand(0), x_shape, y_shape, &mut output);
        }
        Op::Add { .. } | Op::Sub { .. } | Op::Mul { .. } => {
            let b_shape = shape(node.inputs[1]);
            let f = match &node.op {
                Op::Add { .. } => |a: f32, b: f32| a + b,
                Op::Sub { .. } => |a: f32, b: f32| a - b,
                _ => |a: f32, b: f32| a * b,
            };
            elementwise::binary(f, operand(0), x_shape, operand(1), b_shape, &mut output, y_shape);
        }
        Op::MatMul(product) => {
            let shapes = [x_shape, shape(node.inputs[1]), y_shape];
            mat_mul::products(product, shapes, operand(0), operand(1), &mut output);
        }
        Op::Concat { axis } => {
            let inner: usize = y_shape[axis + 1..].iter().product();
            let row = y_shape[*axis] * inner;
            let mut start = 0;
            for i in 0..node.inputs.len() {
                let part = shape(node.inputs[i])[*axis] * inner;
                for (y, x) in output.chunks_exact_mut(row).zip(operand(i).chunks_exact(part)) {
                    y[start..start + part].copy_from_slice(x);
                }
                start += part;
            }
        }
        Op::Pad { padding, value } => {
            output.fill(*value);
            let (row_in, row_out) = (x_shape[2] * x_shape[3], y_shape[2] * y_shape[3]);
            for (h, x) in operand(0).chunks_exact(row_in).enumerate() {
                let start = (h + padding.top) * row_out + padding.left * x_shape[3];
                output[start..start + row_in].copy_from_slice(x);
            }
        }
        Op::Reshape { .. } | Op::Requantize => output.copy_from_slice(operand(0)),
        Op::Softmax => elementwise::softmax(operand(0), x_shape[3], &mut output),
        Op::Unary(unary) => {
            for (y, &x) in output.iter_mut().zip(operand(0)) {
                *y = unary.apply(x);
            }
        }
    }
    if let Some(clamp) = node.op.activation().filter(|c| !c.is_none()) {
        for y in &mut output {
            *y = clamp.apply(*y);
        }
    }
    state.values[output_id.index()] = output;
}
