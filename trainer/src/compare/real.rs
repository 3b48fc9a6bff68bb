//! The same network in floating point: how far the integers of each layer are from it.

use std::path::Path;

use anyhow::{Context, Result};
use teff_compiler::evaluate::Evaluator;
use teff_compiler::graph::{Clamp, Graph, Op, ValueId};

use super::align::align;
use super::reference::{Values, params};
use crate::arrays::{Array, ElementType};
use crate::engine::{Port, batch, ports};

/// Sums over elements and examples, for a signal-to-noise ratio.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Noise {
    signal: f64,
    noise: f64,
    pub(super) largest: f64,
}

impl Noise {
    pub(super) fn add(&mut self, real: f64, held: f64) {
        let difference = held - real;
        self.signal += real * real;
        self.noise += difference * difference;
        self.largest = self.largest.max(difference.abs());
    }

    /// Decibels; nothing where there is no noise, or no signal.
    pub(super) fn snr_db(&self) -> Option<f64> {
        (self.noise > 0.0 && self.signal > 0.0).then(|| 10.0 * libm::log10(self.signal / self.noise))
    }
}

/// A quantized graph whose activations are real numbers: weights as the integers say, and the ranges that the integers
/// can show, since many a file leaves a ReLU to them.
pub(super) fn without_rounding(graph: &Graph) -> Graph {
    let mut real = graph.clone();
    for index in 0..real.nodes.len() {
        let output = real.nodes[index].output();
        let Some(params) = params(real.value(output)) else { continue };
        let shown = Clamp { min: params.dequantize(i8::MIN), max: params.dequantize(i8::MAX) };
        if let Some(activation) = real.nodes[index].op.activation_mut() {
            *activation = activation.then(shown);
        }
    }
    for id in real.value_ids() {
        if !real.value(id).is_constant() {
            real.value_mut(id).quant = None;
        }
    }
    real
}

/// The float form of a quantized graph, in a chain and operator by operator.
pub(super) struct Real<'g> {
    graph: &'g Graph,
    chain: Evaluator<'g>,
    alone: Evaluator<'g>,
    producers: Vec<Option<usize>>,
}

impl<'g> Real<'g> {
    /// Of the graph that [`without_rounding`] gave.
    pub(super) fn new(graph: &'g Graph) -> Result<Real<'g>> {
        let producers = graph.producers();
        Ok(Real { graph, chain: Evaluator::new(graph)?, alone: Evaluator::new(graph)?, producers })
    }

    /// Runs the chain on real numbers, one array per input, in the file's order.
    pub(super) fn run(&mut self, example: &[Array]) -> Result<()> {
        run(self.graph, &mut self.chain, example)
    }

    /// A value of the chain.
    pub(super) fn chained(&self, value: ValueId) -> &[f32] {
        self.chain.value(value)
    }

    /// What the operator that gives a value makes of the real numbers that integers stand for; nothing where not all
    /// of its operands are known.
    pub(super) fn alone(
        &mut self,
        quantized: &Graph,
        value: ValueId,
        known: &Values,
    ) -> Result<Option<&[f32]>> {
        let Some(node) = self.producers[value.index()] else { return Ok(None) };
        let mut operands = Vec::new();
        for &input in &self.graph.nodes[node].inputs {
            let input = quantized.value(input);
            if input.is_constant() {
                continue;
            }
            let (Some(integers), Some(params)) = (known.get(&input.name), params(input)) else {
                return Ok(None);
            };
            operands.push(integers.iter().map(|&q| params.dequantize(q)).collect::<Vec<f32>>());
        }
        let slices: Vec<&[f32]> = operands.iter().map(Vec::as_slice).collect();
        Ok(Some(self.alone.run_alone(node, &slices)?))
    }
}

fn run(graph: &Graph, evaluator: &mut Evaluator<'_>, example: &[Array]) -> Result<()> {
    let values: Vec<Vec<f32>> =
        graph.inputs.iter().zip(example).map(|(port, array)| port.to_value(&array.to_f32())).collect();
    let slices: Vec<&[f32]> = values.iter().map(Vec::as_slice).collect();
    Ok(evaluator.run(&slices)?)
}

/// The examples as real numbers. Integers in the file are in the units of `quantized`, whose ports these are.
pub(super) fn real_examples(
    graph: &Graph,
    quantized: &[Port],
    arrays: &[crate::arrays::Named],
    file: &Path,
) -> Result<Vec<Vec<Array>>> {
    let ports: Vec<Port> = ports::of_graph(graph, &graph.inputs)
        .into_iter()
        .zip(quantized)
        .map(|(port, known)| Port { element_type: ElementType::F32, quant: known.quant, ..port })
        .collect();
    batch::examples(&ports, arrays, file)
}

/// The float model that a quantized one came from.
pub(super) struct FloatModel<'g> {
    graph: &'g Graph,
    chain: Evaluator<'g>,
    /// For each value of the quantized graph, its counterpart.
    pairs: Vec<Option<ValueId>>,
}

