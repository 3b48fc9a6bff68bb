//! Lifetimes to offsets.
//!
//! Buffers that are alive at the same time must not overlap, except the input and the output of an operator that can
//! run over its own input: these only have to keep a distance. Placing buffers greedily in a good order comes close to
//! the least possible size; several orders are tried, then a seeded search moves single buffers in the best one.

/// A piece of memory and when it is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buffer {
    /// Size in bytes.
    pub len: usize,
    /// Offsets are multiples of this.
    pub alignment: usize,
    /// First operator that writes it; inputs of the model are there from operator 0 on.
    pub first: usize,
    /// Last operator that reads or writes it; outputs of the model are needed after the last operator.
    pub last: usize,
}

impl Buffer {
    fn meets(&self, other: &Buffer) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// An operator that can run over its own input: how its output has to lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overlap {
    /// Index of the buffer that it reads, for the last time.
    pub input: usize,
    /// Index of the buffer that it writes, for the first time.
    pub output: usize,
    /// The output may begin this many bytes before the input, or more.
    pub below: usize,
    /// The output may begin this many bytes behind the input's beginning, or more.
    pub above: usize,
}

/// Offsets of buffers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryPlan {
    /// In the order of the buffers.
    pub offsets: Vec<usize>,
    /// Bytes from 0 to the end of the last buffer.
    pub arena_bytes: usize,
    /// Largest sum of buffers in use at one time: no plan without overlaps can be smaller.
    pub live_set_bytes: usize,
}

/// Placements of the search after the fixed orders, for few buffers. Each takes time in proportion to the square of the
/// number of buffers, and their number falls with it.
const SEARCH_STEPS: usize = 2000;
/// Number of buffers from which on the steps become fewer.
const SEARCH_BUFFERS: usize = 40;

/// Places the buffers. The same buffers give the same offsets everywhere.
pub fn plan(buffers: &[Buffer], overlaps: &[Overlap]) -> MemoryPlan {
    Planner::new(buffers, overlaps).search()
}

/// As [`plan`], without the search: for comparing many sets of buffers.
pub fn plan_quickly(buffers: &[Buffer], overlaps: &[Overlap]) -> MemoryPlan {
    Planner::new(buffers, overlaps).fixed_orders().0
}

/// Distances that two buffers keep: the offset of one is at most that of the other less `below`, or at least that of
/// the other plus `above`.
#[derive(Clone, Copy)]
struct Distance {
    other: usize,
    below: usize,
    above: usize,
}

/// Buffers whose places are looked for.
pub struct Planner<'b> {
    buffers: &'b [Buffer],
    overlaps: Vec<Overlap>,
    /// For each buffer, the buffers that it may overlap.
    partners: Vec<Vec<Distance>>,
    /// The best order so far.
    order: Vec<usize>,
    live_set_bytes: usize,
    floor_bytes: usize,
}

impl<'b> Planner<'b> {
    /// Buffers of which some may overlap.
    pub fn new(buffers: &'b [Buffer], overlaps: &[Overlap]) -> Self {
        let mut planner = Self {
            buffers,
            overlaps: overlaps.to_vec(),
            partners: vec![Vec::new(); buffers.len()],
            order: (0..buffers.len()).collect(),
            live_set_bytes: live_set(buffers, |_| 0),
            floor_bytes: floor(buffers, overlaps),
        };
        for (index, &overlap) in overlaps.iter().enumerate() {
            planner.set(index, overlap);
        }
        planner
    }

    fn set(&mut self, index: usize, overlap: Overlap) {
        self.overlaps[index] = overlap;
        let Overlap { input, output, below, above } = overlap;
        let mut put = |one: usize, distance: Distance| {
            self.partners[one].retain(|d| d.other != distance.other);
            self.partners[one].push(distance);
        };
        put(output, Distance { other: input, below, above });
        put(input, Distance { other: output, below: above, above: below });
    }

