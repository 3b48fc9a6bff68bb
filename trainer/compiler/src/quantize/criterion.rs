//! How far the results of a quantized graph are from those of the float graph.
//!
//! For each sample, the power of the difference over the power of the result: `Σ (y - z)² / (P + P̄)` with `P = Σ y²` of
//! this sample and `P̄` its mean over all samples, so that neither a loud sample counts for all nor a silent one blows up. Where an
//! output comes from a softmax, its operand is compared instead, each place without its mean over the classes: a number that is
//! added to all of them changes nothing, and probabilities near 0 and 1 hide what is lost.

use super::calibrate::Sample;
use super::parallel;
use crate::error::Result;
use crate::evaluate::Evaluator;
use crate::graph::{Graph, Op, ValueId};

/// Where results are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Point {
    value: ValueId,
    /// Number of classes, where their mean does not count.
    classes: Option<usize>,
}

/// The results of a float graph over some samples.
#[derive(Debug)]
pub(super) struct Criterion<'s> {
    samples: Vec<Sample<'s>>,
    points: Vec<Point>,
    /// For each sample and point, the results.
    results: Vec<Vec<Vec<f32>>>,
    /// For each sample and point, one over the power that errors are compared with.
    weights: Vec<Vec<f64>>,
}

impl<'s> Criterion<'s> {
    /// Runs the float graph.
    ///
    /// # Errors
    /// A sample does not fit.
    pub fn new(float: &Graph, samples: Vec<Sample<'s>>) -> Result<Criterion<'s>> {
        let points = points(float);
        Evaluator::new(float)?;
        let run = |evaluator: &mut Result<Evaluator<'_>>, index: usize| -> Result<Vec<Vec<f32>>> {
            let evaluator = evaluator.as_mut().map_err(|error| error.clone())?;
            evaluator.run(&samples[index])?;
            Ok(points.iter().map(|point| point.of(evaluator)).collect())
        };
        let results = parallel::map(samples.len(), || Evaluator::new(float), run);
        let results = results.into_iter().collect::<Result<Vec<_>>>()?;
        let power = |numbers: &[f32]| numbers.iter().map(|&y| f64::from(y) * f64::from(y)).sum::<f64>();
        let mut weights: Vec<Vec<f64>> =
            results.iter().map(|points| points.iter().map(|numbers| power(numbers)).collect()).collect();
        for point in 0..points.len() {
            let mean = weights.iter().map(|powers| powers[point]).sum::<f64>() / samples.len().max(1) as f64;
            for powers in &mut weights {
                let reference = powers[point] + mean;
                powers[point] = if reference > 0.0 { 2.0 / reference } else { 1.0 };
            }
        }
        Ok(Criterion { samples, points, results, weights })
    }

    /// The samples.
    pub fn samples(&self) -> &[Sample<'s>] {
        &self.samples
    }

    /// The error of each sample under a graph, mean over the points.
    ///
    /// # Errors
    /// The graph is not sound.
    pub fn errors(&self, graph: &Graph) -> Result<Vec<f64>> {
        Evaluator::new(graph)?;
        let run = |evaluator: &mut Result<Evaluator<'_>>, index: usize| -> Result<f64> {
            let evaluator = evaluator.as_mut().map_err(|error| error.clone())?;
            evaluator.run(&self.samples[index])?;
            Ok(self.error(evaluator, index))
        };
        parallel::map(self.samples.len(), || Evaluator::new(graph), run).into_iter().collect()
    }

    /// The error of one sample, which an evaluator has run.
    pub fn error(&self, evaluator: &Evaluator<'_>, sample: usize) -> f64 {
        let points = self.points.iter().zip(&self.results[sample]).zip(&self.weights[sample]);
        let sum: f64 = points
            .map(|((point, results), weight)| {
                let noise: f64 = point
                    .of(evaluator)
                    .iter()
                    .zip(results)
                    .map(|(&z, &y)| (f64::from(z) - f64::from(y)) * (f64::from(z) - f64::from(y)))
                    .sum();
                noise * weight
            })
            .sum();
        sum / self.points.len().max(1) as f64
    }
}

impl Point {
    /// Its numbers in an evaluator.
    fn of(&self, evaluator: &Evaluator<'_>) -> Vec<f32> {
        let mut numbers = evaluator.value(self.value).to_vec();
        if let Some(classes) = self.classes {
            for place in numbers.chunks_exact_mut(classes) {
                let mean = place.iter().map(|&x| f64::from(x)).sum::<f64>() / classes as f64;
                for x in place {
                    *x = (f64::from(*x) - mean) as f32;
                }
            }
        }
        numbers
    }
}

/// Where the results of a graph are compared.
fn points(graph: &Graph) -> Vec<Point> {
    let producers = graph.producers();
    let mut points: Vec<Point> = Vec::new();
    for port in &graph.outputs {
        let mut value = port.value;
        let mut point = Point { value, classes: None };
        while let Some(node) = producers[value.index()].map(|index| &graph.nodes[index]) {
            match node.op {
                Op::Reshape { .. } | Op::Requantize => value = node.inputs[0],
                Op::Softmax => {
                    let operand = node.inputs[0];
                    let classes = graph.value(operand).shape.last().copied();
                    point = Point { value: operand, classes: classes.filter(|&classes| classes > 1) };
                    break;
                }
                _ => break,
            }
        }
        if !points.contains(&point) {
            points.push(point);
        }
    }
    points
}

/// An error as a ratio in decibels, signal to noise.
pub(super) fn decibels(error: f64) -> f64 {
    if error > 0.0 { -10.0 * libm::log10(error) } else { f64::INFINITY }
}

/// The mean of some errors.
pub(super) fn mean(errors: &[f64]) -> f64 {
    errors.iter().sum::<f64>() / errors.len().max(1) as f64
}

/// Whether errors are smaller than others over the same samples, on average and by more than the standard error of the
/// difference.
pub(super) fn surely_less(errors: &[f64], others: &[f64]) -> bool {
    let gains: Vec<f64> = errors.iter().zip(others).map(|(error, other)| other - error).collect();
    let (gain, count) = (mean(&gains), gains.len() as f64);
    let variance = gains.iter().map(|g| (g - gain) * (g - gain)).sum::<f64>() / (count - 1.0).max(1.0);
    gain > libm::sqrt(variance / count)
}
