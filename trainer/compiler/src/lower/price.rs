//! Predicted instructions of the steps of a plan, for the slices in which it runs and for weighing arrangements.

use std::ops::Range;

use super::arena::buffer_of;
use super::lock_step::{Arrangement, rows_of};
use super::overlap::Candidate;
use super::steps::Lowering;
use crate::cost::Work;

/// What a step takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Price {
    /// All slices, as they are done.
    pub whole: u64,
    /// Once in each call, besides the slices.
    pub call: u32,
    /// For one slice alone, which can be more than its part of the whole: what kernels share between rows, it does not.
    pub slice: u32,
}

impl Price {
    /// A step that is done in `calls` calls of its kernel when it is done at once.
    pub fn alone(lowering: &Lowering<'_>, step: usize, calls: usize) -> Self {
        let whole = lowering.work(step, calls).instructions(lowering.target);
        let work = lowering.work(step, lowering.slices(step));
        let all = work.instructions(lowering.target);
        let calls = work.call_instructions(lowering.target).min(all);
        let call = word(calls / work.counts[0].max(1));
        Self { whole, call, slice: per_slice(lowering, step, all - calls) }
    }

    /// A step whose rows are made one by one.
    pub fn in_lock_step(lowering: &Lowering<'_>, step: usize, reads_lines: bool) -> Self {
        let record = &lowering.steps[step].record;
        let (input, output) = (lowering.operand(record.inputs[0]), lowering.operand(record.output));
        let work = Work::in_lock_step(record, input.view, output.view, reads_lines);
        let whole = work.instructions(lowering.target);
        Self { whole, call: 0, slice: per_slice(lowering, step, whole) }
    }
}

fn word(instructions: u64) -> u32 {
    u32::try_from(instructions).unwrap_or(u32::MAX)
}

fn per_slice(lowering: &Lowering<'_>, step: usize, instructions: u64) -> u32 {
    word(instructions.div_ceil(lowering.slices(step).max(1) as u64)).max(1)
}

/// The prices of all steps where their buffers lie at these offsets.
pub(super) fn prices(lowering: &Lowering<'_>, arrangement: &Arrangement, offsets: &[usize]) -> Vec<Price> {
    let price = |step: usize| {
        if let Some(group) = group_of(arrangement, step) {
            return Price::in_lock_step(lowering, step, step > group.start);
        }
        let over_input = arrangement.candidates.iter().find(|candidate| candidate.step == step);
        Price::alone(lowering, step, over_input.map_or(1, |candidate| bands(lowering, candidate, offsets)))
    };
    (0..lowering.steps.len()).map(price).collect()
}

fn group_of(arrangement: &Arrangement, step: usize) -> Option<&Range<usize>> {
    arrangement.groups.iter().find(|group| group.contains(&step))
}

/// Calls of a step that runs over its own input.
fn bands(lowering: &Lowering<'_>, candidate: &Candidate, offsets: &[usize]) -> usize {
    let record = &lowering.steps[candidate.step].record;
    let operand = |index: u16| {
        let operand = lowering.operand(index);
        Some((offsets[buffer_of(operand)?], operand.view.extent.len()))
    };
    let (Some((input, input_len)), Some((output, output_len))) =
        (operand(record.inputs[0]), operand(record.output))
    else {
        return 1;
    };
    let apart = input >= output + output_len || output >= input + input_len;
    if apart { 1 } else { rows_of(lowering, candidate.step).bands(output > input, output.abs_diff(input)) }
}

/// Predicted instructions that lock step costs beyond the same steps one after the other.
pub(super) fn overhead(lowering: &Lowering<'_>, groups: &[Range<usize>]) -> u64 {
    let of = |step: usize, first: usize| {
        let together = Price::in_lock_step(lowering, step, step > first).whole;
        together.saturating_sub(Price::alone(lowering, step, 1).whole)
    };
    groups.iter().flat_map(|group| group.clone().map(|step| of(step, group.start))).sum()
}

/// Predicted instructions of all steps, each at once.
pub(super) fn all(lowering: &Lowering<'_>) -> u64 {
    (0..lowering.steps.len()).map(|step| Price::alone(lowering, step, 1).whole).sum()
}
