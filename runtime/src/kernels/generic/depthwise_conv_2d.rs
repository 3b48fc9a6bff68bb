//! 2-D depthwise convolution: a block of channels at a time where channels lie side by side, a block of pixels where
//! pixels do.

use core::ops::Range;

use super::dot::multiply_add;
use super::window::taps_inside;
use crate::kernels::params::DepthwiseConv2d;
use crate::shape::Layout;

/// Accumulators kept at a time: what the registers hold.
#[cfg(target_arch = "arm")]
const BLOCK: usize = 4;
/// Accumulators kept at a time: what the registers hold.
#[cfg(not(target_arch = "arm"))]
const BLOCK: usize = 16;

pub(super) fn depthwise_conv_2d(
    op: &DepthwiseConv2d<'_>,
    input: &[i8],
    output: &mut [i8],
    rows: Range<usize>,
) {
    let (c_in, c_out) = (op.input.extent.c, op.output.extent.c);
    for (row, y) in rows.enumerate() {
        match op.input.layout {
            Layout::Nhwc if c_in == c_out => channels_row(op, input, output, row, y),
            Layout::Nhwc => multiplied_row(op, input, output, row, y),
            Layout::Planar => planar_row(op, input, output, row, y),
        }
    }
}

/// The taps of one output position that lie inside the input, and the input position of tap (0, 0) in padded
/// coordinates.
struct Taps {
    ky: Range<usize>,
    kx: Range<usize>,
    top: usize,
    left: usize,
}

impl Taps {
    fn new(op: &DepthwiseConv2d<'_>, y: usize, x: usize) -> Self {
        let (window, extent) = (&op.window, op.input.extent);
        let (pad_top, pad_left) = (window.pad_top, window.pad_left);
        Self {
            ky: taps_inside(y, window.stride_h, pad_top, window.filter_h, window.dilation_h, extent.h),
            kx: taps_inside(x, window.stride_w, pad_left, window.filter_w, window.dilation_w, extent.w),
            top: y * window.stride_h,
            left: x * window.stride_w,
        }
    }

    fn is_complete(&self, op: &DepthwiseConv2d<'_>) -> bool {
        self.ky.len() == op.window.filter_h && self.kx.len() == op.window.filter_w
    }

    /// Calls `visit` with the index of the tap and its input position, for all taps inside the input.
    #[inline(always)]
    fn for_each_inside(&self, op: &DepthwiseConv2d<'_>, mut visit: impl FnMut(usize, usize, usize)) {
        let window = &op.window;
        for ky in self.ky.clone() {
            let iy = (self.top + ky * window.dilation_h).wrapping_sub(window.pad_top);
            for kx in self.kx.clone() {
                let ix = (self.left + kx * window.dilation_w).wrapping_sub(window.pad_left);
                visit(ky * window.filter_w + kx, iy, ix);
            }
        }
    }

    /// Calls `visit` with the index of every tap in the padding.
    fn for_each_outside(&self, op: &DepthwiseConv2d<'_>, mut visit: impl FnMut(usize)) {
        for ky in 0..op.window.filter_h {
            for kx in 0..op.window.filter_w {
                if !(self.ky.contains(&ky) && self.kx.contains(&kx)) {
                    visit(ky * op.window.filter_w + kx);
                }
            }
        }
    }
}

/// Elements `first` to `first + len` of a slice, or none.
#[inline(always)]
fn part<T>(slice: &[T], first: usize, len: usize) -> &[T] {
    slice.get(first..).and_then(|slice| slice.get(..len)).unwrap_or(&[])
}

/// One output row with as many channels as the input, input NHWC.
fn channels_row(op: &DepthwiseConv2d<'_>, input: &[i8], output: &mut [i8], row: usize, y: usize) {
    let c = op.output.extent.c;
    for x in 0..op.output.extent.w {
        let taps = Taps::new(op, y, x);
        let is_complete = taps.is_complete(op);
        let mut first = 0;
        while first + BLOCK <= c {
            let mut acc = [0; BLOCK];
            if let Some(bias) = op.bias.get(first..).and_then(|bias| bias.first_chunk()) {
                acc = *bias;
            }
            taps.for_each_inside(op, |tap, iy, ix| {
                let values = input
                    .get(op.input.index(iy, ix, first)..)
                    .and_then(|values| values.first_chunk::<BLOCK>());
                let weights =
                    op.weights.get(tap * c + first..).and_then(|weights| weights.first_chunk::<BLOCK>());
                if let (Some(values), Some(weights)) = (values, weights) {
                    for ((acc, &value), &weight) in acc.iter_mut().zip(values).zip(weights) {
                        *acc = multiply_add(*acc, value, weight);
                    }
                }
            });
            if !is_complete {
                add_padding(op, &taps, first, &mut acc);
            }
            store_channels(op, output, (row, x, first), &acc);
            first += BLOCK;
        }
        if first < c {
            let mut acc = [0; BLOCK];
            let acc = acc.get_mut(..c - first).unwrap_or(&mut []);
            acc.iter_mut().zip(part(op.bias, first, c - first)).for_each(|(acc, &bias)| *acc = bias);
            taps.for_each_inside(op, |tap, iy, ix| {
                let values = part(input, op.input.index(iy, ix, first), c - first);
                let weights = part(op.weights, tap * c + first, c - first);
                for ((acc, &value), &weight) in acc.iter_mut().zip(values).zip(weights) {
                    *acc = multiply_add(*acc, value, weight);
                }
            });
            add_padding(op, &taps, first, acc);
            store_channels(op, output, (row, x, first), acc);
        }
    }
}

