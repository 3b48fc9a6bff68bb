//! 2-D depthwise convolution with equal channels, four at a time.
//!
//! Windows of 3×3 with stride 1 are a module of their own, [`row_pairs`]. For the others biases, weights as 16-bit pairs of
//! taps, and doubled multipliers are laid out once in the scratch, and the inputs of two taps are packed into the same
//! pairs. Windows of 3×3 run along a row; any other window has a list of where its taps lie, those outside of the input
//! in a row of padding.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::mem::offset_of;
use core::ops::Range;

use super::clamp::clamp;
use super::memory::{self, fill};
use super::row_pairs::row_pairs;
use super::scratch::{
    block_len, equal_channels_scratch_len, padded_len, padded_row_len, runs_along_rows, runs_in_row_pairs,
};
use crate::kernels::linked::{Linked, Variant};
use crate::kernels::params::DepthwiseConv2d;

/// What [`along_row`] and [`at_taps`] work on.
#[repr(C)]
struct Pixels {
    zero_point: i32,
    parameters: *const u32,
    parameters_end: *const u32,
    output: *mut i8,
    /// [`along_row`]: pixels left.
    count: usize,
    /// [`along_row`]: from the end of a pixel's channels to those of the next window. [`at_taps`]: pairs of taps.
    step: usize,
    /// [`at_taps`]: not 0 where a tap is left over.
    odd: usize,
    /// [`along_row`]: the last tap of each filter row at the first pixel.
    rows: [*const i8; 3],
    /// Channels.
    c: usize,
    /// [`at_taps`]: where each tap's channel 0 lies.
    taps: *const *const i8,
}

pub(super) fn depthwise_conv_2d<L: Linked>(
    op: &DepthwiseConv2d<'_>,
    input: &[i8],
    output: &mut [i8],
    rows: Range<usize>,
    scratch: &mut [i8],
) {
    let (window, from, to) = (&op.window, op.input.extent, op.output.extent);
    let (c, taps) = (to.c, window.filter_h * window.filter_w);
    let r = &op.requantize;
    let fits = c.is_multiple_of(4)
        && from.c == c
        && op.weights.len() >= op.weights_len()
        && op.weights.as_ptr().align_offset(4) == 0
        && op.bias.len() >= c
        && r.multipliers.len() >= c
        && input.len() >= from.len()
        && output.len() >= rows.len() * to.row_len()
        && scratch.len() >= equal_channels_scratch_len(op)
        && scratch.as_ptr().align_offset(4) == 0;
    if !fits || taps == 0 || c == 0 {
        return;
    }
    let len = rows.len() * to.row_len();
    if L::VARIANTS.has(Variant::Depthwise3x3) && runs_in_row_pairs(op) {
        row_pairs(op, input, output, rows, scratch);
    } else if L::VARIANTS.has(Variant::Depthwise3x3Strided) || L::VARIANTS.has(Variant::DepthwiseOther) {
        other_windows::<L>(op, input, output, rows, scratch);
    }
    if L::VARIANTS.has(Variant::Clamp) {
        clamp(output.get_mut(..len).unwrap_or(&mut []), r);
    }
}

