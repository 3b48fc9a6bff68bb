//! The weights and biases of one convolution or matrix product, and their integers.

use super::feedback::{self, Moments};
use super::parallel;
use crate::error::{Error, Result};
use crate::graph::{Elements, Graph, Node, Op, Quant, Tensor, ValueId};

/// A bias in units of `input scale · weight scale` stays below this: an accumulator beyond it
/// costs precision in the multiplication that follows.
const BIAS_LIMIT: f64 = 16_777_216.0;

/// One convolution or matrix product in real numbers.
#[derive(Debug)]
pub(super) struct Layer {
    index: usize,
    node: Node,
    shape: Vec<usize>,
    weights: Vec<f32>,
    /// One per output channel.
    pub bias: Vec<f32>,
    channel_axis: usize,
}

impl Layer {
    /// The layer that a node of a float graph is, or `None` where it has no weights.
    ///
    /// # Errors
    /// Its weights or biases are not real numbers.
    pub fn new(graph: &Graph, index: usize) -> Result<Option<Layer>> {
        let node = &graph.nodes[index];
        let fault = |reason: &str| Error::node(&node.name, node.op.name(), reason);
        let channel_axis = match node.op {
            Op::Conv2d(_) | Op::FullyConnected { .. } => 0,
            Op::DepthwiseConv2d(_) => 3,
            Op::ScaleShift => return Err(fault("the graph is not simplified")),
            _ => return Ok(None),
        };
        let filter = graph
            .value(node.inputs[1])
            .constant
            .as_ref()
            .ok_or_else(|| fault("its weights are not constant"))?;
        let weights = filter.as_f32().ok_or_else(|| fault("its weights are quantized already"))?.to_vec();
        if weights.iter().any(|w| !w.is_finite()) {
            return Err(fault("a weight is infinite or not a number").remedy("train or export it again"));
        }
        let channels = filter.shape()[channel_axis];
        let bias = match node.inputs.get(2) {
            Some(&id) => {
                let tensor = graph.value(id).constant.as_ref();
                tensor.and_then(Tensor::as_f32).ok_or_else(|| fault("its bias is not real"))?.to_vec()
            }
            None => vec![0.0; channels],
        };
        if bias.iter().any(|b| !b.is_finite()) {
            return Err(fault("a bias is infinite or not a number").remedy("train or export it again"));
        }
        let shape = filter.shape().to_vec();
        Ok(Some(Layer { index, node: node.clone(), shape, weights, bias, channel_axis }))
    }

    /// Number of output channels.
    pub fn channels(&self) -> usize {
        self.shape[self.channel_axis]
    }

    /// How far apart the weights of one channel lie, and how many there are.
    fn stride(&self) -> (usize, usize) {
        let len = self.weights.len() / self.channels().max(1);
        if self.channel_axis == 0 { (1, len) } else { (self.channels(), len) }
    }

