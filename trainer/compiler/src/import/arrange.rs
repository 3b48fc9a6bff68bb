//! The graph while an importer puts it together, and the order of its bytes.

use std::collections::BTreeMap;
use std::ops::Deref;

use super::view::{Atom, View};
use crate::error::{Error, Result};
use crate::graph::{
    Graph, Op, PortType, Quant, Tensor, ValueId, checked_len, output_shape, transposed_order,
};

/// Largest number of elements of any tensor that is accepted.
pub(crate) const MAX_ELEMENTS: usize = 1 << 26;

/// Largest number of elements of all activations of a model together, and of all parameters.
const MAX_TOTAL: usize = 1 << 26;

/// Largest number of nodes of a file that is accepted.
pub(crate) const MAX_NODES: usize = 10_000;

/// Chosen order of the bytes of model inputs, by index.
pub(crate) type InputOrders = BTreeMap<usize, Vec<Atom>>;

/// A node of a model file, for those who make operators and errors of it.
pub(crate) trait Site {
    /// Name of the node.
    fn name(&self) -> &str;

    /// Name of its first result.
    fn result_name(&self) -> Result<&str>;

    /// An error about this node.
    fn error(&self, reason: String) -> Error;
}

/// A tensor that the model computes, or an input of it.
#[derive(Debug, Clone)]
pub(crate) struct Activation {
    pub value: ValueId,
    pub view: View,
    /// The type it has in the model file at this place.
    pub kind: PortType,
}

/// The graph while it is put together.
pub(crate) struct Assembly {
    pub graph: Graph,
    /// Elements of activations and of parameters so far.
    totals: [usize; 2],
    wanted: Option<(usize, Vec<Atom>)>,
    reshaped: BTreeMap<(ValueId, [usize; 4]), ValueId>,
}

/// Imports a model: `new` begins, `run` adds the operators. Where one of them needs another order of a model input's
/// bytes, it all begins again with that order.
pub(crate) fn with_orders<S: Deref<Target = Assembly>>(
    inputs: usize,
    new: impl Fn(&InputOrders) -> Result<S>,
    run: impl Fn(&mut S) -> Result<()>,
) -> Result<S> {
    let mut orders = InputOrders::new();
    // Each round settles the byte order of one more input, so this ends.
    for _ in 0..=inputs {
        let mut state = new(&orders)?;
        let Err(error) = run(&mut state) else { return Ok(state) };
        match &state.wanted {
            Some((input, atoms)) if !orders.contains_key(input) => {
                orders.insert(*input, atoms.clone());
            }
            _ => return Err(error),
        }
    }
    Err(Error::model("no order of the inputs' axes suits all operators"))
}

impl Assembly {
    pub fn new(name: &str) -> Assembly {
        Assembly { graph: Graph::new(name), totals: [0, 0], wanted: None, reshaped: BTreeMap::new() }
    }

    /// The activation with its bytes in the order of `atoms`, or an error that makes the import
    /// start again where that can be had by another order of a model input.
    pub fn arranged(&mut self, node: &dyn Site, activation: &Activation, atoms: &[usize]) -> Result<()> {
        if activation.view.lies_at(0, atoms) {
            return Ok(());
        }
        if let Some(input) = activation.view.origin {
            let wanted = atoms.iter().map(|&a| activation.view.atoms[a]).collect();
            self.wanted.get_or_insert((input, wanted));
        }
        let name = &self.graph.value(activation.value).name;
        Err(node
            .error(format!("the elements of `{name}` would have to be transposed before it"))
            .remedy("only transpositions that choose the layout of convolutions are removed; move or drop the Transpose"))
    }

    /// The value of an activation seen as `[1, h, w, c]`, its bytes unchanged.
    pub fn shaped(&mut self, value: ValueId, nhwc: [usize; 4]) -> ValueId {
        if self.graph.value(value).shape == nhwc {
            return value;
        }
        if let Some(&done) = self.reshaped.get(&(value, nhwc)) {
            return done;
        }
        let name = format!("{}.reshape", self.graph.value(value).name);
        let quant = self.graph.value(value).quant.clone();
        let new = self.graph.push_node(&name, Op::Reshape { shape: nhwc }, &[value], nhwc);
        self.graph.value_mut(new).quant = quant;
        self.reshaped.insert((value, nhwc), new);
        new
    }

