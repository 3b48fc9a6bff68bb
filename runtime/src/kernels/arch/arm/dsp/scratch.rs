//! Scratch of the fast paths.

use crate::kernels::arch::arm::multiplied;
use crate::kernels::generic;
use crate::kernels::packing::padded_row;
use crate::kernels::params::{Conv2d, DepthwiseConv2d, Packing, Window};
use crate::shape::Extent;

/// Pixels of a convolution at a time.
pub(super) const PIXELS: usize = 4;

/// Bytes of the largest input that is copied whole with its padding.
const SMALL_INPUT: usize = 1024;

/// Whether a window reaches beyond the input anywhere.
pub(in crate::kernels::arch::arm) const fn has_padding(
    window: &Window,
    input: Extent,
    output: Extent,
) -> bool {
    let w = window;
    w.pad_top > 0
        || w.pad_left > 0
        || reaches(output.h, w.stride_h, w.filter_h, w.dilation_h, w.pad_top, input.h)
        || reaches(output.w, w.stride_w, w.filter_w, w.dilation_w, w.pad_left, input.w)
}

/// Whether the last window reaches beyond the input, along one axis.
const fn reaches(
    outputs: usize,
    stride: usize,
    filter: usize,
    dilation: usize,
    pad: usize,
    inputs: usize,
) -> bool {
    let last = outputs.saturating_sub(1).saturating_mul(stride);
    last.saturating_add(filter.saturating_sub(1).saturating_mul(dilation)) >= inputs.saturating_add(pad)
}

/// Bytes of a filter row of padding and of a copied filter row for each pixel of a block: none where every filter row
/// can be read where it lies.
pub(super) const fn copied_rows_len(op: &Conv2d<'_>) -> usize {
    let whole_words = (op.window.filter_w.saturating_mul(op.input.extent.c)).is_multiple_of(4);
    if whole_words && !has_padding(&op.window, op.input.extent, op.output.extent) {
        0
    } else {
        padded_row(op).saturating_mul(1 + PIXELS)
    }
}

/// Bytes of a block of pixels as 16-bit numbers.
pub(super) const fn columns_len(op: &Conv2d<'_>) -> usize {
    op.window.filter_h.saturating_mul(padded_row(op)).saturating_mul(2 * PIXELS)
}

/// Bytes of an input row with its padding, as wide as the windows of a row reach.
pub(super) const fn padded_line_len(op: &Conv2d<'_>) -> usize {
    let (window, c) = (&op.window, op.input.extent.c);
    let steps = op.output.extent.w.saturating_sub(1).saturating_mul(window.stride_w);
    let reach = window.filter_w.saturating_sub(1).saturating_mul(window.dilation_w).saturating_add(1);
    steps.saturating_add(reach).saturating_mul(c)
}

/// Bytes of the input with its padding, and a word behind it.
pub(super) const fn padded_input_len(op: &Conv2d<'_>) -> usize {
    let window = &op.window;
    let steps = op.output.extent.h.saturating_sub(1).saturating_mul(window.stride_h);
    let reach = window.filter_h.saturating_sub(1).saturating_mul(window.dilation_h).saturating_add(1);
    steps.saturating_add(reach).saturating_mul(padded_line_len(op)).saturating_add(4)
}

/// Whether the input is copied whole with its padding. A band of the operator is not copied otherwise.
pub(crate) const fn copies_input(op: &Conv2d<'_>) -> bool {
    copied_rows_len(op) > 0 && padded_input_len(op) <= SMALL_INPUT
}

/// Whether filter rows that reach into the padding, or do not end with a word, are copied one by one.
pub(crate) const fn copies_rows(op: &Conv2d<'_>) -> bool {
    copied_rows_len(op) > 0 && padded_input_len(op) > SMALL_INPUT
}

/// Scratch bytes of a convolution: a block of pixels as 16-bit numbers, and the whole input with its padding if that is
/// small, or else filter rows that reach into the padding.
pub const fn conv_2d_scratch_len(op: &Conv2d<'_>) -> usize {
    match op.packing {
        Packing::Dsp => {
            let (rows, input) = (copied_rows_len(op), padded_input_len(op));
            let copies = if copies_input(op) && input > rows { input } else { rows };
            columns_len(op).saturating_add(copies)
        }
        Packing::DspWinograd => winograd_scratch_len(op),
        _ => generic::conv_2d_scratch_len(op),
    }
}

