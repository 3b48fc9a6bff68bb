//! What a plan costs: multiply-accumulates, parameters, flash, and RAM over time.

use std::fmt::Write as _;
use std::ops::Range;

use serde::Serialize;
use teff::plan::{Location, Model, NONE, OpKind, OpRecord, Rows, arena_range};
use teff::shape::{Layout, View};
use teff_compiler::cost::Work;

/// One operator of a plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Layer {
    /// Position in the order of execution.
    pub index: usize,
    /// Name of the node in the ONNX file, where it is known.
    pub name: Option<String>,
    /// What is computed.
    pub operator: &'static str,
    /// Height, width and channels of the first input.
    pub input: [usize; 3],
    /// Height, width and channels of the output.
    pub output: [usize; 3],
    /// Multiply-accumulates.
    pub macs: u64,
    /// Weights and biases.
    pub parameters: u64,
    /// Bytes of weights, biases and tables.
    pub weights_bytes: u64,
    /// What runs it: operator, window, packing.
    pub kernel: String,
    /// Order of the weights; empty where there are none.
    pub packing: String,
    /// Layout of the output.
    pub layout: &'static str,
    /// Whether it runs row by row with its neighbours.
    pub in_lock_step: bool,
    /// Predicted instructions.
    pub predicted: u64,
    /// What the prediction is made from, in the order of `teff_compiler::cost::COUNTS`.
    pub work: Vec<u64>,
    /// Bytes of the arena that are in use while it runs, scratch included.
    pub ram_bytes: u64,
    #[serde(skip)]
    picture: Picture,
}

/// What lies where in the arena while an operator runs.
#[derive(Debug, Clone, Default, PartialEq)]
struct Picture {
    inputs: Vec<Range<usize>>,
    output: Range<usize>,
    others: Vec<Range<usize>>,
    scratch: Range<usize>,
}

/// A whole plan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanReport {
    /// Processor that the weights are packed for.
    pub target: &'static str,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Weights and biases.
    pub parameters: u64,
    /// Predicted instructions of one inference.
    pub predicted: u64,
    /// The most predicted instructions of one slice.
    pub longest_slice_predicted: u64,
    /// RAM: activations and scratch.
    pub arena_bytes: u64,
    /// The largest sum of values alive at one time: what a planner without overlap could reach at best.
    pub live_set_bytes: u64,
    /// Flash for weights, biases, tables and constants.
    pub weights_bytes: u64,
    /// Flash for the front end's tables.
    pub front_end_bytes: u64,
    /// Flash for the whole plan.
    pub plan_bytes: u64,
    /// Operators in the order of execution.
    pub layers: Vec<Layer>,
}

impl PlanReport {
    /// Looks at a plan. `names` are the names of its operators, as far as they are known.
    pub fn new(plan: &Model<'_>, names: &[String]) -> PlanReport {
        let header = plan.header();
        let ops: Vec<OpRecord> = plan.ops().collect();
        let lifetimes = lifetimes(plan, &ops);
        let layers: Vec<Layer> = ops
            .iter()
            .enumerate()
            .map(|(index, op)| layer(plan, op, index, names.get(index).cloned(), &lifetimes))
            .collect();
        PlanReport {
            target: header.target().map_or("unknown", |target| target.name()),
            macs: layers.iter().map(|layer| layer.macs).sum(),
            parameters: layers.iter().map(|layer| layer.parameters).sum(),
            predicted: layers.iter().map(|layer| layer.predicted).sum(),
            longest_slice_predicted: longest_slice(plan, &ops),
            arena_bytes: header.arena_bytes.into(),
            live_set_bytes: header.live_set_bytes.into(),
            weights_bytes: layers.iter().map(|layer| layer.weights_bytes).sum::<u64>() + constants(plan),
            front_end_bytes: header.front_end_len.into(),
            plan_bytes: header.total_len.into(),
            layers,
        }
    }

