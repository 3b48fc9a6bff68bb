//! Exact arithmetic: the integers that a quantized model should ideally give. Each operator's real result is rounded
//! once; what the runtime gives is compared with this.

use std::path::Path;

use anyhow::{Result, bail};
use teff_compiler::evaluate::exact;
use teff_compiler::graph::Graph;

use super::{Engine, Port, ports};
use crate::arrays::{Array, Data, ElementType};
use crate::model_file;

/// A quantized graph and its ports.
#[derive(Debug)]
pub struct Exact {
    graph: Graph,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

impl Exact {
    /// Loads a quantized model.
    pub fn load(model: &Path) -> Result<Exact> {
        let bytes = model_file::read(model)?;
        let graph = teff_compiler::compile::import_quantized(&bytes).map_err(|error| error.in_file(model))?;
        let exact = Exact::new(graph);
        // What is not held in integers is refused here, not in the first inference.
        exact::Exact::new(&exact.graph).map_err(|error| error.in_file(model))?;
        Ok(exact)
    }

    /// An engine of a graph.
    pub fn new(graph: Graph) -> Exact {
        let inputs = integers(ports::of_graph(&graph, &graph.inputs));
        let outputs = integers(ports::of_graph(&graph, &graph.outputs));
        Exact { graph, inputs, outputs }
    }
}

/// The ports with integers in place of real numbers.
fn integers(ports: Vec<Port>) -> Vec<Port> {
    let integer = |port: Port| match port.element_type {
        ElementType::F32 => Port { element_type: ElementType::I8, ..port },
        _ => port,
    };
    ports.into_iter().map(integer).collect()
}

/// The int8 numbers of an array of int8 or uint8.
pub(crate) fn signed(array: &Array) -> Option<Vec<i8>> {
    match &array.data {
        Data::I8(raw) => Some(raw.clone()),
        Data::U8(raw) => Some(raw.iter().map(|&q| (i16::from(q) - 128) as i8).collect()),
        _ => None,
    }
}

impl Engine for Exact {
    fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    fn run(&mut self, examples: &[Vec<Array>]) -> Result<Vec<Vec<Array>>> {
        let graph = &self.graph;
        let mut exact = exact::Exact::new(graph)?;
        let mut results = Vec::with_capacity(examples.len());
        for example in examples {
            let mut values = Vec::with_capacity(example.len());
            for (port, array) in graph.inputs.iter().zip(example) {
                let Some(numbers) = signed(array) else { bail!("input `{}` takes int8", port.name) };
                values.push(port.to_value(&numbers));
            }
            let slices: Vec<&[i8]> = values.iter().map(Vec::as_slice).collect();
            exact.run(&slices)?;
            let outputs = graph.outputs.iter().zip(&self.outputs).enumerate().map(|(index, (port, wire))| {
                let numbers = port.to_onnx(exact.output(index));
                let data = match wire.element_type {
                    ElementType::U8 => {
                        Data::U8(numbers.iter().map(|&q| (i16::from(q) + 128) as u8).collect())
                    }
                    _ => Data::I8(numbers),
                };
                Array { shape: port.shape.clone(), data }
            });
            results.push(outputs.collect());
        }
        Ok(results)
    }
}
