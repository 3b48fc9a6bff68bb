//! In which order the nodes of a graph run.
//!
//! A file has its nodes in one of many orders in which each comes after those that it reads from. Where a network has
//! branches, one order keeps less in memory at a time than another: a branch that is carried through to its small end
//! before the next one begins needs less than all of them side by side. The search goes over sets of finished nodes, as
//! in Liberis and Lane, "Neural networks on microcontrollers: saving memory at inference via operator reordering" (2019),
//! with a limit to the sets that are kept; which order is taken is decided by the plans that come of them.

use std::collections::BTreeMap;

use super::{is_function, is_inner};
use crate::graph::{Graph, Node, Op, ValueId};

/// Sets of finished nodes of one size that are kept. Where there are never more, the search is complete.
const WIDTH: usize = 256;
/// Words that the search writes before it gives up: some 64 MB and some tenths of a second.
const MOST_WORK: usize = 1 << 23;

/// Orders that are worth a plan: that of the graph, then others in which less is alive at a time. Each is a list of
/// indices of nodes, without those that are parts of their readers' tables.
pub(super) fn candidates(graph: &Graph, over_inputs: bool) -> Vec<Vec<usize>> {
    let own: Vec<usize> =
        (0..graph.nodes.len()).filter(|&index| !is_inner(graph, &graph.nodes[index])).collect();
    let mut orders = vec![own.clone()];
    let ways: &[bool] = if over_inputs { &[true, false] } else { &[false] };
    for &shares in ways {
        let units = Units::new(graph, &own, shares);
        if let Some(order) = units.search() {
            let order: Vec<usize> = order.into_iter().map(|unit| own[unit]).collect();
            if !orders.contains(&order) {
                orders.push(order);
            }
        }
    }
    orders
}

/// A node that runs: buffers by their number, other units by theirs.
#[derive(Debug, Default)]
struct Unit {
    /// Units that run before.
    after: Vec<usize>,
    /// Units that read its result.
    readers: Vec<usize>,
    /// What it reads.
    reads: Vec<usize>,
    /// What it writes, where that is no view of what it reads.
    writes: Option<usize>,
    /// Whether its result may lie on what it reads.
    shares: bool,
}

/// What an order needs: the most that is alive at a time, then the sum over all units. Less is better.
type Need = (u64, u64);

struct Units {
    units: Vec<Unit>,
    /// Bytes of each buffer.
    bytes: Vec<u64>,
    /// Units that read each buffer.
    readers: Vec<Vec<usize>>,
    /// Buffers that stay: outputs of the model.
    stays: Vec<bool>,
    /// Buffers that are there from the beginning: inputs of the model.
    begins: Vec<usize>,
}

/// A set of finished units, and the best way to it that was found.
struct State {
    done: Vec<u64>,
    ready: Vec<usize>,
    alive: u64,
    need: Need,
    /// The state before, by its place in the history, and the unit that ran last.
    before: Option<(usize, usize)>,
}

impl State {
    fn has(&self, unit: usize) -> bool {
        self.done[unit / 64] >> (unit % 64) & 1 == 1
    }
}

impl Units {
    fn new(graph: &Graph, nodes: &[usize], shares: bool) -> Self {
        let producers = graph.producers();
        let mut unit_of = vec![None; graph.nodes.len()];
        nodes.iter().enumerate().for_each(|(unit, &node)| unit_of[node] = Some(unit));
        // The value that a unit really reads: a function that is a part of its table reads for it.
        let source = |mut id: ValueId| loop {
            match producers[id.index()] {
                Some(node) if unit_of[node].is_none() => id = graph.nodes[node].inputs[0],
                _ => return id,
            }
        };
        let mut found = Units {
            units: Vec::new(),
            bytes: Vec::new(),
            readers: Vec::new(),
            stays: Vec::new(),
            begins: Vec::new(),
        };
        let mut buffers: BTreeMap<ValueId, usize> = BTreeMap::new();
        for port in &graph.inputs {
            let buffer = found.new_buffer(graph, port.value);
            buffers.insert(port.value, buffer);
            found.begins.push(buffer);
        }
        for (unit, &node) in nodes.iter().enumerate() {
            let node = &graph.nodes[node];
            let mut entry = Unit { shares: shares && may_share(node), ..Unit::default() };
            for id in node.inputs.iter().map(|&id| source(id)) {
                // Constants have no buffer.
                let Some(&buffer) = buffers.get(&id) else { continue };
                if !entry.reads.contains(&buffer) {
                    entry.reads.push(buffer);
                    found.readers[buffer].push(unit);
                }
                if let Some(before) = producers[id.index()].and_then(|node| unit_of[node])
                    && !entry.after.contains(&before)
                {
                    entry.after.push(before);
                    found.units[before].readers.push(unit);
                }
            }
            let output = node.output();
            let buffer = match entry.reads.first() {
                Some(&read) if is_view(graph, node) => read,
                _ => {
                    let buffer = found.new_buffer(graph, output);
                    entry.writes = Some(buffer);
                    buffer
                }
            };
            buffers.insert(output, buffer);
            found.units.push(entry);
        }
        for port in &graph.outputs {
            if let Some(&buffer) = buffers.get(&source(port.value)) {
                found.stays[buffer] = true;
            }
        }
        found
    }

