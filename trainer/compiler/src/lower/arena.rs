//! Lifetimes, in-place execution, and the finished plan.

use std::collections::BTreeMap;
use std::ops::Range;

use teff::plan::{Location, OpKind, ValueRecord};

use super::Compiled;
use super::lock_step::{self, Arrangement};
use super::metadata;
use super::overlap::{self, Candidate};
use super::price::{self, Price};
use super::report::{BufferReport, LayerReport, Report};
use super::steps::{Lowering, Operand, Place, too_large};
use crate::error::{Error, Result};
use crate::memory::{self, Buffer, MemoryPlan, Overlap, Planner};
use crate::options::Options;

/// Offsets are multiples of this, so that kernels can load words.
const ALIGNMENT: usize = 4;
/// Part of the arena that is weighed against instructions where no budget is given.
const SPARE: usize = 16;

/// Bytes by which the arena may be larger than the least where no budget is given, if kernels get more rows at once then:
/// a part; of a small arena twice that, up to 1 kB.
fn spare(least: usize) -> usize {
    (least / SPARE).max((2 * least / SPARE).min(1024))
}

/// Without a budget, lock step may cost this part of the predicted instructions, if the arena shrinks by one [`SPARE`]th
/// or more: as much code as lock step needs is linked then.
pub(super) const LOCK_STEP_SHARE: u64 = 256;

/// A lowering whose buffers have places.
pub(super) struct Placed<'l, 'g> {
    lowering: &'l mut Lowering<'g>,
    arrangement: Arrangement,
    memory: MemoryPlan,
}

pub(super) fn assign<'l, 'g>(lowering: &'l mut Lowering<'g>, options: &Options) -> Result<Placed<'l, 'g>> {
    read_last_result_first(lowering);
    let (arrangement, memory) = choose(lowering, options)?;
    if u32::try_from(memory.arena_bytes).is_err() {
        return Err(Error::model(format!("the model needs {} bytes of RAM", memory.arena_bytes)));
    }
    for candidate in &arrangement.candidates {
        lowering.steps[candidate.step].record.from_last_row = candidate.runs_from_last_row(&memory.offsets);
    }
    Ok(Placed { lowering, arrangement, memory })
}

/// Which element-wise operators write over an operand that nobody reads afterwards, and over which one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum InPlace {
    /// All, over the first such operand: the result of the step before.
    First,
    /// All, over the last such operand, so that the step before can run in lock step with a sum.
    Last,
    /// Those of two operands, over the last: the others can then run in lock step.
    LastOfTwo,
}

/// What lies where, and when.
type Layout = (Arrangement, MemoryPlan);

/// The best of the ways to run element-wise operators in place. The last one is tried where a budget is not kept else.
fn choose(lowering: &mut Lowering<'_>, options: &Options) -> Result<Layout> {
    let separate = lowering.operands.clone();
    let mut best: Option<(Result<Layout>, Vec<Operand>)> = None;
    let mut tried = Vec::new();
    for way in [InPlace::First, InPlace::Last, InPlace::LastOfTwo] {
        let fits = best.as_ref().is_some_and(|(found, _)| found.is_ok());
        if way == InPlace::LastOfTwo && fits {
            break;
        }
        lowering.operands.clone_from(&separate);
        run_in_place(lowering, way);
        if tried.contains(&lowering.operands) {
            continue;
        }
        tried.push(lowering.operands.clone());
        let lives = lifetimes(lowering);
        let found = place(lowering, &lives, options);
        let need = |(arrangement, memory): &Layout| {
            let cost = options.ram_bytes.map(|_| price::overhead(lowering, &arrangement.groups));
            (cost, memory.arena_bytes)
        };
        let is_better = match (&best, &found) {
            (None, _) | (Some((Err(_), _)), Ok(_)) => true,
            (Some((Ok(usual), _)), Ok(other)) => need(other) < need(usual),
            _ => false,
        };
        if is_better {
            best = Some((found, lowering.operands.clone()));
        }
    }
    let (found, operands) = best.unwrap_or_else(|| (Err(Error::model("it has no operators")), separate));
    lowering.operands = operands;
    found
}

