//! The import while it runs: what each tensor of the file stands for.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

use super::constant::{Constant, checked_scales, checked_zero_points};
use super::node::{Activation as Fused, Node};
use super::schema::{ElementType, File, Tensor};
use crate::error::{Error, Result};
use crate::graph::{Graph, Op, PortType, Quant, Unary, ValueId, checked_len};
use crate::import::{Activation, Assembly, InputOrders, MAX_ELEMENTS, View, absorb};

/// Most elements of all constants together, copies counted.
const MAX_CONSTANTS: usize = 2 * MAX_ELEMENTS;

/// What a tensor of the file stands for.
#[derive(Debug, Clone)]
pub(super) enum Item {
    Constant(Constant),
    Activation(Activation),
    /// The place of the largest element of another tensor, by its number.
    PlaceOfLargest(i32),
}

/// The import while it runs.
pub(super) struct Import<'f, 'b> {
    assembly: Assembly,
    file: &'f File<'b>,
    tensors: BTreeMap<i32, Rc<Tensor<'b>>>,
    items: BTreeMap<i32, Item>,
    /// Elements of all constants read and copied.
    constant_elements: usize,
    /// Operators of a float model whose weights stand in the file as integers.
    pub widened: usize,
}

impl Deref for Import<'_, '_> {
    type Target = Assembly;

    fn deref(&self) -> &Assembly {
        &self.assembly
    }
}

impl DerefMut for Import<'_, '_> {
    fn deref_mut(&mut self) -> &mut Assembly {
        &mut self.assembly
    }
}

impl<'f, 'b> Import<'f, 'b> {
    pub fn new(file: &'f File<'b>, orders: &InputOrders) -> Result<Import<'f, 'b>> {
        let mut state = Import {
            assembly: Assembly::new(file.subgraph_name),
            file,
            tensors: BTreeMap::new(),
            items: BTreeMap::new(),
            constant_elements: 0,
            widened: 0,
        };
        for (index, &number) in file.inputs.iter().enumerate() {
            let tensor = state.tensor_of_port(number, "input")?;
            if state.items.contains_key(&number) {
                return Err(Error::value(&tensor.name, "it is an input of the model twice"));
            }
            check_input(&tensor)?;
            let (kind, quant) = type_of(&tensor)?;
            let shape = &tensor.shape;
            let in_order: Vec<usize> = (0..shape.len()).collect();
            let view = match orders.get(&index) {
                Some(atoms) => View::of_input(index, shape, atoms.clone()),
                None => View { origin: Some(index), ..View::permuted(shape, &in_order) },
            };
            let value = state.graph.add_activation(&tensor.name, view.nhwc());
            state.graph.value_mut(value).quant = quant;
            let port = view.port(value, &tensor.name, kind);
            state.graph.inputs.push(port);
            state.items.insert(number, Item::Activation(Activation { value, view, kind }));
        }
        Ok(state)
    }

