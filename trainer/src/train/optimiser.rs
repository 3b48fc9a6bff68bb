//! Adam, AdamW and stochastic gradient descent on the weights held on the host.

use crate::weights::{Role, Weights};

/// Which rule turns gradients into steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Adam; weight decay is added to the gradient.
    Adam,
    /// Adam with weight decay applied to the weights themselves.
    AdamW,
    /// Gradient descent with Nesterov momentum; weight decay is added to the gradient.
    Sgd {
        /// Share of the last step that is taken again.
        momentum: f32,
    },
}

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
const EPSILON: f32 = 1e-7;

/// An optimiser and its memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Optimiser {
    rule: Rule,
    weight_decay: f32,
    /// Steps taken.
    pub step: u64,
    /// Mean gradient (Adam) or velocity (SGD), one vector per tensor; empty for what is not trained.
    pub first: Vec<Vec<f32>>,
    /// Mean squared gradient (Adam).
    pub second: Vec<Vec<f32>>,
}

impl Optimiser {
    /// An optimiser that has taken no step.
    pub fn new(rule: Rule, weight_decay: f32, weights: &Weights) -> Self {
        let zeros = |needed: bool| -> Vec<Vec<f32>> {
            weights
                .tensors
                .iter()
                .map(|tensor| {
                    let trained = needed && tensor.role != Role::Statistics;
                    vec![0.0; if trained { tensor.values.len() } else { 0 }]
                })
                .collect()
        };
        let adaptive = !matches!(rule, Rule::Sgd { .. });
        Self { rule, weight_decay, step: 0, first: zeros(true), second: zeros(adaptive) }
    }

    /// Takes one step of the given learning rate.
    pub fn step(&mut self, weights: &mut Weights, mut gradients: Vec<Vec<f32>>, rate: f32) {
        self.step += 1;
        let t = i32::try_from(self.step).unwrap_or(i32::MAX);
        let correction_1 = 1.0 - BETA_1.powi(t);
        let correction_2 = 1.0 - BETA_2.powi(t);
        for (i, tensor) in weights.tensors.iter_mut().enumerate() {
            let Some(gradient) = gradients.get_mut(i).filter(|g| g.len() == tensor.values.len()) else {
                continue;
            };
            let decay = if tensor.role == Role::Weights { self.weight_decay } else { 0.0 };
            match self.rule {
                Rule::Sgd { momentum } => {
                    let moving = tensor.values.iter_mut().zip(&mut self.first[i]).zip(gradient.iter());
                    for ((w, velocity), g) in moving {
                        let g = g + decay * *w;
                        *velocity = momentum * *velocity + g;
                        *w -= rate * (g + momentum * *velocity);
                    }
                }
                Rule::Adam | Rule::AdamW => {
                    if self.rule == Rule::Adam {
                        for (g, w) in gradient.iter_mut().zip(&tensor.values) {
                            *g += decay * w;
                        }
                    } else {
                        for w in &mut tensor.values {
                            *w -= rate * decay * *w;
                        }
                    }
                    let moments = self.first[i].iter_mut().zip(&mut self.second[i]);
                    for ((w, g), (m, v)) in tensor.values.iter_mut().zip(gradient.iter()).zip(moments) {
                        *m = BETA_1 * *m + (1.0 - BETA_1) * g;
                        *v = BETA_2 * *v + (1.0 - BETA_2) * g * g;
                        *w -= rate * (*m / correction_1) / ((*v / correction_2).sqrt() + EPSILON);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::Values;

    /// The distance from the minimum of `(w - 3)^2` after 300 steps.
    fn distance(rule: Rule, rate: f32) -> f32 {
        let mut weights = Weights {
            tensors: vec![Values {
                name: "w".into(),
                shape: vec![1],
                role: Role::Weights,
                values: vec![0.0],
            }],
        };
        let mut optimiser = Optimiser::new(rule, 0.0, &weights);
        for _ in 0..300 {
            let gradient = 2.0 * (weights.tensors[0].values[0] - 3.0);
            optimiser.step(&mut weights, vec![vec![gradient]], rate);
        }
        (weights.tensors[0].values[0] - 3.0).abs()
    }

    #[test]
    fn every_rule_finds_the_minimum_of_a_parabola() {
        assert!(distance(Rule::Adam, 0.1) < 1e-2);
        assert!(distance(Rule::AdamW, 0.1) < 1e-2);
        assert!(distance(Rule::Sgd { momentum: 0.9 }, 0.01) < 1e-2);
    }

    #[test]
    fn decay_shrinks_weights_but_no_biases() {
        let values = |role| Values { name: "w".into(), shape: vec![1], role, values: vec![1.0] };
        let mut weights = Weights { tensors: vec![values(Role::Weights), values(Role::Affine)] };
        let mut optimiser = Optimiser::new(Rule::AdamW, 0.1, &weights);
        optimiser.step(&mut weights, vec![vec![0.0], vec![0.0]], 0.5);
        assert_eq!(weights.tensors[0].values, [0.95]);
        assert_eq!(weights.tensors[1].values, [1.0]);
    }
}
