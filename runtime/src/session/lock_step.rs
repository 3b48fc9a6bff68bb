//! Operators that run in lock step: a slice is one row of the last of them, with all that it needs.

use super::run;
use crate::kernels::Kernels;
use crate::plan::{self, Band, MAX_GROUP, Model, OpWords, Ops, Rows};

/// A group of operators of a model.
pub(super) struct Group {
    rows: plan::Group,
    first: u16,
    /// The last operator.
    pub last: u16,
}

impl Group {
    /// The group that begins with operator `first`.
    #[inline(never)]
    pub fn new(model: &Model<'_>, first: u16) -> Self {
        let last = model.group_end(first);
        // Longer groups were refused when the plan was opened.
        Self { rows: model.group(first, last).unwrap_or_default(), first, last }
    }

    /// Rows of the last operator.
    pub fn slices(&self) -> usize {
        self.rows.rows(self.rows.len().saturating_sub(1)).output_rows()
    }

    /// Predicted instructions of slice `y`.
    pub fn cost(&self, model: &Model<'_>, y: usize) -> u32 {
        let (before, after) = (self.rows.made(y, false), self.rows.made(y + 1, false));
        let ops = (self.first..=self.last).zip(before.iter().zip(&after));
        ops.fold(0, |sum: u32, (index, (&before, &after))| {
            let count = after.saturating_sub(before) as u32;
            let cost = model.op_words(index).map_or(0, |op| op.slice_cost());
            sum.saturating_add(count.saturating_mul(cost))
        })
    }

    /// Makes row `y` of the last operator, and before it every row that it needs. `observe` is told whose row is next.
    pub fn run<M: Ops, K: Kernels>(
        &self,
        model: &Model<'_>,
        arena: &mut [i8],
        y: usize,
        mut observe: impl FnMut(u16),
    ) {
        let mut next: [usize; MAX_GROUP] = self.rows.made(y, false);
        let mut at = self.rows.len().saturating_sub(1);
        while let Some(op) = model.op_words(self.first + at as u16) {
            let rows = self.rows.rows(at);
            let row = next.get(at).copied().unwrap_or(0);
            if let Some(before) = at.checked_sub(1)
                && next.get(before).is_some_and(|&made| made < rows.end(row))
            {
                at = before;
                continue;
            }
            observe(self.first + at as u16);
            // The reader's next row says which line is the first that is held.
            let reader = next.get(at + 1).copied().unwrap_or(0);
            let held_from = if at + 1 < self.rows.len() { self.rows.rows(at + 1).first(reader) } else { 0 };
            run::<M, K>(model, arena, op, row..row + 1, held_from);
            if let Some(next) = next.get_mut(at) {
                *next = row + 1;
            }
            if at > 0 {
                drop_lines(model, arena, op, &rows, row);
            }
            at += 1;
            if at >= self.rows.len() {
                return;
            }
        }
    }
}

/// After row `y` of an operator: the lines that later rows read move to the front.
#[inline(never)]
fn drop_lines(model: &Model<'_>, arena: &mut [i8], op: OpWords<'_>, rows: &Rows, y: usize) {
    let Some(lines) = model.value_words(op.inputs()[0]).arena_range().and_then(|range| arena.get_mut(range))
    else {
        return;
    };
    let row_len = rows.row_lens().0;
    let dropped = rows.first(y + 1).saturating_sub(rows.first(y));
    if dropped == 0 {
        return;
    }
    for line in rows.first(y + 1)..rows.end(y) {
        let to = (line - rows.first(y + 1)) * row_len;
        let from = to + dropped * row_len;
        if let Ok([to, from]) = lines.get_disjoint_mut([to..to + row_len, from..from + row_len]) {
            copy(to, from);
        }
    }
}

/// Copies in pieces that take a few loads and stores each.
#[inline(always)]
fn copy(to: &mut [i8], from: &[i8]) {
    let ((to, to_rest), (from, from_rest)) = (to.as_chunks_mut::<16>(), from.as_chunks::<16>());
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    to_rest.iter_mut().zip(from_rest).for_each(|(to, from)| *to = *from);
}

/// Moves a band to where its lines are held.
#[inline(never)]
pub(super) fn shift(model: &Model<'_>, op: OpWords<'_>, rows: &Rows, held_from: usize, band: &mut Band) {
    if model.reads_lines(op) {
        // The first line that is held is the first that the row reads.
        band.input = 0..band.input.len();
    }
    if model.writes_lines(op) {
        let held_from = held_from.saturating_mul(rows.row_lens().1);
        let start = band.output.start.saturating_sub(held_from);
        band.output = start..start + band.output.len();
    }
}
