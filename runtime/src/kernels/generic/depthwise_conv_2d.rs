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
/// Where fewer are left.
const HALF_BLOCK: usize = BLOCK / 2;

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
    #[inline(never)]
    fn new(op: &DepthwiseConv2d<'_>, y: usize, x: usize) -> Self {
        let (window, extent) = (&op.window, op.input.extent);
        let (pad_top, pad_left) = (window.pad_top, window.pad_left);
        let ky = taps_inside(y, window.stride_h, pad_top, window.filter_h, window.dilation_h, extent.h);
        let kx = taps_inside(x, window.stride_w, pad_left, window.filter_w, window.dilation_w, extent.w);
        Self {
            ky: if kx.is_empty() { 0..0 } else { ky },
            kx,
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

    /// For filter row `ky`: inputs and weights of each tap inside, NHWC, from channel `first` on.
    #[inline(always)]
    fn filter_row<'s>(
        &self,
        op: &DepthwiseConv2d<'s>,
        input: &'s [i8],
        ky: usize,
        first: usize,
    ) -> (impl Iterator<Item = &'s [i8]>, impl Iterator<Item = &'s [i8]>) {
        let (window, c) = (&op.window, op.input.extent.c);
        let iy = (self.top + ky * window.dilation_h).wrapping_sub(window.pad_top);
        let ix = (self.left + self.kx.start * window.dilation_w).wrapping_sub(window.pad_left);
        let tap = ky * window.filter_w + self.kx.start;
        let values = input.get(op.input.index(iy, ix, first)..).unwrap_or(&[]);
        let weights = op.weights.get(tap * c + first..).unwrap_or(&[]);
        let values = values.chunks((c * window.dilation_w).max(1));
        (values, weights.chunks(c.max(1)).take(self.kx.len()))
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
        let mut first = 0;
        while first < c {
            let at = (row, x, first);
            first += match c - first {
                BLOCK.. => channels_block::<BLOCK>(op, input, output, &taps, at),
                HALF_BLOCK.. => channels_block::<HALF_BLOCK>(op, input, output, &taps, at),
                rest => channels_rest(op, input, output, &taps, at, rest),
            };
        }
    }
}

/// `N` channels of one output position; gives `N`.
#[inline(always)]
fn channels_block<const N: usize>(
    op: &DepthwiseConv2d<'_>,
    input: &[i8],
    output: &mut [i8],
    taps: &Taps,
    at: (usize, usize, usize),
) -> usize {
    let bias = op.bias.get(at.2..).and_then(|bias| bias.first_chunk::<N>());
    let mut acc = bias.copied().unwrap_or([0; N]);
    add_block(op, input, taps, at.2, &mut acc);
    if !taps.is_complete(op) {
        add_padding(op, taps, at.2, &mut acc);
    }
    store_channels(op, output, at, &acc);
    N
}

/// Adds the taps inside the input to `N` accumulators.
// Not inlined: with the accumulators in memory at the end, LLVM finds the vectors of this loop.
#[inline(never)]
fn add_block<const N: usize>(
    op: &DepthwiseConv2d<'_>,
    input: &[i8],
    taps: &Taps,
    first: usize,
    acc: &mut [i32; N],
) {
    for ky in taps.ky.clone() {
        let (values, weights) = taps.filter_row(op, input, ky, first);
        for (values, weights) in values.zip(weights) {
            if let (Some(values), Some(weights)) = (values.first_chunk::<N>(), weights.first_chunk::<N>()) {
                for ((acc, &value), &weight) in acc.iter_mut().zip(values).zip(weights) {
                    *acc = multiply_add(*acc, value, weight);
                }
            }
        }
    }
}

/// The last `count` channels, less than a block, of one output position; gives `count`.
#[inline(never)]
fn channels_rest(
    op: &DepthwiseConv2d<'_>,
    input: &[i8],
    output: &mut [i8],
    taps: &Taps,
    at: (usize, usize, usize),
    count: usize,
) -> usize {
    let mut acc = [0; BLOCK];
    let acc = acc.get_mut(..count).unwrap_or(&mut []);
    acc.iter_mut().zip(part(op.bias, at.2, count)).for_each(|(acc, &bias)| *acc = bias);
    for ky in taps.ky.clone() {
        let (values, weights) = taps.filter_row(op, input, ky, at.2);
        for (values, weights) in values.zip(weights) {
            for ((acc, &value), &weight) in acc.iter_mut().zip(values).zip(weights) {
                *acc = multiply_add(*acc, value, weight);
            }
        }
    }
    add_padding(op, taps, at.2, acc);
    store_channels(op, output, at, acc);
    count
}