/// Bytes of the transformed inputs of two tiles.
pub(super) const fn winograd_columns_len(op: &Conv2d<'_>) -> usize {
    op.input.extent.c.saturating_mul(64)
}

/// Bytes of the sums of two tiles by four channels: differences, and for each column two rows of sums.
pub(super) const SUMS_BYTES: usize = 32 * 9;
/// Bytes of the list of the inputs under two tiles.
pub(super) const LIST_BYTES: usize = 4 * 4 * 6;

/// Scratch bytes of Winograd's scheme: transformed inputs, sums, the list of inputs, and the channels of an input outside.
pub(super) const fn winograd_scratch_len(op: &Conv2d<'_>) -> usize {
    winograd_columns_len(op).saturating_add(SUMS_BYTES + LIST_BYTES).saturating_add(op.input.extent.c)
}

/// Bytes of the expanded parameters of four channels: four biases, two half words a weight, four multipliers.
pub(super) const fn block_len(op: &DepthwiseConv2d<'_>) -> usize {
    let taps = op.window.filter_h.saturating_mul(op.window.filter_w);
    taps.saturating_mul(8).saturating_add(32)
}

/// Whether windows are taken row by row: 3×3 without dilation.
pub(crate) const fn runs_along_rows(op: &DepthwiseConv2d<'_>) -> bool {
    let w = &op.window;
    w.filter_h == 3 && w.filter_w == 3 && w.dilation_h == 1 && w.dilation_w == 1
}

/// Bytes of an expanded column of four rows and four channels.
pub(super) const COLUMN_BYTES: usize = 32;
/// Bytes of the parameters of four channels: for each eight words.
pub(super) const PARAMETERS_BYTES: usize = 128;

/// Whether output rows are computed two at a time.
pub(crate) const fn runs_in_row_pairs(op: &DepthwiseConv2d<'_>) -> bool {
    runs_along_rows(op) && op.window.stride_h == 1 && op.window.stride_w == 1
}

/// Bytes of the expanded columns under a row, with its padding.
pub(super) const fn columns_of_rows_len(op: &DepthwiseConv2d<'_>) -> usize {
    op.output.extent.w.saturating_add(2).saturating_mul(COLUMN_BYTES)
}

/// Bytes of an input row of padding, of whole words; none where no window reaches above or below the input.
pub(super) const fn padding_row_len(op: &DepthwiseConv2d<'_>) -> usize {
    let (window, input) = (&op.window, op.input.extent);
    let below = op.output.extent.h.saturating_add(2) > input.h.saturating_add(window.pad_top);
    if window.pad_top > 0 || below { input.row_len() } else { 0 }
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

/// Scratch bytes of a depthwise convolution: those of equal channels, or the copied rows of a band and what that needs.
pub const fn depthwise_conv_2d_scratch_len(op: &DepthwiseConv2d<'_>) -> usize {
    match op.packing {
        Packing::Dsp if multiplied::is_multiplied(op) => {
            let band = multiplied::band(op);
            multiplied::scratch_len(&band, equal_channels_scratch_len(&band))
        }
        _ => equal_channels_scratch_len(op),
    }
}

/// Scratch bytes of equal channels. In pairs of rows: the parameters of four channels, expanded columns, a row of
/// padding, a pointer for each row. Else its parameters expanded, what stands for padding, a pointer for each tap.
pub(super) const fn equal_channels_scratch_len(op: &DepthwiseConv2d<'_>) -> usize {
    match op.packing {
        Packing::Dsp if runs_in_row_pairs(op) => columns_of_rows_len(op)
            .saturating_add(PARAMETERS_BYTES)
            .saturating_add(padding_row_len(op))
            .saturating_add(op.output.extent.h.saturating_add(3).saturating_mul(4)),
        Packing::Dsp => {
            let taps = op.window.filter_h.saturating_mul(op.window.filter_w);
            (block_len(op).saturating_mul(op.output.extent.c / 4))
                .saturating_add(padded_len(op))
                .saturating_add(taps.saturating_mul(4))
        }
        _ => 0,
    }
}
