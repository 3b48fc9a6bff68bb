//! Batch normalisation with the activation that follows it, in two passes over the batch.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;
use burn::tensor::Tensor;
use rayon::prelude::*;

use super::{Operand, ROWS_PER_SUM, record, sum_in_order, tensor, values};

/// The bounds that an activation puts on its input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Clamp {
    /// Lowest output.
    pub min: f32,
    /// Highest output.
    pub max: f32,
}

impl Clamp {
    /// The gradient at an output before the clamp: none where it is clamped. Without a branch, so that loops over it
    /// are vectorised.
    fn gradient(self, output: f32, gradient: f32) -> f32 {
        let passes = (output > self.min) & (output < self.max);
        f32::from_bits(gradient.to_bits() & u32::from(passes).wrapping_neg())
    }
}

/// What batch normalisation gives.
pub struct Normalised {
    /// The normalised, activated rows.
    pub output: Tensor<2>,
    /// Mean of each channel over the batch.
    pub mean: Vec<f32>,
    /// Variance of each channel over the batch, divided by the number of rows.
    pub variance: Vec<f32>,
}

/// What the backward pass needs.
#[derive(Clone, Debug)]
struct Saved {
    input: FlexTensor,
    gamma: FlexTensor,
    beta: FlexTensor,
    mean: Vec<f32>,
    inverse_deviation: Vec<f32>,
    clamp: Clamp,
}

#[derive(Debug)]
struct Normalise;

impl Backward<Flex, 3> for Normalise {
    type State = Saved;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let saved = ops.state;
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let [input_node, gamma_node, beta_node] = ops.parents;
        let (grad_input, grad_gamma, grad_beta) = backward(values(&grad), &saved);
        let c = grad_gamma.len();
        if let Some(node) = input_node {
            let rows = grad_input.len() / c;
            grads.register::<Flex>(node.id, tensor(grad_input, &[rows, c]));
        }
        if let Some(node) = gamma_node {
            grads.register::<Flex>(node.id, tensor(grad_gamma, &[c]));
        }
        if let Some(node) = beta_node {
            grads.register::<Flex>(node.id, tensor(grad_beta, &[c]));
        }
    }
}

/// Normalises each column of `[rows, c]` by its own mean and variance, scales and shifts it by `gamma` and `beta`,
/// and clamps it.
pub fn normalise(
    input: Tensor<2>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f32,
    clamp: Clamp,
) -> Normalised {
    let tracked = input.is_autodiff();
    let [input, gamma, beta] =
        [Operand::new(input, tracked), Operand::new(gamma, tracked), Operand::new(beta, tracked)];
    let (x, g, b) = (input.contiguous(), gamma.contiguous(), beta.contiguous());
    let c = values(&g).len();
    let rows = values(&x).len() / c.max(1);
    let (mean, variance) = moments(values(&x), c);
    let inverse_deviation: Vec<f32> = variance.iter().map(|v| 1.0 / (v + epsilon).sqrt()).collect();
    let affine = Affine::new(values(&g), values(&b), &mean, &inverse_deviation);
    let output = affine.apply(values(&x), clamp);
    let saved = Saved { input: x, gamma: g, beta: b, mean: mean.clone(), inverse_deviation, clamp };
    let output = record(Normalise, [input, gamma, beta], saved, tensor(output, &[rows, c]));
    Normalised { output, mean, variance }
}

/// Normalisation, scale and shift of each column as one factor and one summand.
struct Affine {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl Affine {
    fn new(gamma: &[f32], beta: &[f32], mean: &[f32], inverse_deviation: &[f32]) -> Self {
        let scale: Vec<f32> = gamma.iter().zip(inverse_deviation).map(|(g, i)| g * i).collect();
        let shift = beta.iter().zip(mean).zip(&scale).map(|((b, m), s)| b - m * s).collect();
        Self { scale, shift }
    }