    /// A tensor of the file, read once.
    pub fn tensor(&mut self, number: i32) -> Result<Rc<Tensor<'b>>> {
        if let Some(tensor) = self.tensors.get(&number) {
            return Ok(tensor.clone());
        }
        let tensor = self.file.tensor(number)?.ok_or_else(|| Error::model("a tensor is left out"))?;
        let tensor = Rc::new(tensor);
        self.tensors.insert(number, tensor.clone());
        Ok(tensor)
    }

    fn tensor_of_port(&mut self, number: i32, what: &str) -> Result<Rc<Tensor<'b>>> {
        if usize::try_from(number).is_ok_and(|n| n < self.file.tensor_count()) {
            return self.tensor(number);
        }
        Err(Error::model(format!(
            "tensor {number} is an {what} of the model, and there are {}",
            self.file.tensor_count()
        ))
        .remedy("the file is damaged"))
    }

    pub fn set(&mut self, number: i32, item: Item) {
        self.items.insert(number, item);
    }

    /// What an operand stands for; constants are read when they are asked for.
    pub fn item(&mut self, node: &Node<'_>, index: usize) -> Result<Item> {
        let number = node.input(index).ok_or_else(|| node.fault(format!("operand {index} is missing")))?;
        if let Some(item) = self.items.get(&number) {
            return Ok(item.clone());
        }
        let tensor = self.tensor(number)?;
        if tensor.is_variable {
            return Err(node
                .fault(format!("`{}` is kept from one inference to the next", tensor.name))
                .remedy("models with a state are not supported"));
        }
        let empty = checked_len(&tensor.shape) == Some(0);
        let data = match tensor.data {
            Some(data) => data,
            // A list of no axes has no bytes.
            None if empty => &[],
            None => {
                return Err(node
                    .fault(format!("it reads `{}`, which nothing before it produces", tensor.name))
                    .remedy(
                        "the file lacks a buffer or an operator, or has a cycle; convert the model again",
                    ));
            }
        };
        let constant = Constant::read(&tensor, data)?;
        self.spend(node, constant.tensor.len())?;
        self.set(number, Item::Constant(constant.clone()));
        Ok(Item::Constant(constant))
    }

    /// Counts the elements of constants read and of copies of them, so that operators that share
    /// one do not fill the memory.
    pub fn spend(&mut self, node: &Node<'_>, elements: usize) -> Result<()> {
        self.constant_elements = self.constant_elements.saturating_add(elements);
        if self.constant_elements > MAX_CONSTANTS {
            return Err(node
                .fault(format!("with it the constants have more than {MAX_CONSTANTS} elements"))
                .remedy("this is not a model for small devices"));
        }
        Ok(())
    }

    pub fn activation(&mut self, node: &Node<'_>, index: usize) -> Result<Activation> {
        let name = self.operand_name(node, index);
        match self.item(node, index)? {
            Item::Activation(activation) => Ok(activation),
            Item::Constant(_) => Err(node
                .fault(format!("operand {index} (`{name}`) is a constant"))
                .remedy("fold the operator when converting the model")),
            Item::PlaceOfLargest(_) => Err(node
                .fault(format!("operand {index} (`{name}`) is the place of a largest element"))
                .remedy("such a place can be an output of the model only")),
        }
    }

    pub fn constant(&mut self, node: &Node<'_>, index: usize) -> Result<Constant> {
        let name = self.operand_name(node, index);
        match self.item(node, index)? {
            Item::Constant(constant) => Ok(constant),
            _ => Err(node
                .fault(format!("operand {index} (`{name}`) is computed by the model"))
                .remedy("only constants are supported there")),
        }
    }

    fn operand_name(&mut self, node: &Node<'_>, index: usize) -> String {
        let tensor = node.input(index).and_then(|number| self.tensor(number).ok());
        tensor.map_or(String::new(), |tensor| tensor.name.clone())
    }

    /// A constant list of integers: a shape, axes, pads.
    pub fn ints(&mut self, node: &Node<'_>, index: usize) -> Result<Vec<i64>> {
        let constant = self.constant(node, index)?;
        match constant.as_ints() {
            Some(ints) if ints.len() <= 256 => Ok(ints.iter().map(|&i| i64::from(i)).collect()),
            Some(ints) => Err(node.fault(format!("operand {index} has {} numbers", ints.len()))),
            None => Err(node.fault(format!("operand {index} (`{}`) must be int32", constant.name))),
        }
    }

    /// The activation as a convolution wants it: `[1, h, w, c]`, bytes in that order.
    pub fn spatial(&mut self, node: &Node<'_>, x: &Activation) -> Result<(ValueId, [usize; 4])> {
        let Ok(shape) = <[usize; 4]>::try_from(x.view.shape()) else {
            return Err(node.fault(format!("an input of shape {:?} has not four axes", x.view.shape())));
        };
        if shape[0] != 1 {
            return Err(node
                .fault(format!("a batch of {} is not supported", shape[0]))
                .remedy("convert the model with batch size 1"));
        }
        self.arranged(node, x, &x.view.sequence())?;
        Ok((self.shaped(x.value, shape), shape))
    }

    /// The activation seen under another shape, its bytes unchanged.
    pub fn reshaped(&mut self, node: &Node<'_>, x: &Activation, shape: &[usize]) -> Result<View> {
        let before = x.view.shape();
        if checked_len(shape) != checked_len(&before) {
            return Err(node.fault(format!("{before:?} has not as many elements as {shape:?}")));
        }
        if let Some(view) = x.view.reshaped(shape) {
            return Ok(view);
        }
        // The bytes of a model input can be had in the order of its tensor.
        self.arranged(node, x, &x.view.sequence()).map_err(|_| {
            node.fault(format!("a reshape from {before:?} to {shape:?} would have to move elements"))
                .remedy("reshape by whole axes only, or leave it out of the model")
        })?;
        Err(node.fault(format!("{before:?} cannot be seen as {shape:?}")))
    }

    /// Type and quantization of the node's first result.
    pub fn result_type(&mut self, node: &Node<'_>) -> Result<(PortType, Option<Quant>)> {
        let tensor = self.tensor(node.output())?;
        type_of(&tensor)
    }

    /// Declares what the node's result stands for: a value that it computes from operands of the
    /// type `from`.
    pub fn give(&mut self, node: &Node<'_>, value: ValueId, view: View, from: PortType) -> Result<()> {
        let (kind, quant) = self.result_type(node)?;
        check_types(node, from, kind)?;
        self.graph.value_mut(value).quant = quant;
        self.set(node.output(), Item::Activation(Activation { value, view, kind }));
        Ok(())
    }

    /// Declares that the node's result is the operand `x`, looked at in another way.
    pub fn give_view(&mut self, node: &Node<'_>, x: &Activation, view: View) -> Result<()> {
        let (kind, quant) = self.result_type(node)?;
        check_types(node, x.kind, kind)?;
        let mut value = x.value;
        if quant.is_some() && self.graph.value(value).quant != quant {
            value = self.push(node, Op::Requantize, &[value])?;
            self.graph.value_mut(value).quant = quant;
        }
        self.set(node.output(), Item::Activation(Activation { value, view, kind }));
        Ok(())
    }

    /// Applies a fused activation to a float result; in integers a limit only can be fused, and is
    /// part of the operator.
    pub fn apply(&mut self, node: &Node<'_>, value: ValueId, fused: Fused) -> Result<ValueId> {
        match fused {
            Fused::Clamp(clamp) if clamp.is_none() => Ok(value),
            Fused::Clamp(clamp) => {
                let quant = self.result_type(node)?.1;
                self.graph.value_mut(value).quant = quant;
                self.push(node, Op::Unary(Unary::Clamp(clamp)), &[value])
            }
            Fused::Tanh => {
                if self.result_type(node)?.1.is_some() {
                    return Err(node
                        .fault("a fused TANH in integers is not supported")
                        .remedy("make TANH an operator of its own"));
                }
                self.push(node, Op::Unary(Unary::Tanh), &[value])
            }
        }
    }

    /// The graph with its outputs.
    pub fn finish(mut self) -> Result<Graph> {
        let file = self.file;
        if file.outputs.is_empty() {
            return Err(Error::model("the model has no output"));
        }
        // Outputs first that are not the place of another's largest: that may be one of them.
        let (mut left_out, mut given) = (Vec::new(), BTreeSet::new());
        for &number in &file.outputs {
            let tensor = self.tensor_of_port(number, "output")?;
            match self.items.get(&number) {
                Some(Item::Activation(activation)) => {
                    let activation = activation.clone();
                    given.insert(number);
                    self.add_output(&tensor.name, &activation);
                }
                Some(Item::PlaceOfLargest(of)) => left_out.push((tensor.name.clone(), *of)),
                Some(Item::Constant(_)) => {
                    return Err(Error::value(&tensor.name, "this output of the model is a constant"));
                }
                None => {
                    return Err(Error::value(&tensor.name, "no operator produces this output of the model"));
                }
            }
        }
        for (name, of) in left_out {
            let scores = self.tensor(of)?;
            let Some(Item::Activation(activation)) = self.items.get(&of).cloned() else {
                return Err(Error::value(&name, "it is the place of the largest of a constant"));
            };
            if given.insert(of) {
                self.add_output(&scores.name, &activation);
            }
            let note =
                format!("Output `{name}` is left out: it is the place of the largest of `{}`.", scores.name);
            self.graph.note(note);
        }
        if self.widened > 0 {
            let count = self.widened;
            self.graph.note(format!(
                "The weights of {count} operators stand in the file as 8-bit integers while their activations are \
                 real; they are read as the real numbers that they stand for, as those of a float model."
            ));
        }
        if file.subgraphs > 1 {
            self.graph.note(format!("Of the {} graphs in the file the first one is read.", file.subgraphs));
        }
        absorb(&mut self.graph)?;
        Ok(self.assembly.graph)
    }
}

