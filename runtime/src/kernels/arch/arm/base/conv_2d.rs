//! 2-D convolution: three pixels at a time, packed once into two words, by all output channels, four at a time.
#![allow(unsafe_code)]

use core::ops::Range;
use core::ptr;

use super::inner;
use super::scratch::{COLUMN_LEN, PIXELS, columns_len, conv_2d_scratch_len, copied_rows_len, filter_row};
use crate::kernels::arch::arm::clamp::clamp;
use crate::kernels::packing::base::{CHANNELS, RUN_LEN, RUN_UNIT, first_run};
use crate::kernels::params::Conv2d;

/// What [`inner::multiply`] works on.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Block {
    /// The packed pixels: for each input `x + 2^11 y` and `z + 2^22 y`.
    pub columns: *const i8,
    /// End of the first run.
    pub first_end: *const i8,
    /// End of the last run.
    pub columns_end: *const i8,
    /// Bytes of each further run; 0 where there is none.
    pub run_len: usize,
    /// Inputs by which the first run is short of a multiple of [`RUN_UNIT`].
    pub missing: usize,
    pub bias: *const i32,
    pub multipliers: *const i32,
    pub zero_point: i32,
    /// Where the first channel of each pixel is stored. Two may be the same.
    pub outputs: [*mut i8; PIXELS],
    /// The weights of whole blocks of channels, `[4]` for each input.
    pub weights: *const i8,
    pub weights_end: *const i8,
}

pub(super) fn conv_2d(
    op: &Conv2d<'_>,
    input: &[i8],
    output: &mut [i8],
    rows: Range<usize>,
    scratch: &mut [i8],
) {
    let (window, from, to) = (&op.window, op.input.extent, op.output.extent);
    let k = window.filter_h * filter_row(op);
    let fits = op.weights.len() >= op.weights_len()
        && op.bias.len() >= to.c
        && op.requantize.multipliers.len() >= to.c
        && input.len() >= from.len()
        && output.len() >= rows.len() * to.row_len()
        && scratch.len() >= conv_2d_scratch_len(op)
        && scratch.as_ptr().align_offset(4) == 0
        && op.weights.as_ptr().align_offset(4) == 0;
    let pixels = rows.len() * to.w;
    if !fits || pixels == 0 || k == 0 {
        return;
    }
    let Some((columns, copies)) = scratch.split_at_mut_checked(columns_len(op)) else { return };
    let Some((header, weights)) = op.weights.split_at_checked(RUN_LEN) else { return };
    let run = header.first_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(bytes.map(|byte| byte as u8)));
    // Whole units, whatever a plan says.
    let run = (run as usize).min(k.next_multiple_of(RUN_UNIT)).max(RUN_UNIT) / RUN_UNIT * RUN_UNIT;
    let first = first_run(k, run);
    let r = &op.requantize;
    let mut block = Block {
        columns: columns.as_ptr(),
        first_end: columns.as_ptr().wrapping_add(first * COLUMN_LEN),
        columns_end: columns.as_ptr().wrapping_add(k * COLUMN_LEN),
        run_len: if first < k { run * COLUMN_LEN } else { 0 },
        missing: first.next_multiple_of(RUN_UNIT) - first,
        bias: op.bias.as_ptr(),
        multipliers: r.multipliers.as_ptr(),
        zero_point: r.zero_point.into(),
        outputs: [output.as_mut_ptr(); PIXELS],
        weights: weights.as_ptr(),
        weights_end: weights.as_ptr().wrapping_add(to.c / CHANNELS * CHANNELS * k),
    };
    let columns = columns.as_mut_ptr();
    let mut source = Source::new(op, input, copies);
    let (mut x, mut left) = (0, pixels);
    let mut place = output.as_mut_ptr();
    source.begin(rows.start);
    while left > 0 {
        for i in 0..PIXELS {
            source.take(i, x);
            if let Some(output) = block.outputs.get_mut(i) {
                *output = place;
            }
            // Places beyond the last pixel repeat it.
            if left > 1 || i + 1 == PIXELS {
                left -= 1;
                place = place.wrapping_add(to.c);
                x += 1;
                if x == to.w {
                    x = 0;
                    source.next_row();
                }
            }
        }
        source.pack(columns);
        if to.c >= CHANNELS {
            // SAFETY: every address the block leads to is a part of its slice, by the lengths checked above: whole blocks
            // of channels with `k` inputs each, three pixels inside the output.
            unsafe { inner::multiply(&block) };
        }
        if !to.c.is_multiple_of(CHANNELS) {
            last_channels(op, &block, k);
        }
    }
    clamp(output.get_mut(..rows.len() * to.row_len()).unwrap_or(&mut []), r);
}

/// The channels behind the last whole block, which have channels of zeros beside them that have no place in the output.
#[inline(never)]
fn last_channels(op: &Conv2d<'_>, block: &Block, k: usize) {
    let c_out = op.output.extent.c;
    let (first, count) = (c_out / CHANNELS * CHANNELS, c_out % CHANNELS);
    let (mut bias, mut multipliers) = ([0; CHANNELS], [0; CHANNELS]);
    let (biases, factors) = (op.bias.get(first..), op.requantize.multipliers.get(first..));
    bias.iter_mut().zip(biases.unwrap_or(&[])).for_each(|(to, from)| *to = *from);
    multipliers.iter_mut().zip(factors.unwrap_or(&[])).for_each(|(to, from)| *to = *from);
    let mut results = [[0i8; CHANNELS]; PIXELS];
    let single = Block {
        bias: bias.as_ptr(),
        multipliers: multipliers.as_ptr(),
        outputs: results.each_mut().map(|pixel| pixel.as_mut_ptr()),
        weights: block.weights_end,
        weights_end: block.weights_end.wrapping_add(CHANNELS * k),
        ..*block
    };
    // SAFETY: one block of channels behind the others, which is stored to `results`.
    unsafe { inner::multiply(&single) };
    for (output, result) in block.outputs.iter().zip(&results) {
        for (c, q) in result.iter().enumerate().take(count) {
            // SAFETY: the last channels of a pixel inside the output.
            unsafe { *output.add(first + c) = *q };
        }
    }
}

