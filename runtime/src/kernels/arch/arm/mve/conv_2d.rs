//! 2-D convolution: three pixels by all output channels, four at a time.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::ops::Range;

use super::memory::{copy_rows, fill};
use super::scratch::{PIXELS, conv_2d_scratch_len, products, windows_are_runs};
use crate::kernels::arch::arm::clamp::clamp;
use crate::kernels::linked::{Linked, Variant};
use crate::kernels::packing::mve::CHANNELS;
use crate::kernels::params::Conv2d;

/// What [`multiply`] works on; it moves on in place.
#[derive(Clone, Copy)]
#[repr(C)]
struct Block {
    /// The window of each pixel: `products` inputs.
    pixels: [*const i8; PIXELS],
    weights: *const i8,
    /// Groups of four channels.
    groups: usize,
    bias: *const i32,
    multipliers: *const i32,
    outputs: [*mut i8; PIXELS],
    zero_point: i32,
    products: usize,
    /// Products beyond the first 16.
    rest: usize,
}

/// Products that one vector has.
const VECTOR: usize = 16;

pub(super) fn conv_2d<L: Linked>(
    op: &Conv2d<'_>,
    input: &[i8],
    output: &mut [i8],
    rows: Range<usize>,
    scratch: &mut [i8],
) {
    let (to, r, k) = (op.output.extent, &op.requantize, products(op));
    let fits = to.c >= CHANNELS
        && k > 0
        && op.weights.len() >= op.weights_len()
        && op.bias.len() >= to.c
        && r.multipliers.len() >= to.c
        && input.len() >= op.input.extent.len()
        && output.len() >= rows.len() * to.row_len()
        && scratch.len() >= conv_2d_scratch_len(op);
    if !fits {
        return;
    }
    let mut block = Block {
        pixels: [input.as_ptr(); PIXELS],
        weights: op.weights.as_ptr(),
        groups: to.c / CHANNELS,
        bias: op.bias.as_ptr(),
        multipliers: r.multipliers.as_ptr(),
        outputs: [output.as_mut_ptr(); PIXELS],
        zero_point: r.zero_point.into(),
        products: k,
        rest: k.saturating_sub(VECTOR),
    };
    let columns = scratch.as_mut_ptr();
    let windows = Windows::new(op, input);
    let (mut place, mut taken) = (output.as_mut_ptr(), 0);
    for y in rows.clone() {
        let top = (y * op.window.stride_h) as isize - op.window.pad_top as isize;
        let row = windows.row(top);
        let mut left = -(op.window.pad_left as isize);
        for _ in 0..to.w {
            // SAFETY: the scratch has room for `PIXELS` windows, if any has to be gathered.
            let window = unsafe { windows.get(&row, left, columns.wrapping_add(taken * k)) };
            if let (Some(pixel), Some(target)) = (block.pixels.get_mut(taken), block.outputs.get_mut(taken)) {
                (*pixel, *target) = (window, place);
            }
            place = place.wrapping_add(to.c);
            left += op.window.stride_w as isize;
            taken += 1;
            if taken == PIXELS {
                taken = 0;
                // SAFETY: see `all_channels`.
                unsafe { all_channels(&block, to.c) };
            }
        }
    }
    // Places beyond the last pixel repeat it.
    let last = taken.wrapping_sub(1);
    if let (Some(&pixel), Some(&target)) = (block.pixels.get(last), block.outputs.get(last)) {
        block.pixels.iter_mut().skip(taken).for_each(|place| *place = pixel);
        block.outputs.iter_mut().skip(taken).for_each(|place| *place = target);
        // SAFETY: see `all_channels`.
        unsafe { all_channels(&block, to.c) };
    }
    if L::VARIANTS.has(Variant::Clamp) {
        clamp(output.get_mut(..rows.len() * to.row_len()).unwrap_or(&mut []), r);
    }
}

/// Products of three pixels with all channels. Channels that are no whole group are computed in one with some before
/// them.
///
/// # Safety
/// The lengths have been checked: each pixel has `products` inputs, and there are weights, biases, multipliers and places
/// for `channels`.
#[inline(always)]
unsafe fn all_channels(block: &Block, channels: usize) {
    let run = if block.products < VECTOR { multiply_few } else { multiply };
    // SAFETY: as said above.
    unsafe { run(&mut { *block }) };
    if !channels.is_multiple_of(CHANNELS) {
        last_channels(block, channels, run);
    }
}

#[inline(never)]
fn last_channels(block: &Block, channels: usize, run: unsafe extern "C" fn(&mut Block)) {
    let first = channels - CHANNELS;
    let mut last = Block {
        weights: block.weights.wrapping_add(first * block.products),
        groups: 1,
        bias: block.bias.wrapping_add(first),
        multipliers: block.multipliers.wrapping_add(first),
        outputs: block.outputs.map(|place| place.wrapping_add(first)),
        ..*block
    };
    // SAFETY: the last four of `channels`, of which there are at least four.
    unsafe { run(&mut last) };
}

