//! Graphs with integers, made from float graphs without a file in between.

use teff_compiler::evaluate::Evaluator;
use teff_compiler::graph::{Elements, Graph, Op, Quant, Tensor, ValueId};

/// splitmix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// In [-1, 1).
    pub fn real(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    pub fn tensor(&mut self, shape: &[usize]) -> Tensor {
        let elements = (0..shape.iter().product()).map(|_| self.real()).collect();
        Tensor::f32(shape, elements).unwrap()
    }
}

/// Scales from the ranges of one float run; weights per channel.
pub fn quantized(mut graph: Graph, input: &[f32]) -> Graph {
    let float = graph.clone();
    let mut evaluator = Evaluator::new(&float).unwrap();
    evaluator.run(&[input]).unwrap();
    let constants: Vec<ValueId> = graph.value_ids().filter(|&id| graph.value(id).is_constant()).collect();
    for id in graph.value_ids().filter(|id| !constants.contains(id)) {
        let values = evaluator.value(id);
        let (low, high) = values.iter().fold((0.0f32, 0.0f32), |(l, h), &v| (l.min(v), h.max(v)));
        let scale = ((high - low) / 255.0).max(1e-3);
        let zero_point = (-128.0 - low / scale).round().clamp(-128.0, 127.0) as i32;
        graph.value_mut(id).quant = Some(Quant::per_tensor(scale, zero_point));
    }
    for index in 0..graph.nodes.len() {
        let node = graph.nodes[index].clone();
        let (axis, weighted) = match node.op {
            Op::Conv2d(_) | Op::FullyConnected { .. } => (0, true),
            Op::DepthwiseConv2d(_) => (3, true),
            Op::Softmax => {
                graph.value_mut(node.output()).quant = Some(Quant::per_tensor(1.0 / 256.0, -128));
                continue;
            }
            _ => (0, false),
        };
        if !weighted {
            continue;
        }
        let input_scale = graph.value(node.inputs[0]).quant.as_ref().unwrap().scale();
        let filter = graph.value_mut(node.inputs[1]);
        let real = filter.constant.as_ref().unwrap().as_f32().unwrap().to_vec();
        let shape = filter.shape.clone();
        let channels = shape[axis];
        let channel = |i: usize| if axis == 0 { i / (real.len() / channels) } else { i % channels };
        let mut scales = vec![1e-6f32; channels];
        for (i, &w) in real.iter().enumerate() {
            scales[channel(i)] = scales[channel(i)].max(w.abs() / 127.0);
        }
        let q = real.iter().enumerate().map(|(i, &w)| (w / scales[channel(i)]).round() as i8).collect();
        filter.constant = Some(Tensor::new(&shape, Elements::I8(q)).unwrap());
        filter.quant = Some(Quant::per_channel(scales.clone(), axis));
        if let Some(&id) = node.inputs.get(2) {
            let bias = graph.value_mut(id);
            let real = bias.constant.as_ref().unwrap().as_f32().unwrap().to_vec();
            let scales: Vec<f32> = scales.iter().map(|s| s * input_scale).collect();
            let q = real.iter().zip(&scales).map(|(b, s)| (b / s).round() as i32).collect();
            bias.constant = Some(Tensor::new(&[channels], Elements::I32(q)).unwrap());
            bias.quant = Some(Quant::bias(scales));
        }
    }
    graph
}
