//! `x * scale[c] + offset[c]` becomes part of the weights of the layer before it, or after it.

use crate::graph::{Clamp, Conv2d, Elements, Graph, Op, Quant, Tensor, Unary, ValueId};

/// Folds what can be folded.
pub fn fold_batch_norm(graph: &mut Graph) {
    let mut index = 0;
    while index < graph.nodes.len() {
        if let Some(producer) = fold_into_producer(graph, index) {
            // The producer, if it is a scaling itself, may now stand next to another layer.
            index = producer;
        } else if !fold_into_reader(graph, index) {
            index += 1;
        }
    }
}

/// Factor and summand per channel of a node that is one.
fn factors(graph: &Graph, index: usize) -> Option<(Vec<f32>, Vec<f32>)> {
    let node = &graph.nodes[index];
    let constant = |i: usize| graph.value(node.inputs[i]).constant.as_ref()?.as_f32();
    match node.op {
        Op::ScaleShift => Some((constant(1)?.to_vec(), constant(2)?.to_vec())),
        Op::Unary(Unary::Linear { scale, offset }) => {
            let channels = graph.value(node.output()).shape[3];
            Some((vec![scale; channels], vec![offset; channels]))
        }
        _ => None,
    }
}

/// Output channel of an element of a filter, given the filter's length and number of channels.
type ChannelOf = fn(usize, usize, usize) -> usize;

/// Number of output channels of a layer, and where they are in its filter.
fn output_channels(graph: &Graph, index: usize) -> Option<(usize, ChannelOf)> {
    let node = &graph.nodes[index];
    let shape = &graph.value(node.inputs.get(1).copied()?).shape;
    match node.op {
        Op::Conv2d(_) | Op::FullyConnected { .. } => {
            Some((shape[0], |element, len, channels| element / (len / channels)))
        }
        Op::DepthwiseConv2d(_) => Some((shape[3], |element, _, channels| element % channels)),
        Op::ScaleShift => Some((shape[0], |element, _, _| element)),
        _ => None,
    }
}

fn fold_into_producer(graph: &mut Graph, index: usize) -> Option<usize> {
    let (scale, offset) = factors(graph, index)?;
    let input = graph.nodes[index].inputs[0];
    let producer = graph.nodes.iter().position(|n| n.output() == input)?;
    let consumers = graph.consumers();
    if super::only_reader(graph, &consumers, input) != Some(index)
        || graph.nodes[producer].op.activation().is_some_and(|a| !a.is_none())
    {
        return None;
    }
    let (channels, channel_of) = output_channels(graph, producer)?;
    if scale.len() != channels {
        return None;
    }
    if let Some((filter, bias)) = in_quantized(graph, producer, channel_of, &scale, &offset) {
        let node = &mut graph.nodes[producer];
        node.inputs = vec![node.inputs[0], filter, bias];
        super::absorb_reader(graph, producer, index);
        return Some(producer);
    }
    let node = &graph.nodes[producer];
    let real = |i: usize| graph.value(*node.inputs.get(i)?).constant.as_ref()?.as_f32();
    let filter = real(1)?;
    if node.inputs.len() > 2 && real(2).is_none() {
        return None;
    }
    let len = filter.len();
    let filter: Vec<f32> =
        filter.iter().enumerate().map(|(i, w)| w * scale[channel_of(i, len, channels)]).collect();
    let bias: Vec<f32> = match real(2) {
        Some(bias) => (0..channels).map(|c| bias[c] * scale[c] + offset[c]).collect(),
        None => offset,
    };
    set_weights(graph, producer, filter, bias);
    super::absorb_reader(graph, producer, index);
    Some(producer)
}

/// Weights that are integers keep them, apart from their sign: the factor goes into their scales, and the bias becomes
/// real. `None` where they are no such weights.
fn in_quantized(
    graph: &mut Graph,
    producer: usize,
    channel_of: ChannelOf,
    scale: &[f32],
    offset: &[f32],
) -> Option<(ValueId, ValueId)> {
    let node = &graph.nodes[producer];
    let (op, name) = (node.op.clone(), node.name.clone());
    let channels = scale.len();
    let old = graph.value(node.inputs[1]);
    let (weights, quant) = (old.constant.as_ref()?.as_i8()?, old.quant.as_ref()?);
    let axis = if matches!(op, Op::DepthwiseConv2d(_)) { 3 } else { 0 };
    if quant.channel_axis.is_some_and(|a| a != axis) {
        return None;
    }
    let factor =
        |w: i8, s: f32| i8::try_from(i32::from(w) * if s < 0.0 { -1 } else { i32::from(s > 0.0) }).ok();
    let integers = weights.iter().enumerate();
    let integers: Vec<i8> = integers
        .map(|(i, &w)| factor(w, scale[channel_of(i, weights.len(), channels)]))
        .collect::<Option<_>>()?;
    let scales = (0..channels).map(|c| (quant.scale_of(c) * scale[c].abs()).max(f32::MIN_POSITIVE)).collect();
    let bias = match node.inputs.get(2) {
        None => vec![0.0; channels],
        Some(&id) => {
            let value = graph.value(id);
            crate::evaluate::dequantized(value.constant.as_ref()?, value.quant.as_ref())
        }
    };
    let bias = bias.iter().zip(scale).zip(offset).map(|((b, s), o)| b * s + o).collect();
    let tensor = Tensor::new(&old.shape.clone(), Elements::I8(integers)).ok()?;
    let filter = graph.add_constant(&format!("{name}.scaled"), tensor);
    graph.value_mut(filter).quant = Some(Quant::per_channel(scales, axis));
    let bias = graph.add_constant(&format!("{name}.offset"), Tensor::vector(bias));
    Some((filter, bias))
}

