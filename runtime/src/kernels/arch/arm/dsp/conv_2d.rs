//! 2-D convolution: four pixels at a time, expanded once to 16 bits, by all output channels, two at a time.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::mem::offset_of;
use core::ops::Range;
use core::slice;

use super::clamp::clamp;
use super::memory::{self, copy_bytes, fill};
use super::scratch::{PIXELS, columns_len, copied_rows_len, padded_input_len, padded_line_len};
use crate::kernels::linked::{Linked, Variant};
use crate::kernels::packing::padded_row;
use crate::kernels::params::Conv2d;

/// What [`multiply`] works on. All but the last field is copied to its stack.
#[repr(C)]
struct Block {
    columns: *const i8,
    columns_end: *const i8,
    /// Bytes of the unrolled loop to leave out in its first pass.
    skipped: usize,
    bias: *const i32,
    multipliers: *const i32,
    zero_point: i32,
    /// Where channel 0 of each pixel is stored.
    outputs: [*mut i8; PIXELS],
    c_stride: usize,
    /// From channel 0 of a pixel to the channel at work.
    c_offset: usize,
    weights_end: *const i8,
    weights: *const i8,
}

/// Pairs of inputs in one pass of the loop of [`multiply`], and the bytes of code of each.
const UNROLLED: usize = 8;
const PASS_BYTES: usize = 48;
/// Bytes of code of each in the loop of [`multiply_one`].
const SINGLE_PASS_BYTES: usize = 20;

pub(super) fn conv_2d<L: Linked>(
    op: &Conv2d<'_>,
    input: &[i8],
    output: &mut [i8],
    rows: Range<usize>,
    scratch: &mut [i8],
) {
    let (window, from, to) = (&op.window, op.input.extent, op.output.extent);
    let row = padded_row(op);
    let c_out = to.c;
    let fits = op.weights.len() >= op.weights_len()
        && op.bias.len() >= c_out
        && op.requantize.multipliers.len() >= c_out
        && input.len() >= from.len()
        && output.len() >= rows.len() * to.row_len()
        && scratch.len() >= columns_len(op).saturating_add(copied_rows_len(op))
        && scratch.as_ptr().align_offset(4) == 0
        && op.weights.as_ptr().align_offset(4) == 0;
    let (pixels, pairs) = (rows.len() * to.w, c_out / 2);
    if !fits || pixels == 0 || row == 0 {
        return;
    }
    let k = window.filter_h * row;
    let Some((columns, copies)) = scratch.split_at_mut_checked(columns_len(op)) else { return };
    let r = &op.requantize;
    let mut block = Block {
        columns: columns.as_ptr(),
        columns_end: columns.as_ptr().wrapping_add(k * 2 * PIXELS),
        skipped: (UNROLLED - (k / 2) % UNROLLED) % UNROLLED * PASS_BYTES,
        bias: op.bias.as_ptr(),
        multipliers: r.multipliers.as_ptr(),
        zero_point: r.zero_point.into(),
        outputs: [output.as_mut_ptr(); PIXELS],
        c_stride: op.output.c_stride(),
        c_offset: 0,
        weights_end: op.weights.as_ptr().wrapping_add(pairs * k * 2),
        weights: op.weights.as_ptr(),
    };
    let columns = columns.as_mut_ptr();
    let (w_stride, row_len) = (op.output.w_stride(), to.row_len());
    if let Some((base, line_len)) = readable::<L>(op, input, copies) {
        let jump = (window.dilation_h * line_len) as isize - row as isize;
        let step = window.stride_w * from.c;
        let mut line = base.wrapping_add(rows.start * window.stride_h * line_len);
        let mut row_start = output.as_mut_ptr();
        let (mut x, mut left) = (0, pixels);
        while left > 0 {
            let (mut sources, taken) = ([line; PIXELS], left);
            for (source, place) in sources.iter_mut().zip(&mut block.outputs) {
                *source = line.wrapping_add(x * step);
                *place = row_start.wrapping_add(x * w_stride);
                // Places beyond the last pixel repeat it.
                if left > 1 {
                    left -= 1;
                    x += 1;
                    if x == to.w {
                        x = 0;
                        row_start = row_start.wrapping_add(row_len);
                        line = line.wrapping_add(window.stride_h * line_len);
                    }
                } else {
                    left = 0;
                }
            }
            // SAFETY: `readable` says that every filter row of every window lies behind `base`, in whole words.
            unsafe { expand(&sources, columns, row / 4, window.filter_h, jump) };
            all_channels::<L>(op, &block, k, taken);
        }
    } else if L::VARIANTS.has(Variant::RowsCopied) {
        let mut source = Source::new(op, input, copies);
        let (mut x, mut row_start) = (0, output.as_mut_ptr());
        source.begin(rows.start);
        let mut left = pixels;
        while left > 0 {
            let mut taken = PIXELS;
            if x + PIXELS <= to.w
                && let Some(sources) = source.inside(x)
            {
                for (i, place) in block.outputs.iter_mut().enumerate() {
                    *place = row_start.wrapping_add((x + i) * w_stride);
                }
                let jump = (window.dilation_h * from.row_len()) as isize - row as isize;
                // SAFETY: `inside` says that all filter rows of the four windows lie in the input.
                unsafe { expand(&sources, columns, row / 4, window.filter_h, jump) };
                x += PIXELS;
                left -= PIXELS;
                if x == to.w {
                    x = 0;
                    row_start = row_start.wrapping_add(row_len);
                    source.next_row();
                }
            } else {
                taken = left;
                for (i, place) in block.outputs.iter_mut().enumerate() {
                    *place = row_start.wrapping_add(x * w_stride);
                    source.take(i, x);
                    // Places beyond the last pixel repeat it.
                    if left > 1 {
                        left -= 1;
                        x += 1;
                        if x == to.w {
                            x = 0;
                            row_start = row_start.wrapping_add(row_len);
                            source.next_row();
                        }
                    } else {
                        left = 0;
                    }
                }
                source.expand(columns);
            }
            all_channels::<L>(op, &block, k, taken);
        }
    }
    if L::VARIANTS.has(Variant::Clamp) {
        clamp(output.get_mut(..rows.len() * to.row_len()).unwrap_or(&mut []), r);
    }
}

