//! Runs a network in the training framework.

use anyhow::Context as _;
use burn::tensor::{Device, Tensor, TensorData};

use super::ops::{self, Clamp, Geometry};
use crate::network::{Activation, BATCH_NORM_EPSILON, Kind, Layer, Network, Window};
use crate::rng::Rng;
use crate::weights::{Role, Weights};

/// How much of a running statistic one batch replaces.
const MOMENTUM: f32 = 0.05;

/// The tensors of the weights on a device.
pub struct Parameters {
    /// One per tensor of the weights, flat.
    tensors: Vec<Tensor<1>>,
}

impl Parameters {
    /// Puts the weights on a device; those that are trained ask for gradients where the device has them.
    pub fn new(weights: &Weights, device: &Device) -> Self {
        let tensors = weights
            .tensors
            .iter()
            .map(|tensor| {
                let data = TensorData::new(tensor.values.clone(), [tensor.values.len()]);
                let on_device = Tensor::<1>::from_data(data, device);
                match tensor.role {
                    Role::Statistics => on_device,
                    Role::Weights | Role::Affine if device.is_autodiff() => on_device.require_grad(),
                    Role::Weights | Role::Affine => on_device,
                }
            })
            .collect();
        Self { tensors }
    }

    /// Gradients of a loss, one vector per tensor of the weights; empty for what is not trained.
    pub fn gradients(&self, loss: &Tensor<1>) -> anyhow::Result<Vec<Vec<f32>>> {
        let gradients = loss.backward();
        self.tensors
            .iter()
            .map(|tensor| match tensor.grad(&gradients) {
                Some(gradient) => floats(gradient),
                None => Ok(Vec::new()),
            })
            .collect()
    }
}

/// The values of a tensor.
pub fn floats<const D: usize>(tensor: Tensor<D>) -> anyhow::Result<Vec<f32>> {
    tensor
        .into_data()
        .try_into_vec::<f32>()
        .map_err(|error| anyhow::anyhow!("reading a tensor of the training framework: {error:?}"))
}

/// Statistics that a training pass saw: index of the running mean in the weights, mean, variance.
pub type Seen = Vec<(usize, Vec<f32>, Vec<f32>)>;

/// Moves the running statistics of the weights towards what a pass saw over `rows` examples.
pub fn gather_statistics(weights: &mut Weights, seen: Seen) {
    for (mean_idx, mean, variance) in seen {
        for (offset, values) in [(0, mean), (1, variance)] {
            if let Some(running) = weights.tensors.get_mut(mean_idx + offset) {
                for (running, value) in running.values.iter_mut().zip(values) {
                    *running += MOMENTUM * (value - *running);
                }
            }
        }
    }
}

/// Outputs `[n, outputs]` of a batch `[n, h, w, c]` in training: statistics of the batch, dropout from `rng`.
pub fn train_pass(
    network: &Network,
    parameters: &Parameters,
    input: Tensor<4>,
    rng: &mut Rng,
) -> anyhow::Result<(Tensor<2>, Seen)> {
    let mut seen = Vec::new();
    let scores = run(network, parameters, input, Some((rng, &mut seen)))?;
    Ok((scores, seen))
}

/// Outputs `[n, outputs]` of a batch `[n, h, w, c]` with the running statistics.
pub fn infer(network: &Network, parameters: &Parameters, input: Tensor<4>) -> anyhow::Result<Tensor<2>> {
    run(network, parameters, input, None)
}

fn run(
    network: &Network,
    parameters: &Parameters,
    mut x: Tensor<4>,
    mut training: Option<(&mut Rng, &mut Seen)>,
) -> anyhow::Result<Tensor<2>> {
    let [n, ..] = x.dims();
    let mut next = 0;
    let mut take = || -> anyhow::Result<(usize, Tensor<1>)> {
        let tensor = parameters.tensors.get(next).context("the weights do not belong to this network")?;
        next += 1;
        Ok((next - 1, tensor.clone()))
    };
    for layer in &network.layers {
        let [h, w, c] = layer.output;
        x = match layer.kind {
            Kind::Conv(window) => {
                let weights = take()?.1.reshape([c, layer.fan_in()]);
                let pointwise = window.kernel == [1, 1] && window.stride == [1, 1];
                let rows = if pointwise {
                    let [ih, iw, ic] = layer.input;
                    x.reshape([n * ih * iw, ic])
                } else {
                    ops::patches(x, geometry(layer, window))
                };
                rows.matmul(weights.transpose()).reshape([n, h, w, c])
            }
            Kind::Depthwise(window) => {
                let weights = take()?.1.reshape([window.kernel[0], window.kernel[1], c]);
                ops::depthwise(x, weights, geometry(layer, window))
            }
            Kind::Dense => {
                let weights = take()?.1.reshape([c, layer.fan_in()]);
                x.reshape([n, layer.fan_in()]).matmul(weights.transpose()).reshape([n, 1, 1, c])
            }
            Kind::MaxPool(window) => ops::max_pool(x, geometry(layer, window)),
            Kind::AveragePool(window) => ops::average_pool(x, geometry(layer, window)),
            Kind::Flatten => x.reshape([n, h, w, c]),
            Kind::Dropout(rate) => match &mut training {
                Some((rng, _)) if rate > 0.0 => {
                    let keep = (1.0 / (1.0 - rate)) as f32;
                    let mask: Vec<f32> =
                        (0..n * h * w * c).map(|_| if rng.chance(rate) { 0.0 } else { keep }).collect();
                    let device = x.device();
                    x * Tensor::from_data(TensorData::new(mask, [n, h, w, c]), &device)
                }
                _ => x,
            },
            Kind::Activation => x,
        };
        if layer.weights_shape().is_some() && !layer.batch_norm {
            x = x + take()?.1.reshape([1, 1, 1, c]);
        }
        let (min, max) = layer.activation.bounds();
        if layer.batch_norm {
            let (gamma, beta) = (take()?.1, take()?.1);
            let (mean_idx, mean) = take()?;
            let variance = take()?.1;
            if let Some((_, seen)) = &mut training {
                let rows = x.reshape([n * h * w, c]);
                let normalised = ops::normalise(rows, gamma, beta, BATCH_NORM_EPSILON, Clamp { min, max });
                seen.push((mean_idx, normalised.mean, normalised.variance));
                x = normalised.output.reshape([n, h, w, c]);
                continue;
            }
            let scale = gamma / (variance + BATCH_NORM_EPSILON).sqrt();
            let shift = beta - mean * scale.clone();
            x = x * scale.reshape([1, 1, 1, c]) + shift.reshape([1, 1, 1, c]);
        }
        x = match layer.activation {
            Activation::None => x,
            Activation::Relu => burn::tensor::activation::relu(x),
            Activation::Relu6 => x.clamp(min, max),
        };
    }
    Ok(x.reshape([n, network.outputs.count()]))
}

fn geometry(layer: &Layer, window: Window) -> Geometry {
    Geometry {
        input: [layer.input[0], layer.input[1]],
        channels: layer.input[2],
        kernel: window.kernel,
        stride: window.stride,
        pad: window.pad_begin,
        output: [layer.output[0], layer.output[1]],
    }
}
