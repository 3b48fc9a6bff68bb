//! Maximum and average over a window: channels side by side in NHWC, element by element otherwise.

use core::ops::Range;

use super::window::taps_inside;
use crate::kernels::params::{AveragePool2d, MaxPool2d, Window};
use crate::quant::clamp_i8;
use crate::shape::{Layout, View};

/// Channels whose sums are kept at a time.
const BLOCK: usize = 16;

/// The taps inside the input of output position (`y`, `x`).
fn inside(window: &Window, input: View, y: usize, x: usize) -> (Range<usize>, Range<usize>) {
    let extent = input.extent;
    (
        taps_inside(y, window.stride_h, window.pad_top, window.filter_h, window.dilation_h, extent.h),
        taps_inside(x, window.stride_w, window.pad_left, window.filter_w, window.dilation_w, extent.w),
    )
}

/// Calls `visit` with the input from element (`iy`, `ix`, `c`) on, for every tap of output position (`y`, `x`) inside
/// the input.
#[inline(always)]
fn for_each_tap<'i>(
    window: &Window,
    view: View,
    input: &'i [i8],
    (y, x, c): (usize, usize, usize),
    mut visit: impl FnMut(&'i [i8]),
) {
    let (ky, kx) = inside(window, view, y, x);
    for ky in ky {
        let iy = (y * window.stride_h + ky * window.dilation_h).wrapping_sub(window.pad_top);
        for kx in kx.clone() {
            let ix = (x * window.stride_w + kx * window.dilation_w).wrapping_sub(window.pad_left);
            visit(input.get(view.index(iy, ix, c)..).unwrap_or(&[]));
        }
    }
}

/// Stores `values` as the channels from `c` of output position (`row`, `x`); rows count from the slice's first.
#[inline(always)]
fn store(
    view: View,
    output: &mut [i8],
    (row, x, c): (usize, usize, usize),
    values: impl Iterator<Item = i8>,
) {
    let elements = output.get_mut(view.index(row, x, c)..).unwrap_or(&mut []);
    match view.layout {
        Layout::Nhwc => elements.iter_mut().zip(values).for_each(|(element, value)| *element = value),
        Layout::Planar => {
            let elements = elements.iter_mut().step_by(view.extent.w.max(1));
            elements.zip(values).for_each(|(element, value)| *element = value);
        }
    }
}

/// Calls `visit` with every output position of `rows` and every block of channels: position in the whole output, row
/// in the slice, number of channels. Planar inputs have blocks of one channel.
fn for_each_block(
    input: View,
    output: View,
    rows: Range<usize>,
    mut visit: impl FnMut((usize, usize, usize), usize, usize),
) {
    let block = match input.layout {
        Layout::Nhwc => BLOCK,
        Layout::Planar => 1,
    };
    for (row, y) in rows.enumerate() {
        for x in 0..output.extent.w {
            for c in (0..output.extent.c).step_by(block) {
                visit((y, x, c), row, block.min(output.extent.c - c));
            }
        }
    }
}

pub(super) fn max_pool_2d(op: &MaxPool2d, input: &[i8], output: &mut [i8], rows: Range<usize>) {
    for_each_block(op.input, op.output, rows, |at, row, count| {
        let mut max = [i8::MIN; BLOCK];
        for_each_tap(&op.window, op.input, input, at, |values| match values.first_chunk::<BLOCK>() {
            Some(values) if count == BLOCK => {
                max.iter_mut().zip(values).for_each(|(max, &value)| *max = (*max).max(value));
            }
            _ => max.iter_mut().zip(values).take(count).for_each(|(max, &value)| *max = (*max).max(value)),
        });
        let clamped =
            max.iter().take(count).map(|&max| clamp_i8(i32::from(max), op.output_min, op.output_max));
        store(op.output, output, (row, at.1, at.2), clamped);
    });
}

pub(super) fn average_pool_2d(op: &AveragePool2d, input: &[i8], output: &mut [i8], rows: Range<usize>) {
    let full = (op.window.filter_h * op.window.filter_w) as u32;
    for_each_block(op.input, op.output, rows, |at, row, count| {
        let mut sums = [0i32; BLOCK];
        let mut taps = 0u32;
        for_each_tap(&op.window, op.input, input, at, |values| {
            taps += 1;
            match values.first_chunk::<BLOCK>() {
                Some(values) if count == BLOCK => {
                    sums.iter_mut()
                        .zip(values)
                        .for_each(|(sum, &value)| *sum = sum.wrapping_add(value.into()));
                }
                _ => {
                    let values = values.iter().take(count);
                    sums.iter_mut()
                        .zip(values)
                        .for_each(|(sum, &value)| *sum = sum.wrapping_add(value.into()));
                }
            }
        });
        if let Some(padding) = op.counted_padding {
            let padding = i32::from(padding).wrapping_mul(full.wrapping_sub(taps) as i32);
            sums.iter_mut().for_each(|sum| *sum = sum.wrapping_add(padding));
            taps = full;
        }
        store(op.output, output, (row, at.1, at.2), sums.iter().take(count).map(|&sum| op.finish(sum, taps)));
    });
}
