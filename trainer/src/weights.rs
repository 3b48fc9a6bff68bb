//! The numbers that training changes, held on the host in a fixed order.

use crate::network::{Kind, Network};
use crate::rng::Rng;

/// What a tensor of weights is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Weights of a product: trained, with weight decay.
    Weights,
    /// Bias, or scale and shift of a batch normalisation: trained, without weight decay.
    Affine,
    /// Running mean and variance of a batch normalisation: gathered, not trained.
    Statistics,
}

/// One named tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Values {
    /// `layer.weights`, `layer.bias`, `layer.gamma`, `layer.beta`, `layer.mean` or `layer.variance`.
    pub name: String,
    /// Its shape, see `Layer::weights_shape`.
    pub shape: Vec<usize>,
    /// What it is for.
    pub role: Role,
    /// Its values in row-major order.
    pub values: Vec<f32>,
}

/// All tensors of a network, layer by layer.
///
/// A layer with batch normalisation has weights, gamma, beta, mean, variance, one without has weights, bias.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// The tensors.
    pub tensors: Vec<Values>,
}

impl Weights {
    /// The weights before training: normal with the variance that keeps the size of the activations (He), from the
    /// seed.
    pub fn random(network: &Network, seed: u64) -> Self {
        let mut tensors = Vec::new();
        for layer in &network.layers {
            let channels = layer.output[2];
            let mut push = |part: &str, shape: Vec<usize>, role: Role, values: Vec<f32>| {
                tensors.push(Values { name: format!("{}.{part}", layer.name), shape, role, values });
            };
            if let Some(shape) = layer.weights_shape() {
                let gain = if matches!(layer.kind, Kind::Dense) { 1.0 } else { 2.0 };
                let deviation = libm::sqrt(gain / layer.fan_in() as f64);
                let mut rng = Rng::for_purpose(seed, &format!("weights of {}", layer.name));
                let values =
                    (0..shape.iter().product::<usize>()).map(|_| (deviation * rng.normal()) as f32).collect();
                push("weights", shape, Role::Weights, values);
                if !layer.batch_norm {
                    push("bias", vec![channels], Role::Affine, vec![0.0; channels]);
                }
            }
            if layer.batch_norm {
                push("gamma", vec![channels], Role::Affine, vec![1.0; channels]);
                push("beta", vec![channels], Role::Affine, vec![0.0; channels]);
                push("mean", vec![channels], Role::Statistics, vec![0.0; channels]);
                push("variance", vec![channels], Role::Statistics, vec![1.0; channels]);
            }
        }
        Self { tensors }
    }

    /// The tensor `layer.part`.
    pub fn get(&self, layer: &str, part: &str) -> Option<&Values> {
        self.tensors.iter().find(|tensor| {
            tensor.name.strip_prefix(layer).and_then(|rest| rest.strip_prefix('.')) == Some(part)
        })
    }

    /// Whether every value is a number.
    pub fn is_finite(&self) -> bool {
        self.tensors.iter().all(|tensor| tensor.values.iter().all(|v| v.is_finite()))
    }
}
