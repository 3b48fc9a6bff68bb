//! What adds up over the examples, layer by layer.

use anyhow::Result;
use teff::quant::QuantParams;
use teff_compiler::graph::{Graph, ValueId};
use teff_compiler::lower::LayerReport;

use super::operators::is_continued;
use super::real::{ChannelNoise, FloatModel, Noise, Real, source};
use super::reference::{Values, params};
use super::{FloatDifference, FloatLayer, LayerDifference};

/// Differences of each operator so far.
pub(super) struct Sums<'c> {
    graph: &'c Graph,
    layers: &'c [LayerReport],
    /// For each operator of the plan, the value of the graph that it finishes.
    values: Vec<Option<ValueId>>,
    /// For each value of the graph, the node that gives it.
    producers: Vec<Option<usize>>,
    alone: Vec<Alone>,
    /// By value of the graph.
    chained: Vec<Noise>,
    /// By value of the graph.
    float: Vec<ChannelNoise>,
}

/// One operator on the reference's integers.
#[derive(Debug, Clone, Default)]
struct Alone {
    elements: u64,
    differing: u64,
    largest: u32,
    /// Against the reference's integers, in steps.
    integers: Noise,
    /// Against floating point.
    real: Noise,
}

impl<'c> Sums<'c> {
    pub(super) fn new(graph: &'c Graph, layers: &'c [LayerReport]) -> Sums<'c> {
        let value = |index: usize| {
            let finished = !is_continued(layers, index);
            finished.then(|| graph.find_value(&layers[index].output_name)).flatten()
        };
        Sums {
            graph,
            layers,
            values: (0..layers.len()).map(value).collect(),
            producers: graph.producers(),
            alone: vec![Alone::default(); layers.len()],
            chained: vec![Noise::default(); graph.values().len()],
            float: vec![ChannelNoise::default(); graph.values().len()],
        }
    }

    /// What an operator gave for the reference's integers.
    pub(super) fn add_alone(
        &mut self,
        at: usize,
        given: &[i8],
        known: &Values,
        real: &mut Real<'_>,
    ) -> Result<()> {
        let Some((value, params)) = self.value(at) else { return Ok(()) };
        let Some(expected) = known.get(&self.graph.value(value).name) else { return Ok(()) };
        let alone = &mut self.alone[at];
        for (&a, &b) in given.iter().zip(expected) {
            let difference = u32::from(a.abs_diff(b));
            alone.elements += 1;
            alone.differing += u64::from(difference > 0);
            alone.largest = alone.largest.max(difference);
            let zero_point = f64::from(params.zero_point);
            alone.integers.add(f64::from(b) - zero_point, f64::from(a) - zero_point);
        }
        if let Some(real) = real.alone(self.graph, value, known)? {
            for (&q, &real) in given.iter().zip(real) {
                alone.real.add(f64::from(real), held(params, q));
            }
        }
        Ok(())
    }

    /// The inputs of the network, which are rounded too.
    pub(super) fn add_inputs(&mut self, inputs: &Values, real: &Real<'_>, float: Option<&FloatModel<'_>>) {
        for port in &self.graph.inputs {
            let value = self.graph.value(port.value);
            if let (Some(given), Some(params)) = (inputs.get(&value.name), params(value)) {
                self.add_value(port.value, params, given, real, float);
            }
        }
    }

    /// What an operator gave in the runtime's own chain.
    pub(super) fn add_chained(
        &mut self,
        at: usize,
        given: &[i8],
        real: &Real<'_>,
        float: Option<&FloatModel<'_>>,
    ) {
        if let Some((value, params)) = self.value(at) {
            self.add_value(value, params, given, real, float);
        }
    }

    fn add_value(
        &mut self,
        value: ValueId,
        params: QuantParams,
        given: &[i8],
        real: &Real<'_>,
        float: Option<&FloatModel<'_>>,
    ) {
        let held: Vec<f64> = given.iter().map(|&q| held(params, q)).collect();
        for (&held, &real) in held.iter().zip(real.chained(value)) {
            self.chained[value.index()].add(f64::from(real), held);
        }
        if let Some((_, real)) = float.and_then(|float| float.find(value)) {
            let channels = self.graph.value(value).shape.last().copied().unwrap_or(1).max(1);
            self.float[value.index()].add(channels, real, &held);
        }
    }

    fn value(&self, at: usize) -> Option<(ValueId, QuantParams)> {
        let value = self.values[at]?;
        Some((value, params(self.graph.value(value))?))
    }

    /// Operators that finish a value of the graph which the reference did not show.
    pub(super) fn not_compared(&self) -> Vec<String> {
        let unseen =
            (0..self.layers.len()).filter(|&at| self.values[at].is_some() && self.alone[at].elements == 0);
        unseen.map(|at| self.layers[at].name.clone()).collect()
    }

    pub(super) fn finish(&self, float: Option<&FloatModel<'_>>) -> Vec<LayerDifference> {
        let layer = |at: usize| -> Option<LayerDifference> {
            let (value, params) = self.value(at)?;
            let alone = &self.alone[at];
            if alone.elements == 0 {
                return None;
            }
            let layer = &self.layers[at];
            let difference = |noise: &Noise| FloatDifference {
                snr_db: noise.snr_db(),
                largest: noise.largest,
                largest_steps: noise.largest / f64::from(params.scale),
            };
            let counterpart = float.and_then(|float| float.find(value)).map(|(name, _)| {
                let (noise, rescaled) = self.float[value.index()].finish();
                FloatLayer { name: name.to_string(), rescaled, difference: difference(&noise) }
            });
            Some(LayerDifference {
                index: at,
                name: layer.name.clone(),
                operator: layer.op,
                elements: alone.elements,
                differing: alone.differing,
                differing_share: alone.differing as f64 / alone.elements as f64,
                largest_lsb: alone.largest,
                snr_db: alone.integers.snr_db(),
                own: difference(&alone.real),
                chained: difference(&self.chained[value.index()]),
                float: counterpart,
                loss_db: self.loss(value, float.is_some()),
            })
        };
        (0..self.layers.len()).filter_map(layer).collect()
    }

    /// The ratio of a value in the chain: against the float model where there is one.
    fn ratio(&self, value: ValueId, float: bool) -> Option<f64> {
        let value = source(self.graph, &self.producers, value);
        if float {
            self.float[value.index()].finish().0.snr_db()
        } else {
            self.chained[value.index()].snr_db()
        }
    }

    /// Decibels that are lost between the worst known operand and the result.
    fn loss(&self, value: ValueId, float: bool) -> Option<f64> {
        let node = &self.graph.nodes[self.producers[value.index()]?];
        let operands = node.inputs.iter().filter(|&&id| !self.graph.value(id).is_constant());
        let worst = operands.filter_map(|&id| self.ratio(id, float)).reduce(f64::min)?;
        Some(worst - self.ratio(value, float)?)
    }
}

fn held(params: QuantParams, q: i8) -> f64 {
    f64::from(params.dequantize(q))
}
