//! Scratch of the fast paths.

use crate::kernels::Kernels;
use crate::kernels::generic::Generic;
use crate::kernels::packing::padded_row;
use crate::kernels::params::{Conv2d, DepthwiseConv2d, Packing, Window};
use crate::shape::Extent;

/// Pixels of a convolution at a time.
pub(super) const PIXELS: usize = 4;

/// Whether a window reaches beyond the input anywhere.
fn has_padding(window: &Window, input: Extent, output: Extent) -> bool {
    let reaches =
        |outputs: usize, stride: usize, filter: usize, dilation: usize, pad: usize, inputs: usize| {
            let last = outputs.saturating_sub(1).saturating_mul(stride);
            last.saturating_add(filter.saturating_sub(1).saturating_mul(dilation))
                >= inputs.saturating_add(pad)
        };
    let w = window;
    w.pad_top > 0
        || w.pad_left > 0
        || reaches(output.h, w.stride_h, w.filter_h, w.dilation_h, w.pad_top, input.h)
        || reaches(output.w, w.stride_w, w.filter_w, w.dilation_w, w.pad_left, input.w)
}

/// Bytes of a filter row of padding and of a copied filter row for each pixel of a block: none where every filter row
/// can be read where it lies.
pub(super) fn copied_rows_len(op: &Conv2d<'_>) -> usize {
    let whole_words = (op.window.filter_w.saturating_mul(op.input.extent.c)).is_multiple_of(4);
    if whole_words && !has_padding(&op.window, op.input.extent, op.output.extent) {
        0
    } else {
        padded_row(op).saturating_mul(1 + PIXELS)
    }
}

/// Bytes of a block of pixels as 16-bit numbers.
pub(super) fn columns_len(op: &Conv2d<'_>) -> usize {
    op.window.filter_h.saturating_mul(padded_row(op)).saturating_mul(2 * PIXELS)
}

/// Scratch bytes of a convolution: a block of pixels as 16-bit numbers, and filter rows that reach into the padding.
pub fn conv_2d_scratch_len(op: &Conv2d<'_>) -> usize {
    match op.packing {
        Packing::Plain => Generic::conv_2d_scratch_len(op),
        Packing::Dsp => columns_len(op).saturating_add(copied_rows_len(op)),
    }
}

/// Bytes of the expanded parameters of four channels: four biases, two half words a weight, four multipliers.
pub(super) fn block_len(op: &DepthwiseConv2d<'_>) -> usize {
    let taps = op.window.filter_h.saturating_mul(op.window.filter_w);
    taps.saturating_mul(8).saturating_add(32)
}

/// Bytes of a row of padding.
pub(super) fn padding_len(op: &DepthwiseConv2d<'_>) -> usize {
    if has_padding(&op.window, op.input.extent, op.output.extent) {
        op.input.extent.row_len().next_multiple_of(4)
    } else {
        0
    }
}

/// Scratch bytes of a depthwise convolution: its parameters expanded, a row of padding, a pointer for each tap.
pub fn depthwise_conv_2d_scratch_len(op: &DepthwiseConv2d<'_>) -> usize {
    match op.packing {
        Packing::Plain => Generic::depthwise_conv_2d_scratch_len(op),
        Packing::Dsp => {
            let taps = op.window.filter_h.saturating_mul(op.window.filter_w);
            (block_len(op).saturating_mul(op.output.extent.c / 4))
                .saturating_add(padding_len(op))
                .saturating_add(taps.saturating_mul(4))
        }
    }
}