    fn new_buffer(&mut self, graph: &Graph, id: ValueId) -> usize {
        self.bytes.push(graph.value(id).len() as u64);
        self.readers.push(Vec::new());
        self.stays.push(false);
        self.bytes.len() - 1
    }

    fn first(&self) -> State {
        State {
            done: vec![0; self.units.len().div_ceil(64).max(1)],
            ready: (0..self.units.len()).filter(|&unit| self.units[unit].after.is_empty()).collect(),
            alive: self.begins.iter().map(|&buffer| self.bytes[buffer]).sum(),
            need: (0, 0),
            before: None,
        }
    }

    /// The state after one more unit has run; `place` is that of `state` in the history.
    fn run(&self, state: &State, place: usize, unit: usize) -> State {
        let entry = &self.units[unit];
        let mut done = state.done.clone();
        done[unit / 64] |= 1 << (unit % 64);
        let mut next = State {
            done,
            ready: Vec::new(),
            alive: state.alive,
            need: state.need,
            before: Some((place, unit)),
        };
        let is_ready = |reader: &usize| self.units[*reader].after.iter().all(|&before| next.has(before));
        let waiting = state.ready.iter().copied().filter(|&other| other != unit);
        next.ready = waiting.chain(entry.readers.iter().copied().filter(is_ready)).collect();
        next.ready.sort_unstable();
        let ends = |buffer: &&usize| {
            !self.stays[**buffer] && self.readers[**buffer].iter().all(|&reader| next.has(reader))
        };
        let ending: Vec<u64> = entry.reads.iter().filter(ends).map(|&buffer| self.bytes[buffer]).collect();
        let written = entry.writes.map_or(0, |buffer| self.bytes[buffer]);
        let shared =
            if entry.shares { ending.iter().map(|&read| read.min(written)).max().unwrap_or(0) } else { 0 };
        let during = next.alive + written - shared;
        next.alive = next.alive + written - ending.iter().sum::<u64>();
        next.need = (next.need.0.max(during), next.need.1.saturating_add(during));
        next
    }

    /// An order that needs less than the one that the units stand in, if one is found.
    fn search(&self) -> Option<Vec<usize>> {
        let own = (0..self.units.len()).fold(self.first(), |state, unit| self.run(&state, 0, unit)).need;
        let mut history = vec![self.first()];
        let mut level = 0..1;
        let mut work = 0usize;
        for _ in 0..self.units.len() {
            let mut next: BTreeMap<Vec<u64>, State> = BTreeMap::new();
            for place in level {
                for &unit in &history[place].ready {
                    let state = self.run(&history[place], place, unit);
                    work = work.saturating_add(16 + state.done.len() + state.ready.len());
                    if work > MOST_WORK {
                        return None;
                    }
                    // What already needs more at a time than the graph's own order is not looked at.
                    if state.need.0 > own.0 {
                        continue;
                    }
                    match next.get_mut(&state.done) {
                        Some(known) if known.need <= state.need => {}
                        Some(known) => *known = state,
                        None => drop(next.insert(state.done.clone(), state)),
                    }
                }
            }
            let mut states: Vec<State> = next.into_values().collect();
            states.sort_by_key(|state| state.need);
            states.truncate(WIDTH);
            level = history.len()..history.len() + states.len();
            history.extend(states);
        }
        let last = history.last().filter(|state| !level.is_empty() && state.need < own)?;
        let mut order = Vec::new();
        let mut before = last.before;
        while let Some((place, unit)) = before {
            order.push(unit);
            before = history[place].before;
        }
        order.reverse();
        Some(order)
    }
}

