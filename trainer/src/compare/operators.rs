//! The runtime, one operator at a time.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use teff::{AnyModel, Model, ModelFile, Session};
use teff_compiler::graph::Graph;
use teff_compiler::lower::LayerReport;
use teff_compiler::{Compiled, Options};

use super::reference::Values;
use crate::engine::ports::Order;
use crate::model_file;

/// How a plan is compiled whose operators run one by one: every value lies whole in a place of its own.
pub(crate) const APART: Options =
    Options { overlap: false, ram_bytes: None, flash_bytes: None, packing: None, layout: None };

/// Whether the next operator goes on writing to the same value, as the parts of a concatenation do.
pub(crate) fn is_continued(layers: &[LayerReport], index: usize) -> bool {
    layers.get(index + 1).is_some_and(|next| next.output_value == layers[index].output_value)
}

/// A plan with what is known about it.
pub(crate) struct Operators<'c> {
    file: ModelFile,
    compiled: &'c Compiled,
    graph: &'c Graph,
}

impl<'c> Operators<'c> {
    pub(crate) fn new(model: &Path, compiled: &'c Compiled, graph: &'c Graph) -> Result<Operators<'c>> {
        Ok(Operators { file: model_file::plan_from_bytes(model, &compiled.plan)?, compiled, graph })
    }

    /// Runs every operator on the integers that are `known`, and where they are not, on what the operator before it
    /// gave. `given` gets the position of each operator whose output is finished, and that output, `[h, w, c]`.
    pub(crate) fn alone(&self, known: &Values, mut given: impl FnMut(usize, &[i8])) -> Result<()> {
        let mut arena = self.file.arena();
        let plan = self.file.model();
        let mut session = Session::<AnyModel>::from_model(plan, arena.as_mut_slice())
            .map_err(|error| anyhow!("the plan does not run: {error}"))?;
        let names = Names::new(&plan, self.compiled, self.graph);
        let layers = &self.compiled.report.layers;
        for (index, layer) in layers.iter().enumerate() {
            for &input in &layer.input_values {
                if let Some(integers) = names.find(input, index).and_then(|name| known.get(name)) {
                    let order = identity(&plan, input, integers.len())?;
                    session.value_mut(input).copy_from_slice(&order.to_value(integers));
                }
            }
            let op = u16::try_from(index).context("too many operators")?;
            session.invoke_op(op);
            if !is_continued(layers, index) {
                let len = plan.value(layer.output_value).view.extent.len();
                let order = identity(&plan, layer.output_value, len)?;
                given(index, &order.to_onnx(session.value(layer.output_value)));
            }
        }
        Ok(())
    }

    /// Runs the operators one after the other from the inputs, which stand among the values.
    pub(crate) fn chained(&self, inputs: &Values, given: impl FnMut(usize, &[i8])) -> Result<()> {
        self.alone(inputs, given)
    }
}

/// The order `[h, w, c]` of a value of the plan.
fn identity(plan: &Model<'_>, value: u16, len: usize) -> Result<Order> {
    let order: Vec<usize> = (0..len).collect();
    Order::new(&order, plan.value(value).view)
        .with_context(|| format!("value {value} of the plan has another size than the reference's"))
}

/// Which value of the graph each value of the plan holds.
struct Names<'c> {
    /// Index, name, and the operator from which on it is known.
    known: Vec<(u16, &'c str, usize)>,
    /// Indices of values that lie at the same place with the same length.
    places: Vec<(teff::plan::Location, usize)>,
}

impl<'c> Names<'c> {
    fn new(plan: &Model<'_>, compiled: &'c Compiled, graph: &'c Graph) -> Names<'c> {
        let place = |index| {
            let value = plan.value(index);
            (value.location, value.view.extent.len())
        };
        let places = (0..plan.header().n_values).map(place).collect();
        // The inputs are the first values of a plan.
        let inputs = graph.inputs.iter().enumerate();
        let mut known: Vec<(u16, &str, usize)> =
            inputs.map(|(index, port)| (index as u16, graph.value(port.value).name.as_str(), 0)).collect();
        let layers = compiled.report.layers.iter().enumerate();
        known.extend(layers.map(|(at, layer)| (layer.output_value, layer.output_name.as_str(), at + 1)));
        Names { known, places }
    }

    /// The name of a value that operator `at` reads. A value that no operator gives is another view of the bytes that
    /// were last written at its place.
    fn find(&self, value: u16, at: usize) -> Option<&'c str> {
        let before = self.known.iter().filter(|(_, _, from)| *from <= at);
        if let Some((_, name, _)) = before.clone().find(|(known, _, _)| *known == value) {
            return Some(name);
        }
        let place = self.places.get(usize::from(value))?;
        let same = before.filter(|(known, _, _)| self.places.get(usize::from(*known)) == Some(place));
        same.max_by_key(|(_, _, from)| *from).map(|(_, name, _)| *name)
    }
}
