//! The import while it runs: what each ONNX name stands for, and the arrangement of bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use super::attributes::Reader;
use super::item::Symbol;
pub(super) use super::item::{Constant, ConstantQuant, Item};
use super::tensor::OnnxTensor;
use super::{input_shape, tensor};
use crate::error::{Error, Result};
use crate::graph::{Graph, PortType, ValueId};
pub(super) use crate::import::Activation;
use crate::import::{Assembly, InputOrders, View, absorb};
use crate::onnx::metadata;
use crate::onnx::proto::{GraphProto, data_type};

/// Elements of all constants together that a file may have computed, besides moving each of its own
/// twice.
const FOLDED_ELEMENTS: usize = 1 << 24;

/// Largest number of inputs of a model that is accepted.
const MAX_INPUTS: usize = 64;

/// A node that moves or compares integers.
struct SameIntegers {
    node: String,
    operator: &'static str,
    values: Vec<ValueId>,
}

/// The import while it runs.
pub(super) struct Import {
    assembly: Assembly,
    pub opset: i64,
    items: BTreeMap<String, Item>,
    /// Every name that the file has, and those made up here.
    names: BTreeSet<String>,
    reader_counts: BTreeMap<String, usize>,
    /// Elements of constants that may still be computed.
    budget: usize,
    /// Operators on integers as they are: what they read and give has one scale and zero point.
    same_integers: Vec<SameIntegers>,
    /// Names of the classes that the scores of a value stand for.
    classes: Vec<(ValueId, Vec<String>)>,
}

impl Deref for Import {
    type Target = Assembly;

    fn deref(&self) -> &Assembly {
        &self.assembly
    }
}

impl DerefMut for Import {
    fn deref_mut(&mut self) -> &mut Assembly {
        &mut self.assembly
    }
}

impl Import {
    pub fn new(opset: i64, file: &GraphProto, orders: &InputOrders) -> Result<Import> {
        let mut state = Import {
            assembly: Assembly::new(file.name.as_deref().unwrap_or("")),
            opset,
            items: BTreeMap::new(),
            names: file.node.iter().flat_map(|n| n.output.iter().cloned()).collect(),
            reader_counts: BTreeMap::new(),
            budget: FOLDED_ELEMENTS,
            same_integers: Vec::new(),
            classes: Vec::new(),
        };
        for tensor in &file.initializer {
            let name = tensor.name.as_deref().unwrap_or("");
            state.names.insert(name.to_string());
            if tensor.data_type == Some(data_type::STRING) {
                state.set(name, Item::Symbol(Symbol::Texts(tensor::texts(tensor))));
            } else {
                let tensor = OnnxTensor::read(tensor)?;
                state.budget = state.budget.saturating_add(2 * tensor.len());
                state.set_constant(name, tensor);
            }
        }
        state.names.extend(file.input.iter().filter_map(|i| i.name.clone()));
        for (index, info) in file.input.iter().enumerate() {
            let name = info.name.as_deref().unwrap_or("");
            // Older files list their initializers among the inputs too.
            if state.items.contains_key(name) {
                continue;
            }
            if state.graph.inputs.len() == MAX_INPUTS {
                return Err(Error::value(name, format!("the model has more than {MAX_INPUTS} inputs"))
                    .remedy("this is not a model for small devices"));
            }
            let (kind, shape) = input_shape(info)?;
            let view = match orders.get(&index) {
                Some(atoms) => View::of_input(index, &shape, atoms.clone()),
                None => {
                    let permutation: &[usize] = match shape.len() {
                        4 => &[0, 2, 3, 1],
                        3 => &[0, 2, 1],
                        rank => &[0, 1, 2, 3, 4, 5, 6, 7][..rank.min(8)],
                    };
                    if shape.len() > 8 {
                        return Err(Error::value(name, format!("{} axes are too many", shape.len())));
                    }
                    View { origin: Some(index), ..View::permuted(&shape, permutation) }
                }
            };
            let value = state.graph.add_activation(name, view.nhwc());
            let kind = match kind {
                data_type::INT8 => PortType::I8,
                data_type::UINT8 => PortType::U8,
                _ => PortType::F32,
            };
            let port = view.port(value, name, kind);
            state.graph.inputs.push(port);
            state.items.insert(name.to_string(), Item::Activation(Activation { value, view, kind }));
        }
        Ok(state)
    }

    pub fn set_reader_counts(&mut self, counts: &BTreeMap<&str, usize>) {
        self.reader_counts = counts.iter().map(|(k, v)| (k.to_string(), *v)).collect();
    }

    /// How many nodes and outputs read an ONNX tensor.
    pub fn reader_count(&self, name: &str) -> usize {
        self.reader_counts.get(name).copied().unwrap_or(0)
    }

    pub fn set_constant(&mut self, name: &str, tensor: OnnxTensor) {
        let constant = Constant { name: name.to_string(), tensor: Rc::new(tensor), quant: None };
        self.items.insert(name.to_string(), Item::Constant(constant));
    }

    pub fn set(&mut self, name: &str, item: Item) {
        self.items.insert(name.to_string(), item);
    }

