//! Maximum over windows whose channels lie side by side: four channels at a time.
#![allow(unsafe_code)]

use core::ops::Range;

use super::inner;
use crate::kernels::arch::arm::windows::for_each_run;
use crate::kernels::params::MaxPool2d;
use crate::quant::clamp_i8;

/// Channels at a time, the last of them together with some that are done.
pub(super) const CHANNELS: usize = 4;

/// What [`inner::maxima`] works on.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Windows {
    pub input: *const i8,
    pub step: usize,
    pub output: *mut i8,
    pub channels: usize,
    /// The first of the last four channels.
    pub last: usize,
    /// Windows, and of each the rows and columns; all 1 or more.
    pub count: usize,
    pub rows: usize,
    pub columns: usize,
    pub gap: usize,
    pub column_step: usize,
    pub output_min: i32,
    pub output_max: i32,
}

pub(super) fn max_pool_2d(op: &MaxPool2d, input: &[i8], output: &mut [i8], rows: Range<usize>) {
    let c = op.output.extent.c;
    let fits = c >= CHANNELS
        && input.len() >= op.input.extent.len()
        && output.len() >= rows.len() * op.output.extent.row_len();
    if !fits {
        return;
    }
    for_each_run(&op.window, op.input, op.output, rows, |run| {
        if run.rows == 0 {
            let outputs = output.iter_mut().skip(run.output).take(run.count * c);
            return outputs.for_each(|q| *q = clamp_i8(i8::MIN.into(), op.output_min, op.output_max));
        }
        let mut windows = Windows {
            input: input.as_ptr().wrapping_add(run.input),
            step: run.step,
            output: output.as_mut_ptr().wrapping_add(run.output),
            channels: c,
            last: c - CHANNELS,
            count: run.count,
            rows: run.rows,
            columns: run.columns,
            gap: run.gap,
            column_step: run.column_step,
            output_min: op.output_min.into(),
            output_max: op.output_max.into(),
        };
        // SAFETY: taps lie inside the input and outputs inside the output, whose lengths were checked; a window has one
        // tap or more, and four channels or more.
        unsafe { inner::maxima(&mut windows) }
    });
}
