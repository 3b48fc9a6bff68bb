//! Depthwise convolution with several output channels for each input channel: input rows are copied with their padding,
//! each channel as often as outputs read it, and a kernel for equal channels runs over the copies.
//!
//! That is done in bands of output rows. A band is an operator of its own, without padding.

#[cfg(any(test, teff_mve, teff_dsp, teff_armv6m, teff_armv7m))]
use core::ops::Range;

#[cfg(any(test, teff_mve, teff_dsp, teff_armv6m, teff_armv7m))]
use super::repeat::repeat;
use crate::kernels::params::{DepthwiseConv2d, Window};
use crate::shape::{Extent, View};

/// Bytes of copies up to which a band has more than two output rows.
const LARGEST: usize = 1536;
/// Copies end on this boundary, as scratch does.
const ALIGNMENT: usize = 16;

/// Whether there are several output channels for an input channel.
pub(super) const fn is_multiplied(op: &DepthwiseConv2d<'_>) -> bool {
    op.input.extent.c != op.output.extent.c
}

/// Input rows under `outputs` output rows.
const fn rows_under(window: &Window, outputs: usize) -> usize {
    let steps = outputs.saturating_sub(1).saturating_mul(window.stride_h);
    steps
        .saturating_add(window.filter_h.saturating_sub(1).saturating_mul(window.dilation_h))
        .saturating_add(1)
}

/// Input columns under an output row.
const fn columns_under(op: &DepthwiseConv2d<'_>) -> usize {
    let window = &op.window;
    let steps = op.output.extent.w.saturating_sub(1).saturating_mul(window.stride_w);
    steps
        .saturating_add(window.filter_w.saturating_sub(1).saturating_mul(window.dilation_w))
        .saturating_add(1)
}

/// Output rows of a band: two, or an even number of them whose copies are small; not more than there are.
const fn band_rows(op: &DepthwiseConv2d<'_>) -> usize {
    let row_len = columns_under(op).saturating_mul(op.output.extent.c);
    let (Some(copies), h) = (LARGEST.checked_div(row_len), op.output.extent.h) else { return 1 };
    let more = match copies.saturating_sub(rows_under(&op.window, 1)).checked_div(op.window.stride_h) {
        Some(more) => more,
        None => 0,
    };
    let rows = if more > 1 { (more + 1) & !1 } else { 2 };
    if rows < h { rows } else { h }
}

/// The first band.
pub(super) const fn band<'a>(op: &DepthwiseConv2d<'a>) -> DepthwiseConv2d<'a> {
    let (rows, to) = (band_rows(op), op.output.extent);
    let extent = Extent { h: rows_under(&op.window, rows), w: columns_under(op), c: to.c };
    DepthwiseConv2d {
        input: View { extent, layout: op.input.layout },
        output: View { extent: Extent { h: rows, ..to }, layout: op.output.layout },
        window: Window { pad_top: 0, pad_left: 0, ..op.window },
        ..*op
    }
}

/// Bytes of the copies under a band.
const fn copies_len(band: &DepthwiseConv2d<'_>) -> usize {
    let extent = band.input.extent;
    let len = extent.h.saturating_mul(extent.w).saturating_mul(extent.c);
    len.saturating_add(ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT
}

/// Bytes of scratch: the copies under the first band, and what the kernel takes for it.
pub(super) const fn scratch_len(band: &DepthwiseConv2d<'_>, equal_channels: usize) -> usize {
    copies_len(band).saturating_add(equal_channels)
}

/// Computes output rows in bands by `compute`, a kernel for equal channels.
#[cfg(any(test, teff_mve, teff_dsp, teff_armv6m, teff_armv7m))]
pub(super) fn in_bands(
    op: &DepthwiseConv2d<'_>,
    input: &[i8],
    mut output: &mut [i8],
    rows: Range<usize>,
    scratch: &mut [i8],
    compute: impl Fn(&DepthwiseConv2d<'_>, &[i8], &mut [i8], Range<usize>, &mut [i8]),
) {
    let (window, from, to) = (&op.window, op.input.extent, op.output.extent);
    let mut band = band(op);
    let (most, row_len) = (band.output.extent.h, band.input.extent.row_len());
    let Some(times) = to.c.checked_div(from.c) else { return };
    let Some((copies, rest)) = scratch.split_at_mut_checked(copies_len(&band)) else { return };
    let len = copies.len();
    repeat(copies, &[op.input_zero_point], len);
    // What a row has of the input, and where that begins in its copy.
    let inside = from.w.min(band.input.extent.w.saturating_sub(window.pad_left)) * from.c;
    let left = window.pad_left * to.c;
    // Rows without padding beside them are copied together.
    let together = if inside * times == row_len && inside == from.row_len() { from.h } else { 1 };
    let mut first = rows.start;
    while first < rows.end {
        let count = most.min(rows.end - first);
        let height = rows_under(window, count);
        (band.output.extent.h, band.input.extent.h) = (count, height);
        let Some((part, behind)) = output.split_at_mut_checked(count * to.row_len()) else { return };
        output = behind;
        let top = (first * window.stride_h).wrapping_sub(window.pad_top);
        let mut row = 0;
        while row < height {
            let y = top.wrapping_add(row);
            let copy = copies.get_mut(row * row_len + left..).unwrap_or(&mut []);
            row += if let Some(below) = from.h.checked_sub(y).filter(|&below| below > 0) {
                let run = below.min(together).min(height - row);
                let source = input.get(y * from.row_len()..).and_then(|rows| rows.get(..run * inside));
                repeat(copy, source.unwrap_or(&[]), times);
                run
            } else {
                repeat(copy, &[op.input_zero_point], inside * times);
                1
            };
        }
        compute(&band, copies, part, 0..count, rest);
        first += count;
    }
}
