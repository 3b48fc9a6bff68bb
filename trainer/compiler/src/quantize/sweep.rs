//! One walk through a network, from its inputs to its outputs, with all samples side by side: in real numbers, and in
//! what the integers stand for. Each layer's weights and biases are settled when the walk arrives at it, for the
//! inputs that the quantized layers before it really give.

use super::calibrate::{Chosen, Sample};
use super::feedback::{Moments, Second};
use super::groups::Group;
use super::layer::Layer;
use super::parallel;
use crate::error::Result;
use crate::evaluate::{Patches, Prepared, State, round, rounding, run_node};
use crate::graph::{Clamp, Graph, Op};

/// What is done to the weights and biases on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Steps {
    /// Rounds weights for the smallest error of the sums.
    pub round_weights: bool,
    /// Takes the mean error of each channel off its bias.
    pub correct_bias: bool,
}

/// Gives every activation its quantization.
pub(super) fn assign_activations(graph: &mut Graph, groups: &[Group], chosen: &[Chosen]) {
    for (group, chosen) in groups.iter().zip(chosen) {
        for &id in &group.members {
            graph.value_mut(id).quant = Some(chosen.quant.clone());
        }
    }
}

/// The quantized graph of a float graph.
///
/// # Errors
/// Names the operator that cannot be held in integers.
pub(super) fn quantized(
    float: &Graph,
    groups: &[Group],
    chosen: &[Chosen],
    steps: Steps,
    samples: &[Sample<'_>],
) -> Result<Graph> {
    let mut graph = float.clone();
    assign_activations(&mut graph, groups, chosen);
    if steps == Steps::default() {
        for index in 0..float.nodes.len() {
            if let Some(layer) = Layer::new(float, index)? {
                layer.write(&mut graph, None)?;
            }
        }
    } else {
        Walk::new(float, &graph, samples)?.run(&mut graph, steps)?;
    }
    graph.verify()?;
    Ok(graph)
}

/// The two states of one sample.
struct Pair {
    float: State,
    fake: State,
}

struct Walk<'g> {
    float: &'g Graph,
    pairs: Vec<Pair>,
    /// For each node, the values that nothing reads after it.
    done: Vec<Vec<usize>>,
}

/// Error of one channel over one sample.
#[derive(Debug, Clone, Copy, Default)]
struct Drift {
    sum: f64,
    count: u64,
}

