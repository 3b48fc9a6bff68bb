//! Evaluation of a graph in floating point: oracle of the passes, source of the calibration, and
//! the engine `float` of the command line.
//!
//! Values with a quantization are rounded to it where they are produced, so that a quantized graph
//! shows what its integers stand for.

mod conv;
mod elementwise;

use teff::quant::QuantParams;

use crate::error::{Error, Result};
use crate::graph::{ElementType, Elements, Graph, Op, Quant, Tensor, ValueId};

/// Runs a graph over and over, keeping its buffers and prepared weights.
#[derive(Debug)]
pub struct Evaluator<'g> {
    graph: &'g Graph,
    values: Vec<Vec<f32>>,
    prepared: Vec<Prepared>,
    scratch: Vec<f32>,
}

/// Weights in the order in which the loops read them.
#[derive(Debug, Default)]
struct Prepared {
    /// `[k][c_out]` for convolutions and matrix products, as it stands otherwise.
    filter: Vec<f32>,
    bias: Vec<f32>,
}

impl<'g> Evaluator<'g> {
    /// Prepares a graph.
    ///
    /// # Errors
    /// When the graph is not sound.
    pub fn new(graph: &'g Graph) -> Result<Evaluator<'g>> {
        graph.verify()?;
        let prepared = graph.nodes.iter().map(|node| {
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
        });
        let prepared = prepared.collect();
        let values = graph
            .values()
            .iter()
            .map(|v| if v.is_constant() { Vec::new() } else { vec![0.0; v.len()] })
            .collect();
        Ok(Evaluator { graph, values, prepared, scratch: Vec::new() })
    }

    /// Computes all values. `inputs` are real numbers in the order of the inputs' values,
    /// `[h, w, c]`.
    ///
    /// # Errors
    /// When there are not as many inputs, or not as long ones, as the graph has.
    pub fn run(&mut self, inputs: &[&[f32]]) -> Result<()> {
        if inputs.len() != self.graph.inputs.len() {
            return Err(Error::model(format!(
                "{} inputs are given, the model has {}",
                inputs.len(),
                self.graph.inputs.len()
            )));
        }
        for (port, input) in self.graph.inputs.iter().zip(inputs) {
            let value = &mut self.values[port.value.index()];
            if value.len() != input.len() {
                return Err(Error::value(
                    &port.name,
                    format!("{} numbers are given, the input has {}", input.len(), value.len()),
                ));
            }
            value.copy_from_slice(input);
            round(value, self.graph.value(port.value).quant.as_ref());
        }
        for index in 0..self.graph.nodes.len() {
            self.run_node(index);
        }
        Ok(())
    }

    /// The numbers of a value after [`Evaluator::run`]; empty for constants.
    pub fn value(&self, id: ValueId) -> &[f32] {
        &self.values[id.index()]
    }

    /// The numbers of an output of the model.
    pub fn output(&self, index: usize) -> &[f32] {
        self.value(self.graph.outputs[index].value)
    }

    /// Computes one operator from given operands: for comparing layer by layer.
    ///
    /// # Errors
    /// When an operand's length does not fit.
    pub fn run_alone(&mut self, node: usize, operands: &[&[f32]]) -> Result<&[f32]> {
        let op = &self.graph.nodes[node];
        let activations = op.inputs.iter().filter(|&&i| !self.graph.value(i).is_constant());
        for (&id, operand) in activations.zip(operands) {
            let value = &mut self.values[id.index()];
            if value.len() != operand.len() {
                return Err(Error::node(&op.name, op.op.name(), "an operand has the wrong length"));
            }
            value.copy_from_slice(operand);
        }
        self.run_node(node);
        Ok(&self.values[op.output().index()])
    }

    fn run_node(&mut self, index: usize) {
        let graph = self.graph;
        let node = &graph.nodes[index];
        let output_id = node.output();
        let shape = |id: ValueId| graph.value(id).nhwc().unwrap_or([1; 4]);
        let mut output = std::mem::take(&mut self.values[output_id.index()]);
        let prepared = &self.prepared[index];
        let operand = |i: usize| self.values[node.inputs[i].index()].as_slice();
        let (x_shape, y_shape) = (shape(node.inputs[0]), shape(output_id));
        match &node.op {
            Op::Conv2d(conv) => {
                let filter = graph.value(node.inputs[1]).nhwc().unwrap_or([1; 4]);
                let problem = conv::Problem { conv, filter, x_shape, y_shape };
                let x = &self.values[node.inputs[0].index()];
                conv::conv_2d(&problem, x, &prepared.filter, &prepared.bias, &mut output, &mut self.scratch);
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
        round(&mut output, graph.value(output_id).quant.as_ref());
        self.values[output_id.index()] = output;
    }
}

/// Rounds numbers to those that the integers can stand for.
fn round(numbers: &mut [f32], quant: Option<&Quant>) {
    if let Some(quant) = quant
        && quant.element_type == ElementType::I8
    {
        let params = QuantParams { scale: quant.scale(), zero_point: quant.zero_point as i8 };
        for x in numbers {
            *x = params.dequantize(params.quantize(*x));
        }
    }
}

/// The real numbers that a constant stands for.
pub fn dequantized(tensor: &Tensor, quant: Option<&Quant>) -> Vec<f32> {
    let Some(quant) = quant else {
        return match tensor.elements() {
            Elements::F32(v) => v.clone(),
            Elements::I8(v) => v.iter().map(|&x| f32::from(x)).collect(),
            Elements::I32(v) => v.iter().map(|&x| x as f32).collect(),
        };
    };
    let inner: usize = match quant.channel_axis {
        Some(axis) => tensor.shape()[axis + 1..].iter().product(),
        None => 1,
    };
    let channels = quant.scales.len();
    let scale = |i: usize| quant.scales[if channels > 1 { i / inner % channels } else { 0 }];
    match tensor.elements() {
        Elements::F32(v) => v.clone(),
        Elements::I8(v) => v.iter().enumerate().map(|(i, &q)| f32::from(q) * scale(i)).collect(),
        Elements::I32(v) => {
            v.iter().enumerate().map(|(i, &q)| (f64::from(q) * f64::from(scale(i))) as f32).collect()
        }
    }
}

/// `[rows][columns]` to `[columns][rows]`.
fn transposed(matrix: &[f32], rows: usize) -> Vec<f32> {
    let columns = matrix.len() / rows.max(1);
    let mut result = vec![0.0; matrix.len()];
    for (r, row) in matrix.chunks_exact(columns.max(1)).enumerate() {
        for (c, &x) in row.iter().enumerate() {
            result[c * rows + r] = x;
        }
    }
    result
}
