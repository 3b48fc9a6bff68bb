//! Which input rows an output row reads, and how far apart input and output have to lie so that no row is
//! overwritten before its last reader.

use super::format::{max, min};
use crate::kernels::params::Window;
use crate::shape::{Extent, View};

/// The rows of a spatial operator: output row `y` reads input rows [`Rows::first`] to [`Rows::end`], both of which
/// grow with `y`.
///
/// The compiler places values by it, and opening a plan checks them by it. Extents and window are those of a checked
/// operator: every window begins inside the padded input.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rows {
    stride: usize,
    pad_top: usize,
    /// Input rows from the first to the last that a window touches.
    reach: usize,
    input_rows: usize,
    output_rows: usize,
    input_row_len: usize,
    output_row_len: usize,
}

impl Rows {
    /// No rows.
    pub(super) const NONE: Self = Self {
        stride: 0,
        pad_top: 0,
        reach: 0,
        input_rows: 0,
        output_rows: 0,
        input_row_len: 0,
        output_row_len: 0,
    };

    /// The rows of an operator with this window, input and output.
    pub const fn new(window: &Window, input: Extent, output: Extent) -> Self {
        Self {
            stride: window.stride_h,
            pad_top: window.pad_top,
            reach: window.dilation_h.saturating_mul(window.filter_h.saturating_sub(1)).saturating_add(1),
            input_rows: input.h,
            output_rows: output.h,
            input_row_len: input.row_len(),
            output_row_len: output.row_len(),
        }
    }

    /// First input row that output row `y` reads; later output rows read none before it.
    #[inline]
    pub const fn first(&self, y: usize) -> usize {
        min(y.saturating_mul(self.stride).saturating_sub(self.pad_top), self.input_rows)
    }

    /// End of the input rows that output row `y` reads; earlier output rows read none from it on.
    #[inline]
    pub const fn end(&self, y: usize) -> usize {
        let end = y.saturating_mul(self.stride).saturating_add(self.reach);
        min(end.saturating_sub(self.pad_top), self.input_rows)
    }

    /// Rows of padding above the first input row that output row `y` reads.
    #[inline]
    pub const fn padding_above(&self, y: usize) -> usize {
        self.pad_top.saturating_sub(y.saturating_mul(self.stride))
    }

    /// Most input rows that one output row reads.
    pub const fn most(&self) -> usize {
        min(self.reach, self.input_rows)
    }

    /// Number of output rows.
    pub const fn output_rows(&self) -> usize {
        self.output_rows
    }

    /// Bytes that `last` has written after its row `y`, less the bytes of this operator's input that are free then,
    /// `made` of its output rows being made.
    pub(super) const fn written_to(&self, last: Self, y: usize, made: usize) -> usize {
        let free = if made < self.output_rows { self.first(made) } else { self.input_rows };
        let written = y.saturating_add(1).saturating_mul(last.output_row_len);
        written.saturating_sub(free.saturating_mul(self.input_row_len))
    }

    /// Bytes of one row of the input and of the output.
    pub(crate) const fn row_lens(&self) -> (usize, usize) {
        (self.input_row_len, self.output_row_len)
    }

    /// How many bytes the output has to begin before the input, so that output rows computed from the first to the
    /// last never reach an input row that is still read.
    pub const fn gap_below(&self) -> usize {
        // What has been written after row y, less what is free then: concave in y, as `first` is 0 and then rises.
        let bend = match self.pad_top.checked_div(self.stride) {
            Some(bend) => bend,
            None => 0,
        };
        let rows = self.candidates(bend);
        let (mut gap, mut i) = (0, 0);
        while i < rows.len() {
            let written = rows[i].saturating_add(1).saturating_mul(self.output_row_len);
            gap = max(gap, written.saturating_sub(self.first(rows[i]).saturating_mul(self.input_row_len)));
            i += 1;
        }
        gap
    }

