//! 2-D depthwise convolution with equal channels, one by one.
//!
//! Windows of 3×3 are taken along a row, three at a time (two where they are two columns apart), so that each weight and
//! most inputs are loaded once for all of them. Any other window has a list of where its taps lie, those outside of the
//! input in a row of padding.
#![allow(unsafe_code)]

use core::ops::Range;

use super::inner;
use super::scratch::{
    along_row_pixels, equal_channels_scratch_len, padded_len, padded_row_len, runs_along_rows, taps_len,
};
use crate::kernels::arch::arm::clamp::clamp;
use crate::kernels::params::DepthwiseConv2d;

/// What [`inner::along_row`] and [`inner::at_taps`] work on.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Pixels {
    pub weights: *const i8,
    pub bias: *const i32,
    pub multipliers: *const i32,
    pub zero_point: i32,
    /// Channel 0 of the first pixel.
    pub output: *mut i8,
    pub channels: usize,
    /// [`inner::along_row`]: the first tap of each filter row of the first window.
    pub rows: [*const i8; 3],
    /// [`inner::at_taps`]: where each tap's channel 0 lies.
    pub taps: *const *const i8,
    /// [`inner::at_taps`]: the number of taps.
    pub count: usize,
}

pub(super) fn depthwise_conv_2d(
    op: &DepthwiseConv2d<'_>,
    input: &[i8],
    output: &mut [i8],
    rows: Range<usize>,
    scratch: &mut [i8],
) {
    let (window, from, to) = (&op.window, op.input.extent, op.output.extent);
    let (c, taps) = (to.c, window.filter_h * window.filter_w);
    let r = &op.requantize;
    let fits = from.c == c
        && op.weights.len() >= op.weights_len()
        && op.bias.len() >= c
        && r.multipliers.len() >= c
        && input.len() >= from.len()
        && output.len() >= rows.len() * to.row_len()
        && scratch.len() >= equal_channels_scratch_len(op)
        && scratch.as_ptr().align_offset(align_of::<*const i8>()) == 0;
    if !fits || taps == 0 || c == 0 {
        return;
    }
    let Some((list, rest)) = scratch.split_at_mut_checked(taps_len(op)) else { return };
    let Some(padded) = rest.get_mut(..padded_len(op)) else { return };
    padded.fill(op.input_zero_point);
    let mut pixels = Pixels {
        weights: op.weights.as_ptr(),
        bias: op.bias.as_ptr(),
        multipliers: r.multipliers.as_ptr(),
        zero_point: r.zero_point.into(),
        output: output.as_mut_ptr(),
        channels: c,
        rows: [input.as_ptr(); 3],
        taps: list.as_ptr().cast(),
        count: taps,
    };
    let len = rows.len() * to.row_len();
    if runs_along_rows(op) {
        let at_a_time = along_row_pixels(op);
        let mut source = Rows::new(op, input, padded);
        let mut row = output.as_mut_ptr();
        for y in rows {
            let top = (y * window.stride_h) as isize - window.pad_top as isize;
            let starts = [top, top + 1, top + 2].map(|iy| source.get(iy));
            let mut x = 0;
            while x < to.w {
                // Where the last block is not full, it begins earlier and repeats some pixels.
                x = x.min(to.w - at_a_time);
                pixels.rows = starts.map(|start| start.wrapping_add(x * window.stride_w * c));
                pixels.output = row.wrapping_add(x * c);
                // SAFETY: windows that lie side by side in three rows, and as many pixels of the output.
                unsafe {
                    if window.stride_w == 1 {
                        inner::along_row(&pixels);
                    } else {
                        inner::along_row_apart(&pixels);
                    }
                }
                x += at_a_time;
            }
            row = row.wrapping_add(to.row_len());
        }
    } else {
        let list: *mut *const i8 = list.as_mut_ptr().cast();
        pixels.taps = list;
        for y in rows {
            for x in 0..to.w {
                list_taps(op, input, padded.as_ptr(), (y, x), list);
                // SAFETY: `c` elements at each tap of the list, and at the output's pixel.
                unsafe { inner::at_taps(&pixels) };
                pixels.output = pixels.output.wrapping_add(c);
            }
        }
    }
    clamp(output.get_mut(..len).unwrap_or(&mut []), r);
}

/// Writes down where channel 0 of each tap of a window lies; `padding` for taps outside of the input.
fn list_taps(
    op: &DepthwiseConv2d<'_>,
    input: &[i8],
    padding: *const i8,
    (y, x): (usize, usize),
    mut tap: *mut *const i8,
) {
    let (window, extent) = (&op.window, op.input.extent);
    let mut iy = (y * window.stride_h).wrapping_sub(window.pad_top);
    for _ in 0..window.filter_h {
        let mut ix = (x * window.stride_w).wrapping_sub(window.pad_left);
        for _ in 0..window.filter_w {
            let place = if iy < extent.h && ix < extent.w {
                input.as_ptr().wrapping_add(iy * extent.row_len() + ix * extent.c)
            } else {
                padding
            };
            // SAFETY: the list has a place for each tap.
            unsafe { *tap = place };
            tap = tap.wrapping_add(1);
            ix = ix.wrapping_add(window.dilation_w);
        }
        iy = iy.wrapping_add(window.dilation_h);
    }
}

/// Input rows as wide as their windows reach. Where there is padding they are copied, the last three being kept.
struct Rows<'a> {
    op: &'a DepthwiseConv2d<'a>,
    input: &'a [i8],
    padded: &'a mut [i8],
    /// The input row that each copy is of.
    held: [isize; 3],
}

impl<'a> Rows<'a> {
    /// `padded` is full of padding.
    fn new(op: &'a DepthwiseConv2d<'a>, input: &'a [i8], padded: &'a mut [i8]) -> Self {
        Self { op, input, padded, held: [isize::MIN; 3] }
    }

    /// Row `iy`, from -2 on, from its first column under a window.
    fn get(&mut self, iy: isize) -> *const i8 {
        let (extent, row_len) = (self.op.input.extent, self.op.input.extent.row_len());
        if self.padded.is_empty() {
            return self.input.as_ptr().wrapping_offset(iy * row_len as isize);
        }
        let (c, copy) = (extent.c, (iy + 3) as usize % 3);
        let len = padded_row_len(self.op);
        let Some(row) = self.padded.get_mut(copy * len..).and_then(|rows| rows.get_mut(..len)) else {
            return self.padded.as_ptr();
        };
        if let Some(held) = self.held.get_mut(copy)
            && *held != iy
        {
            *held = iy;
            let inside = row.get_mut(self.op.window.pad_left * c..).unwrap_or(&mut []);
            let source = usize::try_from(iy).ok().filter(|&iy| iy < extent.h);
            let source = source.and_then(|iy| self.input.get(iy * row_len..)?.get(..row_len));
            let count = inside.len().min(row_len);
            let inside = inside.get_mut(..count).unwrap_or(&mut []);
            match source.and_then(|source| source.get(..count)) {
                Some(source) if source.len() == inside.len() => inside.copy_from_slice(source),
                _ => inside.fill(self.op.input_zero_point),
            }
        }
        row.as_ptr()
    }
}