    /// The arena while each operator runs: one line each, addresses from left to right.
    pub fn picture(&self, width: usize) -> String {
        let arena = self.arena_bytes.max(1) as usize;
        let mut text = String::new();
        for layer in &self.layers {
            let mut line = vec![' '; width];
            let mut draw = |range: &Range<usize>, sign: char| {
                if range.is_empty() {
                    return;
                }
                let first = range.start * width / arena;
                let last = ((range.end * width).div_ceil(arena)).clamp(first + 1, width.max(first + 1));
                for cell in line.iter_mut().take(last).skip(first) {
                    *cell = if *cell == '▒' && sign == '█' { '▓' } else { sign };
                }
            };
            let picture = &layer.picture;
            picture.others.iter().for_each(|range| draw(range, '░'));
            draw(&picture.scratch, '·');
            picture.inputs.iter().for_each(|range| draw(range, '▒'));
            draw(&picture.output, '█');
            let line: String = line.into_iter().collect();
            let _ = writeln!(text, "{:>3} |{line}| {:>8} {}", layer.index, layer.ram_bytes, layer.operator);
        }
        text
    }
}

/// The most predicted instructions of one slice: of an operator with its call, or of a row in lock step.
fn longest_slice(plan: &Model<'_>, ops: &[OpRecord]) -> u64 {
    let mut longest = 0;
    let mut at = 0u16;
    while let Some(op) = ops.get(usize::from(at)) {
        let last = plan.group_end(at);
        let slice = match plan.group(at, last).filter(|_| last > at) {
            None => u64::from(op.slice_cost) + u64::from(op.call_cost),
            Some(group) => {
                let members = &ops[usize::from(at)..=usize::from(last).min(ops.len() - 1)];
                let cost = |y| -> u64 {
                    let (before, after) = (group.made(y, false), group.made(y + 1, false));
                    let rows = before.iter().zip(&after).map(|(before, after)| after.saturating_sub(*before));
                    members.iter().zip(rows).map(|(op, rows)| u64::from(op.slice_cost) * rows as u64).sum()
                };
                (0..group.rows(group.len() - 1).output_rows()).map(cost).max().unwrap_or(0)
            }
        };
        longest = longest.max(slice);
        at = last.saturating_add(1);
    }
    longest
}

/// Bytes of the activations that are constants.
fn constants(plan: &Model<'_>) -> u64 {
    let values = (0..plan.header().n_values).map(|index| plan.value(index));
    values.map(|value| plan.constant(&value).len() as u64).sum()
}

/// For each value, the operators between which it is held.
fn lifetimes(plan: &Model<'_>, ops: &[OpRecord]) -> Vec<Option<Range<usize>>> {
    let mut lifetimes: Vec<Option<Range<usize>>> = vec![None; plan.header().n_values.into()];
    let mut hold = |value: u16, at: usize| {
        if let Some(lifetime) = lifetimes.get_mut(usize::from(value)) {
            *lifetime = Some(match lifetime.take() {
                Some(known) => known.start.min(at)..known.end.max(at + 1),
                None => at..at + 1,
            });
        }
    };
    // What operators in lock step use is held while any of them runs.
    let (mut first, mut last) = (0, 0);
    for (at, op) in ops.iter().enumerate() {
        if at > last || at == 0 {
            first = at;
            last = u16::try_from(at).map_or(at, |at| plan.group_end(at).into());
        }
        for together in [first, last] {
            inputs_of(op).for_each(|value| hold(value, together));
            hold(op.output, together);
        }
    }
    let (header, last) = (plan.header(), ops.len().saturating_sub(1));
    for i in 0..plan.n_inputs() + plan.n_outputs() {
        let at = header.io_offset as usize + 2 * i;
        if let Some(&[low, high]) = plan.as_bytes().get(at..at + 2) {
            hold(u16::from_le_bytes([low, high]), if i < plan.n_inputs() { 0 } else { last });
        }
    }
    lifetimes
}

fn inputs_of(op: &OpRecord) -> impl Iterator<Item = u16> + use<> {
    op.inputs.into_iter().take(op.kind.operands())
}

