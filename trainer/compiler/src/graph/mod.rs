//! The graph: operators over values whose axes are `[n, h, w, c]`.
//!
//! A graph is built by [`Builder`] or by [`crate::import()`], changed by [`crate::passes`],
//! and lowered to a plan. Nodes stand in an order in which they can be run. Weights are values
//! with a constant. A value with a [`Quant`] is held in integers, rounded where it is produced; a
//! graph without any is a float graph.

mod build;
mod dump;
mod infer;
mod node;
mod tensor;
mod value;
mod verify;

use std::collections::{BTreeMap, BTreeSet};

pub use build::{BatchNorm, Builder};
pub(crate) use infer::Stack;
pub use infer::output_shape;
pub use node::{Clamp, Conv2d, MatMul, MatrixOrder, Node, Op, Padding, Pool2d, Unary};
pub use tensor::{ElementType, Elements, Tensor, checked_len, transposed_order};
pub use value::{Quant, Value, ValueId};

/// Operators over values.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Graph {
    /// Name of the model.
    pub name: String,
    /// What the model reads.
    pub inputs: Vec<Port>,
    /// What the model gives.
    pub outputs: Vec<Port>,
    /// Operators, each after those it reads from.
    pub nodes: Vec<Node>,
    /// Facts about the model that are not arithmetic: the `teff.` keys of an ONNX file.
    pub metadata: BTreeMap<String, String>,
    /// What a person should know of how the graph came about: what an import left out, what the
    /// quantization changed. Whole sentences; they are shown, and no arithmetic depends on them.
    pub notes: Vec<String>,
    values: Vec<Value>,
}

/// An input or output of the model, with the shape that it has in the model file.
///
/// The file's tensor, seen with the shape `axes` (its own shape, with axes split where the
/// permutation has to go through one), gives the bytes of the value when its axes are taken in the
/// order `permutation`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The value.
    pub value: ValueId,
    /// Name in the model file.
    pub name: String,
    /// Shape in the model file.
    pub shape: Vec<usize>,
    /// The same shape with some axes split.
    pub axes: Vec<usize>,
    /// Order of `axes` in the value's bytes.
    pub permutation: Vec<usize>,
    /// Type in the model file.
    pub kind: PortType,
}

/// The type that an input or output has in the model file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortType {
    /// Real numbers.
    F32,
    /// Quantized, signed: the value's own integers.
    I8,
    /// Quantized, unsigned: the value's integers plus 128.
    U8,
}

impl PortType {
    /// Short name.
    pub fn name(self) -> &'static str {
        match self {
            PortType::F32 => "f32",
            PortType::I8 => "i8",
            PortType::U8 => "u8",
        }
    }
}

impl Port {
    /// The port of a value that is given to others as ONNX convolutions have it: `[1, c, h, w]`,
    /// or `[1, c]` where there is one place only.
    pub fn channels_first(value: ValueId, name: &str, nhwc: [usize; 4]) -> Port {
        let [n, h, w, c] = nhwc;
        let (shape, permutation) =
            if h == 1 && w == 1 { (vec![n, c], vec![0, 1]) } else { (vec![n, c, h, w], vec![0, 2, 3, 1]) };
        Port { value, name: name.to_string(), axes: shape.clone(), shape, permutation, kind: PortType::F32 }
    }

    /// Index in the file's tensor of each element of the value, in the value's order.
    pub fn order(&self) -> Vec<usize> {
        transposed_order(&self.axes, &self.permutation)
    }

    /// The elements of the file's tensor in the value's order.
    pub fn to_value<T: Copy>(&self, onnx: &[T]) -> Vec<T> {
        self.order().into_iter().map(|i| onnx[i]).collect()
    }

    /// The value's elements in the order of the file's tensor.
    pub fn to_onnx<T: Copy + Default>(&self, value: &[T]) -> Vec<T> {
        let mut onnx = vec![T::default(); value.len()];
        for (&i, &element) in self.order().iter().zip(value) {
            onnx[i] = element;
        }
        onnx
    }
}

impl Graph {
    /// An empty graph.
    pub fn new(name: &str) -> Graph {
        Graph { name: name.to_string(), ..Graph::default() }
    }

    /// Adds a note, once.
    pub fn note(&mut self, sentence: impl Into<String>) {
        let sentence = sentence.into();
        if !self.notes.contains(&sentence) {
            self.notes.push(sentence);
        }
    }

    /// All values, in the order in which they were added.
    pub fn values(&self) -> &[Value] {
        &self.values
    }

    /// Ids of all values.
    pub fn value_ids(&self) -> impl Iterator<Item = ValueId> + use<> {
        (0..self.values.len() as u32).map(ValueId)
    }

