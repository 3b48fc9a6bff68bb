//! Extents and memory layouts of values.

/// Order of the elements of a value in memory. The batch size is 1, so it does not appear.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Layout {
    /// `[h][w][c]`: the channels of one position lie side by side.
    #[default]
    Nhwc,
    /// `[h][c][w]`: within a row, the positions of one channel lie side by side. A row has the same
    /// size in bytes as in [`Layout::Nhwc`].
    Planar,
}

/// Extents of a value in elements: height, width, channels.
///
/// A signal over time has its time steps as height and width 1; a plain vector has height and width 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Extent {
    /// Rows, or time steps of a signal.
    pub h: usize,
    /// Positions in a row.
    pub w: usize,
    /// Channels.
    pub c: usize,
}

impl Extent {
    /// Number of elements.
    pub const fn len(self) -> usize {
        self.h.saturating_mul(self.w).saturating_mul(self.c)
    }

    /// Whether there are no elements.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether these are the same.
    pub(crate) const fn is(self, other: Self) -> bool {
        self.h == other.h && self.w == other.w && self.c == other.c
    }

    /// Elements in one row, in either layout.
    pub const fn row_len(self) -> usize {
        self.w.saturating_mul(self.c)
    }
}

/// Extents together with the layout in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct View {
    /// Extents.
    pub extent: Extent,
    /// Order in memory.
    pub layout: Layout,
}

impl View {
    /// A view of `h` × `w` × `c` elements in `layout`.
    pub const fn new(h: usize, w: usize, c: usize, layout: Layout) -> Self {
        Self { extent: Extent { h, w, c }, layout }
    }

    /// Whether these are the same.
    pub(crate) const fn is(self, other: Self) -> bool {
        self.extent.is(other.extent) && self.layout as u8 == other.layout as u8
    }

    /// Distance in elements between neighbours along the width.
    #[inline(always)]
    pub const fn w_stride(self) -> usize {
        match self.layout {
            Layout::Nhwc => self.extent.c,
            Layout::Planar => 1,
        }
    }

    /// Distance in elements between neighbours along the channels.
    #[inline(always)]
    pub const fn c_stride(self) -> usize {
        match self.layout {
            Layout::Nhwc => 1,
            Layout::Planar => self.extent.w,
        }
    }

    /// Position of element (`y`, `x`, `c`) in memory, in elements.
    #[inline(always)]
    pub const fn index(self, y: usize, x: usize, c: usize) -> usize {
        y * self.extent.row_len() + x * self.w_stride() + c * self.c_stride()
    }
}
