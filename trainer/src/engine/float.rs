//! The compiler's own evaluator, in floating point. A quantized model is rounded wherever its integers are.

use std::path::Path;

use anyhow::Result;
use teff_compiler::evaluate::Evaluator;
use teff_compiler::graph::Graph;

use super::{Engine, Port, ports};
use crate::arrays::{Array, ElementType};
use crate::model_file;

/// A graph and its ports.
#[derive(Debug)]
pub struct Float {
    graph: Graph,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

impl Float {
    /// Loads a model file.
    pub fn load(model: &Path) -> Result<Float> {
        Ok(Float::new(model_file::import(model)?))
    }

    /// An engine of a graph.
    pub fn new(graph: Graph) -> Float {
        // Real numbers in and out, whatever the integers of the file are.
        let real = |ports: Vec<Port>| {
            ports.into_iter().map(|port| Port { element_type: ElementType::F32, ..port }).collect()
        };
        let inputs = real(ports::of_graph(&graph, &graph.inputs));
        let outputs = real(ports::of_graph(&graph, &graph.outputs));
        Float { graph, inputs, outputs }
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }
}

impl Engine for Float {
    fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    fn run(&mut self, examples: &[Vec<Array>]) -> Result<Vec<Vec<Array>>> {
        let graph = &self.graph;
        let mut evaluator = Evaluator::new(graph)?;
        let input_orders: Vec<Vec<usize>> = graph.inputs.iter().map(|port| port.order()).collect();
        let output_orders: Vec<Vec<usize>> = graph.outputs.iter().map(|port| port.order()).collect();
        let mut results = Vec::with_capacity(examples.len());
        for example in examples {
            let values: Vec<Vec<f32>> = example
                .iter()
                .zip(&input_orders)
                .map(|(array, order)| {
                    let numbers = array.to_f32();
                    order.iter().map(|&i| numbers[i]).collect()
                })
                .collect();
            let slices: Vec<&[f32]> = values.iter().map(Vec::as_slice).collect();
            evaluator.run(&slices)?;
            let outputs =
                graph.outputs.iter().zip(&output_orders).enumerate().map(|(index, (port, order))| {
                    let mut numbers = vec![0.0; order.len()];
                    for (&i, &number) in order.iter().zip(evaluator.output(index)) {
                        numbers[i] = number;
                    }
                    Array::f32(&port.shape, numbers)
                });
            results.push(outputs.collect());
        }
        Ok(results)
    }
}