    /// One value.
    pub fn value(&self, id: ValueId) -> &Value {
        &self.values[id.index()]
    }

    /// One value, to be changed.
    pub fn value_mut(&mut self, id: ValueId) -> &mut Value {
        &mut self.values[id.index()]
    }

    /// Adds a value.
    pub fn add_value(&mut self, value: Value) -> ValueId {
        self.values.push(value);
        ValueId((self.values.len() - 1) as u32)
    }

    /// Adds an activation.
    pub fn add_activation(&mut self, name: &str, nhwc: [usize; 4]) -> ValueId {
        let name = self.fresh_value_name(name);
        self.add_value(Value { name, shape: nhwc.to_vec(), constant: None, quant: None })
    }

    /// Adds a constant.
    pub fn add_constant(&mut self, name: &str, tensor: Tensor) -> ValueId {
        let name = self.fresh_value_name(name);
        let shape = tensor.shape().to_vec();
        self.add_value(Value { name, shape, constant: Some(tensor), quant: None })
    }

    /// The value of that name.
    pub fn find_value(&self, name: &str) -> Option<ValueId> {
        self.value_ids().find(|&id| self.value(id).name == name)
    }

    /// `name`, or `name.2`, `name.3`, … where a value has it already.
    pub fn fresh_value_name(&self, name: &str) -> String {
        fresh(name, self.values.iter().map(|v| v.name.as_str()))
    }

    /// `name`, or `name.2`, `name.3`, … where a node has it already.
    pub fn fresh_node_name(&self, name: &str) -> String {
        fresh(name, self.nodes.iter().map(|node| node.name.as_str()))
    }

    /// For each value, the index of the node that produces it.
    pub fn producers(&self) -> Vec<Option<usize>> {
        let mut producers = vec![None; self.values.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for output in &node.outputs {
                producers[output.index()] = Some(index);
            }
        }
        producers
    }

    /// For each value, the indices of the nodes that read it.
    pub fn consumers(&self) -> Vec<Vec<usize>> {
        let mut consumers = vec![Vec::new(); self.values.len()];
        for (index, node) in self.nodes.iter().enumerate() {
            for input in &node.inputs {
                let list: &mut Vec<usize> = &mut consumers[input.index()];
                if list.last() != Some(&index) {
                    list.push(index);
                }
            }
        }
        consumers
    }

    /// True where the value is an output of the model.
    pub fn is_output(&self, id: ValueId) -> bool {
        self.outputs.iter().any(|port| port.value == id)
    }

    /// True where the value is an input of the model.
    pub fn is_input(&self, id: ValueId) -> bool {
        self.inputs.iter().any(|port| port.value == id)
    }

    /// Lets every reader of `old`, outputs of the model included, read `new`.
    pub fn replace_uses(&mut self, old: ValueId, new: ValueId) {
        for node in &mut self.nodes {
            for input in &mut node.inputs {
                if *input == old {
                    *input = new;
                }
            }
        }
        for port in &mut self.outputs {
            if port.value == old {
                port.value = new;
            }
        }
    }

    /// True where some activation is held in integers: the model is not a float model.
    pub fn has_integers(&self) -> bool {
        self.values.iter().any(|value| !value.is_constant() && value.quant.is_some())
    }

    /// True where every activation is held in integers.
    pub fn is_quantized(&self) -> bool {
        self.nodes.iter().all(|node| node.outputs.iter().all(|&o| self.value(o).quant.is_some()))
            && self.inputs.iter().all(|port| self.value(port.value).quant.is_some())
    }

    /// Drops the values for which `keep` is false and numbers the others anew. Values in use must
    /// be kept.
    pub(crate) fn retain_values(&mut self, keep: &[bool]) {
        let mut renamed = vec![ValueId(0); self.values.len()];
        let mut kept = Vec::new();
        for (index, value) in std::mem::take(&mut self.values).into_iter().enumerate() {
            if keep[index] {
                renamed[index] = ValueId(kept.len() as u32);
                kept.push(value);
            }
        }
        self.values = kept;
        let ports = self.inputs.iter_mut().chain(&mut self.outputs);
        for port in ports {
            port.value = renamed[port.value.index()];
        }
        for node in &mut self.nodes {
            for id in node.inputs.iter_mut().chain(&mut node.outputs) {
                *id = renamed[id.index()];
            }
        }
    }
}

fn fresh<'a>(name: &str, mut names: impl Iterator<Item = &'a str> + Clone) -> String {
    if !names.clone().any(|n| n == name) {
        return name.to_string();
    }
    let taken: BTreeSet<&str> = names.by_ref().filter(|n| n.starts_with(name)).collect();
    (2u32..).map(|n| format!("{name}.{n}")).find(|n| !taken.contains(n.as_str())).unwrap_or_default()
}