    /// The scaled, shifted and clamped rows.
    fn apply(&self, x: &[f32], clamp: Clamp) -> Vec<f32> {
        let c = self.scale.len();
        let mut out = vec![0.0; x.len()];
        let len = ROWS_PER_SUM * c;
        out.par_chunks_mut(len).zip(x.par_chunks(len)).for_each(|(out, x)| {
            for (out, x) in out.chunks_exact_mut(c).zip(x.chunks_exact(c)) {
                let columns = self.scale.iter().zip(&self.shift);
                for ((out, x), (scale, shift)) in out.iter_mut().zip(x).zip(columns) {
                    *out = (x * scale + shift).max(clamp.min).min(clamp.max);
                }
            }
        });
        out
    }
}

/// Sums over rows: `f(row index range start, rows, sums)` for each piece of `ROWS_PER_SUM` rows.
fn column_sums(x: &[f32], c: usize, len: usize, f: impl Fn(usize, &[f32], &mut [f32]) + Sync) -> Vec<f32> {
    let parts: Vec<Vec<f32>> = x
        .par_chunks(ROWS_PER_SUM * c)
        .enumerate()
        .map(|(i, piece)| {
            let mut sums = vec![0.0; len];
            f(i * ROWS_PER_SUM * c, piece, &mut sums);
            sums
        })
        .collect();
    sum_in_order(parts, len)
}

/// Mean and variance of each column, from the sums of distances from the first row and of their squares.
fn moments(x: &[f32], c: usize) -> (Vec<f32>, Vec<f32>) {
    let rows = (x.len() / c.max(1)).max(1) as f32;
    let Some(first) = x.get(..c) else { return (vec![0.0; c], vec![0.0; c]) };
    let sums = column_sums(x, c, 2 * c, |_, piece, sums| {
        let (plain, squares) = sums.split_at_mut(c);
        for row in piece.chunks_exact(c) {
            let sums = plain.iter_mut().zip(squares.iter_mut());
            for ((x, first), (plain, square)) in row.iter().zip(first).zip(sums) {
                let distance = x - first;
                *plain += distance;
                *square += distance * distance;
            }
        }
    });
    let (plain, squares) = sums.split_at(c);
    let mean = first.iter().zip(plain).map(|(first, sum)| first + sum / rows).collect();
    let variance = plain.iter().zip(squares).map(|(sum, square)| {
        let mean = sum / rows;
        (square / rows - mean * mean).max(0.0)
    });
    (mean, variance.collect())
}

/// Gradients of input, gamma and beta.
fn backward(grad: &[f32], saved: &Saved) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let x = values(&saved.input);
    let (gamma, beta) = (values(&saved.gamma), values(&saved.beta));
    let (mean, inverse) = (&saved.mean[..], &saved.inverse_deviation[..]);
    let clamp = saved.clamp;
    let Affine { scale, shift } = Affine::new(gamma, beta, mean, inverse);
    let c = gamma.len();
    let rows = (x.len() / c) as f32;
    // The first half holds the sums of gradient times distance from the mean, the second those of the gradient.
    let sums = column_sums(x, c, 2 * c, |start, piece, sums| {
        let (products, plain) = sums.split_at_mut(c);
        for (x, grad) in piece.chunks_exact(c).zip(grad[start..].chunks_exact(c)) {
            let values = x.iter().zip(grad).zip(mean).zip(scale.iter().zip(&shift));
            let sums = products.iter_mut().zip(plain.iter_mut());
            for ((((x, grad), mean), (scale, shift)), (product, plain)) in values.zip(sums) {
                let g = clamp.gradient(x * scale + shift, *grad);
                *product += g * (x - mean);
                *plain += g;
            }
        }
    });
    let (products, grad_beta) = sums.split_at(c);
    let grad_gamma: Vec<f32> = products.iter().zip(inverse).map(|(p, i)| p * i).collect();
    // With n = (x - mean) * inverse: scale * (g - (grad_beta + n * grad_gamma) / rows), as g * scale + x * slope + base.
    let slope: Vec<f32> = (0..c).map(|i| -scale[i] * inverse[i] * grad_gamma[i] / rows).collect();
    let base: Vec<f32> = (0..c).map(|i| -scale[i] * grad_beta[i] / rows - mean[i] * slope[i]).collect();
    let mut out = vec![0.0; x.len()];
    let len = ROWS_PER_SUM * c;
    out.par_chunks_mut(len).zip(x.par_chunks(len)).zip(grad.par_chunks(len)).for_each(|((out, x), grad)| {
        let rows = x.chunks_exact(c).zip(grad.chunks_exact(c));
        for (out, (x, grad)) in out.chunks_exact_mut(c).zip(rows) {
            let columns = scale.iter().zip(&shift).zip(slope.iter().zip(&base));
            for ((out, (x, grad)), ((scale, shift), (slope, base))) in
                out.iter_mut().zip(x.iter().zip(grad)).zip(columns)
            {
                let g = clamp.gradient(x * scale + shift, *grad);
                *out = g * scale + x * slope + base;
            }
        }
    });
    (out, grad_gamma, grad_beta.to_vec())
}