    /// How many bytes the output has to begin behind the input's beginning, so that output rows computed from the last
    /// to the first never reach an input row that is still read.
    pub const fn gap_above(&self) -> usize {
        // What is still read at row y, less what has not been written: concave in y, as `end` rises and then stays.
        let bend = self.input_rows.saturating_add(self.pad_top).saturating_sub(self.reach);
        let bend = match bend.checked_div(self.stride) {
            Some(bend) => bend,
            None => 0,
        };
        let rows = self.candidates(bend);
        let (mut gap, mut i) = (0, 0);
        while i < rows.len() {
            let read = self.end(rows[i]).saturating_mul(self.input_row_len);
            gap = max(gap, read.saturating_sub(rows[i].saturating_mul(self.output_row_len)));
            i += 1;
        }
        gap
    }

    /// The output rows where a concave function that is linear on both sides of `bend` can have its largest value.
    const fn candidates(&self, bend: usize) -> [usize; 4] {
        let last = self.output_rows.saturating_sub(1);
        [0, min(bend, last), min(bend.saturating_add(1), last), last]
    }

    /// How many bands the whole operator takes where its output lies `gap` bytes from its input, rows from the last to
    /// the first or the other way round.
    #[cfg(any(test, feature = "encode"))]
    pub fn bands(&self, from_last_row: bool, gap: usize) -> usize {
        let order = if from_last_row { Order::Descending { gap } } else { Order::Ascending { gap } };
        let (mut slice, mut bands) = (0, 0);
        while slice < self.output_rows {
            slice += self.band(order, slice, self.output_rows - slice).output_rows.max(1);
            bands += 1;
        }
        bands
    }

    /// Output rows that can be computed at once, from slice `slice` on and at most `count`, and where they and what
    /// they read lie.
    #[inline(never)]
    pub(crate) fn band(&self, order: Order, slice: usize, count: usize) -> Band {
        // Extents of a checked plan: no product leaves the value that it is a place in.
        let first = |y: usize| self.first(y).wrapping_mul(self.input_row_len);
        let end = |y: usize| self.end(y).wrapping_mul(self.input_row_len);
        let row_len = self.output_row_len.max(1);
        let (top, bottom) = match order {
            Order::Free => (slice, slice + count),
            Order::Ascending { gap } => {
                // Output rows up to here end before the first byte that is still read.
                let free = gap.saturating_add(first(slice)) / row_len;
                (slice, slice + free.saturating_sub(slice).clamp(1, count.max(1)))
            }
            Order::Descending { gap } => {
                let bottom = self.output_rows.saturating_sub(slice);
                // Output rows from here on begin behind the last byte that is still read.
                let free = end(bottom.saturating_sub(1)).saturating_sub(gap).div_ceil(row_len);
                (bottom.saturating_sub(bottom.saturating_sub(free).clamp(1, count.max(1))), bottom)
            }
        };
        let last = bottom.saturating_sub(1);
        Band {
            input: first(top)..end(last),
            output: top.wrapping_mul(self.output_row_len)..bottom.wrapping_mul(self.output_row_len),
            input_rows: self.end(last).saturating_sub(self.first(top)),
            output_rows: bottom.saturating_sub(top),
            pad_top: self.padding_above(top),
        }
    }
}

/// In which order rows may be computed where the output lies on the input.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order {
    /// Any number of rows at once: they lie apart.
    Free,
    /// From the first to the last; the output begins `gap` bytes before the input.
    Ascending { gap: usize },
    /// From the last to the first; the output begins `gap` bytes behind the input's beginning.
    Descending { gap: usize },
}

/// Some rows of an operator, seen as an operator of their own: fewer input and output rows, and what is left of the
/// padding above.
#[derive(Clone, Debug)]
pub(crate) struct Band {
    /// Bytes of the input that are read, from the input's beginning.
    pub input: core::ops::Range<usize>,
    /// Bytes of the output that are written, from the output's beginning.
    pub output: core::ops::Range<usize>,
    pub input_rows: usize,
    pub output_rows: usize,
    pub pad_top: usize,
}

