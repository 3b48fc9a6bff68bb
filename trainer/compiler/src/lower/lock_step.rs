//! Which operators run in lock step, with only some rows of what lies between them in the arena.

use std::ops::Range;

use teff::plan::{Group, MAX_GROUP, Rows};

use super::arena::buffer_of;
use super::overlap::Candidate;
use super::price;
use super::steps::Lowering;
use crate::memory::{self, Buffer, MemoryPlan, Overlap};

/// Groups that are looked for, one after the other.
const ROUNDS: usize = 8;
/// Groups that are tried in one round.
const TRIALS: usize = 500;

/// Buffers, overlaps and scratch with some groups of steps in lock step.
pub(super) struct Arrangement {
    pub lives: Vec<Buffer>,
    pub candidates: Vec<Candidate>,
    /// For each step the buffer of its scratch.
    pub scratch: Vec<Option<usize>>,
    /// The groups, first to last, as ranges of steps.
    pub groups: Vec<Range<usize>>,
}

impl Arrangement {
    /// `lives` are those of the buffers of the operands, `single` the overlaps of the steps alone.
    pub fn new(
        lowering: &Lowering<'_>,
        lives: &[Buffer],
        single: &[Candidate],
        groups: Vec<Range<usize>>,
    ) -> Self {
        let mut lives = lives.to_vec();
        let steps = &lowering.steps;
        let within = |step: usize| groups.iter().find(|group| group.contains(&step));
        let mut candidates: Vec<Candidate> =
            single.iter().filter(|candidate| within(candidate.step).is_none()).cloned().collect();
        for group in &groups {
            let (first, last) = (group.start, group.end - 1);
            let rows: Vec<Rows> = group.clone().map(|step| rows_of(lowering, step)).collect();
            let buffer = |operand: u16| buffer_of(lowering.operand(operand));
            let (input, output) = (buffer(steps[first].record.inputs[0]), buffer(steps[last].record.output));
            if let (Some(input), Some(output), Some(group)) =
                (input, output, Group::new(rows.iter().copied()))
                && input != output
                && lives[input].last == first
                && lives[output].first == last
            {
                candidates.push(Candidate::of_group(last, [input, output], &lives, group.gap_below()));
            }
            for step in group.clone() {
                if let Some(operand) = second_operand(lowering, step) {
                    lives[operand].last = lives[operand].last.max(last);
                }
            }
            for step in first..last {
                let operand = lowering.operand(steps[step].record.output);
                if let Some(lines) = buffer_of(operand) {
                    let len = rows[step + 1 - first].most() * operand.view.extent.row_len();
                    lives[lines] = Buffer { len, first, last, ..lives[lines].clone() };
                }
            }
            if let Some(input) = input {
                lives[input].last = lives[input].last.max(last);
            }
            if let Some(output) = output {
                lives[output].first = lives[output].first.min(first);
            }
        }
        let mut scratch = vec![None; steps.len()];
        for step in 0..steps.len() {
            let together = within(step).cloned().unwrap_or(step..step + 1);
            let (first, last) = (together.start, together.end - 1);
            let len = together.map(|step| steps[step].record.scratch_len as usize).max().unwrap_or(0);
            if len > 0 && step == first {
                lives.push(Buffer { len, alignment: teff::plan::ALIGNMENT, first, last });
                scratch[first..=last].fill(Some(lives.len() - 1));
            }
        }
        Self { lives, candidates, scratch, groups }
    }

    /// The overlaps, each as `distance` has it.
    pub fn overlaps(&self, distance: impl Fn(&Candidate) -> Overlap) -> Vec<Overlap> {
        self.candidates.iter().map(distance).collect()
    }

    /// Lines that are held of the output of `step`, where not all of it is.
    pub fn lines(&self, lowering: &Lowering<'_>, step: usize) -> Option<u16> {
        let inner = self.groups.iter().any(|group| group.contains(&step) && group.contains(&(step + 1)));
        inner.then(|| rows_of(lowering, step + 1).most() as u16)
    }
}

/// The buffer of the second operand of a step, which is whole in lock step too.
fn second_operand(lowering: &Lowering<'_>, step: usize) -> Option<usize> {
    let operand = lowering.steps[step].record.inputs[1];
    if operand == u16::MAX { None } else { buffer_of(lowering.operand(operand)) }
}

/// Whether what the last step writes may lie where its buffer does: on the input or on an operand only if no row is
/// written there that a member still reads.
fn is_possible(lowering: &Lowering<'_>, group: &Range<usize>) -> bool {
    let (first, last) = (group.start, group.end - 1);
    let buffer = |operand: u16| buffer_of(lowering.operand(operand));
    let output = buffer(lowering.steps[last].record.output);
    let on_operand = (first..last).any(|step| second_operand(lowering, step) == output);
    let on_input = buffer(lowering.steps[first].record.inputs[0]) == output;
    let gap = || Group::new(group.clone().map(|step| rows_of(lowering, step))).map(|group| group.gap_below());
    !on_operand && (!on_input || gap() == Some(0))
}