    /// Spends what is free: widens as many overlaps as possible, up to buffers that lie apart, while the arena stays
    /// within `limit` bytes. `wider` gives the distances that an overlap should have, the best first.
    pub fn widen(&mut self, limit: usize, wider: impl Fn(usize) -> Vec<Overlap>) -> Option<MemoryPlan> {
        let mut best = None;
        for index in 0..self.overlaps.len() {
            let usual = self.overlaps[index];
            let larger = |o: &Overlap| o.below + o.above > usual.below + usual.above;
            let found = wider(index).into_iter().filter(larger).find_map(|overlap| {
                self.set(index, overlap);
                Some(self.fixed_orders()).filter(|(found, _)| found.arena_bytes <= limit)
            });
            match found {
                Some((found, order)) => (best, self.order) = (Some(found), order),
                None => self.set(index, usual),
            }
        }
        best
    }

    /// The best of a few orders, and of the best one so far.
    fn fixed_orders(&self) -> (MemoryPlan, Vec<usize>) {
        let buffers = self.buffers;
        let by = |key: &dyn Fn(&Buffer) -> (usize, usize)| {
            let mut order: Vec<usize> = (0..buffers.len()).collect();
            order.sort_by_key(|&i| (std::cmp::Reverse(key(&buffers[i])), i));
            order
        };
        let life = |b: &Buffer| b.last + 1 - b.first;
        let orders = [
            by(&|b| (b.len.saturating_mul(life(b)), b.len)),
            by(&|b| (life(b), b.len)),
            by(&|b| (usize::MAX - b.first, b.len)),
            by(&|b| (usize::MAX - b.last, b.len)),
            self.order.clone(),
        ];
        let first = by(&|b| (b.len, life(b)));
        let first = (self.place(&first), first);
        orders
            .into_iter()
            .map(|order| (self.place(&order), order))
            .fold(first, |best, found| if found.0.arena_bytes < best.0.arena_bytes { found } else { best })
    }

    /// The best places that are found.
    pub fn search(&mut self) -> MemoryPlan {
        let (mut best, order) = self.fixed_orders();
        self.order = order;
        let count = self.buffers.len();
        if count < 2 {
            return best;
        }
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut below = |n: usize| {
            // splitmix64
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) % n as u64) as usize
        };
        let crowd = count.div_ceil(SEARCH_BUFFERS);
        for _ in 0..SEARCH_STEPS / (crowd * crowd) {
            if best.arena_bytes <= self.floor_bytes {
                break;
            }
            let mut changed = self.order.clone();
            let (from, to) = (below(count), below(count));
            let moved = changed.remove(from);
            changed.insert(to, moved);
            let found = self.place(&changed);
            if found.arena_bytes <= best.arena_bytes {
                (best, self.order) = (found, changed);
            }
        }
        best
    }

    /// Puts each buffer, in the given order, at the lowest offset that keeps its distance from all that are alive
    /// with it.
    fn place(&self, order: &[usize]) -> MemoryPlan {
        let buffers = self.buffers;
        let mut offsets = vec![0; buffers.len()];
        let mut placed: Vec<usize> = Vec::with_capacity(buffers.len());
        let mut taken: Vec<(isize, usize)> = Vec::new();
        let mut arena_bytes = 0;
        for &i in order {
            let buffer = &buffers[i];
            taken.clear();
            taken.extend(placed.iter().filter(|&&j| buffers[j].meets(buffer)).map(|&j| {
                let known = self.partners[i].iter().find(|distance| distance.other == j);
                let (below, above) = known.map_or((buffer.len, buffers[j].len), |d| (d.below, d.above));
                (offsets[j] as isize - below as isize, offsets[j] + above)
            }));
            taken.sort_unstable();
            let mut offset = 0;
            for &(start, end) in &taken {
                if offset as isize <= start {
                    break;
                }
                offset = offset.max(end.next_multiple_of(buffer.alignment.max(1)));
            }
            offsets[i] = offset;
            arena_bytes = arena_bytes.max(offset + buffer.len);
            placed.push(i);
        }
        MemoryPlan { offsets, arena_bytes, live_set_bytes: self.live_set_bytes }
    }
}

/// No plan with these overlaps can be smaller.
fn floor(buffers: &[Buffer], overlaps: &[Overlap]) -> usize {
    live_set(buffers, |op| {
        let both = |o: &&Overlap| buffers[o.output].first <= op && op <= buffers[o.input].last;
        let shared = overlaps.iter().filter(both).map(|o| {
            let (input, output) = (buffers[o.input].len, buffers[o.output].len);
            let together = (o.below + input).max(output).min((o.above + output).max(input));
            (input + output).saturating_sub(together)
        });
        shared.sum()
    })
}