impl Band {
    /// Makes the parameters of the whole operator those of the band.
    #[inline(always)]
    pub fn cut(&self, input: &mut View, output: &mut View, window: &mut Window) {
        input.extent.h = self.input_rows;
        output.extent.h = self.output_rows;
        window.pad_top = self.pad_top;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Windows as opening a plan accepts them, with any number of output rows that has its windows begin inside.
    fn cases() -> impl Strategy<Value = Rows> {
        let window = (1usize..6, 1usize..5, 1usize..4, 0usize..16, 1usize..20);
        (window, 1usize..20, 1usize..9, 1usize..9).prop_map(
            |((filter, stride, dilation, pad, h), oh, i, o)| {
                let reach = dilation * (filter - 1) + 1;
                let pad_top = pad % reach;
                let window = Window {
                    filter_h: filter,
                    stride_h: stride,
                    dilation_h: dilation,
                    pad_top,
                    ..Window::default()
                };
                let last = (h + pad_top - 1) / stride;
                let input = Extent { h, w: 1, c: i };
                Rows::new(&window, input, Extent { h: 1 + (oh - 1) % (last + 1), w: 1, c: o })
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

        #[test]
        fn gaps_are_the_least_that_keep_every_row(rows in cases()) {
            let (input, output) = (rows.input_row_len as isize, rows.output_row_len as isize);
            let signed = |x: usize| x as isize;
            let below = (0..rows.output_rows).map(|y| (signed(y) + 1) * output - signed(rows.first(y)) * input).max();
            let above = (0..rows.output_rows).map(|y| signed(rows.end(y)) * input - signed(y) * output).max();
            prop_assert_eq!(Some(signed(rows.gap_below())), below);
            prop_assert_eq!(Some(signed(rows.gap_above())), above);
            for y in 0..rows.output_rows {
                prop_assert!(rows.first(y) < rows.end(y) && rows.end(y) - rows.first(y) <= rows.most());
            }
        }

        #[test]
        fn bands_write_every_row_once_and_never_what_is_still_read(rows in cases(), more in 0usize..30, most in 1usize..9) {
            for descending in [false, true] {
                // Positions in an arena, with room for the output on both sides.
                let base = 1000;
                let (order, start) = if descending {
                    let gap = rows.gap_above() + more;
                    (Order::Descending { gap }, base + gap)
                } else {
                    let gap = rows.gap_below() + more;
                    (Order::Ascending { gap }, base - gap)
                };
                let mut written = [false; 20];
                let mut slice = 0;
                while slice < rows.output_rows {
                    let band = rows.band(order, slice, most.min(rows.output_rows - slice));
                    prop_assert!(band.output_rows >= 1 && band.output_rows <= most);
                    let top = band.output.start / rows.output_row_len;
                    prop_assert_eq!(top, if descending { rows.output_rows - slice - band.output_rows } else { slice });
                    let read = rows.first(top)..rows.end(top + band.output_rows - 1);
                    prop_assert_eq!(band.input.clone(), read.start * rows.input_row_len..read.end * rows.input_row_len);
                    prop_assert_eq!(band.input_rows, read.len());
                    // What this band and all later ones read.
                    let alive = if descending { 0..band.input.end } else {
                        band.input.start..rows.input_rows * rows.input_row_len
                    };
                    let (from, to) = (base + alive.start, base + alive.end);
                    let (output_start, output_end) = (start + band.output.start, start + band.output.end);
                    prop_assert!(output_end <= from || to <= output_start);
                    for written in &mut written[top..top + band.output_rows] {
                        prop_assert!(!*written);
                        *written = true;
                    }
                    slice += band.output_rows;
                }
                prop_assert!(written[..rows.output_rows].iter().all(|&written| written));
            }
        }
    }
}
