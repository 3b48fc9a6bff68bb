//! Scales and zero points for every value, integers for every weight.

use super::calibrate::Ranges;
use crate::error::{Error, Result};
use crate::graph::{Elements, Graph, Op, Quant, Tensor, Unary, ValueId};

/// A bias in units of `input scale · weight scale` stays below this: an accumulator beyond it
/// costs precision in the multiplication that follows.
const BIAS_LIMIT: f64 = 16_777_216.0;

/// Scale and zero point of an activation that takes numbers from `least` to `most`. Zero is always
/// among the numbers that are met exactly.
pub fn activation_quant(least: f32, most: f32) -> Quant {
    let (least, most) = (f64::from(least.min(0.0)), f64::from(most.max(0.0)));
    let scale = ((most - least) / 255.0) as f32;
    // A value that is always zero, or nearly, still needs a scale.
    let scale = if scale < 1e-12 { 1.0 / 256.0 } else { scale };
    let zero_point = teff::quant::round_half_away(-128.0 - least / f64::from(scale));
    Quant::per_tensor(scale, zero_point.clamp(-128, 127) as i32)
}

/// The quantization that the range of a function fixes.
fn fixed_quant(op: &Op) -> Option<Quant> {
    match op {
        Op::Softmax | Op::Unary(Unary::Sigmoid | Unary::HardSigmoid { .. }) => {
            Some(Quant::per_tensor(1.0 / 256.0, -128))
        }
        Op::Unary(Unary::Tanh | Unary::Softsign | Unary::Erf) => Some(Quant::per_tensor(1.0 / 128.0, 0)),
        _ => None,
    }
}

/// Operators whose output has the quantization of their inputs.
fn shares_quant(graph: &Graph, op: &Op, input: ValueId) -> bool {
    match op {
        Op::Reshape { .. } | Op::MaxPool2d(_) | Op::Concat { .. } | Op::Pad { .. } | Op::Requantize => true,
        // The mean over everything has a much smaller range than what it is taken of, and a scale
        // of its own; smaller windows share that of their input and are divided exactly.
        Op::AveragePool2d(pool) => {
            let shape = &graph.value(input).shape;
            pool.filter != [shape[1], shape[2]] || !pool.padding.is_zero()
        }
        _ => false,
    }
}

/// Quantizes a simplified float graph.
///
/// # Errors
/// Names the operator that cannot be held in integers.
pub fn assign(graph: &Graph, ranges: &Ranges) -> Result<Graph> {
    let mut quantized = graph.clone();
    assign_activations(&mut quantized, ranges)?;
    for index in 0..quantized.nodes.len() {
        let node = &quantized.nodes[index];
        match node.op {
            Op::Conv2d(_) | Op::FullyConnected { .. } => quantize_weights(&mut quantized, index, 0)?,
            Op::DepthwiseConv2d(_) => quantize_weights(&mut quantized, index, 3)?,
            Op::ScaleShift => {
                return Err(Error::node(&node.name, node.op.name(), "the graph is not simplified"));
            }
            _ => {}
        }
    }
    quantized.verify()?;
    Ok(quantized)
}

