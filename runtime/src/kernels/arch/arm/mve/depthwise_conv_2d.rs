//! 2-D depthwise convolution with equal channels: 16 of a pixel at a time, or as many pixels as fill a vector.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::ops::Range;

use super::memory::{copy, fill};
use super::scratch::{Source, equal_channels_scratch_len, parameters_len, reach_len, source, taps};
use crate::kernels::arch::arm::clamp::clamp;
use crate::kernels::linked::{Linked, Variant};
use crate::kernels::packing::mve::LANES;
use crate::kernels::params::DepthwiseConv2d;

/// What [`multiply`] works on.
#[derive(Clone, Copy)]
#[repr(C)]
struct Vectors {
    /// Where each tap's first element lies.
    taps: *const *const i8,
    /// For each tap the weights of 16 elements.
    weights: *const i8,
    /// Pairs of taps, and the one that is left over.
    pairs: usize,
    odd: usize,
    /// Of the 16 elements.
    bias: *const i32,
    multipliers: *const i32,
    zero_point: i32,
    /// Elements from a tap's first to the vector at work, and from there to the next.
    offset: usize,
    step: usize,
    output: *mut i8,
    output_step: usize,
    /// Vectors; 1 or more.
    count: usize,
    /// Elements of a vector that are stored.
    lanes: usize,
    /// Blocks of 16 elements, side by side; 1 or more.
    blocks: usize,
}

pub(super) fn depthwise_conv_2d<L: Linked>(
    op: &DepthwiseConv2d<'_>,
    input: &[i8],
    output: &mut [i8],
    rows: Range<usize>,
    scratch: &mut [i8],
) {
    let (window, to, r) = (&op.window, op.output.extent, &op.requantize);
    let (c, taps, row_len) = (to.c, taps(op), to.row_len());
    let fits = op.input.extent.c == c
        && taps > 0
        && row_len > 0
        && op.weights.len() >= op.weights_len()
        && op.bias.len() >= c
        && r.multipliers.len() >= c
        && input.len() >= op.input.extent.len()
        && output.len() >= rows.len() * row_len
        && scratch.len() >= equal_channels_scratch_len(op)
        && scratch.as_ptr().align_offset(4) == 0;
    if !fits {
        return;
    }
    let Some((parameters, rest)) = scratch.split_at_mut_checked(parameters_len(op)) else { return };
    let Some((list, copies)) = rest.split_at_mut_checked(taps * 4) else { return };
    lay_out(op, parameters);
    let list: *mut *const i8 = list.as_mut_ptr().cast();
    let mut vectors = Vectors {
        taps: list,
        weights: op.weights.as_ptr(),
        pairs: taps / 2,
        odd: taps % 2,
        bias: op.bias.as_ptr(),
        multipliers: r.multipliers.as_ptr(),
        zero_point: r.zero_point.into(),
        offset: 0,
        step: window.stride_w * c,
        output: output.as_mut_ptr(),
        output_step: c,
        count: to.w,
        lanes: LANES,
        blocks: c / LANES,
    };
    if to.w == 1 {
        // Rows follow each other as pixels do elsewhere.
        vectors.step = window.stride_h * op.input.extent.row_len();
    }
    // The channels that are no whole vector, or the last 16.
    let first = c.saturating_sub(LANES);
    let laid_out = Vectors {
        weights: parameters.as_ptr(),
        bias: parameters.as_ptr().wrapping_add(taps * LANES).cast(),
        multipliers: parameters.as_ptr().wrapping_add((taps + 4) * LANES).cast(),
        offset: first,
        lanes: c.min(LANES),
        blocks: 1,
        ..vectors
    };
    let mut source = Rows::new(op, input, copies);
    let mut y = rows.start;
    while y < rows.end {
        let top = (y * window.stride_h) as isize - window.pad_top as isize;
        let mut tap = list;
        for iy in top..top + window.filter_h as isize {
            let mut place = source.get(iy);
            for _ in 0..window.filter_w {
                // SAFETY: the list has a place for each tap.
                unsafe { *tap = place };
                tap = tap.wrapping_add(1);
                place = place.wrapping_add(c);
            }
        }
        let mut taken = 1;
        if to.w == 1 {
            taken = source.rows_alike(top).max(1).min(rows.end - y);
            vectors.count = taken;
        }
        if vectors.blocks > 0 {
            // SAFETY: the rows of `source` reach as far as the windows, and parameters and output have 16 elements
            // in each block for each pixel.
            unsafe { multiply(&mut { vectors }) };
        }
        if !c.is_multiple_of(LANES) {
            let output = vectors.output.wrapping_add(first);
            let mut part = Vectors { output, count: vectors.count, ..laid_out };
            if fills_with_pixels(op) {
                (part.step, part.output_step, part.lanes) = (LANES, LANES, LANES);
                part.count = row_len / LANES;
                if part.count > 0 {
                    // SAFETY: whole vectors of a row; weights, biases and multipliers are those of its elements.
                    unsafe { multiply(&mut { part }) };
                }
                part.offset = part.count * LANES;
                part.output = part.output.wrapping_add(part.offset);
                (part.count, part.lanes) = (1, row_len - part.offset);
            }
            if part.lanes > 0 {
                // SAFETY: where a vector has more than the channels, rows are copied, and behind the last a vector may be
                // read; only `lanes` elements are stored.
                unsafe { multiply(&mut part) };
            }
        }
        vectors.output = vectors.output.wrapping_add(row_len * taken);
        y += taken;
    }
    if L::VARIANTS.has(Variant::Clamp) {
        clamp(output.get_mut(..rows.len() * row_len).unwrap_or(&mut []), r);
    }
}

