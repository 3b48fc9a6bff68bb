//! Maximum and average over windows whose channels lie side by side.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::ops::Range;

use super::memory::fill;
use crate::kernels::arch::arm::windows::{Run, for_each_run};
use crate::kernels::params::{Average, AveragePool2d, MaxPool2d};
use crate::quant::clamp_i8;

/// What [`maxima`], [`averages`] and [`scaled_averages`] work on.
#[repr(C)]
struct Windows {
    input: *const i8,
    step: usize,
    output: *mut i8,
    channels: usize,
    count: usize,
    rows: usize,
    columns: usize,
    gap: usize,
    column_step: usize,
    output_min: i32,
    output_max: i32,
    /// What a sum begins with.
    start: i32,
    /// By what it is scaled: half the number of elements and its reciprocal; or a mantissa, a left shift and a zero point.
    scale: [i32; 3],
}

impl Windows {
    fn new(run: &Run, input: *const i8, output: *mut i8, channels: usize, clamp: (i8, i8)) -> Self {
        Self {
            input: input.wrapping_add(run.input),
            step: run.step,
            output: output.wrapping_add(run.output),
            channels,
            count: run.count,
            rows: run.rows,
            columns: run.columns,
            gap: run.gap,
            column_step: run.column_step,
            output_min: clamp.0.into(),
            output_max: clamp.1.into(),
            start: 0,
            scale: [0; 3],
        }
    }
}

/// Fills the outputs of a run whose windows lie wholly in the padding.
fn fill_run(run: &Run, output: &mut [i8], channels: usize, value: i8) {
    let outputs = output.get_mut(run.output..).unwrap_or(&mut []);
    let len = outputs.len().min(run.count * channels);
    fill(outputs.get_mut(..len).unwrap_or(&mut []), value);
}

pub(super) fn max_pool_2d(op: &MaxPool2d, input: &[i8], output: &mut [i8], rows: Range<usize>) {
    let c = op.output.extent.c;
    if input.len() < op.input.extent.len() || output.len() < rows.len() * op.output.extent.row_len() {
        return;
    }
    let (min, max) = (op.output_min, op.output_max);
    for_each_run(&op.window, op.input, op.output, rows, |run| {
        if run.rows == 0 {
            return fill_run(&run, output, c, clamp_i8(i8::MIN.into(), min, max));
        }
        let windows = Windows::new(&run, input.as_ptr(), output.as_mut_ptr(), c, (min, max));
        // SAFETY: taps lie inside the input and outputs inside the output, whose lengths were checked; a window has one
        // tap or more.
        unsafe { maxima(&windows) }
    });
}

pub(super) fn average_pool_2d(op: &AveragePool2d, input: &[i8], output: &mut [i8], rows: Range<usize>) {
    let c = op.output.extent.c;
    if input.len() < op.input.extent.len() || output.len() < rows.len() * op.output.extent.row_len() {
        return;
    }
    let full = (op.window.filter_h * op.window.filter_w) as u32;
    for_each_run(&op.window, op.input, op.output, rows, |run| {
        let mut count = (run.rows * run.columns) as u32;
        let mut start = 0i32;
        if let Some(padding) = op.counted_padding {
            start = i32::from(padding).wrapping_mul(full.wrapping_sub(count) as i32);
            count = full;
        }
        if run.rows == 0 {
            return fill_run(&run, output, c, op.finish(start, count));
        }
        let clamp = (op.output_min, op.output_max);
        let mut windows = Windows::new(&run, input.as_ptr(), output.as_mut_ptr(), c, clamp);
        let is_exact = match op.average {
            // One element is itself: the reciprocal would not fit.
            Average::Exact if count == 1 => {
                windows.scale = [i32::MAX, 0, 0];
                false
            }
            Average::Exact => {
                // The least number not below 2^32 / count. Sums are below 2^7 count: the product with one is less than
                // 1 / count above the quotient, as count^2 2^7 < 2^32.
                let reciprocal = u32::MAX.checked_div(count).unwrap_or(0).wrapping_add(1);
                windows.scale = [(count / 2) as i32, reciprocal as i32, 0];
                true
            }
            Average::Scaled { mantissa, shift, input_zero_point, output_zero_point } => {
                let offset = (count as i32).wrapping_mul(input_zero_point.into());
                start = start.wrapping_sub(offset);
                windows.scale = [mantissa, shift.into(), output_zero_point.into()];
                false
            }
        };
        windows.start = start;
        // SAFETY: taps lie inside the input and outputs inside the output, whose lengths were checked; a window has one
        // tap or more.
        unsafe { if is_exact { averages(&windows) } else { scaled_averages(&windows) } }
    });
}

