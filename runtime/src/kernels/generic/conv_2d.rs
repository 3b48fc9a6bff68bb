//! 2-D convolution as products of patches with weight rows, two pixels by four channels at a time.
//!
//! A patch holds the inputs under the filter in the order of a weight row. Where these already lie side by side in the
//! input (1×1 filters, filters as wide as the input), no copy is made. Otherwise two patches are gathered into the
//! scratch, padding included, so that the inner loop knows no border.

use core::ops::Range;

use super::dot::{Block, CHANNELS, blocks, dot_1x4, dot_2x4};
use super::window::copy;
use crate::kernels::linked::{Linked, Variant};
use crate::kernels::params::Conv2d;
use crate::quant::requantize;
use crate::shape::Layout;

/// Products per output.
const fn k(op: &Conv2d<'_>) -> usize {
    let window = &op.window;
    let groups = if op.groups == 0 { 1 } else { op.groups };
    window.filter_h.saturating_mul(window.filter_w).saturating_mul(op.input.extent.c / groups)
}

/// Whether a filter row lies in the input without gaps.
pub(crate) const fn has_dense_rows(op: &Conv2d<'_>) -> bool {
    matches!(op.input.layout, Layout::Nhwc)
        && op.groups == 1
        && (op.window.dilation_w == 1 || op.window.filter_w == 1)
}

/// Whether every patch lies in the input side by side, so that none is copied.
const fn is_pointwise(op: &Conv2d<'_>) -> bool {
    let (window, input, output) = (&op.window, op.input.extent, op.output.extent);
    has_dense_rows(op)
        && window.filter_h == 1
        && window.filter_w == 1
        && window.pad_top == 0
        && window.pad_left == 0
        && output.h.saturating_sub(1).saturating_mul(window.stride_h) < input.h
        && output.w.saturating_sub(1).saturating_mul(window.stride_w) < input.w
}

/// Scratch bytes of a convolution with plain weights: two patches, none where they lie in the input.
pub const fn conv_2d_scratch_len(op: &Conv2d<'_>) -> usize {
    if is_pointwise(op) { 0 } else { k(op).saturating_mul(2) }
}

pub(super) fn conv_2d<L: Linked>(
    op: &Conv2d<'_>,
    input: &[i8],
    output: &mut [i8],
    rows: Range<usize>,
    scratch: &mut [i8],
) {
    let (k, groups, width) = (k(op), op.groups.max(1), op.output.extent.w);
    let group_out = op.output.extent.c / groups;
    let (scratch_a, scratch_b) = scratch.split_at_mut_checked(k).unwrap_or_default();
    for group in 0..groups {
        let channels = group * group_out..(group + 1) * group_out;
        let mut pixels = rows.clone().flat_map(|y| (0..width).map(move |x| (y, x)));
        // Where channel `first` of the group is stored at a pixel.
        let index = |(y, x): (usize, usize)| op.output.index(y - rows.start, x, channels.start);
        while let Some(a) = pixels.next() {
            let patch_a = patch::<L>(op, input, a, group, scratch_a);
            let blocks = blocks(channels.clone(), op.weights, k, op.bias, op.requantize.multipliers);
            if let Some(b) = pixels.next() {
                let patch_b = patch::<L>(op, input, b, group, scratch_b);
                for block in blocks {
                    let [acc_a, acc_b] = dot_2x4([patch_a, patch_b], block.weights, block.bias);
                    store(op, output, index(a), &block, acc_a);
                    store(op, output, index(b), &block, acc_b);
                }
            } else {
                for block in blocks {
                    store(op, output, index(a), &block, dot_1x4(patch_a, block.weights, block.bias));
                }
            }
        }
    }
}