/// Whether neighbouring pixels fill a vector.
const fn fills_with_pixels(op: &DepthwiseConv2d<'_>) -> bool {
    let c = op.output.extent.c;
    op.window.stride_w == 1 && c > 0 && LANES.is_multiple_of(c)
}

/// Lays out weights, biases and multipliers for 16 elements: of the last 16 channels; of fewer channels again and again
/// where neighbouring pixels fill a vector, else with nothing behind them.
fn lay_out(op: &DepthwiseConv2d<'_>, parameters: &mut [i8]) {
    let (c, taps) = (op.output.extent.c, taps(op));
    let part = c % LANES;
    if part == 0 {
        return;
    }
    let period = if fills_with_pixels(op) { part } else { LANES };
    let Some((weights, words)) = parameters.split_at_mut_checked(taps * LANES) else { return };
    let whole = c - part;
    // Those of the block before, which fill the vector, and those of the channels left over.
    let before = whole.checked_sub(LANES).and_then(|first| op.weights.get(first * taps..whole * taps));
    let mut before = before.unwrap_or(&[]).chunks_exact(LANES);
    let mut rest = op.weights.get(whole * taps..).unwrap_or(&[]).chunks_exact(part);
    for target in weights.chunks_exact_mut(LANES) {
        let (before, rest) = (before.next(), rest.next().unwrap_or(&[]));
        let filled = before.and_then(|before| before.get(part..)).unwrap_or(&[]);
        for lanes in target.chunks_mut(period) {
            fill(lanes, 0);
            copy(lanes, filled);
            copy(lanes.get_mut(filled.len()..).unwrap_or(&mut []), rest);
        }
    }
    for (target, values) in words.chunks_exact_mut(4 * LANES).zip([op.bias, op.requantize.multipliers]) {
        let values = values.get(c.saturating_sub(LANES)..c).unwrap_or(&[]);
        for lanes in target.chunks_mut(4 * period) {
            fill(lanes, 0);
            for (word, value) in lanes.chunks_exact_mut(4).zip(values) {
                word.iter_mut().zip(value.to_le_bytes()).for_each(|(to, from)| *to = from as i8);
            }
        }
    }
}

/// Input rows as wide as their windows reach.
struct Rows<'a> {
    op: &'a DepthwiseConv2d<'a>,
    input: &'a [i8],
    source: Source,
    /// Padding, or rows with their padding.
    copies: &'a mut [i8],
    /// The first input row that has not been copied.
    next: isize,
}

impl<'a> Rows<'a> {
    fn new(op: &'a DepthwiseConv2d<'a>, input: &'a [i8], copies: &'a mut [i8]) -> Self {
        fill(copies, op.input_zero_point);
        Self { op, input, source: source(op), copies, next: isize::MIN }
    }

    /// How many windows from the one on whose first row is `top` lie in the input, one after the other at the same
    /// distance; 0 where rows are copied.
    fn rows_alike(&self, top: isize) -> usize {
        let (window, h) = (&self.op.window, self.op.input.extent.h);
        let last = h.checked_sub(window.filter_h);
        match (usize::try_from(top), last) {
            (Ok(top), Some(last)) if self.source != Source::Copied && top <= last => {
                (last - top).checked_div(window.stride_h).unwrap_or(0) + 1
            }
            _ => 0,
        }
    }

    /// Row `iy`, from the first column under a window on. Rows of a window are asked for from the first to the last.
    fn get(&mut self, iy: isize) -> *const i8 {
        let (extent, window) = (self.op.input.extent, &self.op.window);
        let row_len = extent.row_len();
        let row = usize::try_from(iy).ok().filter(|&iy| iy < extent.h);
        let row = row.and_then(|iy| self.input.get(iy * row_len..)?.get(..row_len));
        if self.source != Source::Copied {
            return row.map_or(self.copies.as_ptr(), <[i8]>::as_ptr);
        }
        let (len, padded) = (reach_len(self.op), iy.wrapping_add(window.pad_top as isize) as usize);
        let start = padded.checked_rem(window.filter_h).unwrap_or(0) * len;
        let Some(copied) = self.copies.get_mut(start..).and_then(|rows| rows.get_mut(..len)) else {
            return self.copies.as_ptr();
        };
        if iy >= self.next {
            self.next = iy + 1;
            let inside = copied.get_mut(window.pad_left * extent.c..).unwrap_or(&mut []);
            let len = inside.len().min(row_len);
            let inside = inside.get_mut(..len).unwrap_or(&mut []);
            match row {
                Some(row) => copy(inside, row),
                None => fill(inside, self.op.input_zero_point),
            }
        }
        copied.as_ptr()
    }
}

