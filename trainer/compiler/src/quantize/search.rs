//! The choice of a range for each group of values, by what it does to the outputs.

use super::calibrate::{Chosen, Observed, chosen};
use super::criterion::{Criterion, mean, surely_less};
use super::groups::Group;
use super::parallel;
use super::range::Method;
use crate::error::Result;
use crate::evaluate::Evaluator;
use crate::graph::{Graph, Quant};

/// The methods whose ranges are compared. The first stays where no other is better.
pub(super) const METHODS: [Method; 6] = [
    Method::MinMax,
    Method::MeanSquare,
    Method::Entropy,
    Method::Percentile(99.999),
    Method::Percentile(99.99),
    Method::Percentile(99.9),
];

/// The method for each group: of the ranges that the methods give, the one with which the outputs are closest to those of
/// the float graph while this group alone is quantized. A range other than that from the smallest to the largest number
/// has to be better by more than the standard error of the difference over the samples: few samples change little.
pub(super) fn choose(
    graph: &Graph,
    groups: &[Group],
    observed: &Observed,
    criterion: &Criterion<'_>,
    progress: &mut dyn FnMut(usize),
) -> Result<Vec<Method>> {
    let producers = graph.producers();
    let mut choices = Vec::with_capacity(groups.len());
    for group in groups {
        let mut candidates: Vec<Chosen> = Vec::new();
        for method in METHODS {
            let candidate = chosen(graph, group, observed, method)?;
            if !candidates.iter().any(|known| known.quant == candidate.quant) {
                candidates.push(candidate);
            }
        }
        let mut best = 0;
        if candidates.len() > 1 {
            // The values of the group change first where one of them is produced.
            let first = group.members.iter().map(|id| producers[id.index()].unwrap_or(0)).min().unwrap_or(0);
            let errors = errors(graph, group, &candidates, first, criterion)?;
            best = surely_best(&errors);
        }
        choices.push(candidates[best].method.unwrap_or(Method::MinMax));
        progress(1);
    }
    Ok(choices)
}

/// For each sample, the error under each candidate.
fn errors(
    graph: &Graph,
    group: &Group,
    candidates: &[Chosen],
    first: usize,
    criterion: &Criterion<'_>,
) -> Result<Vec<Vec<f64>>> {
    Evaluator::new(graph)?;
    let run = |evaluator: &mut Result<Evaluator<'_>>, sample: usize| -> Result<Vec<f64>> {
        let evaluator = evaluator.as_mut().map_err(|error| error.clone())?;
        let inputs = &criterion.samples()[sample];
        let round = |evaluator: &mut Evaluator<'_>, quant: Option<&Quant>| {
            for &id in &group.members {
                evaluator.set_rounding(id, quant);
            }
        };
        round(evaluator, None);
        evaluator.run(inputs)?;
        let mut errors = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            round(evaluator, Some(&candidate.quant));
            for (port, numbers) in graph.inputs.iter().zip(inputs) {
                evaluator.renew_input(port.value, numbers);
            }
            evaluator.run_from(first);
            errors.push(criterion.error(evaluator, sample));
        }
        Ok(errors)
    };
    parallel::map(criterion.samples().len(), || Evaluator::new(graph), run).into_iter().collect()
}

/// The candidate with the least mean error among those that are surely better than the first, or the first.
fn surely_best(errors: &[Vec<f64>]) -> usize {
    let candidates = errors.first().map_or(0, Vec::len);
    let of = |candidate: usize| errors.iter().map(|errors| errors[candidate]).collect::<Vec<f64>>();
    let first = of(0);
    let mut best = (mean(&first), 0);
    for candidate in 1..candidates {
        let errors = of(candidate);
        if mean(&errors) < best.0 && surely_less(&errors, &first) {
            best = (mean(&errors), candidate);
        }
    }
    best.1
}