/// Before a layer without padding: into the columns of its filter.
fn fold_into_reader(graph: &mut Graph, index: usize) -> bool {
    let Some((scale, offset)) = factors(graph, index) else { return false };
    if !matches!(graph.nodes[index].op, Op::ScaleShift) {
        return false;
    }
    let (input, output) = (graph.nodes[index].inputs[0], graph.nodes[index].output());
    let consumers = graph.consumers();
    let Some(reader) = super::only_reader(graph, &consumers, output) else { return false };
    let node = &graph.nodes[reader];
    let plain = match &node.op {
        Op::Conv2d(c) => c.padding.is_zero() && c.groups == 1,
        Op::FullyConnected { .. } => true,
        _ => false,
    };
    if !plain || node.inputs[0] != output {
        return false;
    }
    let real = |i: usize| graph.value(*node.inputs.get(i)?).constant.as_ref()?.as_f32();
    let Some(filter) = real(1) else { return false };
    if node.inputs.len() > 2 && real(2).is_none() {
        return false;
    }
    let (inputs, outputs) = (scale.len(), graph.value(node.inputs[1]).shape[0]);
    let row = filter.len() / outputs;
    let bias = (0..outputs)
        .map(|o| {
            let shift: f64 = filter[o * row..(o + 1) * row]
                .iter()
                .enumerate()
                .map(|(i, &w)| f64::from(w) * f64::from(offset[i % inputs]))
                .sum();
            (f64::from(real(2).map_or(0.0, |b| b[o])) + shift) as f32
        })
        .collect();
    let filter = filter.iter().enumerate().map(|(i, w)| w * scale[i % inputs]).collect();
    set_weights(graph, reader, filter, bias);
    graph.nodes[reader].inputs[0] = input;
    graph.nodes.remove(index);
    true
}

/// Gives a layer weights of its own.
fn set_weights(graph: &mut Graph, index: usize, filter: Vec<f32>, bias: Vec<f32>) {
    let node = graph.nodes[index].clone();
    let old = graph.value(node.inputs[1]);
    let (shape, name) = (old.shape.clone(), old.name.clone());
    let Ok(tensor) = Tensor::f32(&shape, filter) else { return };
    let filter = replace_constant(graph, node.inputs[1], &name, tensor);
    let bias = match node.inputs.get(2) {
        Some(&old) => {
            let name = graph.value(old).name.clone();
            replace_constant(graph, old, &name, Tensor::vector(bias))
        }
        None => graph.add_constant(&format!("{}.bias", node.name), Tensor::vector(bias)),
    };
    graph.nodes[index].inputs = vec![node.inputs[0], filter, bias];
}

/// The constant with other numbers; a new one where others read the old one.
fn replace_constant(graph: &mut Graph, old: ValueId, name: &str, tensor: Tensor) -> ValueId {
    let readers: usize = graph.nodes.iter().map(|n| n.inputs.iter().filter(|i| **i == old).count()).sum();
    if readers > 1 {
        return graph.add_constant(name, tensor);
    }
    graph.value_mut(old).constant = Some(tensor);
    old
}

/// What could not be folded becomes a depthwise convolution of 1 × 1. Between integers its weights are 127 or -127, with
/// the factor as their scale: nothing is lost.
pub fn scale_shift_to_depthwise(graph: &mut Graph) {
    for index in 0..graph.nodes.len() {
        if !matches!(graph.nodes[index].op, Op::ScaleShift) {
            continue;
        }
        let node = graph.nodes[index].clone();
        let channels = graph.value(node.output()).shape[3];
        let Some(scale) = graph.value(node.inputs[1]).constant.clone() else { continue };
        let (shape, op): (&[usize], fn(Conv2d) -> Op) = if channels == 1 {
            (&[1, 1, 1, 1], Op::Conv2d)
        } else {
            (&[1, 1, 1, channels], Op::DepthwiseConv2d)
        };
        let Ok(filter) = scale.reshaped(shape) else { continue };
        let integer = |id: ValueId| graph.value(id).quant.is_some();
        let integers =
            (integer(node.inputs[0]) && integer(node.output())).then(|| in_integers(&filter, channels));
        let filter = graph.add_constant(&format!("{}.filter", node.name), filter);
        if let Some((tensor, quant)) = integers.flatten() {
            let value = graph.value_mut(filter);
            value.constant = Some(tensor);
            value.quant = Some(quant);
        }
        graph.nodes[index].inputs[1] = filter;
        let activation = Clamp::NONE;
        graph.nodes[index].op = op(Conv2d { groups: channels, activation, ..Conv2d::default() });
    }
}