    /// A tensor name that the file does not have.
    pub fn fresh_name(&mut self, name: &str) -> String {
        let mut candidate = name.to_string();
        let mut number = 2u32;
        while !self.names.insert(candidate.clone()) {
            candidate = format!("{name}.{number}");
            number += 1;
        }
        candidate
    }

    /// Says that a node gives the integers that it reads, where they are integers: all of them have one
    /// scale and zero point.
    pub fn keep_integers(&mut self, node: &Reader<'_>, kind: PortType, inputs: &[ValueId], output: ValueId) {
        if kind != PortType::F32 {
            let operator = super::table::find(node.proto).map_or("", |o| o.name);
            let values = inputs.iter().copied().chain([output]).collect();
            self.same_integers.push(SameIntegers { node: node.name.clone(), operator, values });
        }
    }

    /// Gives integers that are only moved the scale and zero point that is known of any of them.
    fn spread_quantization(&mut self) -> Result<()> {
        let nodes = std::mem::take(&mut self.same_integers);
        // A scale travels along one node in each round, forwards or backwards.
        for _ in 0..nodes.len() {
            let mut changed = false;
            for node in &nodes {
                let known = node.values.iter().find_map(|&v| self.graph.value(v).quant.clone());
                for &value in &node.values {
                    let own = &mut self.graph.value_mut(value).quant;
                    if own.is_none() && known.is_some() {
                        *own = known.clone();
                        changed = true;
                    }
                    if *own != known {
                        let reason = "it moves integers, and those it reads and gives have different scales or zero points";
                        return Err(Error::node(&node.node, node.operator, reason)
                            .remedy("put a DequantizeLinear before it and a QuantizeLinear behind it"));
                    }
                }
            }
            if !changed {
                break;
            }
        }
        Ok(())
    }

    /// Takes the elements of a constant that is computed from what may be computed in all.
    pub fn spend(&mut self, node: &Reader<'_>, elements: usize) -> Result<()> {
        self.budget = self.budget.checked_sub(elements).ok_or_else(|| {
            node.fault("the constants that the file computes are too many").remedy(
                "export with constant folding, or simplify the model (for example with onnx-simplifier)",
            )
        })?;
        Ok(())
    }

    /// Names the classes of scores.
    pub fn name_classes(&mut self, scores: ValueId, names: Vec<String>) {
        self.classes.push((scores, names));
    }

    /// What a name stands for, once it does.
    pub fn find(&self, name: &str) -> Option<&Item> {
        self.items.get(name)
    }

    /// Number of axes of an operand.
    pub fn rank(&self, node: &Reader<'_>, index: usize) -> Result<usize> {
        Ok(match self.item(node, index)? {
            Item::Constant(c) => c.tensor.shape.len(),
            Item::Activation(x) => x.view.axes.len(),
            Item::Symbol(_) => return Err(self.symbol_fault(node, index)),
        })
    }

    pub fn item(&self, node: &Reader<'_>, index: usize) -> Result<&Item> {
        let name = node.input(index).ok_or_else(|| node.fault(format!("operand {index} is missing")))?;
        self.items.get(name).ok_or_else(|| node.fault(format!("`{name}` is not known")))
    }

    /// An operand that may be left out.
    pub fn optional(&self, node: &Reader<'_>, index: usize) -> Result<Option<&Item>> {
        match node.input(index) {
            None => Ok(None),
            Some(_) => self.item(node, index).map(Some),
        }
    }

    /// The error of an operator that can do nothing with what an operand is.
    pub fn symbol_fault(&self, node: &Reader<'_>, index: usize) -> Error {
        let name = node.input(index).unwrap_or("");
        let what = match self.items.get(name) {
            Some(Item::Symbol(symbol)) => symbol.what(),
            Some(Item::Constant(_)) => "a constant",
            _ => "computed by the model",
        };
        node.fault(format!("operand {index} (`{name}`) is {what}"))
            .remedy("quantize the float model with `trainer quantize`, or cut the model before this node")
    }

    /// An activation that stands for real numbers.
    pub fn activation(&self, node: &Reader<'_>, index: usize) -> Result<Activation> {
        let activation = self.any_activation(node, index)?;
        if activation.kind != PortType::F32 {
            return Err(node
                .fault(format!("operand {index} (`{}`) holds integers", node.input(index).unwrap_or("")))
                .remedy("put a DequantizeLinear before it"));
        }
        Ok(activation)
    }

    /// An activation of any type.
    pub fn any_activation(&self, node: &Reader<'_>, index: usize) -> Result<Activation> {
        match self.item(node, index)? {
            Item::Activation(activation) => Ok(activation.clone()),
            Item::Constant(_) => Err(node
                .fault(format!("operand {index} (`{}`) is a constant", node.input(index).unwrap_or("")))
                .remedy("fold the operator when exporting (constant folding)")),
            Item::Symbol(_) => Err(self.symbol_fault(node, index)),
        }
    }