/// Where every filter row of every window can be read in whole words: the input itself, or a copy of it with its padding
/// where the scratch has room for one; and the bytes from a row to the next.
fn readable<L: Linked>(op: &Conv2d<'_>, input: &[i8], copies: &mut [i8]) -> Option<(*const i8, usize)> {
    let (window, from) = (&op.window, op.input.extent);
    if copied_rows_len(op) == 0 {
        return Some((input.as_ptr(), from.row_len()));
    }
    if !L::VARIANTS.has(Variant::InputCopied) {
        return None;
    }
    let (len, line_len) = (padded_input_len(op), padded_line_len(op));
    let copy = copies.get_mut(..len)?;
    fill(copy, op.input_zero_point);
    let lines = copy.chunks_exact_mut(line_len.max(1)).skip(window.pad_top);
    for (line, source) in lines.zip(input.chunks_exact(from.row_len().max(1))) {
        let inside = line.get_mut(window.pad_left * from.c..).unwrap_or_default();
        memory::copy(inside, source);
    }
    Some((copy.as_ptr(), line_len))
}

/// Products of the first `pixels` expanded pixels with all channels.
#[inline(always)]
fn all_channels<L: Linked>(op: &Conv2d<'_>, block: &Block, k: usize, pixels: usize) {
    let c_out = op.output.extent.c;
    if c_out > 1 && pixels <= 2 {
        for (i, &place) in block.outputs.iter().enumerate().take(pixels) {
            let single = Block {
                columns: block.columns.wrapping_add(4 * i),
                columns_end: block.columns_end.wrapping_add(4 * i),
                skipped: block.skipped / PASS_BYTES * SINGLE_PASS_BYTES,
                outputs: [place; PIXELS],
                ..*block
            };
            // SAFETY: as below, with one pixel.
            unsafe { multiply_one(&single) };
        }
    } else if c_out > 1 {
        // SAFETY: the caller checked that every address the block leads to is a part of its slice: whole pairs of
        // channels, `k` inputs each, four pixels inside the output.
        unsafe { multiply(block) };
    }
    if L::VARIANTS.has(Variant::OddChannels) && c_out % 2 == 1 {
        last_channel(op, block, k);
    }
}

