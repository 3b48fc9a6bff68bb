//! Lifetimes to offsets.
//!
//! Buffers that are alive at the same time must not overlap. Placing them greedily in a good order comes close to
//! the largest live set; several orders are tried, then a seeded search swaps neighbours in the best one.

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

/// Offsets of buffers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryPlan {
    /// In the order of the buffers.
    pub offsets: Vec<usize>,
    /// Bytes from 0 to the end of the last buffer.
    pub arena_bytes: usize,
    /// Largest sum of buffers in use at one time: no plan can be smaller.
    pub live_set_bytes: usize,
}

/// Attempts of the search after the fixed orders. Each takes time in proportion to the square of the number of buffers.
const SEARCH_STEPS: usize = 400;
/// Above this number of buffers the search is left out.
const SEARCH_BUFFERS: usize = 200;

/// Places the buffers. The same buffers give the same offsets everywhere.
pub fn plan(buffers: &[Buffer]) -> MemoryPlan {
    let live_set_bytes = live_set(buffers);
    let by = |key: &dyn Fn(&Buffer) -> (usize, usize)| {
        let mut order: Vec<usize> = (0..buffers.len()).collect();
        order.sort_by_key(|&i| (std::cmp::Reverse(key(&buffers[i])), i));
        order
    };
    let life = |b: &Buffer| b.last + 1 - b.first;
    let orders = [
        by(&|b| (b.len, life(b))),
        by(&|b| (b.len.saturating_mul(life(b)), b.len)),
        by(&|b| (life(b), b.len)),
        by(&|b| (usize::MAX - b.first, b.len)),
        by(&|b| (usize::MAX - b.last, b.len)),
    ];
    let mut best: Option<(MemoryPlan, Vec<usize>)> = None;
    for order in orders {
        let found = place(buffers, &order, live_set_bytes);
        if best.as_ref().is_none_or(|(b, _)| found.arena_bytes < b.arena_bytes) {
            best = Some((found, order));
        }
    }
    let Some((mut plan, mut order)) = best else {
        return MemoryPlan { offsets: Vec::new(), arena_bytes: 0, live_set_bytes };
    };
    if buffers.len() >= 2 && buffers.len() <= SEARCH_BUFFERS {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut below = |n: usize| {
            // splitmix64
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z ^ (z >> 31)) % n as u64) as usize
        };
        for _ in 0..SEARCH_STEPS {
            if plan.arena_bytes <= live_set_bytes {
                break;
            }
            let mut changed = order.clone();
            let (from, to) = (below(buffers.len()), below(buffers.len()));
            let moved = changed.remove(from);
            changed.insert(to, moved);
            let found = place(buffers, &changed, live_set_bytes);
            if found.arena_bytes <= plan.arena_bytes {
                (plan, order) = (found, changed);
            }
        }
    }
    plan
}

/// Puts each buffer, in the given order, at the lowest offset where it meets none that is alive with it.
fn place(buffers: &[Buffer], order: &[usize], live_set_bytes: usize) -> MemoryPlan {
    let mut offsets = vec![0; buffers.len()];
    let mut placed: Vec<usize> = Vec::with_capacity(buffers.len());
    let mut arena_bytes = 0;
    for &i in order {
        let buffer = &buffers[i];
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&j| buffers[j].meets(buffer))
            .map(|&j| (offsets[j], offsets[j] + buffers[j].len))
            .collect();
        taken.sort_unstable();
        let mut offset = 0;
        for (start, end) in taken {
            if offset + buffer.len <= start {
                break;
            }
            offset = offset.max(end.next_multiple_of(buffer.alignment.max(1)));
        }
        offsets[i] = offset;
        arena_bytes = arena_bytes.max(offset + buffer.len);
        placed.push(i);
    }
    MemoryPlan { offsets, arena_bytes, live_set_bytes }
}

fn live_set(buffers: &[Buffer]) -> usize {
    let alive_at = |op| buffers.iter().filter(|b| b.first <= op && op <= b.last).map(|b| b.len).sum();
    buffers.iter().map(|b| alive_at(b.first)).max().unwrap_or(0)
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
        let found = plan(&chain);
        assert_eq!((found.live_set_bytes, found.arena_bytes), (500, 500));
    }

    #[test]
    fn no_buffers_take_nothing() {
        assert_eq!(plan(&[]).arena_bytes, 0);
    }

    proptest! {
        #[test]
        fn buffers_alive_together_never_overlap(parts in prop::collection::vec((1usize..500, 0usize..12, 0usize..6, 0u32..5), 1..24)) {
            let buffers: Vec<Buffer> = parts.iter()
                .map(|&(len, first, life, a)| Buffer { len, alignment: 1 << a, first, last: first + life })
                .collect();
            let found = plan(&buffers);
            prop_assert!(found.arena_bytes >= found.live_set_bytes);
            for (i, a) in buffers.iter().enumerate() {
                prop_assert_eq!(found.offsets[i] % a.alignment, 0);
                prop_assert!(found.offsets[i] + a.len <= found.arena_bytes);
                for (j, b) in buffers.iter().enumerate().skip(i + 1) {
                    let apart = found.offsets[i] + a.len <= found.offsets[j] || found.offsets[j] + b.len <= found.offsets[i];
                    prop_assert!(apart || !a.meets(b));
                }
            }
            prop_assert_eq!(plan(&buffers), found);
        }
    }
}