/// Adds the taps in the padding to the accumulators of the channels from `first`.
#[inline(never)]
fn add_padding(op: &DepthwiseConv2d<'_>, taps: &Taps, first: usize, acc: &mut [i32]) {
    taps.for_each_outside(op, |tap| {
        let weights = part(op.weights, tap * op.output.extent.c + first, acc.len());
        for (acc, &weight) in acc.iter_mut().zip(weights) {
            *acc = multiply_add(*acc, op.input_zero_point, weight);
        }
    });
}

/// Requantizes and stores the channels from `c` of output position (`row`, `x`); rows count from the slice's first.
#[inline(never)]
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
    let width = op.output.extent.w;
    // As many pixels as have every column of the filter inside.
    let has_columns = |x: usize| Taps::new(op, y, x).kx.len() == op.window.filter_w;
    let mut x = 0;
    while x < width {
        let taps = Taps::new(op, y, x);
        x += match width - x {
            BLOCK.. if has_columns(x) && has_columns(x + BLOCK - 1) => {
                planar_block::<BLOCK>(op, input, output, &taps, (row, x))
            }
            HALF_BLOCK.. if has_columns(x) && has_columns(x + HALF_BLOCK - 1) => {
                planar_block::<HALF_BLOCK>(op, input, output, &taps, (row, x))
            }
            _ => planar_block::<1>(op, input, output, &taps, (row, x)),
        };
    }
}

/// `N` pixels of every channel, planar input; gives `N`. The taps of the first pixel hold for all.
#[inline(always)]
fn planar_block<const N: usize>(
    op: &DepthwiseConv2d<'_>,
    input: &[i8],
    output: &mut [i8],
    taps: &Taps,
    (row, x): (usize, usize),
) -> usize {
    for c in 0..op.output.extent.c {
        let mut acc = [op.bias.get(c).copied().unwrap_or(0); N];
        add_planar(op, input, taps, c, &mut acc);
        if !taps.is_complete(op) {
            taps.for_each_outside(op, |tap| {
                let weight = op.weights.get(tap * op.output.extent.c + c).copied().unwrap_or(0);
                acc.iter_mut().for_each(|acc| *acc = multiply_add(*acc, op.input_zero_point, weight));
            });
        }
        let elements = output.get_mut(op.output.index(row, x, c)..).unwrap_or(&mut []);
        let elements = elements.iter_mut().step_by(op.output.w_stride().max(1));
        elements.zip(&acc).for_each(|(element, &acc)| *element = op.requantize.apply(acc, c));
    }
    N
}

/// Adds the taps inside the input to the accumulators of `N` pixels of channel `c`.
// Not inlined, as `add_block`.
#[inline(never)]
fn add_planar<const N: usize>(
    op: &DepthwiseConv2d<'_>,
    input: &[i8],
    taps: &Taps,
    c: usize,
    acc: &mut [i32; N],
) {
    let (window, c_out) = (&op.window, op.output.extent.c);
    let multiplier = (c_out / op.input.extent.c.max(1)).max(1);
    let (stride, dilation) = (window.stride_w.max(1), window.dilation_w.max(1));
    let ix = (taps.left + taps.kx.start * dilation).wrapping_sub(window.pad_left);
    for ky in taps.ky.clone() {
        let iy = (taps.top + ky * window.dilation_h).wrapping_sub(window.pad_top);
        let values = input.get(op.input.index(iy, ix, c / multiplier)..).unwrap_or(&[]);
        let tap = ky * window.filter_w + taps.kx.start;
        let weights = op.weights.get(tap * c_out + c..).unwrap_or(&[]).iter().step_by(c_out.max(1));
        let weights = weights.take(taps.kx.len());
        if N == 1 {
            let acc = acc.iter_mut().take(1);
            acc.for_each(|acc| {
                *acc = values
                    .iter()
                    .step_by(dilation)
                    .zip(weights.clone())
                    .fold(*acc, |acc, (&value, &weight)| multiply_add(acc, value, weight));
            });
            continue;
        }
        for (kx, &weight) in weights.enumerate() {
            let values = values.get(kx * dilation..).unwrap_or(&[]);
            let add = |(acc, &value): (&mut i32, &i8)| *acc = multiply_add(*acc, value, weight);
            match values.first_chunk::<N>() {
                Some(values) if stride == 1 => acc.iter_mut().zip(values).for_each(add),
                _ => acc.iter_mut().zip(values.iter().step_by(stride)).for_each(add),
            }
        }
    }
}
