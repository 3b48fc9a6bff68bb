//! Evaluation of a graph in floating point: oracle of the passes, source of the calibration, and
//! the engine `float` of the command line.
//!
//! Values with a quantization are rounded to it where they are produced, so that a quantized graph
//! shows what its integers stand for.

mod conv;
mod elementwise;
pub mod exact;
mod mat_mul;
mod node;
mod patches;

pub(crate) use node::{Prepared, run_node};
pub(crate) use patches::Patches;

use teff::quant::QuantParams;

use crate::error::{Error, Result};
use crate::graph::{ElementType, Elements, Graph, Quant, Tensor, ValueId};

/// Runs a graph over and over, keeping its buffers and prepared weights.
#[derive(Debug)]
pub struct Evaluator<'g> {
    graph: &'g Graph,
    prepared: Vec<Prepared>,
    rounding: Vec<Option<QuantParams>>,
    state: State,
}

/// The numbers of every value of one run.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// By value; empty for constants, and where a value was not computed yet.
    pub values: Vec<Vec<f32>>,
    scratch: Vec<f32>,
}

impl<'g> Evaluator<'g> {
    /// Prepares a graph.
    ///
    /// # Errors
    /// When the graph is not sound.
    pub fn new(graph: &'g Graph) -> Result<Evaluator<'g>> {
        graph.verify()?;
        let prepared = (0..graph.nodes.len()).map(|index| Prepared::new(graph, index)).collect();
        let rounding = graph.values().iter().map(|value| rounding(value.quant.as_ref())).collect();
        let mut state = State::new(graph);
        for (value, numbers) in graph.values().iter().zip(&mut state.values) {
            if !value.is_constant() {
                numbers.resize(value.len(), 0.0);
            }
        }
        Ok(Evaluator { graph, prepared, rounding, state })
    }

    /// Computes all values. `inputs` are real numbers in the order of the inputs' values,
    /// `[h, w, c]`.
    ///
    /// # Errors
    /// When there are not as many inputs, or not as long ones, as the graph has.
    pub fn run(&mut self, inputs: &[&[f32]]) -> Result<()> {
        self.state.take_inputs(self.graph, inputs)?;
        for port in &self.graph.inputs {
            self.round_input(port.value);
        }
        self.run_from(0);
        Ok(())
    }

    /// Computes the operators from `first` on; what they read from others is as it was left.
    pub(crate) fn run_from(&mut self, first: usize) {
        for index in first..self.graph.nodes.len() {
            self.run_node(index);
        }
    }

    /// Rounds a value from now on as `quant` says; `None`: not at all.
    pub(crate) fn set_rounding(&mut self, value: ValueId, quant: Option<&Quant>) {
        self.rounding[value.index()] = rounding(quant);
    }

    /// Rounds an input that was put in.
    fn round_input(&mut self, value: ValueId) {
        round(&mut self.state.values[value.index()], self.rounding[value.index()]);
    }

    /// Puts an input in again and rounds it.
    pub(crate) fn renew_input(&mut self, value: ValueId, numbers: &[f32]) {
        self.state.values[value.index()].copy_from_slice(numbers);
        self.round_input(value);
    }

    /// The numbers of a value after [`Evaluator::run`]; empty for constants.
    pub fn value(&self, id: ValueId) -> &[f32] {
        &self.state.values[id.index()]
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
            let value = &mut self.state.values[id.index()];
            if value.len() != operand.len() {
                return Err(Error::node(&op.name, op.op.name(), "an operand has the wrong length"));
            }
            value.copy_from_slice(operand);
        }
        self.run_node(node);
        Ok(self.value(op.output()))
    }

    fn run_node(&mut self, index: usize) {
        let output = self.graph.nodes[index].output();
        run_node(self.graph, index, &self.prepared[index], &mut self.state);
        round(&mut self.state.values[output.index()], self.rounding[output.index()]);
    }
}

impl State {
    /// A state in which nothing is computed.
    pub fn new(graph: &Graph) -> State {
        State { values: vec![Vec::new(); graph.values().len()], scratch: Vec::new() }
    }

    /// Puts the inputs in, unrounded.
    pub fn take_inputs(&mut self, graph: &Graph, inputs: &[&[f32]]) -> Result<()> {
        if inputs.len() != graph.inputs.len() {
            return Err(Error::model(format!(
                "{} inputs are given, the model has {}",
                inputs.len(),
                graph.inputs.len()
            )));
        }
        for (port, input) in graph.inputs.iter().zip(inputs) {
            let expected = graph.value(port.value).len();
            if expected != input.len() {
                return Err(Error::value(
                    &port.name,
                    format!("{} numbers are given, the input has {expected}", input.len()),
                ));
            }
            let value = &mut self.values[port.value.index()];
            value.clear();
            value.extend_from_slice(input);
        }
        Ok(())
    }
}

/// How a value is rounded where it is produced.
pub(crate) fn rounding(quant: Option<&Quant>) -> Option<QuantParams> {
    let quant = quant.filter(|quant| quant.element_type == ElementType::I8)?;
    Some(QuantParams { scale: quant.scale(), zero_point: quant.zero_point as i8 })
}

/// Rounds numbers to those that the integers can stand for.
pub(crate) fn round(numbers: &mut [f32], params: Option<QuantParams>) {
    if let Some(params) = params {
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
