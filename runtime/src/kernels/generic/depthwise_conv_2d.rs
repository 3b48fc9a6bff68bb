//! 2-D depthwise convolution: a run of channels at a time where channels lie side by side, a run of pixels where
//! pixels do. Taps are taken three at a time, so that each accumulator is loaded and stored once for three products.

use core::ops::Range;

use super::dot::multiply_add;
use super::window::taps_inside;
use crate::kernels::linked::{Linked, Variant};
use crate::kernels::params::DepthwiseConv2d;
use crate::quant::requantize;
use crate::shape::Layout;

/// Accumulators kept at a time, on the stack.
const RUN: usize = 32;

pub(super) fn depthwise_conv_2d<L: Linked>(
    op: &DepthwiseConv2d<'_>,
    input: &[i8],
    output: &mut [i8],
    rows: Range<usize>,
) {
    let (c_in, c_out) = (op.input.extent.c, op.output.extent.c);
    for (row, y) in rows.enumerate() {
        match op.input.layout {
            Layout::Nhwc if c_in == c_out => channels_row(op, input, output, row, y),
            Layout::Nhwc if !L::VARIANTS.has(Variant::ChannelMultiplier) => {}
            Layout::Nhwc => multiplied_row(op, input, output, row, y),
            Layout::Planar if !L::VARIANTS.has(Variant::DepthwisePlanar) => {}
            Layout::Planar => planar_row(op, input, output, row, y),
        }
    }
}

/// The taps of one output position that lie inside the input.
struct Taps {
    ky: Range<usize>,
    kx: Range<usize>,
    /// Input row under tap row 0, and column under tap column 0; both wrap around where that is in the padding.
    iy: usize,
    ix: usize,
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
            iy: (y * window.stride_h).wrapping_sub(pad_top),
            ix: (x * window.stride_w).wrapping_sub(pad_left),
        }
    }

    fn is_complete(&self, op: &DepthwiseConv2d<'_>) -> bool {
        self.ky.len() == op.window.filter_h && self.kx.len() == op.window.filter_w
    }

    /// For every tap inside the input: its index in the filter, and its element of channel 0 in the input.
    #[inline(always)]
    fn inside(&self, op: &DepthwiseConv2d<'_>) -> impl Iterator<Item = (usize, usize)> {
        let (filter_w, first_column) = (op.window.filter_w, self.kx.start);
        let (dilation_w, w_stride) = (op.window.dilation_w, op.input.w_stride());
        let (row_step, column_step) =
            (op.window.dilation_h * op.input.extent.row_len(), dilation_w * w_stride);
        let (end_row, end_column) = (self.ky.end, self.kx.end);
        let first_y = self.iy.wrapping_add(self.ky.start * op.window.dilation_h);
        let first_x = self.ix.wrapping_add(first_column * dilation_w);
        let (mut ky, mut kx) = (self.ky.start, first_column);
        let mut row =
            first_y.wrapping_mul(op.input.extent.row_len()).wrapping_add(first_x.wrapping_mul(w_stride));
        let mut element = row;
        core::iter::from_fn(move || {
            if kx == end_column {
                (ky, kx) = (ky + 1, first_column);
                row = row.wrapping_add(row_step);
                element = row;
            }
            if ky >= end_row {
                return None;
            }
            let tap = (ky * filter_w + kx, element);
            kx += 1;
            element = element.wrapping_add(column_step);
            Some(tap)
        })
    }

    /// The index in the filter of every tap in the padding.
    fn outside(&self, op: &DepthwiseConv2d<'_>) -> impl Iterator<Item = usize> {
        let filter_w = op.window.filter_w;
        let taps = (0..op.window.filter_h).flat_map(move |ky| (0..filter_w).map(move |kx| (ky, kx)));
        let is_outside = move |&(ky, kx): &(usize, usize)| !(self.ky.contains(&ky) && self.kx.contains(&kx));
        taps.filter(is_outside).map(move |(ky, kx)| ky * filter_w + kx)
    }
}