fn layer(
    plan: &Model<'_>,
    op: &OpRecord,
    index: usize,
    name: Option<String>,
    lifetimes: &[Option<Range<usize>>],
) -> Layer {
    let (from_view, to_view) = (plan.value(op.inputs[0]).view, plan.value(op.output).view);
    let (from, to) = (from_view.extent, to_view.extent);
    let work = work(plan, op, from_view, to_view);
    let window = (op.window.filter_h * op.window.filter_w) as u64;
    let per_output = match op.kind {
        OpKind::Conv2d => window * (from.c / usize::from(op.groups).max(1)) as u64,
        OpKind::DepthwiseConv2d => window,
        OpKind::FullyConnected => from.c as u64,
        _ => 0,
    };
    let has_weights = per_output > 0;
    let channels = to.c as u64;
    let words = |offset: u32| if offset == NONE { 0 } else { channels };
    let weights = if op.weights_offset == NONE { 0 } else { u64::from(op.weights_len) };
    let held: Vec<u16> = (0..plan.header().n_values)
        .filter(|&value| lifetimes[usize::from(value)].as_ref().is_some_and(|held| held.contains(&index)))
        .collect();
    let ranges_of = |values: &[u16]| -> Vec<Range<usize>> {
        values.iter().filter_map(|&value| arena_range(&plan.value(value))).collect()
    };
    let inputs: Vec<u16> = inputs_of(op).collect();
    let others: Vec<u16> =
        held.iter().copied().filter(|value| *value != op.output && !inputs.contains(value)).collect();
    let scratch_at = op.scratch_offset as usize;
    let picture = Picture {
        inputs: ranges_of(&inputs),
        output: ranges_of(&[op.output]).first().cloned().unwrap_or_default(),
        others: ranges_of(&others),
        scratch: if op.scratch_len == 0 { 0..0 } else { scratch_at..scratch_at + op.scratch_len as usize },
    };
    let mut used = ranges_of(&held);
    used.push(picture.scratch.clone());
    Layer {
        index,
        name,
        operator: op.kind.name(),
        input: [from.h, from.w, from.c],
        output: [to.h, to.w, to.c],
        macs: to.len() as u64 * per_output,
        parameters: if has_weights { weights + words(op.bias_offset) } else { 0 },
        weights_bytes: weights + 4 * words(op.bias_offset),
        kernel: work.kernel.clone(),
        packing: if has_weights { format!("{:?}", op.packing).to_lowercase() } else { String::new() },
        layout: if to_view.layout == Layout::Planar { "planar" } else { "nhwc" },
        in_lock_step: plan.is_in_group(op),
        predicted: work.instructions(plan.header().target().unwrap_or_default()),
        work: work.counts.to_vec(),
        ram_bytes: covered(used) as u64,
        picture,
    }
}

/// What an operator does, in as many calls as it takes.
fn work(plan: &Model<'_>, op: &OpRecord, from: View, to: View) -> Work {
    if plan.is_in_group(op) {
        let reads_lines = matches!(plan.value(op.inputs[0]).location, Location::Lines { .. });
        return Work::in_lock_step(op, from, to, reads_lines);
    }
    let (input, output) = (arena_range(&plan.value(op.inputs[0])), arena_range(&plan.value(op.output)));
    let calls = match (input, output) {
        (Some(input), Some(output))
            if op.kind.is_spatial() && input.start < output.end && output.start < input.end =>
        {
            let gap = input.start.abs_diff(output.start);
            Rows::new(&op.window, from.extent, to.extent).bands(op.from_last_row, gap)
        }
        _ => 1,
    };
    Work::new(op, from, to, calls)
}

/// How many bytes the ranges cover together.
fn covered(mut ranges: Vec<Range<usize>>) -> usize {
    ranges.sort_by_key(|range| range.start);
    let (mut end, mut sum) = (0, 0);
    for range in ranges {
        let start = range.start.max(end);
        if range.end > start {
            sum += range.end - start;
            end = range.end;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_ranges_count_once() {
        assert_eq!(covered(vec![8..12, 0..4, 2..6, 3..5, 12..12]), 10);
        assert_eq!(covered(Vec::new()), 0);
    }
}