/// The last of an odd number of channels, which has a channel of zeros beside it that has no place in the output.
#[inline(never)]
fn last_channel(op: &Conv2d<'_>, block: &Block, k: usize) {
    let last = op.output.extent.c - 1;
    let bias = [op.bias.get(last).copied().unwrap_or(0), 0];
    let multipliers = [op.requantize.multipliers.get(last).copied().unwrap_or(0), 0];
    let mut pair = [0i8; 2 * PIXELS];
    let target = pair.as_mut_ptr();
    let single = Block {
        bias: bias.as_ptr(),
        multipliers: multipliers.as_ptr(),
        outputs: [0, 1, 2, 3].map(|i| target.wrapping_add(i)),
        c_stride: PIXELS,
        weights: block.weights_end,
        weights_end: block.weights_end.wrapping_add(k * 2),
        ..*block
    };
    // SAFETY: one pair of channels behind the others, which is stored to `pair`.
    unsafe { multiply(&single) };
    for (place, q) in block.outputs.iter().zip(pair) {
        // SAFETY: the last channel of a pixel inside the output.
        unsafe { *place.wrapping_add(last * block.c_stride) = q };
    }
}

/// The filter rows of four pixels, as they are read from the input.
struct Source<'a> {
    op: &'a Conv2d<'a>,
    input: &'a [i8],
    /// Upper left corner of each window: its row, and its first element counted from the row's first.
    corners: [(isize, isize); PIXELS],
    /// Whether each window lies between the input's left and right edge.
    inside: [bool; PIXELS],
    /// Row of the input under the first filter row, at the output row at work.
    top: isize,
    row: usize,
    padding: *const i8,
    copies: *mut i8,
}

impl<'a> Source<'a> {
    fn new(op: &'a Conv2d<'a>, input: &'a [i8], copies: &mut [i8]) -> Self {
        let row = padded_row(op);
        let copies = copies.get_mut(..copied_rows_len(op)).unwrap_or_default();
        fill(copies, op.input_zero_point);
        let padding = copies.as_mut_ptr();
        Self {
            op,
            input,
            corners: [(0, 0); PIXELS],
            inside: [true; PIXELS],
            top: 0,
            row,
            padding,
            copies: padding.wrapping_add(row),
        }
    }

    /// Begins with output row `y`.
    fn begin(&mut self, y: usize) {
        self.top = (y * self.op.window.stride_h) as isize - self.op.window.pad_top as isize;
    }

    #[inline(always)]
    fn next_row(&mut self) {
        self.top += self.op.window.stride_h as isize;
    }

    /// Where the windows at output column `x` and the next three begin, if all their filter rows lie in the input.
    #[inline(always)]
    fn inside(&self, x: usize) -> Option<[*const i8; PIXELS]> {
        let (window, extent) = (&self.op.window, self.op.input.extent);
        let left = (x * window.stride_w).checked_sub(window.pad_left)?;
        let last = left + (PIXELS - 1) * window.stride_w;
        let top = usize::try_from(self.top).ok()?;
        let bottom = top + (window.filter_h - 1) * window.dilation_h;
        // A filter row is read in whole words, which may end behind the input.
        let end = bottom * extent.row_len() + last * extent.c + self.row;
        if last + window.filter_w > extent.w || bottom >= extent.h || end > self.input.len() {
            return None;
        }
        let first = self.input.as_ptr().wrapping_add(top * extent.row_len() + left * extent.c);
        let step = window.stride_w * extent.c;
        Some([0, 1, 2, 3].map(|i| first.wrapping_add(i * step)))
    }

