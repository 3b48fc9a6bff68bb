//! Runs a float graph over samples and observes its values.

use super::groups::{Group, activation_quant};
use super::histogram::Histogram;
use super::parallel;
use super::range::{Method, range};
use crate::error::{Error, Result};
use crate::evaluate::Evaluator;
use crate::graph::{Graph, Quant, ValueId};

/// One array per input of the model.
pub type Sample<'s> = Vec<&'s [f32]>;

/// What each value of a graph held.
#[derive(Debug)]
pub struct Observed {
    histograms: Vec<Histogram>,
}

/// Runs the samples and observes every activation. With `bins`, more than the extremes is kept.
///
/// # Errors
/// There is no sample, one does not fit, or a value came out infinite or not a number.
pub fn observe(
    graph: &Graph,
    samples: &[Sample<'_>],
    bins: bool,
    progress: &mut dyn FnMut(usize),
) -> Result<Observed> {
    if samples.is_empty() {
        return Err(Error::model("calibration has no samples").remedy("give at least one"));
    }
    // The sizes of one graph fit all its samples; the rest of an evaluator cannot fail.
    Evaluator::new(graph)?;
    let activations: Vec<ValueId> = graph.value_ids().filter(|&id| !graph.value(id).is_constant()).collect();
    let mut histograms: Vec<Histogram> =
        graph.values().iter().map(|value| Histogram::new(bins && !value.is_constant())).collect();
    /// Samples whose values are in memory at once.
    const TOGETHER: usize = 8;
    let mut evaluators =
        (0..TOGETHER.min(samples.len())).map(|_| Evaluator::new(graph)).collect::<Result<Vec<_>>>()?;
    for part in samples.chunks(TOGETHER) {
        let mut running: Vec<(&mut Evaluator<'_>, Result<()>)> =
            evaluators.iter_mut().zip(part).map(|(evaluator, _)| (evaluator, Ok(()))).collect();
        parallel::each(&mut running, |index, (evaluator, result)| *result = evaluator.run(&part[index]));
        for (_, result) in &mut running {
            std::mem::replace(result, Ok(()))?;
        }
        let mut observing: Vec<(ValueId, &mut Histogram)> = Vec::new();
        for (index, histogram) in histograms.iter_mut().enumerate() {
            if let Ok(at) = activations.binary_search_by_key(&index, |id| id.index()) {
                observing.push((activations[at], histogram));
            }
        }
        let evaluators = &evaluators[..part.len()];
        parallel::each(&mut observing, |_, (id, histogram)| {
            for evaluator in evaluators {
                histogram.observe(evaluator.value(*id));
            }
        });
        progress(part.len());
    }
    for &id in &activations {
        let strange = histograms[id.index()].strange();
        if strange > 0 {
            return Err(Error::value(
                &graph.value(id).name,
                format!("{strange} numbers are infinite or not numbers"),
            )
            .remedy("check the weights and the calibration data"));
        }
    }
    Ok(Observed { histograms })
}

impl Observed {
    /// What a value held.
    pub fn histogram(&self, value: ValueId) -> &Histogram {
        &self.histograms[value.index()]
    }

    /// The range that a method chooses for a group.
    pub(super) fn range(&self, graph: &Graph, group: &Group, method: Method) -> Result<(f32, f32)> {
        group.joint(graph, |id| range(self.histogram(id), method))
    }
}

/// The quantization of one group, and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chosen {
    /// What chose the range; `None` where the function behind the values fixes it.
    pub method: Option<Method>,
    /// The range.
    pub range: (f32, f32),
    /// The quantization.
    pub quant: Quant,
}

/// The quantization of one group by a method.
pub(super) fn chosen(graph: &Graph, group: &Group, observed: &Observed, method: Method) -> Result<Chosen> {
    let range = observed.range(graph, group, method)?;
    Ok(match &group.fixed {
        Some(quant) => Chosen { method: None, range, quant: quant.clone() },
        None => Chosen { method: Some(method), range, quant: activation_quant(range.0, range.1) },
    })
}
