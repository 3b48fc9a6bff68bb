//! Which parts of the arena an operator works on.

use core::cell::Cell;
use core::ops::Range;

use super::lock_step;
use crate::kernels::linked::Variant;
use crate::plan::{Band, Model, OpWords, Ops, Order, Rows, ValueWords};

/// The whole input and the whole output of an operator.
#[inline]
pub(super) fn whole<'p, M: Ops>(
    model: &Model<'p>,
    arena: &'p mut [i8],
    input: ValueWords<'_>,
    output: ValueWords<'_>,
) -> Option<(&'p [i8], &'p mut [i8])> {
    let apart = Apart::new(arena, output)?;
    Some((apart.operand::<M>(model, input)?, apart.output))
}

/// Both inputs, which may overlap each other, and the whole output of `op`.
#[inline(never)]
pub(super) fn pair<'p, M: Ops>(
    model: &Model<'p>,
    arena: &'p mut [i8],
    op: OpWords<'_>,
) -> Option<(&'p [i8], &'p [i8], &'p mut [i8])> {
    let apart = Apart::new(arena, model.value_words(op.output()))?;
    let [lhs, rhs] = op.inputs().map(|index| apart.operand::<M>(model, model.value_words(index)));
    Some((lhs?, rhs?, apart.output))
}

/// The output of an operator, and the arena before and behind it.
struct Apart<'p> {
    before: &'p [i8],
    output: &'p mut [i8],
    behind: &'p [i8],
    /// Where the output ends.
    end: usize,
}

impl<'p> Apart<'p> {
    #[inline(always)]
    fn new(arena: &'p mut [i8], output: ValueWords<'_>) -> Option<Self> {
        let to = output.arena_range()?;
        let (arena, behind) = arena.split_at_mut_checked(to.end)?;
        let (before, output) = arena.split_at_mut_checked(to.start)?;
        Some(Self { before, output, behind, end: to.end })
    }

    /// A value that does not overlap the output.
    #[inline(always)]
    fn operand<M: Ops>(&self, model: &Model<'p>, value: ValueWords<'_>) -> Option<&'p [i8]> {
        match value.arena_range() {
            Some(from) => match from.start.checked_sub(self.end) {
                Some(start) => self.behind.get(start..from.end - self.end),
                None => self.before.get(from),
            },
            None if !M::VARIANTS.has(Variant::ConstantInput) => None,
            None => Some(model.constant_of(value)),
        }
    }
}

/// The slices of a spatial operator, band by band: as many rows at once as can be written without touching input that
/// they or later rows read.
pub(super) struct Bands<'p, 'm> {
    model: &'m Model<'p>,
    op: OpWords<'m>,
    rows: Rows,
    order: Order,
    /// What is left to do.
    slices: Range<usize>,
    held_from: usize,
    /// Where the input begins in the arena; `None` for a constant.
    from: Option<usize>,
    to: usize,
}

/// What an operator works on for one band.
pub(super) struct Part<'p> {
    pub input: &'p [i8],
    pub output: &'p mut [i8],
    pub scratch: &'p mut [i8],
    pub band: Band,
}

impl<'p, 'm> Bands<'p, 'm> {
    /// The slices `slices` of `op`. Where only lines of the output are held, the first is row `held_from`.
    #[inline(never)]
    pub fn new(model: &'m Model<'p>, op: OpWords<'m>, slices: Range<usize>, held_from: usize) -> Self {
        let (input, output) = (model.value_words(op.inputs()[0]), model.value_words(op.output()));
        let to = output.arena_range().unwrap_or(0..0);
        let from = input.arena_range();
        let order = match &from {
            Some(from) if from.start < to.end && to.start < from.end => {
                if op.is_from_last_row() {
                    Order::Descending { gap: to.start.saturating_sub(from.start) }
                } else {
                    Order::Ascending { gap: from.start.saturating_sub(to.start) }
                }
            }
            _ => Order::Free,
        };
        let rows = Rows::new(&op.window(), input.extent(), output.extent());
        Self { model, op, rows, order, slices, held_from, from: from.map(|from| from.start), to: to.start }
    }

    /// The next band.
    #[inline(never)]
    pub fn next<'b, M: Ops>(&mut self, arena: &'b mut [i8]) -> Option<Part<'b>>
    where
        'p: 'b,
    {
        if self.slices.start >= self.slices.end {
            return None;
        }
        let mut band: Band =
            self.rows.band(self.order, self.slices.start, self.slices.end - self.slices.start);
        if M::OPS.contains_groups() {
            lock_step::shift(self.model, self.op, &self.rows, self.held_from, &mut band);
        }
        self.slices.start += band.output_rows.max(1);
        let output = self.to + band.output.start..self.to + band.output.end;
        let scratch = self.op.scratch_range();
        let (input, output, scratch) = match self.from {
            Some(from) => {
                let input = from + band.input.start..from + band.input.end;
                let [input, output, scratch] = arena.get_disjoint_mut([input, output, scratch]).ok()?;
                (&*input, output, scratch)
            }
            None if !M::VARIANTS.has(Variant::ConstantInput) => return None,
            None => {
                let constant = self.model.constant_of(self.model.value_words(self.op.inputs()[0]));
                let [output, scratch] = arena.get_disjoint_mut([output, scratch]).ok()?;
                (constant.get(band.input.clone())?, output, scratch)
            }
        };
        Some(Part { input, output, scratch, band })
    }
}

/// Rows of the operands and of the output of an element-wise operator, as cells, since the output may lie on an operand.
/// An operand of one element per channel is whole; an absent second operand is empty.
pub(super) struct Cells<'p> {
    pub lhs: &'p [Cell<i8>],
    pub rhs: &'p [Cell<i8>],
    pub output: &'p [Cell<i8>],
}

impl<'p> Cells<'p> {
    /// The rows `rows` of `op`. Where only lines of the output are held, the first is row `held_from`.
    #[inline(never)]
    pub fn new<M: Ops>(
        model: &Model<'_>,
        arena: &'p mut [i8],
        op: OpWords<'_>,
        rows: Range<usize>,
        held_from: usize,
    ) -> Option<Self> {
        let extent = model.value_words(op.output()).extent();
        let row_len = extent.row_len();
        let cells = Cell::from_mut(arena).as_slice_of_cells();
        let rows_of = |value: ValueWords<'_>, held_from: usize| -> Option<&'p [Cell<i8>]> {
            let whole = cells.get(value.arena_range()?)?;
            let held = M::OPS.contains_groups() && value.is_lines();
            let before = if held { held_from } else { 0 };
            if value.extent() == extent {
                whole.get(rows.start.checked_sub(before)? * row_len..rows.end.checked_sub(before)? * row_len)
            } else {
                Some(whole)
            }
        };
        let mut places: [&[Cell<i8>]; 3] = [&[]; 3];
        // The first line that is held of an operand is the row that is read.
        let values = [(op.inputs()[0], rows.start), (op.inputs()[1], rows.start), (op.output(), held_from)];
        for (place, (value, held_from)) in places.iter_mut().zip(values) {
            *place = rows_of(model.value_words(value), held_from).unwrap_or(&[]);
        }
        let [lhs, rhs, output] = places;
        Some(Self { lhs, rhs, output })
    }
}