/// The plan with the least overhead that keeps to the budget; without a budget, nearly the smallest one of those that
/// cost next to no instructions.
fn place(lowering: &Lowering<'_>, lives: &[Buffer], options: &Options) -> Result<Layout> {
    let fits = |found: &MemoryPlan| options.ram_bytes.is_none_or(|limit| found.arena_bytes <= limit);
    let mut plain = Arrangement::new(lowering, lives, &[], Vec::new());
    let apart = memory::plan(&plain.lives, &[]);
    if fits(&apart) && (!options.overlap || options.ram_bytes.is_some()) {
        return Ok((plain, apart));
    }
    let live_set_bytes = apart.live_set_bytes;
    let mut least = apart.arena_bytes;
    let mut finish = |arrangement: &Arrangement| {
        let candidates = &arrangement.candidates;
        let overlaps: Vec<Overlap> = candidates.iter().map(Candidate::tight).collect();
        let mut planner = Planner::new(&arrangement.lives, &overlaps);
        let tight = planner.search();
        least = least.min(tight.arena_bytes);
        if !fits(&tight) {
            return None;
        }
        let limit = options.ram_bytes.unwrap_or(tight.arena_bytes + spare(tight.arena_bytes));
        let found = planner.widen(limit, |index| candidates[index].usual()).unwrap_or(tight);
        let limit = options.ram_bytes.unwrap_or(found.arena_bytes);
        let found = planner.widen(limit, |index| candidates[index].wider()).unwrap_or(found);
        Some(MemoryPlan { live_set_bytes, ..found })
    };
    if options.overlap {
        plain.candidates = overlap::candidates(lowering, lives);
        let usual = finish(&plain);
        // Under a budget whatever is needed, without one what costs next to nothing and gains something.
        let (limit, allowance) = match (options.ram_bytes, &usual) {
            (Some(limit), None) => (limit, u64::MAX),
            (Some(_), Some(found)) => return Ok((plain, found.clone())),
            (None, _) => (0, price::all(lowering) / LOCK_STEP_SHARE),
        };
        let (grouped, _) = lock_step::search(lowering, lives, &plain.candidates, limit, allowance);
        let enough = usual.as_ref().map_or(usize::MAX, |usual| usual.arena_bytes - usual.arena_bytes / SPARE);
        if !grouped.groups.is_empty()
            && let Some(found) = finish(&grouped)
            && found.arena_bytes <= enough
        {
            return Ok((grouped, found));
        }
        if let Some(found) = usual {
            return Ok((plain, found));
        }
    }
    let budget = options.ram_bytes.unwrap_or(0);
    Err(Error::model(format!("it needs {least} bytes of RAM, and the budget is {budget}"))
        .remedy("allow more, or make the largest layers smaller"))
}

/// Operands that are outputs of the model, by their number.
fn output_operands(lowering: &mut Lowering<'_>) -> Result<Vec<u16>> {
    lowering.graph.outputs.iter().map(|port| lowering.read(port.value)).collect()
}

pub(super) fn buffer_of(operand: &Operand) -> Option<usize> {
    match operand.place {
        Place::Buffer(buffer) => Some(buffer),
        Place::Data(_) => None,
    }
}

/// When each buffer is in use. Buffers that no operand has any more get no bytes.
fn lifetimes(lowering: &mut Lowering<'_>) -> Vec<Buffer> {
    let end = lowering.steps.len();
    let mut lives =
        vec![Buffer { len: 0, alignment: ALIGNMENT, first: usize::MAX, last: 0 }; lowering.buffers];
    for operand in &lowering.operands {
        if let Some(buffer) = buffer_of(operand) {
            lives[buffer].len = lives[buffer].len.max(operand.view.extent.len());
        }
    }
    let mut touch = |operand: &Operand, at: usize| {
        if let Some(buffer) = buffer_of(operand) {
            let life = &mut lives[buffer];
            (life.first, life.last) = (life.first.min(at), life.last.max(at));
        }
    };
    for operand in &lowering.operands[..lowering.graph.inputs.len()] {
        touch(operand, 0);
    }
    for (index, step) in lowering.steps.iter().enumerate() {
        touch(lowering.operand(step.record.output), index);
        for &input in step.record.inputs.iter().filter(|&&i| i != u16::MAX) {
            touch(lowering.operand(input), index);
        }
    }
    // Names that cannot be read were refused when their node was lowered.
    for index in output_operands(lowering).unwrap_or_default() {
        let operand = lowering.operand(index).clone();
        if let Some(buffer) = buffer_of(&operand) {
            let life = &mut lives[buffer];
            (life.first, life.last) = (life.first.min(end), life.last.max(end));
        }
    }
    for life in &mut lives {
        life.first = life.first.min(life.last);
    }
    lives
}

