//! Examples put together into the batches of an epoch.

use burn::tensor::{Device, Tensor, TensorData};
use rayon::prelude::*;

use crate::network::Shape;
use crate::rng::Rng;

/// Where examples come from.
pub trait Source: Sync {
    /// Shape of one example's features.
    fn shape(&self) -> Shape;
    /// Number of examples.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Class of an example.
    fn label(&self, example: usize) -> usize;
    /// Writes the features of an example; with `rng` after a random change, where the recipe asks for any.
    fn features(&self, example: usize, rng: Option<&mut Rng>, out: &mut [f32]);
}

/// What the outputs are to be.
#[derive(Clone, Debug)]
pub enum Targets {
    /// The probabilities of classes.
    Classes(ClassTargets),
    /// The features themselves.
    Features,
}

/// How targets are made from labels.
#[derive(Clone, Debug)]
pub struct ClassTargets {
    /// Number of classes.
    pub classes: usize,
    /// Share of a label that is spread over all classes.
    pub smoothing: f64,
    /// Weight of each class in the loss.
    pub class_weights: Vec<f32>,
    /// Parameter of the beta distribution by which pairs are mixed; 0 mixes none.
    pub mixup: f64,
}

/// A batch on a device.
pub struct Batch {
    /// `[n, h, w, c]`.
    pub input: Tensor<4>,
    /// Weighted target probabilities `[n, classes]`, or the features `[n, features]`.
    pub targets: Tensor<2>,
    /// The labels; empty where examples are mixed or labels do not count.
    pub labels: Vec<usize>,
    /// Sum of the weights of the examples; of features, their number.
    pub weight: f32,
}

/// The order of the training examples in an epoch.
pub fn order(len: usize, seed: u64, epoch: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..len).collect();
    Rng::for_purpose(seed, &format!("order of epoch {epoch}")).shuffle(&mut order);
    order
}

/// The features of some examples, `[n * h * w * c]`. Each example has random numbers of its own, so that it does not
/// matter which thread makes it.
fn features(source: &dyn Source, examples: &[usize], random: Option<(u64, usize)>) -> Vec<f32> {
    let len = source.shape().iter().product::<usize>();
    let mut out = vec![0.0; examples.len() * len];
    out.par_chunks_mut(len.max(1)).zip(examples).for_each(|(out, &example)| {
        let mut rng = random
            .map(|(seed, epoch)| Rng::for_purpose(seed, &format!("example {example} of epoch {epoch}")));
        source.features(example, rng.as_mut(), out);
    });
    out
}

/// A batch of training examples of an epoch; `rng` mixes pairs.
pub fn training_batch(
    source: &dyn Source,
    examples: &[usize],
    (seed, epoch): (u64, usize),
    targets: &Targets,
    rng: &mut Rng,
    device: &Device,
) -> Batch {
    let mut values = features(source, examples, Some((seed, epoch)));
    let n = examples.len();
    let [h, w, c] = source.shape();
    let targets = match targets {
        Targets::Classes(targets) => targets,
        Targets::Features => {
            let input = Tensor::from_data(TensorData::new(values.clone(), [n, h, w, c]), device);
            let weight = values.len() as f32;
            let targets = Tensor::from_data(TensorData::new(values, [n, h * w * c]), device);
            return Batch { input, targets, labels: Vec::new(), weight };
        }
    };
    let classes = targets.classes;
    let spread = (targets.smoothing / classes as f64) as f32;
    let mut labels: Vec<usize> = examples.iter().map(|&i| source.label(i)).collect();
    let mut wanted = vec![spread; n * classes];
    for (row, &label) in wanted.chunks_exact_mut(classes).zip(&labels) {
        row[label] += (1.0 - targets.smoothing) as f32;
        let weight = targets.class_weights[label];
        row.iter_mut().for_each(|v| *v *= weight);
    }
    if targets.mixup > 0.0 && n > 1 {
        let share = beta(targets.mixup, rng) as f32;
        mix(&mut values, n, share);
        mix(&mut wanted, n, share);
        labels.clear();
    }
    let weight = wanted.iter().sum();
    Batch {
        input: Tensor::from_data(TensorData::new(values, [n, h, w, c]), device),
        targets: Tensor::from_data(TensorData::new(wanted, [n, classes]), device),
        labels,
        weight,
    }
}

/// Examples as they are.
pub fn plain_batch(source: &dyn Source, examples: &[usize], device: &Device) -> (Tensor<4>, Vec<usize>) {
    let [h, w, c] = source.shape();
    let values = features(source, examples, None);
    let input = Tensor::from_data(TensorData::new(values, [examples.len(), h, w, c]), device);
    (input, examples.iter().map(|&i| source.label(i)).collect())
}

/// Mixes each row with the next one, the last with the first.
fn mix(values: &mut [f32], n: usize, share: f32) {
    let len = values.len() / n;
    let original = values.to_vec();
    for (i, row) in values.chunks_exact_mut(len).enumerate() {
        let other = &original[(i + 1) % n * len..][..len];
        for (a, b) in row.iter_mut().zip(other) {
            *a = share * *a + (1.0 - share) * b;
        }
    }
}

/// A number of the beta distribution `(a, a)`, by Jöhnk's method.
fn beta(a: f64, rng: &mut Rng) -> f64 {
    for _ in 0..1000 {
        let x = libm::pow(rng.uniform(), 1.0 / a);
        let y = libm::pow(rng.uniform(), 1.0 / a);
        if x + y > 0.0 && x + y <= 1.0 {
            return x / (x + y);
        }
    }
    0.5
}