impl<'g> FloatModel<'g> {
    pub(super) fn new(graph: &'g Graph, quantized: &Graph, file: &Path) -> Result<FloatModel<'g>> {
        let pairs = align(quantized, graph);
        let shapes = |graph: &Graph| -> Vec<usize> {
            graph.inputs.iter().chain(&graph.outputs).map(|port| graph.value(port.value).len()).collect()
        };
        let fits = shapes(quantized) == shapes(graph);
        (fits && pairs.iter().any(Option::is_some)).then_some(()).with_context(|| {
            format!(
                "{}: is not the float form of this model: their inputs, outputs or layers differ. Remedy: give the \
                 float model that it was quantized from",
                file.display()
            )
        })?;
        Ok(FloatModel { graph, chain: Evaluator::new(graph)?, pairs })
    }

    pub(super) fn run(&mut self, example: &[Array]) -> Result<()> {
        run(self.graph, &mut self.chain, example)
    }

    /// The counterpart of a value of the quantized graph: the node's name and its numbers.
    pub(super) fn find(&self, value: ValueId) -> Option<(&str, &[f32])> {
        let pair = self.pairs[value.index()]?;
        Some((self.graph.value(pair).name.as_str(), self.chain.value(pair)))
    }
}

/// How a layer differs from its counterpart in the float model, channel by channel: equalization multiplies a channel
/// by a factor and the weights that read it by the inverse, which is no error.
#[derive(Debug, Clone, Default)]
pub(super) struct ChannelNoise {
    plain: Noise,
    /// Per channel: sums of squares of the real and the held numbers, and of their products.
    sums: Vec<[f64; 3]>,
}

/// An improvement by which taking out one factor per channel is more than a better fit of noise.
const RESCALED_DB: f64 = 6.0;

impl ChannelNoise {
    pub(super) fn add(&mut self, channels: usize, real: &[f32], held: &[f64]) {
        self.sums.resize(channels, [0.0; 3]);
        for (index, (&real, &held)) in real.iter().zip(held).enumerate() {
            let real = f64::from(real);
            self.plain.add(real, held);
            let sums = &mut self.sums[index % channels];
            sums[0] += real * real;
            sums[1] += held * held;
            sums[2] += real * held;
        }
    }

    /// The noise, and whether one factor per channel was taken out first.
    pub(super) fn finish(&self) -> (Noise, bool) {
        let mut rescaled = Noise { noise: 0.0, ..self.plain };
        for &[real, held, both] in &self.sums {
            // The factor by which the real numbers come nearest to the held ones; noise in the units of the real ones.
            let factor = if real > 0.0 { both / real } else { 1.0 };
            if factor > 0.0 {
                rescaled.noise += (held - factor * both).max(0.0) / (factor * factor);
            } else {
                rescaled.noise += real;
            }
        }
        match (self.plain.snr_db(), rescaled.snr_db()) {
            (Some(plain), Some(better)) if better > plain + RESCALED_DB => (rescaled, true),
            _ => (self.plain, false),
        }
    }
}

/// The value whose bytes a value shows: itself, or what was reshaped into it.
pub(super) fn source(graph: &Graph, producers: &[Option<usize>], mut value: ValueId) -> ValueId {
    while let Some(node) = producers[value.index()].map(|index| &graph.nodes[index])
        && let Op::Reshape { .. } = node.op
        && graph.value(node.inputs[0]).quant == graph.value(value).quant
    {
        value = node.inputs[0];
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factor_per_channel_is_taken_out_and_noise_is_not() {
        let real: Vec<f32> = (0..200).map(|i| ((i * 37 % 101) as f32 - 50.0) / 50.0).collect();
        let noisy = |factors: [f64; 2], noise: f64| -> Vec<f64> {
            let add = |(i, &x): (usize, &f32)| {
                factors[i % 2] * (f64::from(x) + noise * (((i * 53 % 97) as f64) / 48.0 - 1.0))
            };
            real.iter().enumerate().map(add).collect()
        };
        let finish = |held: Vec<f64>| {
            let mut noise = ChannelNoise::default();
            noise.add(2, &real, &held);
            noise.finish()
        };
        let (plain, rescaled) = finish(noisy([1.0, 1.0], 0.01));
        assert!(!rescaled && plain.snr_db().unwrap() > 35.0);
        let (equalized, rescaled) = finish(noisy([4.0, 0.25], 0.01));
        assert!(rescaled && (equalized.snr_db().unwrap() - plain.snr_db().unwrap()).abs() < 1.0);
        let (broken, rescaled) = finish(noisy([1.0, 1.0], 1.0));
        assert!(!rescaled && broken.snr_db().unwrap() < 10.0);
    }
}
