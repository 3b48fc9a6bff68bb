//! Scratch of the fast paths.

use crate::kernels::arch::arm::dsp::has_padding;
use crate::kernels::arch::arm::multiplied;
use crate::kernels::generic;
use crate::kernels::packing::mve::LANES;
use crate::kernels::params::{Conv2d, DepthwiseConv2d, Packing};

/// Pixels of a convolution at a time.
pub(super) const PIXELS: usize = 3;

/// Products per output of a convolution.
pub(super) const fn products(op: &Conv2d<'_>) -> usize {
    let taps = op.window.filter_h.saturating_mul(op.window.filter_w);
    taps.saturating_mul(op.input.extent.c)
}

/// Whether a window that lies inside the input is one run of bytes there.
pub(super) const fn windows_are_runs(op: &Conv2d<'_>) -> bool {
    op.window.filter_h == 1 || (op.window.filter_w == op.input.extent.w && op.window.pad_left == 0)
}

/// Scratch bytes of a convolution: windows that have to be gathered.
pub const fn conv_2d_scratch_len(op: &Conv2d<'_>) -> usize {
    match op.packing {
        Packing::Mve => {
            if windows_are_runs(op) && !has_padding(&op.window, op.input.extent, op.output.extent) {
                0
            } else {
                products(op).saturating_mul(PIXELS)
            }
        }
        _ => generic::conv_2d_scratch_len(op),
    }
}

/// Taps of a window.
pub(super) const fn taps(op: &DepthwiseConv2d<'_>) -> usize {
    op.window.filter_h.saturating_mul(op.window.filter_w)
}

/// Bytes of the weights, biases and multipliers of a vector of the last channels, where they are no whole one.
pub(super) const fn parameters_len(op: &DepthwiseConv2d<'_>) -> usize {
    if op.output.extent.c.is_multiple_of(LANES) {
        0
    } else {
        taps(op).saturating_mul(LANES).saturating_add(8 * LANES)
    }
}

/// Bytes of an input row that is as wide as its windows reach.
pub(super) const fn reach_len(op: &DepthwiseConv2d<'_>) -> usize {
    let steps = op.output.extent.w.saturating_sub(1).saturating_mul(op.window.stride_w);
    steps.saturating_add(op.window.filter_w).saturating_mul(op.input.extent.c)
}

/// How input rows reach the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// As they lie.
    Input,
    /// As they lie, and a row of padding above and below them.
    Bordered,
    /// Copied with their padding, as many as a window has rows: where windows reach beyond the left or right end, or vectors beyond the last
    /// channel.
    Copied,
}

pub(super) const fn source(op: &DepthwiseConv2d<'_>) -> Source {
    let (w, from, to) = (&op.window, op.input.extent, op.output.extent);
    let beyond_right = reach_len(op) > w.pad_left.saturating_add(from.w).saturating_mul(from.c);
    if w.pad_left > 0 || beyond_right || to.c < LANES {
        Source::Copied
    } else if has_padding(w, from, to) {
        Source::Bordered
    } else {
        Source::Input
    }
}

/// Bytes of copied rows, or of a row of padding. A vector may be read beyond the last copy.
pub(super) const fn rows_len(op: &DepthwiseConv2d<'_>) -> usize {
    match source(op) {
        Source::Input => 0,
        Source::Bordered => reach_len(op),
        Source::Copied => reach_len(op).saturating_mul(op.window.filter_h).saturating_add(LANES),
    }
}

/// Scratch bytes of a depthwise convolution: those of equal channels, or the copied rows of a band and what that needs.
pub const fn depthwise_conv_2d_scratch_len(op: &DepthwiseConv2d<'_>) -> usize {
    match op.packing {
        Packing::Mve if multiplied::is_multiplied(op) => {
            let band = multiplied::band(op);
            multiplied::scratch_len(&band, equal_channels_scratch_len(&band))
        }
        _ => equal_channels_scratch_len(op),
    }
}

/// Scratch bytes of equal channels: parameters of the last channels, a pointer for each tap, rows.
pub(super) const fn equal_channels_scratch_len(op: &DepthwiseConv2d<'_>) -> usize {
    match op.packing {
        Packing::Mve => {
            parameters_len(op).saturating_add(taps(op).saturating_mul(4)).saturating_add(rows_len(op))
        }
        _ => 0,
    }
}