fn assign_activations(graph: &mut Graph, ranges: &Ranges) -> Result<()> {
    // Values that share a quantization form groups, named by one of their members.
    let mut group: Vec<usize> = (0..graph.values().len()).collect();
    fn root(group: &[usize], mut id: usize) -> usize {
        while group[id] != id {
            id = group[id];
        }
        id
    }
    for node in &graph.nodes {
        if shares_quant(graph, &node.op, node.inputs[0]) {
            for input in &node.inputs {
                let (a, b) = (root(&group, input.index()), root(&group, node.output().index()));
                group[a.max(b)] = a.min(b);
            }
        }
    }
    let mut joint: Vec<Option<(f32, f32)>> = vec![None; group.len()];
    let mut fixed: Vec<Option<Quant>> = vec![None; group.len()];
    // A group has a fixed quantization only where every number in it comes from such functions.
    let mut free = vec![false; group.len()];
    let mut widen = |id: usize, (least, most): (f32, f32)| {
        let old = joint[id].unwrap_or((least, most));
        joint[id] = Some((old.0.min(least), old.1.max(most)));
    };
    let producers = graph.producers();
    for id in graph.value_ids() {
        if graph.value(id).is_constant() {
            continue;
        }
        let at = root(&group, id.index());
        let range = ranges
            .get(id)
            .ok_or_else(|| Error::value(&graph.value(id).name, "it was not seen in calibration"))?;
        widen(at, range);
        let Some(node) = producers[id.index()].map(|p| &graph.nodes[p]) else {
            free[at] = true;
            continue;
        };
        if let Op::Pad { value, .. } = node.op {
            widen(at, (value, value));
        }
        if let Some(quant) = fixed_quant(&node.op) {
            widen(at, (0.0, 255.0 / 256.0));
            match &fixed[at] {
                Some(other) if *other != quant => free[at] = true,
                _ => fixed[at] = Some(quant),
            }
        } else if !shares_quant(graph, &node.op, node.inputs[0]) {
            free[at] = true;
        }
    }
    for id in graph.value_ids() {
        if graph.value(id).is_constant() {
            continue;
        }
        let at = root(&group, id.index());
        let quant = match &fixed[at] {
            Some(quant) if !free[at] => quant.clone(),
            _ => {
                let (least, most) = joint[at].unwrap_or((0.0, 0.0));
                activation_quant(least, most)
            }
        };
        graph.value_mut(id).quant = Some(quant);
    }
    Ok(())
}