/// Where the windows of an operator lie.
struct Windows<'a> {
    op: &'a Conv2d<'a>,
    input: *const i8,
    are_runs: bool,
    /// Elements of a filter row.
    filter_row: usize,
    /// First column of the last window that lies between the left and right end of the input; less than 0 if none does.
    last: isize,
}

/// The windows of an output row.
struct Row {
    /// First input row.
    top: isize,
    /// Filter rows that lie inside the input.
    inside: Range<isize>,
    /// Whether all of them do.
    is_whole: bool,
    /// Column 0 of the first input row.
    start: *const i8,
}

impl<'a> Windows<'a> {
    fn new(op: &'a Conv2d<'a>, input: &'a [i8]) -> Self {
        let (window, from) = (&op.window, op.input.extent);
        Self {
            op,
            input: input.as_ptr(),
            are_runs: windows_are_runs(op),
            filter_row: window.filter_w * from.c,
            last: from.w as isize - window.filter_w as isize,
        }
    }

    /// The windows whose first row is `top`.
    fn row(&self, top: isize) -> Row {
        let (window, from) = (&self.op.window, self.op.input.extent);
        let inside = inside(top, window.filter_h, from.h);
        let is_whole = inside == (0..window.filter_h as isize);
        Row { top, inside, is_whole, start: self.input.wrapping_offset(top * from.row_len() as isize) }
    }

    /// The window that begins at column `left`: where it lies in the input, or `column`, gathered there.
    ///
    /// # Safety
    /// `column` has room for a window, unless all of them lie inside and are runs.
    #[inline(always)]
    unsafe fn get(&self, row: &Row, left: isize, column: *mut i8) -> *const i8 {
        let (from, rows) = (self.op.input.extent, self.op.window.filter_h);
        if row.is_whole && left >= 0 && left <= self.last {
            let source = row.start.wrapping_offset(left * from.c as isize);
            if self.are_runs {
                return source;
            }
            // SAFETY: a window inside the input, and as much room in `column`.
            unsafe { copy_rows(column, source, self.filter_row, rows, self.filter_row, from.row_len()) };
        } else {
            // SAFETY: as said above.
            unsafe { self.gather(row, left, column) };
        }
        column
    }

    /// Gathers a window that reaches into the padding.
    ///
    /// # Safety
    /// `column` has room for a window.
    #[inline(never)]
    unsafe fn gather(&self, row: &Row, left: isize, column: *mut i8) {
        let (window, from, len) = (&self.op.window, self.op.input.extent, self.filter_row);
        let columns = inside(left, window.filter_w, from.w);
        let (height, width) = (row.inside.end - row.inside.start, columns.end - columns.start);
        let (c, row_len) = (from.c as isize, from.row_len());
        let top = row.top + row.inside.start;
        let source = self.input.wrapping_offset(top * row_len as isize + (left + columns.start) * c);
        // SAFETY: the part of the window inside the input, and its place in `column`, which has room for the whole.
        unsafe {
            fill(core::slice::from_raw_parts_mut(column, len * window.filter_h), self.op.input_zero_point);
            if height > 0 && width > 0 {
                let target = column.wrapping_offset(row.inside.start * len as isize + columns.start * c);
                copy_rows(target, source, (width * c) as usize, height as usize, len, row_len);
            }
        }
    }
}

/// Which of the `filter` places from `start` on lie in `0..len`.
#[inline(always)]
fn inside(start: isize, filter: usize, len: usize) -> Range<isize> {
    let first = (-start).max(0).min(filter as isize);
    first..(len as isize - start).min(filter as isize).max(first)
}