/// Makes the result of the step before the first operand of element-wise sums and products, which is the one that can be read row by
/// row in lock step. Both are symmetric.
fn read_last_result_first(lowering: &mut Lowering<'_>) {
    for index in 1..lowering.steps.len() {
        let before = lowering.steps[index - 1].record.output;
        let record = &mut lowering.steps[index].record;
        let [first, second] = record.inputs;
        let alike = lowering.operands.get(usize::from(second)).map(|operand| operand.view)
            == Some(lowering.operands[usize::from(first)].view);
        let symmetric = matches!(record.kind, OpKind::Add | OpKind::Mul);
        if symmetric && second == before && first != before && alike {
            record.inputs.swap(0, 1);
            if record.kind == OpKind::Add {
                std::mem::swap(&mut record.a, &mut record.b);
            }
        }
    }
}

/// Lets element-wise operators write over an operand that nobody reads afterwards.
fn run_in_place(lowering: &mut Lowering<'_>, way: InPlace) {
    for index in 0..lowering.steps.len() {
        let record = lowering.steps[index].record;
        let has_two = record.inputs[1] != u16::MAX;
        if !record.kind.is_elementwise() || (way == InPlace::LastOfTwo && !has_two) {
            continue;
        }
        let lives = lifetimes(lowering);
        let Some(output) = buffer_of(lowering.operand(record.output)) else { continue };
        let [first, second] = record.inputs;
        let inputs = if way == InPlace::First { [first, second] } else { [second, first] };
        let candidate = inputs.iter().filter(|&&i| i != u16::MAX).find_map(|&i| {
            let operand = lowering.operand(i);
            let buffer = buffer_of(operand)?;
            let fits = operand.view == lowering.operand(record.output).view && lives[buffer].last == index;
            (fits && buffer != output).then_some(buffer)
        });
        if let Some(buffer) = candidate {
            for operand in &mut lowering.operands {
                if operand.place == Place::Buffer(output) {
                    operand.place = Place::Buffer(buffer);
                }
            }
        }
    }
}

impl Placed<'_, '_> {
    /// Writes the plan.
    pub fn write(self, source_hash: [u8; 32]) -> Result<Compiled> {
        let Placed { lowering, arrangement, memory } = self;
        let outputs = output_operands(lowering)?;
        let lines: BTreeMap<u16, u16> = (0..lowering.steps.len())
            .filter_map(|step| Some((lowering.steps[step].record.output, arrangement.lines(lowering, step)?)))
            .collect();
        for (index, operand) in lowering.operands.iter().enumerate() {
            let location = lowering.location(operand, &memory.offsets);
            let record = ValueRecord {
                view: operand.view,
                location: match (location, lines.get(&(index as u16))) {
                    (Location::Arena(offset), Some(&rows)) => Location::Lines { offset, rows },
                    _ => location,
                },
                quant: operand.quant,
            };
            lowering.writer.push_value(record).map_err(too_large)?;
        }
        let prices = price::prices(lowering, &arrangement, &memory.offsets);
        for ((step, scratch), price) in lowering.steps.iter_mut().zip(&arrangement.scratch).zip(&prices) {
            (step.record.call_cost, step.record.slice_cost) = (price.call, price.slice);
            if let Some(scratch) = *scratch
                && step.record.scratch_len > 0
            {
                step.record.scratch_offset = memory.offsets[scratch] as u32;
            }
            lowering.writer.push_op(step.record);
        }
        lowering.writer.source_hash = source_hash;
        lowering.writer.arena_bytes = memory.arena_bytes as u32;
        lowering.writer.live_set_bytes = memory.live_set_bytes as u32;
        lowering.writer.inputs = (0..lowering.graph.inputs.len() as u16).collect();
        if let Some(index) = outputs.iter().find(|&&i| buffer_of(lowering.operand(i)).is_none()) {
            let name = &lowering.operand(*index).name;
            return Err(Error::value(name, "an output of the model is a constant")
                .remedy("remove it from the outputs"));
        }
        lowering.writer.outputs = outputs;
        lowering.writer.metadata = metadata::pairs(lowering.graph);
        lowering.writer.front_end = metadata::front_end(lowering.graph, &lowering.operands)?;
        let plan = lowering.writer.finish().map_err(too_large)?;
        let report = report(lowering, &arrangement, &memory, &prices, &plan);
        teff::ModelFile::from_bytes(&plan).map_err(|error| {
            Error::model(format!("the compiled plan does not pass its own check: {error}"))
        })?;
        Ok(Compiled { plan, report })
    }
}