/// The largest sum of buffers in use during one operator, less what `shared` says of it.
fn live_set(buffers: &[Buffer], shared: impl Fn(usize) -> usize) -> usize {
    let alive_at = |op| -> usize {
        let all: usize = buffers.iter().filter(|b| b.first <= op && op <= b.last).map(|b| b.len).sum();
        all.saturating_sub(shared(op))
    };
    buffers.iter().flat_map(|b| [b.first, b.last]).map(alive_at).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn buffer(len: usize, first: usize, last: usize) -> Buffer {
        Buffer { len, alignment: 1, first, last }
    }

    #[test]
    fn a_chain_takes_the_two_largest_neighbours() {
        let chain = [buffer(100, 0, 0), buffer(300, 0, 1), buffer(200, 1, 2), buffer(50, 2, 3)];
        let found = plan(&chain, &[]);
        assert_eq!((found.live_set_bytes, found.arena_bytes), (500, 500));
    }

    #[test]
    fn a_chain_over_its_own_input_takes_the_largest_and_the_distance() {
        let chain = [buffer(100, 0, 1), buffer(300, 1, 2), buffer(300, 2, 3), buffer(50, 3, 4)];
        let overlap = |input, output, below, above| Overlap { input, output, below, above };
        let overlaps = [overlap(0, 1, 210, 10), overlap(1, 2, 20, 20), overlap(2, 3, 10, 290)];
        let found = plan(&chain, &overlaps);
        assert_eq!((found.live_set_bytes, found.arena_bytes), (600, 320));
        // Where there is room, nothing overlaps.
        let apart = |i: usize| {
            let Overlap { input, output, .. } = overlaps[i];
            vec![overlap(input, output, chain[output].len, chain[input].len)]
        };
        let mut planner = Planner::new(&chain, &overlaps);
        assert_eq!(planner.search().arena_bytes, 320);
        assert_eq!(planner.widen(319, apart), None);
        assert_eq!(planner.widen(600, apart), Some(plan(&chain, &[])));
    }

    #[test]
    fn no_buffers_take_nothing() {
        assert_eq!(plan(&[], &[]).arena_bytes, 0);
    }

    proptest! {
        #[test]
        fn buffers_alive_together_keep_their_distance(
            parts in prop::collection::vec((1usize..500, 0usize..12, 0usize..6, 0u32..5), 1..24),
            pairs in prop::collection::vec((0usize..24, 0usize..24, 1usize..500, 1usize..500), 0..8),
        ) {
            let buffers: Vec<Buffer> = parts.iter()
                .map(|&(len, first, life, a)| Buffer { len, alignment: 1 << a, first, last: first + life })
                .collect();
            let mut overlaps: Vec<Overlap> = Vec::new();
            for (input, output, below, above) in pairs {
                let (input, output) = (input % buffers.len(), output % buffers.len());
                let new = overlaps.iter().all(|o| [o.input, o.output] != [input, output] && [o.output, o.input] != [input, output]);
                if input != output && new {
                    overlaps.push(Overlap { input, output, below: below.min(buffers[output].len), above: above.min(buffers[input].len) });
                }
            }
            let found = plan(&buffers, &overlaps);
            for (i, a) in buffers.iter().enumerate() {
                prop_assert_eq!(found.offsets[i] % a.alignment, 0);
                prop_assert!(found.offsets[i] + a.len <= found.arena_bytes);
                for (j, b) in buffers.iter().enumerate().filter(|&(j, _)| j != i) {
                    let overlap = overlaps.iter().find(|o| o.output == i && o.input == j);
                    if overlap.is_none() && overlaps.iter().any(|o| o.output == j && o.input == i) {
                        continue;
                    }
                    let (below, above) = overlap.map_or((a.len, b.len), |o| (o.below, o.above));
                    let apart = found.offsets[i] + below <= found.offsets[j] || found.offsets[i] >= found.offsets[j] + above;
                    prop_assert!(apart || !a.meets(b));
                }
            }
            prop_assert_eq!(plan(&buffers, &overlaps), found);
        }
    }
}