/// As [`depthwise_conv_2d`], which has checked the lengths, for other windows than [`row_pairs`] has.
fn other_windows<L: Linked>(
    op: &DepthwiseConv2d<'_>,
    input: &[i8],
    output: &mut [i8],
    rows: Range<usize>,
    scratch: &mut [i8],
) {
    let (window, to, r) = (&op.window, op.output.extent, &op.requantize);
    let (c, taps) = (to.c, window.filter_h * window.filter_w);
    let Some((parameters, rest)) = scratch.split_at_mut_checked(block_len(op) * (c / 4)) else { return };
    let Some((padded, list)) = rest.split_at_mut_checked(padded_len(op)) else { return };
    fill(padded, op.input_zero_point);
    // SAFETY: the lengths checked above: for each four channels their biases, weights and multipliers are there, and the
    // parameters have room for them.
    unsafe {
        lay_out(
            op.weights.as_ptr(),
            parameters.as_mut_ptr().cast(),
            op.bias.as_ptr(),
            r.multipliers.as_ptr(),
            taps / 2,
            taps % 2,
            c / 4,
        );
    }
    let mut pixels = Pixels {
        zero_point: r.zero_point.into(),
        parameters: parameters.as_ptr().cast(),
        parameters_end: parameters.as_ptr().wrapping_add(parameters.len()).cast(),
        output: output.as_mut_ptr(),
        count: 0,
        step: 0,
        odd: taps % 2,
        rows: [input.as_ptr(); 3],
        c,
        taps: list.as_ptr().cast(),
    };
    let first_row = rows.start;
    if L::VARIANTS.has(Variant::Depthwise3x3Strided) && runs_along_rows(op) {
        let mut source = Rows::new(op, input, padded);
        for y in rows {
            let top = (y * window.stride_h) as isize - window.pad_top as isize;
            for (iy, pointer) in (top..).zip(&mut pixels.rows) {
                *pointer = source.get(iy).wrapping_add(2 * c);
            }
            (pixels.count, pixels.step) = (to.w, (window.stride_w - 1) * c);
            // SAFETY: `count` windows that lie side by side in three rows, and as many pixels of the output.
            unsafe { along_row(&pixels) };
            pixels.output = pixels.output.wrapping_add(to.row_len());
        }
    } else if L::VARIANTS.has(Variant::DepthwiseOther) {
        let list: *mut *const i8 = list.as_mut_ptr().cast();
        (pixels.step, pixels.taps) = (taps / 2, list);
        for (y, x) in (first_row..first_row + rows.len()).flat_map(|y| (0..to.w).map(move |x| (y, x))) {
            list_taps(op, input, padded.as_ptr(), (y, x), list);
            // SAFETY: `c` elements at each tap of the list, and at the output's pixel.
            unsafe { at_taps(&pixels) };
            pixels.output = pixels.output.wrapping_add(c);
        }
    }
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
                Some(source) => memory::copy(inside, source),
                None => fill(inside, self.op.input_zero_point),
            }
        }
        row.as_ptr()
    }
}

/// Lays out the parameters of blocks of four channels: four biases; for each pair of taps a word of two weights for each
/// channel; for a tap left over two words of two channels each; four doubled multipliers.
#[unsafe(naked)]
unsafe extern "C" fn lay_out(
    weights: *const i8,
    parameters: *mut u32,
    bias: *const i32,
    multipliers: *const i32,
    pairs: usize,
    odd: usize,
    blocks: usize,
) {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        "ldrd r4, r5, [sp, #36]",
        "ldr r6, [sp, #44]",
        "2:",
        "ldm r2!, {{r7-r10}}",
        "stm r1!, {{r7-r10}}",
        "movs lr, r4",
        "beq 4f",
        "3:",
        "ldrd r8, r10, [r0], #8",
        "sxtb16 r7, r8",
        "sxtb16 r8, r8, ror #8",
        "sxtb16 r9, r10",
        "sxtb16 r10, r10, ror #8",
        "stm r1!, {{r7-r10}}",
        "subs lr, lr, #1",
        "bne 3b",
        "4:",
        "cbz r5, 5f",
        // Bytes 0 and 2, 1 and 3 to the pairs 0 and 1, 2 and 3.
        "ldr r7, [r0], #4",
        "sxtb16 r8, r7",
        "sxtb16 r9, r7, ror #8",
        "pkhbt r7, r8, r9, lsl #16",
        "pkhtb r8, r9, r8, asr #16",
        "stm r1!, {{r7, r8}}",
        "5:",
        "ldm r3!, {{r7-r10}}",
        "lsl r7, r7, #1",
        "lsl r8, r8, #1",
        "lsl r9, r9, #1",
        "lsl r10, r10, #1",
        "stm r1!, {{r7-r10}}",
        "subs r6, r6, #1",
        "bne 2b",
        "pop {{r4-r11, pc}}",
    )
}

/// Inputs of two taps in r0 and r1 by their weights at r12; r4 to r7 sum the four channels.
macro_rules! pair {
    () => {
        "
        pkhbt lr, r0, r1, lsl #16
        pkhtb r1, r1, r0, asr #16
        ldrd r2, r3, [r12], #8
        sxtb16 r0, lr
        sxtb16 lr, lr, ror #8
        smlad r4, r0, r2, r4
        smlad r5, lr, r3, r5
        ldrd r2, r3, [r12], #8
        sxtb16 r0, r1
        sxtb16 lr, r1, ror #8
        smlad r6, r0, r2, r6
        smlad r7, lr, r3, r7
        "
    };
}

/// Inputs of a tap left over, in r0.
macro_rules! single {
    () => {
        "
        ldrd r2, r3, [r12], #8
        sxtb16 r1, r0
        sxtb16 lr, r0, ror #8
        smlabb r4, r1, r2, r4
        smlabt r5, lr, r2, r5
        smlatb r6, r1, r3, r6
        smlatt r7, lr, r3, r7
        "
    };
}