impl<'g> Walk<'g> {
    fn new(float: &'g Graph, graph: &Graph, samples: &[Sample<'_>]) -> Result<Walk<'g>> {
        let mut pairs = Vec::with_capacity(samples.len());
        for sample in samples {
            let mut pair = Pair { float: State::new(float), fake: State::new(float) };
            pair.float.take_inputs(float, sample)?;
            pair.fake.take_inputs(float, sample)?;
            for port in &graph.inputs {
                let quant = graph.value(port.value).quant.as_ref();
                round(&mut pair.fake.values[port.value.index()], rounding(quant));
            }
            pairs.push(pair);
        }
        let mut done = vec![Vec::new(); float.nodes.len()];
        let consumers = float.consumers();
        let producers = float.producers();
        for id in float.value_ids().filter(|&id| !float.value(id).is_constant()) {
            let last = consumers[id.index()].last().copied().or(producers[id.index()]);
            if let Some(last) = last {
                done[last].push(id.index());
            }
        }
        Ok(Walk { float, pairs, done })
    }

    fn run(mut self, graph: &mut Graph, steps: Steps) -> Result<()> {
        for index in 0..self.float.nodes.len() {
            let prepared = Prepared::new(self.float, index);
            let float = self.float;
            parallel::each(&mut self.pairs, |_, pair| run_node(float, index, &prepared, &mut pair.float));
            if let Some(mut layer) = Layer::new(float, index)? {
                let moments = if steps.round_weights { Some(self.moments(index)) } else { None };
                layer.write(graph, moments.as_ref())?;
                self.run_fake(graph, index);
                if steps.correct_bias {
                    for (bias, drift) in layer.bias.iter_mut().zip(self.drift(graph, index)) {
                        *bias = (f64::from(*bias) + drift) as f32;
                    }
                    layer.write_bias(graph)?;
                    self.run_fake(graph, index);
                }
            } else {
                self.run_fake(graph, index);
            }
            let output = float.nodes[index].output();
            let params = rounding(graph.value(output).quant.as_ref());
            let done = &self.done[index];
            parallel::each(&mut self.pairs, |_, pair| {
                round(&mut pair.fake.values[output.index()], params);
                for &id in done {
                    pair.float.values[id] = Vec::new();
                    pair.fake.values[id] = Vec::new();
                }
            });
        }
        Ok(())
    }

    /// Computes a node of the quantized graph, its result not yet rounded.
    fn run_fake(&mut self, graph: &Graph, index: usize) {
        let prepared = Prepared::new(graph, index);
        parallel::each(&mut self.pairs, |_, pair| run_node(graph, index, &prepared, &mut pair.fake));
    }

    /// The second moments of what a layer reads, from a share of its places that is large enough.
    fn moments(&self, index: usize) -> Moments {
        let patches = Patches::new(self.float, index);
        let size = patches.len();
        let wanted = (8 * size).clamp(2048, 8192);
        let places = patches.places();
        let each = wanted.div_ceil(self.pairs.len()).min(places);
        let input = self.float.nodes[index].inputs[0].index();
        let groups = (0..patches.groups()).collect::<Vec<usize>>();
        Moments::new(parallel::map(groups.len(), Vec::new, |buffer: &mut Vec<f32>, group| {
            buffer.clear();
            for (sample, pair) in self.pairs.iter().enumerate() {
                for i in 0..each {
                    // Places at equal distances, begun at another one in each sample.
                    let place = (i * places / each + sample * 7) % places;
                    patches.append(&pair.fake.values[input], place, group, buffer);
                }
            }
            Second::new(buffer, size)
        }))
    }

    /// By how much each channel of a layer's result is too small on average, over the places where a change of its bias
    /// changes the result: those where the real result is neither at the limit of the activation function nor
    /// beyond what the integers can hold. The mean over few samples is uncertain: it is shrunk by the share that its
    /// variance has in its square (James and Stein, *Estimation with quadratic loss*, 1961).
    fn drift(&self, graph: &Graph, index: usize) -> Vec<f64> {
        let node = &self.float.nodes[index];
        let output = node.output();
        let channels = self.float.value(output).shape.last().copied().unwrap_or(1);
        let clamp = node.op.activation().unwrap_or(Clamp::NONE);
        let (mut low, mut high) = (f64::from(clamp.min), f64::from(clamp.max));
        if let Some(quant) = &graph.value(output).quant {
            let real = |q: i32| f64::from(quant.scale()) * f64::from(q - quant.zero_point);
            // A result at the end of the range is as good as one at the limit.
            (low, high) = (low.max(real(-128) - f64::from(quant.scale())), high.min(real(127)));
        }
        let drifts = parallel::map(
            self.pairs.len(),
            || (),
            |(), sample| {
                let pair = &self.pairs[sample];
                let mut drifts = vec![Drift::default(); channels];
                let (float, fake) = (&pair.float.values[output.index()], &pair.fake.values[output.index()]);
                for (float, fake) in float.chunks_exact(channels).zip(fake.chunks_exact(channels)) {
                    for ((drift, &y), &z) in drifts.iter_mut().zip(float).zip(fake) {
                        let (y, z) = (f64::from(y), f64::from(z));
                        if low < y && y < high {
                            drift.sum += y - z;
                            drift.count += 1;
                        }
                    }
                }
                drifts
            },
        );
        (0..channels).map(|c| shrunk_mean(drifts.iter().map(|drifts| drifts[c]))).collect()
    }
}

/// The mean over all places, shrunk by how much the samples disagree about it.
fn shrunk_mean(drifts: impl Iterator<Item = Drift> + Clone) -> f64 {
    let (mut sum, mut count) = (0.0, 0u64);
    for drift in drifts.clone() {
        sum += drift.sum;
        count += drift.count;
    }
    if count == 0 || sum == 0.0 {
        return 0.0;
    }
    let mean = sum / count as f64;
    // Variance of a ratio of two sums over samples.
    let squares: f64 = drifts.clone().map(|d| d.sum - mean * d.count as f64).map(|r| r * r).sum();
    let samples = drifts.filter(|d| d.count > 0).count() as f64;
    if samples < 2.0 {
        return 0.0;
    }
    let variance = squares / (count as f64 * count as f64) * samples / (samples - 1.0);
    mean * (1.0 - variance / (mean * mean)).max(0.0)
}

/// Whether anything in a graph has weights.
pub(super) fn has_layers(graph: &Graph) -> bool {
    let layer = |op: &Op| matches!(op, Op::Conv2d(_) | Op::DepthwiseConv2d(_) | Op::FullyConnected { .. });
    graph.nodes.iter().any(|node| layer(&node.op))
}