/// Elements `first` to `first + len` of a slice, or none.
#[inline(always)]
fn part<T>(slice: &[T], first: usize, len: usize) -> &[T] {
    slice.get(first..).and_then(|slice| slice.get(..len)).unwrap_or(&[])
}

/// Adds all items to the accumulators: whole groups of three with `three`, the rest with `one`.
#[inline(always)]
fn add_taps<T>(
    acc: &mut [i32],
    mut items: impl Iterator<Item = T>,
    three: impl Fn(&mut [i32], [T; 3]),
    one: impl Fn(&mut [i32], T),
) {
    while let Some(a) = items.next() {
        match (items.next(), items.next()) {
            (Some(b), Some(c)) => three(acc, [a, b, c]),
            (Some(b), None) => {
                one(acc, a);
                one(acc, b);
            }
            (None, _) => one(acc, a),
        }
    }
}

/// One output row with as many channels as the input, input NHWC.
fn channels_row(op: &DepthwiseConv2d<'_>, input: &[i8], output: &mut [i8], row: usize, y: usize) {
    let c = op.output.extent.c;
    for x in 0..op.output.extent.w {
        let taps = Taps::new(op, y, x);
        for first in (0..c).step_by(RUN) {
            let count = (c - first).min(RUN);
            let mut acc = [0; RUN];
            let acc = acc.get_mut(..count).unwrap_or(&mut []);
            acc.iter_mut().zip(part(op.bias, first, count)).for_each(|(acc, &bias)| *acc = bias);
            let items = taps.inside(op).map(|(tap, element)| {
                (part(input, element + first, count), part(op.weights, tap * c + first, count))
            });
            add_taps(acc, items, add_three, add_one);
            if !taps.is_complete(op) {
                add_padding(op, &taps, first, acc);
            }
            store_channels(op, output, (row, x, first), acc);
        }
    }
}

/// Adds the products of three pairs of values and weights, element by element.
// Not inlined, nor is `add_one`: on their own, LLVM vectorizes these loops.
#[inline(never)]
fn add_three(acc: &mut [i32], [(x0, w0), (x1, w1), (x2, w2)]: [(&[i8], &[i8]); 3]) {
    let elements = acc.iter_mut().zip(x0).zip(w0).zip(x1).zip(w1).zip(x2).zip(w2);
    for ((((((acc, &x0), &w0), &x1), &w1), &x2), &w2) in elements {
        *acc = multiply_add(multiply_add(multiply_add(*acc, x0, w0), x1, w1), x2, w2);
    }
}

/// Adds the products of values and weights, element by element.
#[inline(never)]
fn add_one(acc: &mut [i32], (values, weights): (&[i8], &[i8])) {
    for ((acc, &value), &weight) in acc.iter_mut().zip(values).zip(weights) {
        *acc = multiply_add(*acc, value, weight);
    }
}

/// Adds the taps in the padding to the accumulators of the channels from `first`.
#[inline(never)]
fn add_padding(op: &DepthwiseConv2d<'_>, taps: &Taps, first: usize, acc: &mut [i32]) {
    for tap in taps.outside(op) {
        let weights = part(op.weights, tap * op.output.extent.c + first, acc.len());
        for (acc, &weight) in acc.iter_mut().zip(weights) {
            *acc = multiply_add(*acc, op.input_zero_point, weight);
        }
    }
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
    let quantized = acc.iter().zip(part(r.multipliers, c, acc.len())).map(|(&acc, &mantissa)| {
        requantize(acc, mantissa, r.shift, r.zero_point, r.output_min, r.output_max)
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
            for first in (c_in * multiplier..(c_in + 1) * multiplier).step_by(RUN) {
                let count = ((c_in + 1) * multiplier - first).min(RUN);
                let mut acc = [0; RUN];
                let acc = acc.get_mut(..count).unwrap_or(&mut []);
                acc.iter_mut().zip(part(op.bias, first, count)).for_each(|(acc, &bias)| *acc = bias);
                let items = taps.inside(op).map(|(tap, element)| {
                    let value = input.get(element + c_in).copied().unwrap_or(0);
                    (part(op.weights, tap * c_out + first, count), value)
                });
                add_taps(acc, items, add_three_scaled, add_one_scaled);
                if !taps.is_complete(op) {
                    add_padding(op, &taps, first, acc);
                }
                store_channels(op, output, (row, x, first), acc);
            }
        }
    }
}