/// Requantizes r4 to r7 and stores them at the output, which moves on. Leaves r8 to r12 alone but for r12, which moves
/// over the multipliers.
macro_rules! finish {
    () => {
        "
        ldr lr, [sp, #{zero_point}]
        ldm r12!, {{r0-r3}}
        smmlar r4, r4, r0, lr
        smmlar r5, r5, r1, lr
        smmlar r6, r6, r2, lr
        smmlar r7, r7, r3, lr
        ssat r4, #8, r4
        ssat r5, #8, r5
        ssat r6, #8, r6
        ssat r7, #8, r7
        ldr r0, [sp, #{output}]
        strb r4, [r0], #1
        strb r5, [r0], #1
        strb r6, [r0], #1
        strb r7, [r0], #1
        str r0, [sp, #{output}]
        "
    };
}

/// Pixels of a row whose windows of 3×3 lie side by side, all channels.
#[unsafe(naked)]
unsafe extern "C" fn along_row(pixels: *const Pixels) {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        "sub sp, sp, #28",
        "ldm r0!, {{r1-r7}}",
        "stm sp, {{r1-r7}}",
        "ldm r0, {{r8-r11}}",
        "neg r11, r11",
        "2:",
        "ldr r12, [sp, #{parameters}]",
        "3:",
        "ldm r12!, {{r4-r7}}",
        "ldr r0, [r8, r11, lsl #1]",
        "ldr r1, [r8, r11]",
        pair!(),
        "ldr r0, [r8], #4",
        "ldr r1, [r9, r11, lsl #1]",
        pair!(),
        "ldr r0, [r9, r11]",
        "ldr r1, [r9], #4",
        pair!(),
        "ldr r0, [r10, r11, lsl #1]",
        "ldr r1, [r10, r11]",
        pair!(),
        "ldr r0, [r10], #4",
        single!(),
        finish!(),
        "ldr r1, [sp, #{parameters_end}]",
        "cmp r12, r1",
        "bne.w 3b",
        "ldrd r0, r1, [sp, #{count}]",
        "add r8, r8, r1",
        "add r9, r9, r1",
        "add r10, r10, r1",
        "subs r0, r0, #1",
        "str r0, [sp, #{count}]",
        "bne.w 2b",
        "add sp, sp, #28",
        "pop {{r4-r11, pc}}",
        zero_point = const offset_of!(Pixels, zero_point),
        parameters = const offset_of!(Pixels, parameters),
        parameters_end = const offset_of!(Pixels, parameters_end),
        output = const offset_of!(Pixels, output),
        count = const offset_of!(Pixels, count),
    )
}

/// One pixel, all channels.
#[unsafe(naked)]
unsafe extern "C" fn at_taps(pixels: *const Pixels) {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        "sub sp, sp, #52",
        "mov r12, sp",
        ".rept 3",
        "ldm r0!, {{r1-r4}}",
        "stm r12!, {{r1-r4}}",
        ".endr",
        "ldr r12, [sp, #{parameters}]",
        "mov r9, #0",
        "2:",
        "ldm r12!, {{r4-r7}}",
        "ldr r8, [sp, #{taps}]",
        "ldr r10, [sp, #{pairs}]",
        "cmp r10, #0",
        "beq 4f",
        "3:",
        "ldrd r0, r1, [r8], #8",
        "ldr r0, [r0, r9]",
        "ldr r1, [r1, r9]",
        pair!(),
        "subs r10, r10, #1",
        "bne 3b",
        "4:",
        "ldr r0, [sp, #{odd}]",
        "cbz r0, 5f",
        "ldr r0, [r8]",
        "ldr r0, [r0, r9]",
        single!(),
        "5:",
        finish!(),
        "ldr r1, [sp, #{parameters_end}]",
        "add r9, r9, #4",
        "cmp r12, r1",
        "bne.w 2b",
        "add sp, sp, #52",
        "pop {{r4-r11, pc}}",
        zero_point = const offset_of!(Pixels, zero_point),
        parameters = const offset_of!(Pixels, parameters),
        parameters_end = const offset_of!(Pixels, parameters_end),
        output = const offset_of!(Pixels, output),
        pairs = const offset_of!(Pixels, step),
        odd = const offset_of!(Pixels, odd),
        taps = const offset_of!(Pixels, taps),
    )
}