    /// Writes the layer's integers into a graph whose activations have their quantization. Where `moments` are given,
    /// weights are rounded so that the error of the sums is least.
    ///
    /// # Errors
    /// The scales are not numbers that int8 arithmetic can work with.
    pub fn write(&self, graph: &mut Graph, moments: Option<&Moments>) -> Result<()> {
        let fault = |reason: &str| Error::node(&self.node.name, self.node.op.name(), reason);
        let scale_of = |id: ValueId| f64::from(graph.value(id).quant.as_ref().map_or(1.0, Quant::scale));
        let (s_in, s_out) = (scale_of(self.node.inputs[0]), scale_of(self.node.output()));
        let channels = self.channels();
        let (step, len) = self.stride();
        let first = |c: usize| if self.channel_axis == 0 { c * len } else { c };
        let rounded = parallel::map(
            channels,
            || (),
            |(), c| {
                let first = first(c);
                let row: Vec<f32> = (0..len).map(|i| self.weights[first + i * step]).collect();
                let largest = row.iter().fold(0f32, |largest, w| largest.max(w.abs()));
                let from_weights = f64::from(largest) / 127.0;
                let from_bias = f64::from(self.bias[c].abs()) / (s_in * BIAS_LIMIT);
                // Without weights only the bias counts: 256 steps of it make one of the output.
                let from_output = if largest == 0.0 { s_out / (256.0 * s_in) } else { 0.0 };
                let usable = |scale: f64| {
                    let scale = scale.max(from_bias).max(from_output) as f32;
                    if scale >= f32::MIN_POSITIVE { scale } else { f32::MIN_POSITIVE }
                };
                match moments.filter(|_| largest > 0.0) {
                    Some(moments) => feedback::round(&row, moments.of(c, channels), from_weights, usable),
                    None => {
                        let scale = usable(from_weights);
                        (scale, row.iter().map(|&w| nearest(w, scale)).collect())
                    }
                }
            },
        );
        let mut scales = Vec::with_capacity(channels);
        let mut integers = vec![0i8; self.weights.len()];
        for (c, (scale, rounded)) in rounded.into_iter().enumerate() {
            for (i, q) in rounded.into_iter().enumerate() {
                integers[first(c) + i * step] = q;
            }
            scales.push(scale);
        }
        let bias_scales: Vec<f32> = scales.iter().map(|&s| (s_in * f64::from(s)) as f32).collect();
        if let Some(bad) = bias_scales.iter().find(|s| !(s.is_finite() && **s > 0.0)) {
            return Err(fault(&format!("the scale of its sums would be {bad}"))
                .remedy("its inputs or weights are too large or too small for int8"));
        }
        let bias = self.integer_bias(&bias_scales)?;
        let filter = Tensor::new(&self.shape, Elements::I8(integers))?;

        let quant = Quant::per_channel(scales, self.channel_axis);
        let filter = own_constant(graph, self.node.inputs[1], filter, quant);
        let quant = Quant::bias(bias_scales);
        let bias = match self.node.inputs.get(2) {
            Some(&old) => own_constant(graph, old, bias, quant),
            None => {
                let id = graph.add_constant(&format!("{}.bias", self.node.name), bias);
                graph.value_mut(id).quant = Some(quant);
                id
            }
        };
        graph.nodes[self.index].inputs = vec![self.node.inputs[0], filter, bias];
        Ok(())
    }

    /// Writes the biases anew, after [`Layer::write`].
    ///
    /// # Errors
    /// There is not one bias per channel.
    pub fn write_bias(&self, graph: &mut Graph) -> Result<()> {
        let id = graph.nodes[self.index].inputs[2];
        if let Some(scales) = graph.value(id).quant.as_ref().map(|quant| quant.scales.clone()) {
            graph.value_mut(id).constant = Some(self.integer_bias(&scales)?);
        }
        Ok(())
    }

    fn integer_bias(&self, scales: &[f32]) -> Result<Tensor> {
        let bias = self.bias.iter().zip(scales).map(|(&b, &s)| {
            let q = teff::quant::round_half_away(f64::from(b) / f64::from(s));
            q.clamp(-i64::from(i32::MAX), i64::from(i32::MAX)) as i32
        });
        Tensor::new(&[self.channels()], Elements::I32(bias.collect()))
    }
}

/// The nearest int8 that is a weight.
pub(super) fn nearest(weight: f32, scale: f32) -> i8 {
    let q = teff::quant::round_half_away(f64::from(weight) / f64::from(scale));
    q.clamp(-127, 127) as i8
}

/// Replaces a constant; where other operators read it too, they keep the old one.
fn own_constant(graph: &mut Graph, old: ValueId, tensor: Tensor, quant: Quant) -> ValueId {
    let readers: usize = graph.nodes.iter().map(|n| n.inputs.iter().filter(|i| **i == old).count()).sum();
    let id = if readers > 1 {
        let name = graph.value(old).name.clone();
        graph.add_constant(&name, tensor)
    } else {
        graph.value_mut(old).constant = Some(tensor);
        old
    };
    graph.value_mut(id).quant = Some(quant);
    id
}
