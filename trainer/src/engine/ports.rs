//! Ports of ONNX models and of plans, and the order of their numbers.

use teff::plan::{Model, ValueRecord};
use teff::shape::View;
use teff_compiler::graph::{self, Graph, PortType};
use teff_compiler::onnx::metadata;

use super::{Port, Quant};
use crate::arrays::ElementType;

/// The ports of a graph's inputs or outputs.
pub(crate) fn of_graph(graph: &Graph, ports: &[graph::Port]) -> Vec<Port> {
    ports
        .iter()
        .map(|port| Port {
            name: port.name.clone(),
            shape: port.shape.iter().map(|&size| Some(size)).collect(),
            element_type: match port.kind {
                PortType::F32 => ElementType::F32,
                PortType::I8 => ElementType::I8,
                PortType::U8 => ElementType::U8,
            },
            quant: graph.value(port.value).quant.as_ref().map(|quant| Quant {
                scale: quant.scale(),
                // Activations are int8 everywhere behind the importer.
                zero_point: quant.zero_point.clamp(-128, 127) as i8,
            }),
        })
        .collect()
}

/// Adds to the inputs of an ONNX model how real numbers become the int8 that it computes with. A model that the
/// compiler cannot import keeps its ports: its engine takes the numbers as they are.
#[cfg(any(feature = "ort", feature = "tract"))]
pub(crate) fn add_quants(inputs: &mut [Port], onnx: &[u8]) {
    let Ok(graph) = teff_compiler::onnx::import(onnx) else { return };
    for known in of_graph(&graph, &graph.inputs) {
        if let Some(port) = inputs.iter_mut().find(|port| port.name == known.name) {
            port.quant = known.quant;
        }
    }
}

/// Inputs or outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// What the model reads.
    In,
    /// What the model gives.
    Out,
}

/// An input or output of a plan: the ONNX tensor that it stands for, and the value that holds it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wire {
    pub(crate) port: Port,
    /// Index in the ONNX tensor of each element of the value in the order `[h, w, c]`.
    pub(crate) nhwc: Vec<usize>,
    /// The same in the order of the value's memory.
    pub(crate) order: Order,
}

/// The inputs or outputs of a plan, as its metadata describes them.
///
/// # Errors
/// What is wrong with the metadata.
pub(crate) fn wires(plan: &Model<'_>, direction: Direction) -> Result<Vec<Wire>, String> {
    let (key, count) = match direction {
        Direction::In => (metadata::INPUTS, plan.n_inputs()),
        Direction::Out => (metadata::OUTPUTS, plan.n_outputs()),
    };
    let text = plan.metadata_value(key).ok_or_else(|| format!("has no metadata key `{key}`"))?;
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() != count {
        return Err(format!("describes {} tensors in `{key}`, but has {count}", lines.len()));
    }
    let values = (0..count).map(|index| match direction {
        Direction::In => plan.input(index),
        Direction::Out => plan.output(index),
    });
    lines
        .iter()
        .zip(values)
        .map(|(line, value)| {
            value
                .and_then(|value| wire(line, &value))
                .ok_or_else(|| format!("has a damaged `{key}`: `{line}`"))
        })
        .collect()
}

/// Reads a line of `teff.inputs`: `type;shape;axes;permutation;name`, as [`graph::Port`] has them.
fn wire(line: &str, value: &ValueRecord) -> Option<Wire> {
    let numbers = |text: &str| -> Option<Vec<usize>> {
        text.split(',').filter(|word| !word.is_empty()).map(|word| word.parse().ok()).collect()
    };
    let mut fields = line.splitn(5, ';');
    let element_type = match fields.next()? {
        "u8" => ElementType::U8,
        // Of a float tensor the plan has the quantized form.
        "f32" | "i8" => ElementType::I8,
        _ => return None,
    };
    let shape = numbers(fields.next()?)?;
    let axes = numbers(fields.next()?)?;
    let permutation = numbers(fields.next()?)?;
    let name = fields.next()?.to_string();
    let mut sorted = permutation.clone();
    sorted.sort_unstable();
    let len = Some(value.view.extent.len());
    if sorted != (0..axes.len()).collect::<Vec<_>>()
        || graph::checked_len(&shape) != len
        || graph::checked_len(&axes) != len
    {
        return None;
    }
    let nhwc = graph::transposed_order(&axes, &permutation);
    let order = Order::new(&nhwc, value.view)?;
    let shape = shape.into_iter().map(Some).collect();
    let port = Port { name, shape, element_type, quant: Some(value.quant) };
    Some(Wire { port, nhwc, order })
}

/// Where the numbers of an ONNX tensor stand in a value of a plan, and the other way.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order(Vec<usize>);

impl Order {
    /// `nhwc` gives, for each element of the value in the order `[h, w, c]`, its index in the ONNX tensor; `view` says
    /// where that element stands in memory. `None` where they do not fit.
    pub(crate) fn new(nhwc: &[usize], view: View) -> Option<Order> {
        let extent = view.extent;
        if nhwc.len() != extent.len() || nhwc.iter().any(|&index| index >= nhwc.len()) {
            return None;
        }
        let mut order = vec![0; nhwc.len()];
        for y in 0..extent.h {
            for x in 0..extent.w {
                for c in 0..extent.c {
                    order[view.index(y, x, c)] = nhwc[(y * extent.w + x) * extent.c + c];
                }
            }
        }
        Some(Order(order))
    }

    /// An ONNX tensor as a value's memory has it.
    pub(crate) fn to_value<T: Copy>(&self, onnx: &[T]) -> Vec<T> {
        self.0.iter().map(|&index| onnx[index]).collect()
    }

    /// The ONNX tensor of a value's memory.
    pub(crate) fn to_onnx<T: Copy + Default>(&self, value: &[T]) -> Vec<T> {
        let mut onnx = vec![T::default(); self.0.len()];
        for (&element, &index) in value.iter().zip(&self.0) {
            onnx[index] = element;
        }
        onnx
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use teff::shape::Layout;

    #[test]
    fn orders_go_there_and_back() {
        // An ONNX tensor [1, 2, 2, 3] (c, h, w) as a value.
        let nhwc = graph::transposed_order(&[1, 2, 2, 3], &[0, 2, 3, 1]);
        let onnx: Vec<i8> = (0..12).collect();
        for (layout, expected) in [
            (Layout::Nhwc, [0, 6, 1, 7, 2, 8, 3, 9, 4, 10, 5, 11]),
            (Layout::Planar, [0, 1, 2, 6, 7, 8, 3, 4, 5, 9, 10, 11]),
        ] {
            let order = Order::new(&nhwc, View::new(2, 3, 2, layout)).unwrap();
            let value = order.to_value(&onnx);
            assert_eq!(value, expected);
            assert_eq!(order.to_onnx(&value), onnx);
        }
        assert_eq!(Order::new(&nhwc, View::new(2, 3, 1, Layout::Nhwc)), None);
    }
}