pub(super) fn rows_of(lowering: &Lowering<'_>, step: usize) -> Rows {
    let record = &lowering.steps[step].record;
    let extent = |operand: u16| lowering.operand(operand).view.extent;
    Rows::new(&record.window, extent(record.inputs[0]), extent(record.output))
}

/// For each step, whether its result is read by the next step alone, row by row.
fn links(lowering: &Lowering<'_>, lives: &[Buffer]) -> Vec<bool> {
    let limit = usize::from(u16::MAX);
    let linked = |step: usize| -> Option<bool> {
        let (record, next) = (&lowering.steps[step].record, &lowering.steps.get(step + 1)?.record);
        let lines = buffer_of(lowering.operand(record.output))?;
        let views = lowering.operands.iter().filter(|operand| buffer_of(operand) == Some(lines)).count();
        let rows = rows_of(lowering, step + 1);
        Some(
            record.kind.runs_by_rows()
                && next.kind.runs_by_rows()
                && next.inputs[0] == record.output
                && next.inputs[1] != record.output
                && (lives[lines].first, lives[lines].last) == (step, step + 1)
                && views == 1
                && rows.most() <= limit
                && rows.output_rows() <= limit,
        )
    };
    (0..lowering.steps.len()).map(|step| linked(step).unwrap_or(false)).collect()
}

/// How far the steps reach beyond `limit`, added up: what has to become less where several of them need the most.
fn excess(arrangement: &Arrangement, plan: &MemoryPlan, steps: usize, limit: usize) -> u64 {
    let reach = |step: usize| {
        let alive = arrangement.lives.iter().zip(&plan.offsets);
        let alive = alive.filter(|(b, _)| b.len > 0 && b.first <= step && step <= b.last);
        alive.map(|(b, offset)| offset + b.len).max().unwrap_or(0)
    };
    (0..steps).map(|step| reach(step).saturating_sub(limit) as u64).sum()
}

/// Looks for groups with which the arena keeps to `limit` and that cost at most `allowance` predicted instructions: in
/// each round the one that lowers the arena most, or what lies beyond the limit. Gives the best that was found.
pub(super) fn search(
    lowering: &Lowering<'_>,
    lives: &[Buffer],
    single: &[Candidate],
    limit: usize,
    allowance: u64,
) -> (Arrangement, MemoryPlan) {
    let links = links(lowering, lives);
    let arrange = |groups| {
        let arrangement = Arrangement::new(lowering, lives, single, groups);
        let plan = memory::plan_quickly(&arrangement.lives, &arrangement.overlaps(Candidate::tight));
        (arrangement, plan)
    };
    let need = |(arrangement, plan): &(Arrangement, MemoryPlan)| {
        (plan.arena_bytes.max(limit), excess(arrangement, plan, links.len(), limit))
    };
    let mut best = arrange(Vec::new());
    let mut current = arrange(Vec::new());
    for _ in 0..ROUNDS {
        if best.1.arena_bytes <= limit {
            break;
        }
        let (arrangement, plan) = &current;
        let is_full = |step: usize| {
            let alive = arrangement.lives.iter().zip(&plan.offsets);
            let mut alive = alive.filter(|(b, _)| b.first <= step && step <= b.last);
            alive.any(|(b, offset)| offset + b.len > limit)
        };
        let full: Vec<usize> = (0..links.len()).filter(|&step| is_full(step)).collect();
        let ranges = (0..links.len()).flat_map(|start| (2..=MAX_GROUP).map(move |len| start..start + len));
        let trials = ranges
            .filter(|range| {
                range.end <= links.len() && links[range.start..range.end - 1].iter().all(|&link| link)
            })
            .filter(|range| full.iter().any(|step| range.contains(step)) && is_possible(lowering, range))
            .take(TRIALS);
        let found = trials
            .filter_map(|range| {
                let apart = |group: &&Range<usize>| group.end <= range.start || range.end <= group.start;
                let mut groups: Vec<Range<usize>> =
                    arrangement.groups.iter().filter(apart).cloned().collect();
                groups.push(range.clone());
                groups.sort_by_key(|group| group.start);
                let overhead = price::overhead(lowering, &groups);
                if overhead > allowance {
                    return None;
                }
                let found = arrange(groups);
                // Of those that fit the cheapest; else the smallest arena.
                Some(((need(&found), overhead, found.1.arena_bytes), found))
            })
            .min_by_key(|(key, _)| *key);
        match found {
            Some(((needed, ..), found)) if needed < need(&current) => current = found,
            _ => break,
        }
        if current.1.arena_bytes < best.1.arena_bytes {
            best = arrange(current.0.groups.clone());
        }
    }
    best
}