    /// A constant that stands for real numbers.
    pub fn constant(&self, node: &Reader<'_>, index: usize) -> Result<Constant> {
        match self.item(node, index)? {
            Item::Constant(constant) => Ok(constant.clone()),
            Item::Symbol(_) => Err(self.symbol_fault(node, index)),
            Item::Activation(_) => Err(node.fault(format!(
                "operand {index} (`{}`) is computed by the model; only constants are supported there",
                node.input(index).unwrap_or("")
            ))),
        }
    }

    /// A constant list of integers: a shape, axes, pads.
    pub fn ints(&self, node: &Reader<'_>, index: usize) -> Result<Option<Vec<i64>>> {
        match self.optional(node, index)? {
            None => Ok(None),
            Some(Item::Constant(c)) => c.tensor.as_ints().map(Some).ok_or_else(|| {
                node.fault(format!("operand {index} must be int64, not {}", c.tensor.data.type_name()))
            }),
            Some(_) => Err(node.fault(format!("operand {index} must be a constant"))),
        }
    }

    /// The constant as real numbers.
    pub fn reals(&self, node: &Reader<'_>, index: usize) -> Result<Vec<f32>> {
        Ok(self.constant(node, index)?.dequantized())
    }

    /// A constant single number.
    pub fn scalar(&self, node: &Reader<'_>, index: usize) -> Result<Option<f32>> {
        if self.optional(node, index)?.is_none() {
            return Ok(None);
        }
        match self.reals(node, index)?.as_slice() {
            [one] => Ok(Some(*one)),
            other => Err(node.fault(format!("operand {index} has {} numbers, not one", other.len()))),
        }
    }

    /// The activation as a convolution wants it: ONNX `[1, c, …]`, bytes in the order h, w, c.
    pub fn spatial(&mut self, node: &Reader<'_>, activation: &Activation) -> Result<(ValueId, [usize; 4])> {
        let axes = &activation.view.axes;
        if !matches!(axes.len(), 3 | 4) {
            return Err(node
                .fault(format!("an input of {} axes is not supported", axes.len()))
                .remedy("one- and two-dimensional signals are: [batch, channels, (height,) width]"));
        }
        let view = &activation.view;
        if view.size_of(&axes[0]) != 1 {
            return Err(node.fault(format!("a batch of {} is not supported", view.size_of(&axes[0]))));
        }
        let order: Vec<usize> = axes[2..].iter().chain([&axes[1]]).flatten().copied().collect();
        let nhwc =
            [1, view.size_of(&axes[2]), axes.get(3).map_or(1, |w| view.size_of(w)), view.size_of(&axes[1])];
        self.arranged(node, activation, &order)?;
        Ok((self.shaped(activation.value, nhwc), nhwc))
    }

    /// Declares what the node's result stands for.
    pub fn give(&mut self, node: &Reader<'_>, value: ValueId, view: View, kind: PortType) -> Result<()> {
        let item = Item::Activation(Activation { value, view, kind });
        self.set(node.output()?, item);
        Ok(())
    }

    /// The graph with its outputs.
    pub fn finish(mut self, file: &GraphProto) -> Result<Graph> {
        if file.output.is_empty() {
            return Err(Error::model("the model has no output"));
        }
        let mut places = Vec::new();
        for output in &file.output {
            let name = output.name.as_deref().unwrap_or("");
            match self.items.get(name) {
                Some(Item::Activation(activation)) => {
                    let activation = activation.clone();
                    self.add_output(name, &activation);
                }
                Some(Item::Symbol(Symbol::Place(place))) => places.push((name, place.clone())),
                Some(Item::Symbol(symbol)) => {
                    return Err(Error::value(name, format!("this output of the model is {}", symbol.what()))
                        .remedy("remove it from the outputs"));
                }
                Some(Item::Constant(_)) => {
                    return Err(Error::value(name, "this output of the model is a constant")
                        .remedy("remove it from the outputs"));
                }
                None => {
                    return Err(Error::value(name, "no node produces this output of the model"));
                }
            }
        }
        for (name, place) in places {
            let given = self.graph.outputs.iter().find(|port| port.value == place.scores.value);
            match given.map(|port| port.name.clone()) {
                Some(scores) => self.graph.note(format!(
                    "output `{name}` is left out: it is the place or name of the largest of `{scores}`"
                )),
                None => {
                    self.add_output(&place.name, &place.scores);
                    self.graph.note(format!(
                        "in place of output `{name}`, the place or name of the largest score, the model gives the scores \
                         `{}`",
                        place.name
                    ));
                }
            }
        }
        self.add_labels();
        self.spread_quantization()?;
        absorb(&mut self.graph)?;
        Ok(self.assembly.graph)
    }

    /// Names of classes become metadata, where the file has none of its own.
    fn add_labels(&mut self) {
        let named = self.classes.iter().find(|(scores, names)| {
            self.graph.is_output(*scores) && self.graph.value(*scores).len() == names.len()
        });
        if let Some((_, names)) = named
            && !self.graph.metadata.contains_key(metadata::LABELS)
        {
            let lines: Vec<String> = names.iter().map(|name| name.replace(['\n', '\r'], " ")).collect();
            self.graph.metadata.insert(metadata::LABELS.to_string(), lines.join("\n"));
        }
    }
}
