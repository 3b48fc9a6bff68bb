//! 3×3 convolution with stride 1 by Winograd's F(2×2, 3×3): four output tiles of 2×2 pixels side by side at a time, by
//! two output channels.
//!
//! The inputs of four tiles are transformed once for all output channels, to 16 places of three words each. All that is
//! done with these is additions and multiplications by weights, so the words hold the results for four tiles until they
//! are taken apart, when the places have been added up to four times the direct sum. The order of the places is that of
//! [`packing::winograd`](crate::kernels::packing).
#![allow(unsafe_code)]

use core::ops::Range;

use super::inner;
use super::scratch::{
    LIST_LEN, SUMS_LEN, TILE_COLUMNS, TILES, WORDS_LEN, winograd_columns_len, winograd_scratch_len,
};
use crate::kernels::arch::arm::clamp::clamp;
use crate::kernels::params::{Conv2d, Packing};

/// Rows of the inputs under a tile.
const ROWS: usize = 4;
/// Output channels at a time.
const CHANNELS: usize = 2;
/// Input channels in a pass of the loop of [`inner::tile_sums`].
const INPUTS: usize = 8;
/// Pixels of four tiles.
pub(super) const PIXELS: usize = 4 * TILES;

/// Where the results of two channels go, and what they are requantized by.
#[repr(C)]
pub(super) struct Results {
    /// Channel 0 of each pixel: the lower row first, in it the right column of the tiles first, in that the last tile first.
    /// Two may be the same; the one that comes last holds.
    pub outputs: [*mut i8; PIXELS],
    pub bias: *const i32,
    pub multipliers: *const i32,
    pub zero_point: i32,
}

pub(super) fn conv_2d(
    op: &Conv2d<'_>,
    input: &[i8],
    output: &mut [i8],
    rows: Range<usize>,
    scratch: &mut [i8],
) {
    let (from, to) = (op.input.extent, op.output.extent);
    let r = &op.requantize;
    let fits = op.weights.len() >= op.weights_len()
        && op.weights.as_ptr().align_offset(4) == 0
        && op.bias.len() >= to.c
        && r.multipliers.len() >= to.c
        && input.len() >= from.len()
        && output.len() >= rows.len() * to.row_len()
        && scratch.len() >= winograd_scratch_len(op)
        && scratch.as_ptr().align_offset(align_of::<*const i8>()) == 0;
    let whole =
        to.c.is_multiple_of(CHANNELS) && from.c.is_multiple_of(INPUTS) && op.packing == Packing::BaseWinograd;
    if !fits || !whole || to.w == 0 || from.c == 0 {
        return;
    }
    let Some((list, rest)) = scratch.split_at_mut_checked(LIST_LEN) else { return };
    let Some((sums, rest)) = rest.split_at_mut_checked(SUMS_LEN) else { return };
    let Some((columns, rest)) = rest.split_at_mut_checked(winograd_columns_len(op)) else { return };
    let padding = rest.get_mut(..from.c).unwrap_or_default();
    padding.fill(op.input_zero_point);
    let list: *mut *const i8 = list.as_mut_ptr().cast();
    let (columns, sums) = (columns.as_mut_ptr(), sums.as_mut_ptr().cast::<i32>());
    let row_len = to.row_len();
    let mut results = Results {
        outputs: [output.as_mut_ptr(); PIXELS],
        bias: op.bias.as_ptr(),
        multipliers: r.multipliers.as_ptr(),
        zero_point: r.zero_point.into(),
    };
    let mut row_start = output.as_mut_ptr();
    let mut y = rows.start;
    while y < rows.end {
        // A row that is not there is stored to the one above it, and overwritten by that.
        let lower = row_start.wrapping_add(if y + 1 < rows.end { row_len } else { 0 });
        let mut x = 0;
        while x < to.w {
            let mut places = results.outputs.iter_mut();
            for row in [lower, row_start] {
                for column in [1, 0] {
                    for (tile, place) in (0..TILES).rev().zip(places.by_ref()) {
                        *place = row.wrapping_add(column_at(x, tile, column, to.w) * to.c);
                    }
                }
            }
            list_inputs(op, input, padding.as_ptr(), (y, x), list);
            let mut weights = op.weights.as_ptr();
            // SAFETY: the channels of 40 inputs, `c` elements each, for whose transforms the columns have room; the
            // weights, biases and multipliers of all pairs of channels; 16 pixels of the output, each of `c` channels.
            unsafe {
                inner::transform(list, columns, from.c);
                for c in (0..to.c).step_by(CHANNELS) {
                    weights = inner::tile_sums(columns, weights, sums, from.c * WORDS_LEN);
                    inner::finish(sums, &results, c);
                }
            }
            x += 2 * TILES;
        }
        row_start = row_start.wrapping_add(2 * row_len);
        y += 2;
    }
    clamp(output.get_mut(..rows.len() * row_len).unwrap_or(&mut []), r);
}

/// Where column `column` of tile `tile` is stored, with tiles from `x` on. What lies behind the last column is stored to
/// a place that is stored to again after it: the same tile's first column, or that of the first tile.
fn column_at(x: usize, tile: usize, column: usize, w: usize) -> usize {
    let (tile_at, first_at) = (x + 2 * tile, x + column);
    if tile_at + column < w {
        tile_at + column
    } else if tile_at < w {
        tile_at
    } else if first_at < w {
        first_at
    } else {
        x
    }
}

/// Writes down where channel 0 of each input of four tiles lies, `padding` for inputs outside: the columns 0, 2 and so on,
/// then 1, 3 and so on, in each the four rows.
#[inline(never)]
fn list_inputs(
    op: &Conv2d<'_>,
    input: &[i8],
    padding: *const i8,
    (y, x): (usize, usize),
    mut place: *mut *const i8,
) {
    let extent = op.input.extent;
    let top = y.wrapping_sub(op.window.pad_top);
    let left = x.wrapping_sub(op.window.pad_left);
    for column in (0..TILE_COLUMNS).step_by(2).chain((1..TILE_COLUMNS).step_by(2)) {
        let ix = left.wrapping_add(column);
        for row in 0..ROWS {
            let iy = top.wrapping_add(row);
            let inside = iy < extent.h && ix < extent.w;
            let at = iy.wrapping_mul(extent.row_len()).wrapping_add(ix.wrapping_mul(extent.c));
            // SAFETY: the list has a place for each of the inputs.
            unsafe { *place = if inside { input.as_ptr().wrapping_add(at) } else { padding } };
            place = place.wrapping_add(1);
        }
    }
}