/// One factor per channel as a weight that takes the whole range and a scale.
fn in_integers(filter: &Tensor, channels: usize) -> Option<(Tensor, Quant)> {
    let factors = filter.as_f32()?;
    let weights = factors.iter().map(|f| if *f < 0.0 { -127 } else { i8::from(*f > 0.0) * 127 }).collect();
    let scales = factors.iter().map(|f| (f.abs() / 127.0).max(f32::MIN_POSITIVE)).collect();
    Some((
        Tensor::new(filter.shape(), Elements::I8(weights)).ok()?,
        Quant::per_channel(scales, if channels == 1 { 0 } else { 3 }),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Evaluator;
    use crate::graph::{BatchNorm, Builder, Padding};
    use crate::passes::remove_dead;

    #[test]
    fn normalization_goes_into_the_layers_around_it() {
        let mut b = Builder::new("norm");
        let x = b.input("x", [1, 3, 3, 2]);
        let x1 = b.scale_shift("before", x, vec![0.5, -2.0], vec![1.0, 3.0]);
        let filter = Tensor::f32(&[3, 2, 2, 2], (0..24).map(|i| i as f32 * 0.1 - 1.0).collect());
        let y = b.conv_2d("conv", x1, filter.unwrap(), None, Conv2d::default());
        let norm = BatchNorm {
            scale: &[1.0, 2.0, -3.0],
            offset: &[0.5, 0.0, 1.0],
            mean: &[0.1, 0.2, 0.3],
            variance: &[1.0, 4.0, 0.25],
            epsilon: 1e-3,
        };
        let y = b.batch_norm("norm", y, norm);
        let y = b.relu("relu", y);
        let padding = Padding { top: 1, left: 1, bottom: 1, right: 1 };
        let filter = Tensor::f32(&[1, 3, 3, 3], (0..27).map(|i| 1.0 - i as f32 * 0.1).collect());
        let conv = Conv2d { padding, ..Conv2d::default() };
        let y = b.depthwise_conv_2d("depthwise", y, filter.unwrap(), Some(vec![0.1; 3]), conv);
        let y = b.scale_shift("after", y, vec![2.0, 0.0, 1.0], vec![0.0, 1.0, 2.0]);
        b.output("y", y);
        let before = b.finish().unwrap();
        let mut after = before.clone();
        fold_batch_norm(&mut after);
        remove_dead(&mut after);
        after.verify().unwrap();
        assert_eq!(
            after.to_string(),
            "graph norm
  input  %x f32[1,3,3,2]  as [1, 2, 3, 3] by [0, 2, 3, 1]
  %norm f32[1,2,2,3] = conv_2d %x, %conv.filter f32[3,2,2,2], %conv.bias f32[3]
  %relu f32[1,2,2,3] = relu %norm
  %y f32[1,2,2,3] = depthwise_conv_2d(pad=1,1,1,1) %relu, %depthwise.filter f32[1,3,3,3], %depthwise.bias f32[3]
  output %y  as [1, 3, 2, 2] by [0, 2, 3, 1]
"
        );
        let input: Vec<f32> = (0..18).map(|i| (i as f32 * 0.7).sin()).collect();
        let mut a = Evaluator::new(&before).unwrap();
        let mut b = Evaluator::new(&after).unwrap();
        a.run(&[&input]).unwrap();
        b.run(&[&input]).unwrap();
        for (p, q) in a.output(0).iter().zip(b.output(0)) {
            assert!((p - q).abs() <= 1e-4 * p.abs().max(1.0), "{p} {q}");
        }
    }

    #[test]
    fn what_remains_is_a_depthwise_convolution() {
        let mut b = Builder::new("rest");
        let x = b.input("x", [1, 2, 2, 2]);
        let y = b.relu("relu", x);
        let y = b.scale_shift("norm", y, vec![2.0, 3.0], vec![0.0, 1.0]);
        let y = b.softmax("softmax", y);
        b.output("y", y);
        let mut graph = b.finish().unwrap();
        fold_batch_norm(&mut graph);
        scale_shift_to_depthwise(&mut graph);
        remove_dead(&mut graph);
        graph.verify().unwrap();
        assert!(graph.to_string().contains(
            "%norm f32[1,2,2,2] = depthwise_conv_2d %relu, %norm.filter f32[1,1,1,2], %norm.offset f32[2]"
        ));
    }
}