    /// Takes the window at output column `x` as pixel `i` of the block.
    #[inline(always)]
    fn take(&mut self, i: usize, x: usize) {
        let (window, extent) = (&self.op.window, self.op.input.extent);
        let left = (x * window.stride_w) as isize - window.pad_left as isize;
        if let (Some(corner), Some(inside)) = (self.corners.get_mut(i), self.inside.get_mut(i)) {
            *corner = (self.top, left * extent.c as isize);
            *inside = left >= 0 && left as usize + window.filter_w <= extent.w;
        }
    }

    /// Writes the block's inputs as 16-bit numbers.
    #[inline(always)]
    fn expand(&mut self, columns: *mut i8) {
        let (window, extent) = (&self.op.window, self.op.input.extent);
        let row_len = extent.row_len() as isize;
        let base = self.input.as_ptr();
        // A filter row is read in whole words, which may end behind the input.
        let limit = self.input.len() as isize - self.row as isize;
        let mut columns = columns;
        for ky in 0..window.filter_h {
            let offset = (ky * window.dilation_h) as isize;
            let mut rows = [self.padding; PIXELS];
            for (i, pointer) in rows.iter_mut().enumerate() {
                let ((top, left), inside) = (self.corners[i & 3], self.inside[i & 3]);
                let iy = top + offset;
                if (iy as usize) < extent.h {
                    let start = iy * row_len + left;
                    *pointer = if inside && start <= limit {
                        base.wrapping_offset(start)
                    } else {
                        self.copy(i, iy, left)
                    };
                }
            }
            // SAFETY: each pointer has a filter row of whole words, in the input or among the copies; the columns have
            // room for `filter_h` of them.
            columns = unsafe { expand(&rows, columns, self.row / 4, 1, 0) };
        }
    }

    /// A copy of the filter row that begins at element `left` of input row `iy`, with padding where it is outside.
    #[inline(never)]
    fn copy(&self, i: usize, iy: isize, left: isize) -> *const i8 {
        let row_len = self.op.input.extent.row_len() as isize;
        let filter_row = (self.op.window.filter_w * self.op.input.extent.c) as isize;
        let target = self.copies.wrapping_add(i * self.row);
        let first = left.max(0).min(left + filter_row);
        let end = (left + filter_row).min(row_len).max(first);
        let (before, count) = ((first - left) as usize, (end - first) as usize);
        let source = self.input.as_ptr().wrapping_offset(iy * row_len + first);
        // SAFETY: `row` bytes of copy number `i` in the scratch, of which nothing else is at work; elements `first` to `end` of
        // an input row that exists.
        unsafe {
            if count < self.row {
                fill(slice::from_raw_parts_mut(target, self.row), self.op.input_zero_point);
            }
            copy_bytes(target.add(before), source, count);
        }
        target
    }
}

/// Expands `words` words of each of four rows to 16 bits: bytes 0 and 2 of a word, then bytes 1 and 3. Does so `count`
/// times, moving on by `jump` bytes in between. Gives the end of what was written.
#[unsafe(naked)]
unsafe extern "C" fn expand(
    rows: *const [*const i8; PIXELS],
    columns: *mut i8,
    words: usize,
    count: usize,
    jump: isize,
) -> *mut i8 {
    naked_asm!(
        processor!(),
        "push {{r2-r11, lr}}",
        "ldm r0, {{r3-r6}}",
        "3:",
        "ldr r2, [sp]",
        "2:",
        "ldr r7, [r3], #4",
        "ldr r8, [r4], #4",
        "ldr r9, [r5], #4",
        "ldr r10, [r6], #4",
        "sxtb16 r0, r7",
        "sxtb16 r11, r8",
        "sxtb16 r12, r9",
        "sxtb16 lr, r10",
        "stm r1!, {{r0, r11, r12, lr}}",
        "sxtb16 r7, r7, ror #8",
        "sxtb16 r8, r8, ror #8",
        "sxtb16 r9, r9, ror #8",
        "sxtb16 r10, r10, ror #8",
        "stm r1!, {{r7-r10}}",
        "subs r2, r2, #1",
        "bne 2b",
        "ldr r2, [sp, #4]",
        "ldr r0, [sp, #44]",
        "subs r2, r2, #1",
        "str r2, [sp, #4]",
        "add r3, r3, r0",
        "add r4, r4, r0",
        "add r5, r5, r0",
        "add r6, r6, r0",
        "bne 3b",
        "mov r0, r1",
        "add sp, sp, #8",
        "pop {{r4-r11, pc}}",
    )
}