/// Begins a function of a [`Block`]: r12 is the block, r11 its products.
macro_rules! enter {
    () => {
        "push {{r4-r11, lr}}
        vpush {{d8-d15}}
        mov r12, r0
        ldr r11, [r12, #44]"
    };
}

/// Weights and windows of the channels `o` and `o + 2` of a group.
macro_rules! first_half {
    () => {
        "ldr r1, [r12, #12]
        ldrd r5, r7, [r12]
        ldr r9, [r12, #8]
        add r3, r1, r11, lsl #1"
    };
}

/// Their sums become lanes of q5, q6 and q7; weights and windows of the channels `o + 1` and `o + 3`.
macro_rules! second_half {
    () => {
        "vmov q5[2], q5[0], r0, r6
        vmov q6[2], q6[0], r2, r8
        vmov q7[2], q7[0], r4, r10
        ldr r1, [r12, #12]
        ldrd r5, r7, [r12]
        ldr r9, [r12, #8]
        add r1, r1, r11
        add r3, r1, r11, lsl #1"
    };
}

/// Four channels of three pixels are requantized and stored; jumps back to label 2 for the next group, if any.
macro_rules! finish {
    () => {
        "vmov q5[3], q5[1], r0, r6
        vmov q6[3], q6[1], r2, r8
        vmov q7[3], q7[1], r4, r10
        ldrd r1, r9, [r12, #12]
        ldrd r2, r3, [r12, #20]
        ldrd r4, r5, [r12, #28]
        ldrd r6, r7, [r12, #36]
        vldrw.u32 q0, [r2], #16
        vadd.i32 q5, q5, q0
        vldrw.u32 q1, [r3], #16
        vqrdmulh.s32 q5, q5, q1
        vadd.i32 q6, q6, q0
        vqadd.s32 q5, q5, r7
        vqrdmulh.s32 q6, q6, q1
        vqmovnb.s32 q5, q5
        vadd.i32 q7, q7, q0
        vqmovnb.s16 q5, q5
        vqrdmulh.s32 q7, q7, q1
        vstrb.32 q5, [r4], #4
        vqadd.s32 q6, q6, r7
        vqadd.s32 q7, q7, r7
        vqmovnb.s32 q6, q6
        vqmovnb.s32 q7, q7
        vqmovnb.s16 q6, q6
        vqmovnb.s16 q7, q7
        vstrb.32 q6, [r5], #4
        vstrb.32 q7, [r6], #4
        add r1, r1, r11, lsl #2
        subs r9, r9, #1
        strd r1, r9, [r12, #12]
        strd r2, r3, [r12, #20]
        strd r4, r5, [r12, #28]
        str r6, [r12, #36]
        bne 2b
        vpop {{d8-d15}}
        pop {{r4-r11, pc}}"
    };
}

/// Sums of two channels (at r1 and r3) and three pixels (at r5, r7 and r9) over 16 products or more.
macro_rules! sums {
    ($begin:literal, $loop:literal, $end:literal) => {
        concat!(
            "vldrb.u8 q0, [r1], #16
            vldrb.u8 q2, [r5], #16
            vmlav.s8 r0, q0, q2
            vldrb.u8 q1, [r3], #16
            vmlav.s8 r6, q1, q2
            vldrb.u8 q3, [r7], #16
            vmlav.s8 r2, q0, q3
            vldrb.u8 q4, [r9], #16
            vmlav.s8 r8, q1, q3
            ldr lr, [r12, #48]
            vmlav.s8 r4, q0, q4
            vmlav.s8 r10, q1, q4
            wlstp.8 lr, lr, ",
            $end,
            "f\n",
            $loop,
            ":
            vldrb.u8 q0, [r1], #16
            vldrb.u8 q2, [r5], #16
            vmlava.s8 r0, q0, q2
            vldrb.u8 q1, [r3], #16
            vmlava.s8 r6, q1, q2
            vldrb.u8 q3, [r7], #16
            vmlava.s8 r2, q0, q3
            vldrb.u8 q4, [r9], #16
            vmlava.s8 r8, q1, q3
            vmlava.s8 r4, q0, q4
            vmlava.s8 r10, q1, q4
            letp lr, ",
            $loop,
            "b\n",
            $end,
            ":"
        )
    };
}

/// As [`sums`], over fewer than 16 products, the lanes of the predicate.
macro_rules! few_sums {
    () => {
        "vpstttt
        vldrbt.u8 q0, [r1]
        vldrbt.u8 q1, [r3]
        vldrbt.u8 q2, [r5]
        vldrbt.u8 q3, [r7]
        vpst
        vldrbt.u8 q4, [r9]
        vmlav.s8 r0, q0, q2
        vmlav.s8 r6, q1, q2
        vmlav.s8 r2, q0, q3
        vmlav.s8 r8, q1, q3
        vmlav.s8 r4, q0, q4
        vmlav.s8 r10, q1, q4"
    };
}

/// Products of three pixels with all channels of a block, 16 products or more for each.
#[unsafe(naked)]
unsafe extern "C" fn multiply(block: &mut Block) {
    naked_asm!(
        processor!(),
        enter!(),
        "2:",
        first_half!(),
        sums!("", "3", "4"),
        second_half!(),
        sums!("", "5", "6"),
        finish!(),
    )
}

/// As [`multiply`], fewer than 16 products for each.
#[unsafe(naked)]
unsafe extern "C" fn multiply_few(block: &mut Block) {
    naked_asm!(
        processor!(),
        enter!(),
        "vctp.8 r11",
        "2:",
        first_half!(),
        few_sums!(),
        second_half!(),
        few_sums!(),
        finish!(),
    )
}