/// Adds three runs, each times a factor.
#[inline(never)]
fn add_three_scaled(acc: &mut [i32], [(x0, f0), (x1, f1), (x2, f2)]: [(&[i8], i8); 3]) {
    for (((acc, &x0), &x1), &x2) in acc.iter_mut().zip(x0).zip(x1).zip(x2) {
        *acc = multiply_add(multiply_add(multiply_add(*acc, x0, f0), x1, f1), x2, f2);
    }
}

/// Adds a run times a factor.
#[inline(never)]
fn add_one_scaled(acc: &mut [i32], (values, factor): (&[i8], i8)) {
    for (acc, &value) in acc.iter_mut().zip(values) {
        *acc = multiply_add(*acc, value, factor);
    }
}

/// One output row, input planar: a run of pixels, channel by channel.
fn planar_row(op: &DepthwiseConv2d<'_>, input: &[i8], output: &mut [i8], row: usize, y: usize) {
    let (c_out, width) = (op.output.extent.c, op.output.extent.w);
    let multiplier = (c_out / op.input.extent.c.max(1)).max(1);
    let stride = op.window.stride_w.max(1);
    let mut x = 0;
    while x < width {
        let taps = Taps::new(op, y, x);
        // As many pixels as have the same columns of the filter inside: all of them.
        let has_columns = |x: usize| Taps::new(op, y, x).kx.len() == op.window.filter_w;
        let count = match (width - x).min(RUN) {
            most if taps.kx.len() < op.window.filter_w => most.min(1),
            most => (1..=most).rev().find(|count| has_columns(x + count - 1)).unwrap_or(1),
        };
        for c in 0..c_out {
            let mut acc = [op.bias.get(c).copied().unwrap_or(0); RUN];
            let acc = acc.get_mut(..count).unwrap_or(&mut []);
            let items = taps.inside(op).map(|(tap, element)| {
                let values = input.get(element + c / multiplier * op.input.c_stride()..).unwrap_or(&[]);
                (values, op.weights.get(tap * c_out + c).copied().unwrap_or(0))
            });
            if stride == 1 {
                add_taps(acc, items, add_three_scaled, add_one_scaled);
            } else {
                items.for_each(|(values, weight)| {
                    let values = values.iter().step_by(stride);
                    acc.iter_mut()
                        .zip(values)
                        .for_each(|(acc, &value)| *acc = multiply_add(*acc, value, weight));
                });
            }
            if !taps.is_complete(op) {
                for tap in taps.outside(op) {
                    let weight = op.weights.get(tap * c_out + c).copied().unwrap_or(0);
                    acc.iter_mut().for_each(|acc| *acc = multiply_add(*acc, op.input_zero_point, weight));
                }
            }
            store_pixels(op, output, (row, x, c), acc);
        }
        x += count;
    }
}

/// Requantizes and stores the pixels from `x` of channel `c`; rows count from the slice's first.
#[inline(never)]
fn store_pixels(
    op: &DepthwiseConv2d<'_>,
    output: &mut [i8],
    (row, x, c): (usize, usize, usize),
    acc: &[i32],
) {
    let r = &op.requantize;
    let mantissa = r.multipliers.get(c).copied().unwrap_or(0);
    let elements = output.get_mut(op.output.index(row, x, c)..).unwrap_or(&mut []);
    let elements = elements.iter_mut().step_by(op.output.w_stride().max(1));
    for (element, &acc) in elements.zip(acc) {
        *element = requantize(acc, mantissa, r.shift, r.zero_point, r.output_min, r.output_max);
    }
}