/// Whether the result of an operator may lie on what it reads.
fn may_share(node: &Node) -> bool {
    match node.op {
        Op::Conv2d(_) | Op::DepthwiseConv2d(_) | Op::MaxPool2d(_) | Op::AveragePool2d(_) => true,
        Op::Add { .. } | Op::Sub { .. } | Op::Mul { .. } | Op::Softmax => true,
        _ => is_function(node),
    }
}

/// Whether the result is the bytes that are read.
fn is_view(graph: &Graph, node: &Node) -> bool {
    let quant = |id: ValueId| &graph.value(id).quant;
    matches!(node.op, Op::Reshape { .. }) && quant(node.inputs[0]) == quant(node.output())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Units that each read one to three earlier results, of different sizes.
    fn random(seed: u64) -> Units {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut below = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        };
        let count = 2 + below(6);
        let mut units: Vec<Unit> = Vec::new();
        let mut readers = vec![Vec::new(); count + 1];
        for unit in 0..count {
            let mut entry = Unit { writes: Some(unit + 1), shares: below(2) == 0, ..Unit::default() };
            for _ in 0..1 + below(3) {
                let buffer = below(unit + 1);
                if !entry.reads.contains(&buffer) {
                    entry.reads.push(buffer);
                    readers[buffer].push(unit);
                    if buffer > 0 {
                        entry.after.push(buffer - 1);
                        units[buffer - 1].readers.push(unit);
                    }
                }
            }
            units.push(entry);
        }
        let stays = readers.iter().map(Vec::is_empty).collect();
        let bytes = (0..=count).map(|_| 1 + below(50) as u64).collect();
        Units { units, bytes, readers, stays, begins: vec![0] }
    }

    /// The least need of all orders that begin with `state`.
    fn least(units: &Units, state: &State) -> u64 {
        let ready = state.ready.iter().map(|&unit| least(units, &units.run(state, 0, unit)));
        ready.min().unwrap_or(state.need.0)
    }

    /// `count` branches of two units, wide and narrow, the wide ones first.
    fn branches(count: usize) -> Units {
        let wide =
            |i| Unit { reads: vec![0], writes: Some(1 + i), readers: vec![count + i], ..Unit::default() };
        let narrow =
            |i| Unit { reads: vec![1 + i], writes: Some(1 + count + i), after: vec![i], ..Unit::default() };
        let mut readers = vec![(0..count).collect()];
        readers.extend((0..count).map(|i| vec![count + i]));
        readers.extend(vec![Vec::new(); count]);
        Units {
            units: (0..count).map(wide).chain((0..count).map(narrow)).collect(),
            bytes: [vec![1], vec![10; count], vec![1; count]].concat(),
            readers,
            stays: [vec![false; 1 + count], vec![true; count]].concat(),
            begins: vec![0],
        }
    }

    #[test]
    fn a_search_that_is_too_long_is_given_up() {
        assert!(branches(6).search().is_some());
        assert_eq!(branches(3000).search(), None);
    }

    #[test]
    fn nothing_needs_less_than_what_is_found() {
        let mut gains = 0;
        for seed in 0..3000 {
            let units = random(seed);
            let need = |order: &[usize]| {
                order.iter().fold(units.first(), |state, &unit| {
                    assert!(state.ready.contains(&unit), "seed {seed}: {unit} runs too early");
                    units.run(&state, 0, unit)
                })
            };
            let own: Vec<usize> = (0..units.units.len()).collect();
            let found = units.search().unwrap_or_else(|| own.clone());
            let (own, found) = (need(&own), need(&found));
            assert!(found.ready.is_empty(), "seed {seed}: not all run");
            assert_eq!(found.need.0, least(&units, &units.first()), "seed {seed}");
            gains += usize::from(found.need.0 < own.need.0);
        }
        assert!(gains > 500, "{gains} orders of 3000 were better");
    }
}