/// Products of four pixels with all channels of a block, requantized and stored.
///
/// r4 to r7 sum `a * x` of the four pixels and r8 to r11 `(256 * b + a) * x`, both from the bias of `a` on, so that the
/// difference is `256 * Σ b * x`.
#[unsafe(naked)]
unsafe extern "C" fn multiply(block: *const Block) {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        "sub sp, sp, #52",
        "mov r12, sp",
        ".rept 3",
        "ldm r0!, {{r1-r4}}",
        "stm r12!, {{r1-r4}}",
        ".endr",
        "ldm r0, {{r1, r2}}",
        "str r1, [r12]",
        "mov r12, r2",
        "ldr r2, [sp, #{entry}]",
        "adr.w r1, 3f",
        "add r1, r1, r2",
        "orr r1, r1, #1",
        "str r1, [sp, #{entry}]",
        "2:",
        "ldr r1, [sp, #{bias}]",
        "ldr r4, [r1], #8",
        "str r1, [sp, #{bias}]",
        "mov r5, r4",
        "mov r6, r4",
        "mov r7, r4",
        "mov r8, r4",
        "mov r9, r4",
        "mov r10, r4",
        "mov r11, r4",
        "ldr lr, [sp, #{columns}]",
        "ldr pc, [sp, #{entry}]",
        ".p2align 2",
        "3:",
        ".rept {unrolled}",
        "ldr.w r2, [r12], #4",
        "ldrd r0, r1, [lr], #8",
        "sxtb16 r3, r2",
        "smlad r8, r2, r0, r8",
        "smlad r4, r3, r0, r4",
        "smlad r9, r2, r1, r9",
        "smlad r5, r3, r1, r5",
        "ldrd r0, r1, [lr], #8",
        "smlad r10, r2, r0, r10",
        "smlad r6, r3, r0, r6",
        "smlad r11, r2, r1, r11",
        "smlad r7, r3, r1, r7",
        ".endr",
        "ldr r0, [sp, #{columns_end}]",
        "cmp lr, r0",
        "bne.w 3b",
        "ldr r0, [sp, #{bias}]",
        "sub r8, r8, r4",
        "ldr r0, [r0, #-4]",
        "sub r9, r9, r5",
        "sub r10, r10, r6",
        "sub r11, r11, r7",
        "add r8, r0, r8, asr #8",
        "add r9, r0, r9, asr #8",
        "add r10, r0, r10, asr #8",
        "add r11, r0, r11, asr #8",
        "ldr r1, [sp, #{multipliers}]",
        "ldrd r2, r3, [r1], #8",
        "str r1, [sp, #{multipliers}]",
        "ldr r0, [sp, #{zero_point}]",
        "lsl r2, r2, #1",
        "lsl r3, r3, #1",
        "smmlar r4, r4, r2, r0",
        "smmlar r5, r5, r2, r0",
        "smmlar r6, r6, r2, r0",
        "smmlar r7, r7, r2, r0",
        "smmlar r8, r8, r3, r0",
        "smmlar r9, r9, r3, r0",
        "smmlar r10, r10, r3, r0",
        "smmlar r11, r11, r3, r0",
        "ssat r4, #8, r4",
        "ssat r5, #8, r5",
        "ssat r6, #8, r6",
        "ssat r7, #8, r7",
        "ssat r8, #8, r8",
        "ssat r9, #8, r9",
        "ssat r10, #8, r10",
        "ssat r11, #8, r11",
        "ldr lr, [sp, #{c_offset}]",
        "ldrd r0, r1, [sp, #{outputs}]",
        "ldrd r2, r3, [sp, #{outputs} + 8]",
        "strb r4, [r0, lr]",
        "ldr r4, [sp, #{c_stride}]",
        "strb r5, [r1, lr]",
        "strb r6, [r2, lr]",
        "strb r7, [r3, lr]",
        "add lr, lr, r4",
        "strb r8, [r0, lr]",
        "strb r9, [r1, lr]",
        "strb r10, [r2, lr]",
        "strb r11, [r3, lr]",
        "add lr, lr, r4",
        "ldr r0, [sp, #{weights_end}]",
        "str lr, [sp, #{c_offset}]",
        "cmp r12, r0",
        "bne.w 2b",
        "add sp, sp, #52",
        "pop {{r4-r11, pc}}",
        unrolled = const UNROLLED,
        columns = const offset_of!(Block, columns),
        columns_end = const offset_of!(Block, columns_end),
        entry = const offset_of!(Block, skipped),
        bias = const offset_of!(Block, bias),
        multipliers = const offset_of!(Block, multipliers),
        zero_point = const offset_of!(Block, zero_point),
        outputs = const offset_of!(Block, outputs),
        c_stride = const offset_of!(Block, c_stride),
        c_offset = const offset_of!(Block, c_offset),
        weights_end = const offset_of!(Block, weights_end),
    )
}