fn check_input(tensor: &Tensor<'_>) -> Result<()> {
    let fault = |reason: String| Error::value(&tensor.name, reason);
    let shape = &tensor.shape;
    if tensor.data.is_some() {
        return Err(fault("this input of the model is a constant".into()));
    }
    if let Some(axis) = tensor.open_axis {
        return Err(fault(format!("axis {axis} of the input has no fixed size"))
            .remedy("convert the model with fixed sizes; only the batch may be open"));
    }
    if checked_len(shape).is_none_or(|len| len > MAX_ELEMENTS || len == 0) {
        return Err(fault(format!("an input of shape {shape:?} is too large or empty")));
    }
    if shape.len() > 1 && shape[0] != 1 {
        return Err(fault(format!("a batch of {} is fixed in the model", shape[0]))
            .remedy("convert the model with batch size 1"));
    }
    Ok(())
}

/// Type and quantization of a tensor that is no constant.
fn type_of(tensor: &Tensor<'_>) -> Result<(PortType, Option<Quant>)> {
    let fault = |reason: String| Error::value(&tensor.name, reason);
    let kind = match tensor.element_type {
        ElementType::F32 => return Ok((PortType::F32, None)),
        ElementType::I8 => PortType::I8,
        ElementType::U8 => PortType::U8,
        other => {
            return Err(fault(format!("activations of type {} are not supported", other.name()))
                .remedy("convert the model with int8 or float32 activations"));
        }
    };
    let unscaled = || {
        fault(format!("it is {} without a scale", tensor.element_type.name()))
            .remedy("convert the model with full int8 quantization")
    };
    let file = tensor.quantization.as_ref().ok_or_else(unscaled)?;
    let scales = checked_scales(tensor, file, MAX_CHANNELS)?;
    match scales.as_slice() {
        [] => Err(unscaled()),
        &[scale] => {
            let zero_points = checked_zero_points(tensor, file, 1)?;
            Ok((kind, Some(Quant::per_tensor(scale, zero_points[0]))))
        }
        _ => {
            Err(fault("an activation is quantized per channel".into())
                .remedy("quantize activations per tensor"))
        }
    }
}

/// Most scales of an activation that are read before it is refused for having more than one.
const MAX_CHANNELS: usize = 1 << 16;

fn check_types(node: &Node<'_>, from: PortType, to: PortType) -> Result<()> {
    if (from == PortType::F32) == (to == PortType::F32) {
        return Ok(());
    }
    Err(node
        .fault(format!("it reads {} and gives {}", from.name(), to.name()))
        .remedy("put QUANTIZE or DEQUANTIZE between them, or convert the model with full int8 quantization"))
}
