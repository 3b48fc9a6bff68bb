//! Operators that run in lock step, row by row, with only some rows of what lies between them in the arena.
//!
//! A group is a run of spatial and element-wise operators of which each but the last writes a value of which only lines
//! are held ([`super::Location::Lines`]), and the next one reads it as its first input. To make a row of the last operator,
//! each makes the rows that the next one needs. Nothing is computed twice. The second operand of an addition or a product
//! is whole: a residual block whose sum is the last member can be written over the value that skips the block.

use super::model::Model;
use super::record::{Location, OpRecord};
use super::rows::Rows;

/// Most operators of one group.
pub const MAX_GROUP: usize = 8;

/// The rows of the operators of a group, in the order of execution.
#[derive(Clone, Debug, Default)]
pub struct Group {
    rows: [Rows; MAX_GROUP],
    len: usize,
}

impl Group {
    /// A group of these operators; `None` above [`MAX_GROUP`].
    pub fn new(operators: impl IntoIterator<Item = Rows>) -> Option<Self> {
        let mut group = Self { rows: [Rows::default(); MAX_GROUP], len: 0 };
        for rows in operators {
            *group.rows.get_mut(group.len)? = rows;
            group.len += 1;
        }
        Some(group)
    }

    /// Number of operators.
    #[allow(clippy::len_without_is_empty)] // a group has operators
    pub const fn len(&self) -> usize {
        self.len
    }

    /// The rows of operator `at`.
    pub fn rows(&self, at: usize) -> Rows {
        self.rows.get(at).copied().unwrap_or_default()
    }

    /// How many rows each operator has made before the last one makes its row `y`, when `ready`, with what that row
    /// needs, else when it has just made the row before.
    pub fn made(&self, y: usize, ready: bool) -> [usize; MAX_GROUP] {
        let mut made = [0; MAX_GROUP];
        let mut next = y;
        for (at, (made, rows)) in made.iter_mut().zip(&self.rows).enumerate().take(self.len).rev() {
            *made = next;
            let needed = if ready && at + 1 == self.len { y + 1 } else { next };
            next = needed.checked_sub(1).map_or(0, |last| rows.end(last));
        }
        made
    }

    /// How many bytes the output of the last operator has to begin before the input of the first, so that no row is
    /// overwritten that is still read.
    pub fn gap_below(&self) -> usize {
        let (first, last) = (self.rows(0), self.rows(self.len.saturating_sub(1)));
        let gap = |y| {
            let made = self.made(y, true)[0];
            first.written_to(last, y, made)
        };
        (0..last.output_rows()).map(gap).max().unwrap_or(0)
    }
}

impl Model<'_> {
    /// The last operator of the group that begins with `first`; `first` where it stands alone.
    pub fn group_end(&self, first: u16) -> u16 {
        let mut last = first;
        while let Some(op) = self.op(last)
            && self.writes_lines(&op)
            && last < u16::MAX
        {
            last += 1;
        }
        last
    }

    /// Whether only lines of the operator's output are held.
    pub(crate) fn writes_lines(&self, op: &OpRecord) -> bool {
        matches!(self.value(op.output).location, Location::Lines { .. })
    }

    /// Whether only lines of the operator's input are held.
    pub(crate) fn reads_lines(&self, op: &OpRecord) -> bool {
        matches!(self.value(op.inputs[0]).location, Location::Lines { .. })
    }

    /// Whether the operator runs in lock step with others.
    pub fn is_in_group(&self, op: &OpRecord) -> bool {
        self.writes_lines(op) || self.reads_lines(op)
    }

    /// The rows of the operators `first..=last`; `None` where they are more than a group has.
    pub fn group(&self, first: u16, last: u16) -> Option<Group> {
        let extent = |value| self.value(value).view.extent;
        let rows = |op: OpRecord| Rows::new(&op.window, extent(op.inputs[0]), extent(op.output));
        Group::new((first..=last).filter_map(|index| self.op(index)).map(rows))
    }
}