    /// The activation with some axes as its channels: all their atoms last, in any order. Gives
    /// the value and, for each channel in the order of the bytes, its index in the order of the file's tensor.
    pub fn channels_last(
        &mut self,
        node: &dyn Site,
        activation: &Activation,
        axes: &[usize],
    ) -> Result<(ValueId, [usize; 4], Vec<usize>)> {
        let view = &activation.view;
        let channels: Vec<usize> = axes.iter().flat_map(|&a| view.axes[a].iter().copied()).collect();
        let rest: Vec<usize> = (0..view.atoms.len()).filter(|a| !channels.contains(a)).collect();
        if !view.lies_at(0, &rest) {
            let order: Vec<usize> = rest.iter().chain(&channels).copied().collect();
            self.arranged(node, activation, &order)?;
        }
        let sizes: Vec<usize> = channels.iter().map(|&a| view.atoms[a].size).collect();
        let mut by_memory: Vec<usize> = (0..channels.len()).collect();
        by_memory.sort_by_key(|&i| channels[i]);
        let order = transposed_order(&sizes, &by_memory);
        let c = view.size_of(&channels);
        let own = self.graph.value(activation.value).nhwc().unwrap_or([1; 4]);
        let nhwc = if own[3] == c { own } else { [1, view.size_of(&rest), 1, c] };
        Ok((self.shaped(activation.value, nhwc), nhwc, order))
    }

    /// Adds an operator and gives its result; the shape is inferred and bounded.
    pub fn push(&mut self, node: &dyn Site, op: Op, inputs: &[ValueId]) -> Result<ValueId> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|&i| self.graph.value(i).shape.as_slice()).collect();
        let shape = output_shape(&op, &shapes).map_err(|reason| node.error(reason))?;
        if checked_len(&shape).is_none_or(|len| len > MAX_ELEMENTS || len == 0) {
            return Err(node.error(format!("its result of shape {shape:?} is too large or empty")));
        }
        self.totals[0] = self.totals[0].saturating_add(shape.iter().product());
        if self.totals.iter().any(|&total| total > MAX_TOTAL) {
            let [activations, parameters] = self.totals;
            return Err(node
                .error(format!(
                    "with it the model has {activations} elements of activations and {parameters} of parameters"
                ))
                .remedy("this is not a model for small devices"));
        }
        let value = self.graph.push_node(node.result_name()?, op, inputs, shape);
        if let Some(last) = self.graph.nodes.last_mut() {
            last.name = String::new();
        }
        let name = self.graph.fresh_node_name(node.name());
        if let Some(last) = self.graph.nodes.last_mut() {
            last.name = name;
        }
        Ok(value)
    }

    /// Makes an activation an output of the model. A value that is an input or an output already is passed on by an
    /// operator of its own.
    pub fn add_output(&mut self, name: &str, activation: &Activation) {
        let mut value = activation.value;
        if self.graph.is_input(value) || self.graph.is_output(value) {
            let shape = self.graph.value(value).nhwc().unwrap_or([1; 4]);
            let quant = self.graph.value(value).quant.clone();
            value = self.graph.push_node(name, Op::Requantize, &[value], shape);
            self.graph.value_mut(value).quant = quant;
        }
        let port = activation.view.port(value, name, activation.kind);
        self.graph.outputs.push(port);
    }

    /// Adds a constant with its quantization, if it has one.
    pub fn add_parameter(&mut self, name: &str, tensor: Tensor, quant: Option<Quant>) -> ValueId {
        self.totals[1] = self.totals[1].saturating_add(tensor.len());
        let value = self.graph.add_constant(name, tensor);
        self.graph.value_mut(value).quant = quant;
        value
    }
}
