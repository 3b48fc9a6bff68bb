//! Evens out the channels between consecutive layers: what one layer gives is divided by a factor per channel, and the weights
//! of the next are multiplied by it. The function stays the same, since everything between them commutes with a
//! positive factor (Nagel, van Baalen, Blankevoort and Welling, *Data-free quantization through weight equalization and bias
//! correction*, 2019).
//!
//! Here weights have a scale per output channel, so that factors at the outputs of a layer cost nothing. What counts is the one
//! scale of the activation between the layers, and the scale that each output channel of the next layer has for all its
//! inputs. With `a` the largest activation of a channel, and `w` the largest share that a weight which reads it has in the
//! largest of its output channel, the factor is `a^strength ·
//! w^(strength - 1)`; at strength 1 all channels of the activation become equally large, at 1/2 activations and weights share
//! the burden. Before a depthwise layer, whose channels have a scale each, the strength is 1.

use super::calibrate::Sample;
use super::parallel;
use crate::error::Result;
use crate::evaluate::Evaluator;
use crate::graph::{Clamp, Graph, Op, Tensor, Unary, ValueId};

/// Factors are limited to this power of two, up and down.
const LIMIT: f64 = 10.0;

/// Two layers with nothing but positively homogeneous operators between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pair {
    /// The node that writes.
    first: usize,
    /// What it writes.
    value: ValueId,
    /// The node that reads it, or what follows from it.
    second: usize,
}

/// All such pairs of a graph, in its order.
pub(super) fn pairs(graph: &Graph) -> Vec<Pair> {
    let consumers = graph.consumers();
    let mut pairs = Vec::new();
    for (first, node) in graph.nodes.iter().enumerate() {
        let layer = matches!(node.op, Op::Conv2d(_) | Op::DepthwiseConv2d(_) | Op::FullyConnected { .. });
        let homogeneous =
            |clamp: Option<Clamp>| clamp.is_none_or(|clamp| clamp.is_none() || clamp == Clamp::RELU);
        if !layer || !homogeneous(node.op.activation()) || !owns_weights(graph, first) {
            continue;
        }
        let value = node.output();
        let mut at = value;
        let second = loop {
            if graph.is_output(at) {
                break None;
            }
            let [reader] = consumers[at.index()][..] else { break None };
            let next = &graph.nodes[reader];
            let passes = match &next.op {
                Op::MaxPool2d(pool) | Op::AveragePool2d(pool) => homogeneous(Some(pool.activation)),
                Op::Pad { value, .. } => *value == 0.0,
                Op::Unary(Unary::Clamp(clamp)) => homogeneous(Some(*clamp)),
                Op::Unary(Unary::LeakyRelu { .. } | Unary::Abs) => true,
                // Channels stay the innermost axis: number i of the result is of channel i modulo their number.
                Op::Reshape { shape } => {
                    let channels = graph.value(value).shape.last().copied().unwrap_or(1);
                    shape[3] % channels.max(1) == 0
                }
                Op::Conv2d(_) | Op::DepthwiseConv2d(_) | Op::FullyConnected { .. } => {
                    break (owns_weights(graph, reader) && next.inputs[0] == at).then_some(reader);
                }
                _ => false,
            };
            if !passes {
                break None;
            }
            at = next.output();
        };
        if let Some(second) = second {
            pairs.push(Pair { first, value, second });
        }
    }
    pairs
}

/// Whether weights and bias of a node are real constants that no other node reads.
fn owns_weights(graph: &Graph, index: usize) -> bool {
    graph.nodes[index].inputs[1..].iter().all(|id| {
        let readers = graph.nodes.iter().flat_map(|node| &node.inputs).filter(|input| *input == id).count();
        let value = graph.value(*id);
        readers == 1 && value.constant.as_ref().is_some_and(|t| t.as_f32().is_some())
    })
}