/// 16 channels of a window at a time.
#[unsafe(naked)]
unsafe extern "C" fn maxima(windows: &Windows) {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        "ldm r0!, {{r1-r5}}",
        "ldm r0, {{r6-r11}}",
        "vdup.8 q2, r10",
        "vdup.8 q3, r11",
        "2:",
        "mov r10, r1",
        "wlstp.8 lr, r4, 6f",
        "3:",
        "mov r11, r10",
        "vmov q0, q2",
        "mov r12, r6",
        "4:",
        "mov r0, r7",
        "5:",
        "vldrb.u8 q1, [r11]",
        "add r11, r11, r9",
        "vmax.s8 q0, q0, q1",
        "subs r0, r0, #1",
        "bne 5b",
        "add r11, r11, r8",
        "subs r12, r12, #1",
        "bne 4b",
        "vmin.s8 q0, q0, q3",
        "add r10, r10, #16",
        "vstrb.8 q0, [r3], #16",
        "letp lr, 3b",
        "6:",
        // Back from whole vectors.
        "sub r10, r10, r1",
        "sub r3, r3, r10",
        "add r3, r3, r4",
        "add r1, r1, r2",
        "subs r5, r5, #1",
        "bne 2b",
        "pop {{r4-r11, pc}}",
    )
}

/// Declares averages of four channels of a window at a time. `finish` brings the sums in q0 to the output's scale; q5 to q7
/// hold what it is scaled by.
macro_rules! averages {
    ($(#[$doc:meta])* $name:ident, $($finish:literal),*) => {
        $(#[$doc])*
        #[unsafe(naked)]
        unsafe extern "C" fn $name(windows: &Windows) {
            naked_asm!(
                processor!(),
                "push {{r4-r11, lr}}",
                "vpush {{d8-d15}}",
                "add r12, r0, #44",
                "ldm r0!, {{r1-r5}}",
                "ldm r0, {{r6-r11}}",
                "vdup.32 q2, r10",
                "vdup.32 q3, r11",
                "ldm r12, {{r0, r10-r12}}",
                "vdup.32 q4, r0",
                "vdup.32 q5, r10",
                "vdup.32 q6, r11",
                "vdup.32 q7, r12",
                "2:",
                "mov r10, r1",
                "wlstp.32 lr, r4, 6f",
                "3:",
                "mov r0, r10",
                "vmov q0, q4",
                "mov r12, r6",
                "4:",
                "mov r11, r7",
                "5:",
                "vldrb.s32 q1, [r0]",
                "add r0, r0, r9",
                "vadd.i32 q0, q0, q1",
                "subs r11, r11, #1",
                "bne 5b",
                "add r0, r0, r8",
                "subs r12, r12, #1",
                "bne 4b",
                $($finish,)*
                "vmax.s32 q0, q0, q2",
                "vmin.s32 q0, q0, q3",
                "add r10, r10, #4",
                "vstrb.32 q0, [r3], #4",
                "letp lr, 3b",
                "6:",
                // Back from whole vectors.
                "sub r10, r10, r1",
                "sub r3, r3, r10",
                "add r3, r3, r4",
                "add r1, r1, r2",
                "subs r5, r5, #1",
                "bne 2b",
                "vpop {{d8-d15}}",
                "pop {{r4-r11, pc}}",
            )
        }
    };
}

averages!(
    /// Quotients, ties away from zero.
    averages,
    "vabs.s32 q1, q0",
    "vadd.i32 q1, q1, q5",
    "vmulh.u32 q1, q1, q6",
    "vpt.s32 lt, q0, zr",
    "vnegt.s32 q1, q1",
    "vmov q0, q1"
);

averages!(
    /// Sums scaled by a mantissa and a shift.
    scaled_averages,
    "vqshl.s32 q0, q0, q6",
    "vqrdmulh.s32 q0, q0, q5",
    "vqadd.s32 q0, q0, q7"
);