/// The filter rows of three pixels, as they are read from the input.
struct Source<'a> {
    op: &'a Conv2d<'a>,
    input: *const i8,
    /// Upper left corner of each window: its row, and its first element counted from the row's first.
    corners: [(isize, isize); PIXELS],
    /// Whether each window lies inside the input.
    inside: [bool; PIXELS],
    /// Row of the input under the first filter row, at the output row at work.
    top: isize,
    /// Whether all filter rows of that output row lie in the input.
    rows_inside: bool,
    padding: *const i8,
    copies: *mut i8,
}

impl<'a> Source<'a> {
    fn new(op: &'a Conv2d<'a>, input: &'a [i8], copies: &mut [i8]) -> Self {
        let copies = copies.get_mut(..copied_rows_len(op)).unwrap_or_default();
        copies.fill(op.input_zero_point);
        let padding = copies.as_mut_ptr();
        Self {
            op,
            input: input.as_ptr(),
            corners: [(0, 0); PIXELS],
            inside: [true; PIXELS],
            top: 0,
            rows_inside: false,
            padding,
            copies: padding.wrapping_add(filter_row(op)),
        }
    }

    /// Begins with output row `y`.
    fn begin(&mut self, y: usize) {
        self.move_to((y * self.op.window.stride_h) as isize - self.op.window.pad_top as isize);
    }

    fn next_row(&mut self) {
        self.move_to(self.top + self.op.window.stride_h as isize);
    }

    fn move_to(&mut self, top: isize) {
        let window = &self.op.window;
        let last = top + ((window.filter_h - 1) * window.dilation_h) as isize;
        self.top = top;
        self.rows_inside = top >= 0 && last < self.op.input.extent.h as isize;
    }

    /// Takes the window at output column `x` as pixel `i` of the block.
    #[inline(always)]
    fn take(&mut self, i: usize, x: usize) {
        let (window, extent) = (&self.op.window, self.op.input.extent);
        let left = (x * window.stride_w) as isize - window.pad_left as isize;
        if let (Some(corner), Some(inside)) = (self.corners.get_mut(i), self.inside.get_mut(i)) {
            *corner = (self.top, left * extent.c as isize);
            *inside = self.rows_inside && left >= 0 && left as usize + window.filter_w <= extent.w;
        }
    }

    /// Writes the block's inputs as pairs of words.
    #[inline(always)]
    fn pack(&self, columns: *mut i8) {
        let (window, extent) = (&self.op.window, self.op.input.extent);
        let (row_len, filter_row) = (extent.row_len() as isize, filter_row(self.op));
        let corner = |(top, left): (isize, isize)| self.input.wrapping_offset(top * row_len + left);
        let next_row = row_len * window.dilation_h as isize;
        if self.inside == [true; PIXELS] {
            let rows = self.corners.map(corner);
            let jump = next_row - filter_row as isize;
            // SAFETY: all filter rows of the three windows lie in the input, and the columns have room for them.
            unsafe { inner::pack(&rows, columns, filter_row, window.filter_h, jump) };
            return;
        }
        let mut columns = columns;
        for ky in 0..window.filter_h {
            let offset = (ky * window.dilation_h) as isize;
            let mut rows = [self.padding; PIXELS];
            for (i, pointer) in rows.iter_mut().enumerate() {
                let (Some(&(top, left)), Some(&inside)) = (self.corners.get(i), self.inside.get(i)) else {
                    continue;
                };
                let iy = top + offset;
                if inside {
                    *pointer = corner((iy, left));
                } else if (iy as usize) < extent.h {
                    *pointer = self.copy(i, iy, left);
                }
            }
            // SAFETY: each pointer has a filter row, in the input or among the copies; the columns have room for
            // `filter_h` of them.
            columns = unsafe { inner::pack(&rows, columns, filter_row, 1, 0) };
        }
    }

    /// The filter row that begins at element `left` of input row `iy`, copied with padding where a part is outside.
    #[inline(never)]
    fn copy(&self, i: usize, iy: isize, left: isize) -> *const i8 {
        let row_len = self.op.input.extent.row_len() as isize;
        let len = filter_row(self.op) as isize;
        let first = left.max(0).min(left + len);
        let end = (left + len).min(row_len).max(first);
        let source = self.input.wrapping_offset(iy * row_len + first);
        let (before, count) = ((first - left) as usize, (end - first) as usize);
        if count == len as usize {
            return source;
        }
        let target = self.copies.wrapping_add(i * len as usize);
        // SAFETY: a filter row of copy number `i` in the scratch; elements `first` to `end` of an input row that exists.
        unsafe {
            ptr::write_bytes(target, self.op.input_zero_point as u8, len as usize);
            ptr::copy_nonoverlapping(source, target.add(before), count);
        }
        target
    }
}