/// Evens out all pairs of a graph, for the activations that the samples give.
///
/// # Errors
/// A sample does not fit.
pub(super) fn equalize(
    graph: &mut Graph,
    pairs: &[Pair],
    strength: f64,
    samples: &[Sample<'_>],
) -> Result<()> {
    // The factors of one pair do not change the activations of another.
    let largest = largest(graph, pairs, samples)?;
    for (pair, largest) in pairs.iter().zip(&largest) {
        let factors = factors(graph, pair, largest, strength);
        apply(graph, pair, &factors);
    }
    Ok(())
}

/// Largest absolute activation of each channel between each pair.
fn largest(graph: &Graph, pairs: &[Pair], samples: &[Sample<'_>]) -> Result<Vec<Vec<f64>>> {
    Evaluator::new(graph)?;
    let run = |evaluator: &mut Result<Evaluator<'_>>, sample: usize| -> Result<Vec<Vec<f64>>> {
        let evaluator = evaluator.as_mut().map_err(|error| error.clone())?;
        evaluator.run(&samples[sample])?;
        let of = |pair: &Pair| {
            let channels = graph.value(pair.value).shape.last().copied().unwrap_or(1).max(1);
            let mut largest = vec![0.0f64; channels];
            for place in evaluator.value(pair.value).chunks_exact(channels) {
                for (largest, &x) in largest.iter_mut().zip(place) {
                    *largest = largest.max(f64::from(x.abs()));
                }
            }
            largest
        };
        Ok(pairs.iter().map(of).collect())
    };
    let mut joint: Vec<Vec<f64>> = Vec::new();
    for result in parallel::map(samples.len(), || Evaluator::new(graph), run) {
        let sample = result?;
        if joint.is_empty() {
            joint = sample;
            continue;
        }
        for (joint, sample) in joint.iter_mut().flatten().zip(sample.iter().flatten()) {
            *joint = joint.max(*sample);
        }
    }
    Ok(joint)
}

/// The index of a layer's input channel that each of its weights reads.
fn input_channel(op: &Op, shape: &[usize], channels: usize, weight: usize) -> usize {
    match op {
        Op::DepthwiseConv2d(_) => {
            let outputs = shape[3];
            weight % outputs / (outputs / channels.max(1)).max(1)
        }
        Op::Conv2d(conv) => {
            let depth = shape[3].max(1);
            let per_filter: usize = shape[1..].iter().product();
            let outputs_per_group = (shape[0] / conv.groups.max(1)).max(1);
            weight / per_filter.max(1) / outputs_per_group * depth + weight % depth
        }
        // A matrix product may read several places of each channel, one after the other.
        _ => weight % shape[1].max(1) % channels.max(1),
    }
}

fn weights(graph: &Graph, index: usize) -> &[f32] {
    let id = graph.nodes[index].inputs[1];
    graph.value(id).constant.as_ref().and_then(Tensor::as_f32).unwrap_or_default()
}

/// The factor of each channel; their geometric mean is 1.
fn factors(graph: &Graph, pair: &Pair, activations: &[f64], strength: f64) -> Vec<f64> {
    let op = &graph.nodes[pair.second].op;
    let shape = &graph.value(graph.nodes[pair.second].inputs[1]).shape;
    let strength = if matches!(op, Op::DepthwiseConv2d(_)) { 1.0 } else { strength };
    let channels = activations.len();
    let mut reading = vec![0.0f64; channels];
    // Each output channel has a scale of its own, so that a weight counts by its share of the channel's largest.
    let weights = weights(graph, pair.second);
    let per_output =
        if matches!(op, Op::DepthwiseConv2d(_)) { 1 } else { shape[1..].iter().product::<usize>().max(1) };
    for (output, row) in weights.chunks(per_output).enumerate() {
        let most = row.iter().fold(0f32, |most, w| most.max(w.abs()));
        for (i, w) in row.iter().enumerate().filter(|_| most > 0.0) {
            let at = input_channel(op, shape, channels, output * per_output + i).min(channels - 1);
            reading[at] = reading[at].max(f64::from(w.abs() / most));
        }
    }
    let logs: Vec<Option<f64>> = activations
        .iter()
        .zip(&reading)
        .map(|(&a, &w)| {
            // A channel that is always zero, or that nothing reads, stays as it is.
            (a > 0.0 && w > 0.0).then(|| strength * libm::log2(a) + (strength - 1.0) * libm::log2(w))
        })
        .collect();
    let known: Vec<f64> = logs.iter().copied().flatten().collect();
    let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
    logs.iter().map(|log| log.map_or(1.0, |log| libm::exp2((log - mean).clamp(-LIMIT, LIMIT)))).collect()
}

fn apply(graph: &mut Graph, pair: &Pair, factors: &[f64]) {
    let channels = factors.len();
    let op = graph.nodes[pair.second].op.clone();
    let id = graph.nodes[pair.second].inputs[1];
    let shape = graph.value(id).shape.clone();
    scale(graph, id, |i| factors[input_channel(&op, &shape, channels, i).min(channels - 1)]);

    let (op, inputs) = (graph.nodes[pair.first].op.clone(), graph.nodes[pair.first].inputs.clone());
    let shape = graph.value(inputs[1]).shape.clone();
    let per_channel: usize = shape[1..].iter().product::<usize>().max(1);
    let output = |i: usize| if matches!(op, Op::DepthwiseConv2d(_)) { i % channels } else { i / per_channel };
    scale(graph, inputs[1], |i| 1.0 / factors[output(i).min(channels - 1)]);
    if let Some(&bias) = inputs.get(2) {
        scale(graph, bias, |i| 1.0 / factors[i.min(channels - 1)]);
    }
}

/// Multiplies the numbers of a constant.
fn scale(graph: &mut Graph, id: ValueId, factor: impl Fn(usize) -> f64) {
    let value = graph.value_mut(id);
    let Some(numbers) = value.constant.as_ref().and_then(Tensor::as_f32) else { return };
    let scaled = numbers.iter().enumerate().map(|(i, &x)| (f64::from(x) * factor(i)) as f32).collect();
    if let Ok(tensor) = Tensor::f32(&value.shape.clone(), scaled) {
        value.constant = Some(tensor);
    }
}