fn quantize_weights(graph: &mut Graph, index: usize, channel_axis: usize) -> Result<()> {
    let node = graph.nodes[index].clone();
    let fault = |reason: &str| Error::node(&node.name, node.op.name(), reason);
    let scale_of = |id: ValueId| f64::from(graph.value(id).quant.as_ref().map_or(1.0, Quant::scale));
    let (s_in, s_out) = (scale_of(node.inputs[0]), scale_of(node.output()));
    let filter =
        graph.value(node.inputs[1]).constant.clone().ok_or_else(|| fault("its weights are not constant"))?;
    let weights = filter.as_f32().ok_or_else(|| fault("its weights are quantized already"))?;
    if weights.iter().any(|w| !w.is_finite()) {
        return Err(fault("a weight is infinite or not a number").remedy("train or export it again"));
    }
    let channels = filter.shape()[channel_axis];
    let inner: usize = filter.shape()[channel_axis + 1..].iter().product();
    let channel_of = |i: usize| i / inner % channels;
    let bias: Vec<f32> = match node.inputs.get(2) {
        Some(&id) => {
            let tensor = graph.value(id).constant.as_ref();
            tensor.and_then(Tensor::as_f32).ok_or_else(|| fault("its bias is not real"))?.to_vec()
        }
        None => vec![0.0; channels],
    };
    if bias.iter().any(|b| !b.is_finite()) {
        return Err(fault("a bias is infinite or not a number").remedy("train or export it again"));
    }

    let mut largest = vec![0f32; channels];
    for (i, w) in weights.iter().enumerate() {
        let c = channel_of(i);
        largest[c] = largest[c].max(w.abs());
    }
    let scales: Vec<f32> = (0..channels)
        .map(|c| {
            let from_weights = f64::from(largest[c]) / 127.0;
            let from_bias = f64::from(bias[c].abs()) / (s_in * BIAS_LIMIT);
            // Without weights only the bias counts: 256 steps of it make one of the output.
            let from_output = if largest[c] == 0.0 { s_out / (256.0 * s_in) } else { 0.0 };
            let scale = from_weights.max(from_bias).max(from_output) as f32;
            if scale >= f32::MIN_POSITIVE { scale } else { f32::MIN_POSITIVE }
        })
        .collect();
    let integers: Vec<i8> = weights
        .iter()
        .enumerate()
        .map(|(i, &w)| {
            let q = teff::quant::round_half_away(f64::from(w) / f64::from(scales[channel_of(i)]));
            q.clamp(-127, 127) as i8
        })
        .collect();
    let bias_scales: Vec<f32> = scales.iter().map(|&s| (s_in * f64::from(s)) as f32).collect();
    if let Some(bad) = bias_scales.iter().find(|s| !(s.is_finite() && **s > 0.0)) {
        return Err(fault(&format!("the scale of its sums would be {bad}"))
            .remedy("its inputs or weights are too large or too small for int8"));
    }
    let bias: Vec<i32> = bias
        .iter()
        .zip(&bias_scales)
        .map(|(&b, &s)| {
            let q = teff::quant::round_half_away(f64::from(b) / f64::from(s));
            q.clamp(-i64::from(i32::MAX), i64::from(i32::MAX)) as i32
        })
        .collect();

    let tensor = Tensor::new(filter.shape(), Elements::I8(integers))?;
    let quant = Quant::per_channel(scales, channel_axis);
    let filter = own_constant(graph, node.inputs[1], tensor, quant);
    let tensor = Tensor::new(&[channels], Elements::I32(bias))?;
    let quant = Quant::bias(bias_scales);
    let bias = match node.inputs.get(2) {
        Some(&old) => own_constant(graph, old, tensor, quant),
        None => {
            let id = graph.add_constant(&format!("{}.bias", node.name), tensor);
            graph.value_mut(id).quant = Some(quant);
            id
        }
    };
    graph.nodes[index].inputs = vec![node.inputs[0], filter, bias];
    Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Evaluator;
    use crate::graph::{Builder, Conv2d, Padding};
    use crate::quantize::{Method, quantize};

    #[test]
    fn zero_is_exact_and_scales_are_positive() {
        for (least, most) in [(0.0, 0.0), (-1.0, 1.0), (0.5, 2.0), (-3.0, -1.0), (-1e-30, 1e-30)] {
            let quant = activation_quant(least, most);
            assert!(quant.scale() > 0.0 && (-128..=127).contains(&quant.zero_point));
        }
        let relu = activation_quant(0.0, 2.55);
        assert_eq!((relu.zero_point, relu.scale()), (-128, 0.01));
    }

    #[test]
    fn a_quantized_network_stays_close() {
        let mut b = Builder::new("net");
        let x = b.input("x", [1, 6, 6, 1]);
        let noise = |n: usize, s: f32| (0..n).map(|i| ((i * 37 % 101) as f32 / 50.0 - 1.0) * s).collect();
        let filter = Tensor::f32(&[4, 3, 3, 1], noise(36, 0.5)).unwrap();
        let y = b.conv_2d("conv", x, filter, Some(vec![0.1, -0.2, 0.3, 0.0]), Conv2d::default());
        let y = b.relu("relu", y);
        let z = b.max_pool_2d("max", y, [2, 2], [2, 2], Padding::default());
        let z = b.fully_connected("dense", z, Tensor::f32(&[3, 16], noise(48, 0.3)).unwrap(), None);
        let z = b.softmax("softmax", z);
        b.output("scores", z);
        let graph = b.finish().unwrap();
        let samples: Vec<Vec<f32>> =
            (0..20).map(|s| (0..36).map(|i| ((i * s) as f32 * 0.37).sin()).collect()).collect();
        let q = quantize(&graph, samples.iter().map(|s| vec![s.as_slice()]), Method::MinMax).unwrap();
        assert!(q.is_quantized());
        let pool = q.find_value("max").unwrap();
        let relu = q.find_value("relu").unwrap();
        assert_eq!(q.value(pool).quant, q.value(relu).quant);
        let scores = q.outputs[0].value;
        assert_eq!(q.value(scores).quant, Some(Quant::per_tensor(1.0 / 256.0, -128)));
        let mut real = Evaluator::new(&graph).unwrap();
        let mut fake = Evaluator::new(&q).unwrap();
        for sample in &samples {
            real.run(&[sample]).unwrap();
            fake.run(&[sample]).unwrap();
            for (a, b) in real.output(0).iter().zip(fake.output(0)) {
                assert!((a - b).abs() < 0.03, "{a} {b}");
            }
        }
    }

    #[test]
    fn empty_channels_are_constants() {
        let mut b = Builder::new("zero");
        let x = b.input("x", [1, 1, 1, 2]);
        let y = b.fully_connected(
            "dense",
            x,
            Tensor::f32(&[2, 2], vec![0.0, 0.0, 1.0, 0.5]).unwrap(),
            Some(vec![0.7, 0.0]),
        );
        b.output("y", y);
        let graph = b.finish().unwrap();
        let q = quantize(&graph, [vec![[1.0, -1.0].as_slice()]], Method::MinMax).unwrap();
        let mut fake = Evaluator::new(&q).unwrap();
        fake.run(&[&[0.3, 0.9]]).unwrap();
        assert!((fake.output(0)[0] - 0.7).abs() < 0.003, "{:?}", fake.output(0));
    }
}