/// Adds the taps in the padding to the accumulators of the channels from `first`.
fn add_padding(op: &DepthwiseConv2d<'_>, taps: &Taps, first: usize, acc: &mut [i32]) {
    taps.for_each_outside(op, |tap| {
        let weights = part(op.weights, tap * op.output.extent.c + first, acc.len());
        for (acc, &weight) in acc.iter_mut().zip(weights) {
            *acc = multiply_add(*acc, op.input_zero_point, weight);
        }
    });
}

/// Requantizes and stores the channels from `c` of output position (`row`, `x`); rows count from the slice's first.
#[inline(always)]
fn store_channels(
    op: &DepthwiseConv2d<'_>,
    output: &mut [i8],
    (row, x, c): (usize, usize, usize),
    acc: &[i32],
) {
    let r = &op.requantize;
    let multipliers = part(r.multipliers, c, acc.len());
    let quantized = acc.iter().zip(multipliers).map(|(&acc, &mantissa)| {
        crate::quant::requantize(acc, mantissa, r.shift, r.zero_point, r.output_min, r.output_max)
    });
    let elements = output.get_mut(op.output.index(row, x, c)..).unwrap_or(&mut []);
    match op.output.layout {
        Layout::Nhwc => elements.iter_mut().zip(quantized).for_each(|(element, q)| *element = q),
        Layout::Planar => {
            let plane = op.output.extent.w.max(1);
            elements.iter_mut().step_by(plane).zip(quantized).for_each(|(element, q)| *element = q);
        }
    }
}

/// One output row with several output channels per input channel, input NHWC.
fn multiplied_row(op: &DepthwiseConv2d<'_>, input: &[i8], output: &mut [i8], row: usize, y: usize) {
    let c_out = op.output.extent.c;
    let multiplier = (c_out / op.input.extent.c.max(1)).max(1);
    for x in 0..op.output.extent.w {
        let taps = Taps::new(op, y, x);
        for c_in in 0..op.input.extent.c {
            let end = (c_in + 1) * multiplier;
            let mut first = c_in * multiplier;
            while first < end {
                let count = (end - first).min(BLOCK);
                let mut acc = [0; BLOCK];
                let acc = acc.get_mut(..count).unwrap_or(&mut []);
                acc.iter_mut().zip(part(op.bias, first, count)).for_each(|(acc, &bias)| *acc = bias);
                taps.for_each_inside(op, |tap, iy, ix| {
                    let value = input.get(op.input.index(iy, ix, c_in)).copied().unwrap_or(0);
                    let weights = part(op.weights, tap * c_out + first, count);
                    for (acc, &weight) in acc.iter_mut().zip(weights) {
                        *acc = multiply_add(*acc, value, weight);
                    }
                });
                add_padding(op, &taps, first, acc);
                store_channels(op, output, (row, x, first), acc);
                first += count;
            }
        }
    }
}

/// One output row, input planar: channel by channel, a block of pixels at a time.
fn planar_row(op: &DepthwiseConv2d<'_>, input: &[i8], output: &mut [i8], row: usize, y: usize) {
    let (c_out, width) = (op.output.extent.c, op.output.extent.w);
    let multiplier = (c_out / op.input.extent.c.max(1)).max(1);
    let stride = op.window.stride_w.max(1);
    for c in 0..c_out {
        let bias = op.bias.get(c).copied().unwrap_or(0);
        let mut x = 0;
        while x < width {
            let taps = Taps::new(op, y, x);
            let last = Taps::new(op, y, x + BLOCK - 1);
            let is_interior = taps.kx.len() == op.window.filter_w && last.kx.len() == op.window.filter_w;
            let count = if x + BLOCK <= width && is_interior { BLOCK } else { 1 };
            let mut acc = [bias; BLOCK];
            taps.for_each_inside(op, |tap, iy, ix| {
                let weight = op.weights.get(tap * c_out + c).copied().unwrap_or(0);
                let values = input.get(op.input.index(iy, ix, c / multiplier)..).unwrap_or(&[]);
                if count == 1 {
                    let (acc, value) = (&mut acc[0], values.first().copied().unwrap_or(0));
                    *acc = multiply_add(*acc, value, weight);
                } else if stride == 1 {
                    if let Some(values) = values.first_chunk::<BLOCK>() {
                        acc.iter_mut()
                            .zip(values)
                            .for_each(|(acc, &value)| *acc = multiply_add(*acc, value, weight));
                    }
                } else {
                    let values = values.iter().step_by(stride);
                    acc.iter_mut()
                        .zip(values)
                        .for_each(|(acc, &value)| *acc = multiply_add(*acc, value, weight));
                }
            });
            if !taps.is_complete(op) {
                // The same taps are outside for all pixels of a block: only rows can be missing there.
                taps.for_each_outside(op, |tap| {
                    let weight = op.weights.get(tap * c_out + c).copied().unwrap_or(0);
                    acc.iter_mut().for_each(|acc| *acc = multiply_add(*acc, op.input_zero_point, weight));
                });
            }
            let elements = output.get_mut(op.output.index(row, x, c)..).unwrap_or(&mut []);
            let elements = elements.iter_mut().step_by(op.output.w_stride().max(1)).take(count);
            elements.zip(&acc).for_each(|(element, &acc)| *element = op.requantize.apply(acc, c));
            x += count;
        }
    }
}
