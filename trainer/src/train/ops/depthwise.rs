//! Depthwise convolution: one filter per channel.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::{Geometry, Operand, record, sum_in_order, tensor, values};

/// Examples whose weight gradients are added up before they join the total.
const EXAMPLES_PER_SUM: usize = 4;

#[derive(Debug)]
struct Depthwise;

impl Backward<Flex, 2> for Depthwise {
    type State = (Geometry, FlexTensor, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (geometry, input, weights) = ops.state;
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let [input_node, weights_node] = ops.parents;
        if let Some(node) = input_node {
            let grad_input = input_gradient(values(&grad), values(&weights), &geometry);
            let [h, w] = geometry.input;
            let n = grad_input.len() / geometry.input_len();
            grads.register::<Flex>(node.id, tensor(grad_input, &[n, h, w, geometry.channels]));
        }
        if let Some(node) = weights_node {
            let grad_weights = weights_gradient(values(&grad), values(&input), &geometry);
            let [kh, kw] = geometry.kernel;
            grads.register::<Flex>(node.id, tensor(grad_weights, &[kh, kw, geometry.channels]));
        }
    }
}

/// Depthwise convolution of `[n, h, w, c]` by `[kernel_h, kernel_w, c]`, without bias.
pub fn depthwise(input: Tensor<4>, weights: Tensor<3>, geometry: Geometry) -> Tensor<4> {
    let [n, ..] = input.dims();
    let tracked = input.is_autodiff();
    let input = Operand::new(input, tracked);
    let weights = Operand::new(weights, tracked);
    let (x, w) = (input.contiguous(), weights.contiguous());
    let output = forward(values(&x), values(&w), &geometry);
    let [oh, ow] = geometry.output;
    let output = tensor(output, &[n, oh, ow, geometry.channels]);
    record(Depthwise, [input, weights], (geometry, x, w), output)
}

fn forward(input: &[f32], weights: &[f32], geometry: &Geometry) -> Vec<f32> {
    let c = geometry.channels;
    let image_len = geometry.positions() * c;
    let mut out = vec![0.0; input.len() / geometry.input_len() * image_len];
    out.par_chunks_mut(image_len).zip(input.par_chunks(geometry.input_len())).for_each(|(out, image)| {
        geometry.for_each(|position, tap, pixel| {
            let out = &mut out[position * c..][..c];
            let x = &image[pixel * c..][..c];
            let w = &weights[tap * c..][..c];
            for ((out, x), w) in out.iter_mut().zip(x).zip(w) {
                *out += x * w;
            }
        });
    });
    out
}

fn input_gradient(grad: &[f32], weights: &[f32], geometry: &Geometry) -> Vec<f32> {
    let c = geometry.channels;
    let image_len = geometry.positions() * c;
    let mut out = vec![0.0; grad.len() / image_len * geometry.input_len()];
    out.par_chunks_mut(geometry.input_len()).zip(grad.par_chunks(image_len)).for_each(|(out, grad)| {
        geometry.for_each(|position, tap, pixel| {
            let out = &mut out[pixel * c..][..c];
            let g = &grad[position * c..][..c];
            let w = &weights[tap * c..][..c];
            for ((out, g), w) in out.iter_mut().zip(g).zip(w) {
                *out += g * w;
            }
        });
    });
    out
}

fn weights_gradient(grad: &[f32], input: &[f32], geometry: &Geometry) -> Vec<f32> {
    let c = geometry.channels;
    let image_len = geometry.positions() * c;
    let len = geometry.taps() * c;
    let parts: Vec<Vec<f32>> = grad
        .par_chunks(EXAMPLES_PER_SUM * image_len)
        .zip(input.par_chunks(EXAMPLES_PER_SUM * geometry.input_len()))
        .map(|(grad, input)| {
            let mut sum = vec![0.0; len];
            for (grad, image) in grad.chunks(image_len).zip(input.chunks(geometry.input_len())) {
                geometry.for_each(|position, tap, pixel| {
                    let sum = &mut sum[tap * c..][..c];
                    let g = &grad[position * c..][..c];
                    let x = &image[pixel * c..][..c];
                    for ((sum, g), x) in sum.iter_mut().zip(g).zip(x) {
                        *sum += g * x;
                    }
                });
            }
            sum
        })
        .collect();
    sum_in_order(parts, len)
}