/// Computes the vectors of each block, one after the other; moves on in place.
///
/// q0 to q3 sum the elements 0, 4, 8, 12; 1, 5, 9, 13; and so on. The products of two taps, below 2^14 each, are added in
/// 16 bits.
#[unsafe(naked)]
unsafe extern "C" fn multiply(block: &mut Vectors) {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        "vpush {{d8-d15}}",
        "mov r12, r0",
        "ldr r0, [r12, #48]",
        "vctp.8 r0",
        "ldrd r6, r7, [r12, #16]",
        "6:",
        "ldrd r8, r3, [r12, #24]",
        "ldrd r9, r5, [r12, #32]",
        "ldrd r10, r11, [r12, #40]",
        "2:",
        "vld40.32 {{q0, q1, q2, q3}}, [r6]",
        "vld41.32 {{q0, q1, q2, q3}}, [r6]",
        "ldrd r2, r4, [r12]",
        "vld42.32 {{q0, q1, q2, q3}}, [r6]",
        "ldr lr, [r12, #8]",
        "vld43.32 {{q0, q1, q2, q3}}, [r6]",
        "wls lr, lr, 4f",
        "3:",
        "ldrd r0, r1, [r2], #8",
        "add r0, r0, r3",
        "add r1, r1, r3",
        "vldrb.u8 q4, [r0]",
        "vldrb.u8 q5, [r4]",
        "vmullb.s8 q6, q4, q5",
        "vldrb.u8 q4, [r1]",
        "vldrb.u8 q5, [r4, #16]",
        "vmullb.s8 q7, q4, q5",
        "vadd.i16 q6, q6, q7",
        "vmovlb.s16 q7, q6",
        "vadd.i32 q0, q0, q7",
        "vmovlt.s16 q7, q6",
        "vadd.i32 q2, q2, q7",
        "vmullt.s8 q6, q4, q5",
        "vldrb.u8 q4, [r0]",
        "vldrb.u8 q5, [r4], #32",
        "vmullt.s8 q7, q4, q5",
        "vadd.i16 q6, q6, q7",
        "vmovlb.s16 q7, q6",
        "vadd.i32 q1, q1, q7",
        "vmovlt.s16 q7, q6",
        "vadd.i32 q3, q3, q7",
        "le lr, 3b",
        "4:",
        "ldr r0, [r12, #12]",
        "cbz r0, 5f",
        "ldr r0, [r2]",
        "add r0, r0, r3",
        "vldrb.u8 q4, [r0]",
        "vldrb.u8 q5, [r4], #16",
        "vmullb.s8 q6, q4, q5",
        "vmovlb.s16 q7, q6",
        "vadd.i32 q0, q0, q7",
        "vmovlt.s16 q7, q6",
        "vadd.i32 q2, q2, q7",
        "vmullt.s8 q6, q4, q5",
        "vmovlb.s16 q7, q6",
        "vadd.i32 q1, q1, q7",
        "vmovlt.s16 q7, q6",
        "vadd.i32 q3, q3, q7",
        "5:",
        "vld40.32 {{q4, q5, q6, q7}}, [r7]",
        "vld41.32 {{q4, q5, q6, q7}}, [r7]",
        "vld42.32 {{q4, q5, q6, q7}}, [r7]",
        "vld43.32 {{q4, q5, q6, q7}}, [r7]",
        "vqrdmulh.s32 q0, q0, q4",
        "vqrdmulh.s32 q2, q2, q6",
        "vqadd.s32 q0, q0, r8",
        "vqrdmulh.s32 q1, q1, q5",
        "vqadd.s32 q2, q2, r8",
        "vqmovnb.s32 q0, q0",
        "vqrdmulh.s32 q3, q3, q7",
        "vqmovnt.s32 q0, q2",
        "vqadd.s32 q1, q1, r8",
        "vqmovnb.s16 q0, q0",
        "vqadd.s32 q3, q3, r8",
        "vqmovnb.s32 q1, q1",
        "vqmovnt.s32 q1, q3",
        "add r3, r3, r9",
        "vqmovnt.s16 q0, q1",
        "subs r11, r11, #1",
        "vpst",
        "vstrbt.8 q0, [r5]",
        "add r5, r5, r10",
        "bne 2b",
        // The next block.
        "ldr r0, [r12, #52]",
        "ldr r3, [r12, #28]",
        "ldr r5, [r12, #36]",
        "str r4, [r12, #4]",
        "adds r6, r6, #64",
        "adds r7, r7, #64",
        "adds r3, r3, #16",
        "adds r5, r5, #16",
        "str r3, [r12, #28]",
        "str r5, [r12, #36]",
        "subs r0, r0, #1",
        "str r0, [r12, #52]",
        "bne 6b",
        "vpop {{d8-d15}}",
        "pop {{r4-r11, pc}}",
    )
}
