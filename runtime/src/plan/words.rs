//! Records as they stand in the plan: what runs an inference reads a field where it is used, and copies none.

use core::ops::Range;

use super::record::{Location, OP_RECORD_LEN, OpKind, VALUE_RECORD_LEN};
use crate::kernels::params::{Packing, Window};
use crate::shape::{Extent, Layout, View};

/// The words of one value record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ValueWords<'a>(pub(super) &'a [u32; VALUE_RECORD_LEN / 4]);

impl ValueWords<'_> {
    #[inline(always)]
    pub const fn extent(self) -> Extent {
        Extent { h: self.0[0] as usize, w: self.0[1] as usize, c: self.0[2] as usize }
    }

    #[inline(always)]
    const fn flags(self) -> u32 {
        self.0[5] >> 8
    }

    /// Rows that are held of it; 0 where it is whole.
    #[inline(always)]
    const fn rows(self) -> u16 {
        (self.0[5] >> 16) as u16
    }

    #[inline(always)]
    pub const fn view(self) -> View {
        let layout = if self.flags() & 1 == 0 { Layout::Nhwc } else { Layout::Planar };
        View { extent: self.extent(), layout }
    }

    #[inline(always)]
    pub const fn zero_point(self) -> i8 {
        self.0[5] as i8
    }

    /// Bits of the scale.
    #[inline(always)]
    pub const fn scale(self) -> u32 {
        self.0[4]
    }

    #[inline(always)]
    pub const fn is_constant(self) -> bool {
        self.flags() & 2 != 0
    }

    /// Whether only lines of it are held.
    #[inline(always)]
    pub const fn is_lines(self) -> bool {
        !self.is_constant() && self.rows() != 0
    }

    #[inline(always)]
    pub const fn location(self) -> Location {
        let offset = self.0[3];
        match (self.is_constant(), self.rows()) {
            (true, _) => Location::Data(offset),
            (false, 0) => Location::Arena(offset),
            (false, rows) => Location::Lines { offset, rows },
        }
    }

    /// Elements; those of a checked plan fit 32 bits.
    #[inline(always)]
    pub const fn len(self) -> usize {
        let Extent { h, w, c } = self.extent();
        h.wrapping_mul(w).wrapping_mul(c)
    }

    /// Where it lies in the arena, as [`super::arena_range`]; `None` for a constant.
    #[inline(always)]
    pub const fn arena_range(self) -> Option<Range<usize>> {
        if self.is_constant() {
            return None;
        }
        let (Extent { h, w, c }, start) = (self.extent(), self.0[3] as usize);
        let rows = if self.rows() == 0 { h } else { self.rows() as usize };
        Some(start..start.wrapping_add(rows.wrapping_mul(w).wrapping_mul(c)))
    }
}

/// The words of one operator record; see [`super::OpRecord`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpWords<'a>(pub(super) &'a [u32; OP_RECORD_LEN / 4]);

impl OpWords<'_> {
    /// What is computed; `None` only for a plan that was not checked.
    #[inline(always)]
    pub const fn known_kind(self) -> Option<OpKind> {
        OpKind::from_code(self.0[0] as u8)
    }

    /// What is computed.
    #[inline(always)]
    pub const fn kind(self) -> OpKind {
        match self.known_kind() {
            Some(kind) => kind,
            None => OpKind::Copy,
        }
    }

    #[inline(always)]
    pub const fn packing(self) -> Packing {
        match Packing::from_code((self.0[0] >> 8) as u8) {
            Some(packing) => packing,
            None => Packing::Plain,
        }
    }

    #[inline(always)]
    pub const fn output(self) -> u16 {
        (self.0[0] >> 16) as u16
    }

    #[inline(always)]
    pub const fn inputs(self) -> [u16; 2] {
        [self.0[1] as u16, (self.0[1] >> 16) as u16]
    }

    #[inline(always)]
    pub const fn groups(self) -> usize {
        (self.0[2] & 0xFFFF) as usize
    }

    #[inline(always)]
    pub const fn shift(self) -> u8 {
        (self.0[2] >> 16) as u8
    }

    #[inline(always)]
    pub const fn output_min(self) -> i8 {
        (self.0[2] >> 24) as i8
    }

    #[inline(always)]
    pub const fn output_max(self) -> i8 {
        self.0[3] as i8
    }

    #[inline(always)]
    pub const fn is_from_last_row(self) -> bool {
        self.0[3] >> 8 & 0xFF != 0
    }

    /// Where its scratch lies in the arena; empty where it has none.
    #[inline(always)]
    pub const fn scratch_range(self) -> Range<usize> {
        let (start, len) = (self.0[4] as usize, self.0[5] as usize);
        if len == 0 { 0..0 } else { start..start + len }
    }

    #[inline(always)]
    pub const fn weights_offset(self) -> u32 {
        self.0[6]
    }

    #[inline(always)]
    pub const fn weights_len(self) -> u32 {
        self.0[7]
    }

    #[inline(always)]
    pub const fn bias_offset(self) -> u32 {
        self.0[8]
    }

    #[inline(always)]
    pub const fn multipliers_offset(self) -> u32 {
        self.0[9]
    }

    #[inline(always)]
    pub const fn window(self) -> Window {
        let [.., filter, stride, dilation, pad, _, _, _, _, _, _] = *self.0;
        Window {
            filter_h: (filter & 0xFFFF) as usize,
            filter_w: (filter >> 16) as usize,
            stride_h: (stride & 0xFFFF) as usize,
            stride_w: (stride >> 16) as usize,
            dilation_h: (dilation & 0xFFFF) as usize,
            dilation_w: (dilation >> 16) as usize,
            pad_top: (pad & 0xFFFF) as usize,
            pad_left: (pad >> 16) as usize,
        }
    }

    #[inline(always)]
    pub const fn a(self) -> i32 {
        self.0[14] as i32
    }

    #[inline(always)]
    pub const fn b(self) -> i32 {
        self.0[15] as i32
    }

    #[inline(always)]
    pub const fn c(self) -> i32 {
        self.0[16] as i32
    }

    #[inline(always)]
    pub const fn slice_cost(self) -> u32 {
        self.0[17]
    }

    #[inline(always)]
    pub const fn call_cost(self) -> u32 {
        self.0[18]
    }
}