fn report(
    lowering: &Lowering<'_>,
    arrangement: &Arrangement,
    memory: &MemoryPlan,
    prices: &[Price],
    plan: &[u8],
) -> Report {
    let layers = lowering.steps.iter().enumerate().map(|(index, step)| {
        let inputs = step.record.inputs.iter().filter(|&&i| i != u16::MAX);
        let extent = |i: u16| {
            let e = lowering.operand(i).view.extent;
            [e.h, e.w, e.c]
        };
        let alive = arrangement
            .lives
            .iter()
            .zip(&memory.offsets)
            .filter(|(b, _)| b.len > 0 && b.first <= index && index <= b.last);
        LayerReport {
            name: step.node.clone(),
            op: step.record.kind.name(),
            inputs: inputs.clone().map(|&i| extent(i)).collect(),
            output: extent(step.record.output),
            input_values: inputs.copied().collect(),
            output_value: step.record.output,
            output_name: lowering.operand(step.record.output).name.clone(),
            macs: step.macs as u64,
            parameters: step.parameters as u64,
            weights_bytes: step.weights_bytes as u64,
            in_place: in_place(lowering, arrangement, memory, index),
            scratch_bytes: step.record.scratch_len.into(),
            kernel: lowering.work(index, 1).kernel,
            packing: step.record.packing,
            layout: lowering.operand(step.record.output).view.layout,
            predicted: prices[index].whole,
            slice_cost: step.record.slice_cost,
            live_bytes: alive.clone().map(|(b, _)| b.len as u64).sum(),
            arena: alive
                .map(|(b, &offset)| BufferReport { offset: offset as u64, len: b.len as u64 })
                .collect(),
        }
    });
    let layers: Vec<LayerReport> = layers.collect();
    Report {
        target: lowering.target.name(),
        macs: layers.iter().map(|layer| layer.macs).sum(),
        parameters: layers.iter().map(|layer| layer.parameters).sum(),
        weights_bytes: layers.iter().map(|layer| layer.weights_bytes).sum(),
        plan_bytes: plan.len() as u64,
        arena_bytes: memory.arena_bytes as u64,
        live_set_bytes: memory.live_set_bytes as u64,
        layers,
        notes: lowering.notes.clone(),
    }
}

fn in_place(lowering: &Lowering<'_>, arrangement: &Arrangement, memory: &MemoryPlan, index: usize) -> bool {
    let record = &lowering.steps[index].record;
    let range = |value: u16| {
        let operand = lowering.operand(value);
        let buffer = buffer_of(operand)?;
        Some(memory.offsets[buffer]..memory.offsets[buffer] + arrangement.lives[buffer].len)
    };
    let overlaps = |a: Range<usize>, b: Range<usize>| a.start < b.end && b.start < a.end;
    let inputs = record.inputs.iter().filter(|&&i| i != u16::MAX);
    inputs.filter_map(|&i| Some(overlaps(range(i)?, range(record.output)?))).any(|on_input| on_input)
}