/// Requantizes the accumulators of one pixel and stores them. `index` is where the first channel of the group lies.
#[inline(always)]
fn store(op: &Conv2d<'_>, output: &mut [i8], index: usize, block: &Block<'_>, acc: [i32; CHANNELS]) {
    let r = &op.requantize;
    let mut quantized = [0; CHANNELS];
    for ((quantized, acc), mantissa) in quantized.iter_mut().zip(acc).zip(block.multipliers) {
        *quantized = requantize(acc, mantissa, r.shift, r.zero_point, r.output_min, r.output_max);
    }
    let c_stride = op.output.c_stride();
    let elements = output.get_mut(index + block.first * c_stride..).unwrap_or(&mut []);
    match elements.first_chunk_mut::<CHANNELS>() {
        Some(elements) if c_stride == 1 && block.count == CHANNELS => *elements = quantized,
        _ => {
            let elements = elements.iter_mut().step_by(c_stride.max(1)).take(block.count);
            elements.zip(quantized).for_each(|(element, q)| *element = q);
        }
    }
}

/// The patch of output pixel (`y`, `x`) for `group`: a part of the input where it lies there, else gathered into
/// `scratch`.
#[inline]
fn patch<'p, L: Linked>(
    op: &Conv2d<'_>,
    input: &'p [i8],
    (y, x): (usize, usize),
    group: usize,
    scratch: &'p mut [i8],
) -> &'p [i8] {
    let (window, extent) = (&op.window, op.input.extent);
    let k = k(op);
    // Upper left corner of the window, in padded coordinates.
    let (top, left) = (y * window.stride_h, x * window.stride_w);
    if !L::VARIANTS.has(Variant::Gathered) || has_dense_rows(op) {
        let row_len = window.filter_w * extent.c;
        let joined = window.filter_h == 1 || (window.filter_w == extent.w && window.dilation_h == 1);
        let inside_w = left >= window.pad_left && left - window.pad_left + window.filter_w <= extent.w;
        if joined && inside_w && top >= window.pad_top {
            let first_row = top - window.pad_top;
            let start = op.input.index(first_row, left - window.pad_left, 0);
            if first_row + window.filter_h <= extent.h
                && let Some(patch) = input.get(start..).and_then(|input| input.get(..k))
            {
                return patch;
            }
        }
        // The part of each filter row inside the input: the same for all rows.
        let before = window.pad_left.saturating_sub(left).min(window.filter_w);
        let first = (left + before).saturating_sub(window.pad_left);
        let count = extent.w.saturating_sub(first).min(window.filter_w - before);
        for (ky, row) in scratch.chunks_exact_mut(row_len.max(1)).take(window.filter_h).enumerate() {
            let iy = (top + ky * window.dilation_h).checked_sub(window.pad_top).filter(|&iy| iy < extent.h);
            let source = iy.and_then(|iy| input.get(op.input.index(iy, first, 0)..)?.get(..count * extent.c));
            match source {
                Some(source) if count == window.filter_w => copy(row, source),
                Some(source) => {
                    row.fill(op.input_zero_point);
                    copy(row.get_mut(before * extent.c..).unwrap_or(&mut []), source);
                }
                None => row.fill(op.input_zero_point),
            }
        }
    } else {
        gather(op, input, (top, left), group, scratch);
    }
    scratch.get(..k).unwrap_or(&[])
}

/// Gathers a patch element by element: planar inputs, groups, dilation along the width.
fn gather(op: &Conv2d<'_>, input: &[i8], (top, left): (usize, usize), group: usize, scratch: &mut [i8]) {
    let (window, extent) = (&op.window, op.input.extent);
    let group_in = extent.c / op.groups.max(1);
    let taps = (0..window.filter_h).flat_map(|ky| (0..window.filter_w).map(move |kx| (ky, kx)));
    for ((ky, kx), tap) in taps.zip(scratch.chunks_exact_mut(group_in.max(1))) {
        let iy = (top + ky * window.dilation_h).checked_sub(window.pad_top).filter(|&iy| iy < extent.h);
        let ix = (left + kx * window.dilation_w).checked_sub(window.pad_left).filter(|&ix| ix < extent.w);
        let (Some(iy), Some(ix)) = (iy, ix) else {
            tap.fill(op.input_zero_point);
            continue;
        };
        let source = input.get(op.input.index(iy, ix, group * group_in)..).unwrap_or(&[]);
        match op.input.layout {
            Layout::Nhwc => copy(tap, source),
            Layout::Planar => {
                let plane = extent.w.max(1);
                tap.iter_mut().zip(source.iter().step_by(plane)).for_each(|(to, from)| *to = *from);
            }
        }
    }
}
