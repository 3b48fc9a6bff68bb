//! Maximum and average over a window.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::{Geometry, Operand, record, tensor, values};

#[derive(Debug)]
struct MaxPool;

impl Backward<Flex, 1> for MaxPool {
    /// For each output element the element of its own input image that it came from.
    type State = (Geometry, std::sync::Arc<Vec<u32>>);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (geometry, chosen) = ops.state;
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let [Some(parent)] = ops.parents else { return };
        let image_len = geometry.positions() * geometry.channels;
        let n = chosen.len() / image_len;
        let mut out = vec![0.0; n * geometry.input_len()];
        out.par_chunks_mut(geometry.input_len())
            .zip(values(&grad).par_chunks(image_len).zip(chosen.par_chunks(image_len)))
            .for_each(|(out, (grad, chosen))| {
                for (grad, &chosen) in grad.iter().zip(chosen) {
                    out[chosen as usize] += grad;
                }
            });
        let [h, w] = geometry.input;
        grads.register::<Flex>(parent.id, tensor(out, &[n, h, w, geometry.channels]));
    }
}

/// The largest element under the window, per channel; the padding is never chosen.
pub fn max_pool(input: Tensor<4>, geometry: Geometry) -> Tensor<4> {
    let [n, ..] = input.dims();
    let tracked = input.is_autodiff();
    let input = Operand::new(input, tracked);
    let c = geometry.channels;
    let image_len = geometry.positions() * c;
    let mut out = vec![f32::NEG_INFINITY; n * image_len];
    let mut chosen = vec![0_u32; n * image_len];
    out.par_chunks_mut(image_len)
        .zip(chosen.par_chunks_mut(image_len))
        .zip(values(&input.contiguous()).par_chunks(geometry.input_len()))
        .for_each(|((out, chosen), image)| {
            geometry.for_each(|position, _, pixel| {
                let largest = out[position * c..][..c].iter_mut().zip(&mut chosen[position * c..][..c]);
                for ((i, x), (out, chosen)) in image[pixel * c..][..c].iter().enumerate().zip(largest) {
                    if *x > *out {
                        *out = *x;
                        *chosen = (pixel * c + i) as u32;
                    }
                }
            });
        });
    let [oh, ow] = geometry.output;
    record(MaxPool, [input], (geometry, chosen.into()), tensor(out, &[n, oh, ow, c]))
}

#[derive(Debug)]
struct AveragePool;

impl Backward<Flex, 1> for AveragePool {
    type State = Geometry;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let geometry = ops.state;
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let [Some(parent)] = ops.parents else { return };
        let c = geometry.channels;
        let image_len = geometry.positions() * c;
        let shares = shares(&geometry);
        let n = values(&grad).len() / image_len;
        let mut out = vec![0.0; n * geometry.input_len()];
        out.par_chunks_mut(geometry.input_len()).zip(values(&grad).par_chunks(image_len)).for_each(
            |(out, grad)| {
                geometry.for_each(|position, _, pixel| {
                    let grad = &grad[position * c..][..c];
                    for (out, grad) in out[pixel * c..][..c].iter_mut().zip(grad) {
                        *out += grad * shares[position];
                    }
                });
            },
        );
        let [h, w] = geometry.input;
        grads.register::<Flex>(parent.id, tensor(out, &[n, h, w, c]));
    }
}

/// The mean of the elements under the window, per channel; the padding is not counted.
pub fn average_pool(input: Tensor<4>, geometry: Geometry) -> Tensor<4> {
    let [n, ..] = input.dims();
    let tracked = input.is_autodiff();
    let input = Operand::new(input, tracked);
    let c = geometry.channels;
    let image_len = geometry.positions() * c;
    let shares = shares(&geometry);
    let mut out = vec![0.0; n * image_len];
    out.par_chunks_mut(image_len).zip(values(&input.contiguous()).par_chunks(geometry.input_len())).for_each(
        |(out, image)| {
            geometry.for_each(|position, _, pixel| {
                let x = &image[pixel * c..][..c];
                for (out, x) in out[position * c..][..c].iter_mut().zip(x) {
                    *out += x * shares[position];
                }
            });
        },
    );
    let [oh, ow] = geometry.output;
    record(AveragePool, [input], geometry, tensor(out, &[n, oh, ow, c]))
}

/// The weight of one element at each position: one over the number of elements inside the input.
fn shares(geometry: &Geometry) -> Vec<f32> {
    let mut counts = vec![0_u32; geometry.positions()];
    geometry.for_each(|position, _, _| counts[position] += 1);
    counts.into_iter().map(|count| 1.0 / count.max(1) as f32).collect()
}
