//! Operators that run in lock step, row by row, with only some rows of what lies between them in the arena.
//!
//! A group is a run of spatial and element-wise operators of which each but the last writes a value of which only lines
//! are held ([`super::Location::Lines`]), and the next one reads it as its first input. To make a row of the last operator,
//! each makes the rows that the next one needs. Nothing is computed twice. The second operand of an addition or a product
//! is whole: a residual block whose sum is the last member can be written over the value that skips the block.

use super::format::{max, min};
use super::model::Model;
use super::record::OpRecord;
use super::rows::Rows;
use super::words::OpWords;

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
    pub const fn rows(&self, at: usize) -> Rows {
        if at < MAX_GROUP { self.rows[at] } else { Rows::NONE }
    }

    /// How many rows each operator has made before the last one makes its row `y`, when `ready`, with what that row
    /// needs, else when it has just made the row before.
    pub const fn made(&self, y: usize, ready: bool) -> [usize; MAX_GROUP] {
        let mut made = [0; MAX_GROUP];
        let mut next = y;
        let mut at = min(self.len, MAX_GROUP);
        while at > 0 {
            at -= 1;
            made[at] = next;
            let needed = if ready && at + 1 == self.len { y + 1 } else { next };
            next = if needed == 0 { 0 } else { self.rows[at].end(needed - 1) };
        }
        made
    }

    /// How many bytes the output of the last operator has to begin before the input of the first, so that no row is
    /// overwritten that is still read.
    pub const fn gap_below(&self) -> usize {
        let (first, last) = (self.rows(0), self.rows(self.len.saturating_sub(1)));
        let (mut gap, mut y) = (0, 0);
        while y < last.output_rows() {
            gap = max(gap, first.written_to(last, y, self.made(y, true)[0]));
            y += 1;
        }
        gap
    }
}

impl Model<'_> {
    /// The last operator of the group that begins with `first`; `first` where it stands alone.
    pub const fn group_end(&self, first: u16) -> u16 {
        let mut last = first;
        while let Some(op) = self.op_words(last)
            && self.writes_lines(op)
            && last < u16::MAX
        {
            last += 1;
        }
        last
    }

    /// Whether only lines of the operator's output are held.
    pub(crate) const fn writes_lines(&self, op: OpWords<'_>) -> bool {
        self.value_words(op.output()).is_lines()
    }

    /// Whether only lines of the operator's input are held.
    pub(crate) const fn reads_lines(&self, op: OpWords<'_>) -> bool {
        self.value_words(op.inputs()[0]).is_lines()
    }

    /// Whether the operator runs in lock step with others.
    pub fn is_in_group(&self, op: &OpRecord) -> bool {
        self.value_words(op.output).is_lines() || self.value_words(op.inputs[0]).is_lines()
    }

    /// The rows of the operators `first..=last`; `None` where they are more than a group has.
    pub const fn group(&self, first: u16, last: u16) -> Option<Group> {
        let mut group = Group { rows: [Rows::NONE; MAX_GROUP], len: 0 };
        let mut index = first;
        while index <= last
            && let Some(op) = self.op_words(index)
        {
            if group.len >= MAX_GROUP {
                return None;
            }
            let (input, output) = (self.value_words(op.inputs()[0]), self.value_words(op.output()));
            group.rows[group.len] = Rows::new(&op.window(), input.extent(), output.extent());
            group.len += 1;
            index += 1;
        }
        Some(group)
    }
}
