//! Scratch of the fast paths.

use crate::kernels::arch::arm::dsp::has_padding;
use crate::kernels::arch::arm::multiplied;
use crate::kernels::generic;
use crate::kernels::params::{Conv2d, DepthwiseConv2d, Packing};

/// Pixels of a convolution at a time.
pub(super) const PIXELS: usize = 3;
/// Bytes of an input of these pixels: two words.
pub(super) const COLUMN_LEN: usize = 8;

/// Bytes of the address of a tap on a device, or on the host that tests the set.
const TAP_LEN: usize = if cfg!(test) { size_of::<*const i8>() } else { 4 };

/// Inputs of a filter row.
pub(super) const fn filter_row(op: &Conv2d<'_>) -> usize {
    op.window.filter_w.saturating_mul(op.input.extent.c)
}

/// Bytes of a block of pixels, two words per input.
pub(super) const fn columns_len(op: &Conv2d<'_>) -> usize {
    op.window.filter_h.saturating_mul(filter_row(op)).saturating_mul(COLUMN_LEN)
}

/// Bytes of a filter row of padding and of a copied filter row for each pixel of a block: none where every filter row
/// lies in the input.
pub(super) const fn copied_rows_len(op: &Conv2d<'_>) -> usize {
    if has_padding(&op.window, op.input.extent, op.output.extent) {
        filter_row(op).saturating_mul(1 + PIXELS)
    } else {
        0
    }
}

/// Tiles of Winograd's scheme at a time, and the columns of inputs under them.
pub(super) const TILES: usize = 4;
pub(super) const TILE_COLUMNS: usize = 2 * TILES + 2;
/// Bytes of the transformed inputs of four tiles at one place, of a channel.
pub(super) const WORDS_LEN: usize = 12;
/// Bytes of the sums of four tiles by two channels: for each of four columns two rows.
pub(super) const SUMS_LEN: usize = 4 * 2 * 2 * WORDS_LEN;
/// Bytes of the list of the inputs under four tiles.
pub(super) const LIST_LEN: usize = 4 * TILE_COLUMNS * TAP_LEN;

/// Bytes of the transformed inputs of four tiles at all places.
pub(super) const fn winograd_columns_len(op: &Conv2d<'_>) -> usize {
    op.input.extent.c.saturating_mul(16 * WORDS_LEN)
}

/// Scratch bytes of Winograd's scheme: transformed inputs, sums, the list of inputs, and the channels of an input outside.
pub(super) const fn winograd_scratch_len(op: &Conv2d<'_>) -> usize {
    winograd_columns_len(op).saturating_add(SUMS_LEN + LIST_LEN).saturating_add(op.input.extent.c)
}

/// Scratch bytes of a convolution: a block of pixels, and filter rows that reach into the padding; by Winograd's
/// scheme see [`winograd_scratch_len`].
pub const fn conv_2d_scratch_len(op: &Conv2d<'_>) -> usize {
    match op.packing {
        Packing::Base => columns_len(op).saturating_add(copied_rows_len(op)),
        Packing::BaseWinograd => winograd_scratch_len(op),
        _ => generic::conv_2d_scratch_len(op),
    }
}

/// Whether windows are taken along a row: 3×3 without dilation, one or two columns apart, and enough of them for a
/// block.
pub(super) const fn runs_along_rows(op: &DepthwiseConv2d<'_>) -> bool {
    let w = &op.window;
    matches!((w.filter_h, w.filter_w, w.dilation_h, w.dilation_w), (3, 3, 1, 1))
        && matches!(w.stride_w, 1 | 2)
        && op.output.extent.w >= along_row_pixels(op)
}

/// Pixels of a row at a time: those whose windows lie on five columns.
pub(super) const fn along_row_pixels(op: &DepthwiseConv2d<'_>) -> usize {
    if op.window.stride_w == 1 { 3 } else { 2 }
}

/// Bytes of an input row that is as wide as its windows reach.
pub(super) const fn padded_row_len(op: &DepthwiseConv2d<'_>) -> usize {
    let columns = op.output.extent.w.saturating_sub(1).saturating_mul(op.window.stride_w).saturating_add(3);
    columns.saturating_mul(op.input.extent.c)
}

/// Bytes of what stands for padding: three rows with their padding, or the channels of one place.
pub(super) const fn padded_len(op: &DepthwiseConv2d<'_>) -> usize {
    if !has_padding(&op.window, op.input.extent, op.output.extent) {
        0
    } else if runs_along_rows(op) {
        padded_row_len(op).saturating_mul(3)
    } else {
        op.input.extent.c
    }
}

/// Bytes of a pointer for each tap, where windows are not taken along a row.
pub(super) const fn taps_len(op: &DepthwiseConv2d<'_>) -> usize {
    if runs_along_rows(op) {
        0
    } else {
        let taps = op.window.filter_h.saturating_mul(op.window.filter_w);
        taps.saturating_mul(TAP_LEN)
    }
}

/// Scratch bytes of a depthwise convolution: those of equal channels, or the copied rows of a band and what that needs.
pub const fn depthwise_conv_2d_scratch_len(op: &DepthwiseConv2d<'_>) -> usize {
    match op.packing {
        Packing::Base if multiplied::is_multiplied(op) => {
            let band = multiplied::band(op);
            multiplied::scratch_len(&band, equal_channels_scratch_len(&band))
        }
        _ => equal_channels_scratch_len(op),
    }
}

/// Scratch bytes of equal channels: a pointer for each tap, and what stands for padding.
pub(super) const fn equal_channels_scratch_len(op: &DepthwiseConv2d<'_>) -> usize {
    match op.packing {
        Packing::Base => taps_len(op).saturating_add(padded_len(op)),
        _ => 0,
    }
}