/// As [`multiply`] for the first place of `outputs` alone, whose inputs lie in every fourth word of the columns.
#[unsafe(naked)]
unsafe extern "C" fn multiply_one(block: *const Block) {
    naked_asm!(
        processor!(),
        "push {{r3-r11, lr}}",
        "ldr r12, [r0, #{weights}]",
        "ldr r11, [r0, #{weights_end}]",
        "ldr r10, [r0, #{c_stride}]",
        "ldr r9, [r0, #{outputs}]",
        "ldr r8, [r0, #{zero_point}]",
        "ldrd r6, r7, [r0, #{bias}]",
        "ldr r2, [r0, #{skipped}]",
        "ldrd r3, r1, [r0, #{columns}]",
        "str r3, [sp]",
        "adr.w r3, 3f",
        "add r2, r2, r3",
        "orr r2, r2, #1",
        "push {{r1, r2}}",
        "2:",
        "ldr r4, [r6], #8",
        "mov r5, r4",
        "ldr lr, [sp, #8]",
        "ldr r1, [sp]",
        "ldr pc, [sp, #4]",
        ".p2align 2",
        "3:",
        ".rept {unrolled}",
        "ldr.w r2, [r12], #4",
        "ldr.w r0, [lr], #16",
        "sxtb16 r3, r2",
        "smlad r5, r2, r0, r5",
        "smlad r4, r3, r0, r4",
        ".endr",
        "cmp lr, r1",
        "bne.w 3b",
        "ldr r2, [r6, #-4]",
        "sub r5, r5, r4",
        "add r5, r2, r5, asr #8",
        "ldrd r2, r3, [r7], #8",
        "lsl r2, r2, #1",
        "lsl r3, r3, #1",
        "smmlar r4, r4, r2, r8",
        "smmlar r5, r5, r3, r8",
        "ssat r4, #8, r4",
        "ssat r5, #8, r5",
        "strb r4, [r9]",
        "strb r5, [r9, r10]",
        "add r9, r9, r10, lsl #1",
        "cmp r12, r11",
        "bne.w 2b",
        "add sp, sp, #8",
        "pop {{r3-r11, pc}}",
        unrolled = const UNROLLED,
        columns = const offset_of!(Block, columns),
        skipped = const offset_of!(Block, skipped),
        bias = const offset_of!(Block, bias),
        zero_point = const offset_of!(Block, zero_point),
        outputs = const offset_of!(Block, outputs),
        c_stride = const offset_of!(Block, c_stride),
        weights_end = const offset_of!(Block, weights_end),
        weights = const offset_of!(Block, weights),
    )
}
