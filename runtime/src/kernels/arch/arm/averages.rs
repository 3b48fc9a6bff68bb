//! Averages by a loop over windows whose channels lie side by side.
//!
//! Both ways of [`Average`] are one product: `(acc * 2^left_shift * multiplier + 2^31) / 2^32 + zero_point`, rounded down and
//! saturated to int8. For a quotient the multiplier is above `2^32 / count`, so that ties move away from zero on either
//! side, and by so little that no other sum crosses a tie: sums are at most `2^7 count`, `count` at most 2^12.

use core::cell::Cell;
use core::ops::Range;

use super::clamp::clamp_cells;
use super::windows::for_each_run;
use crate::kernels::linked::{Linked, Variant};
use crate::kernels::params::{Average, AveragePool2d};

/// Channels that a loop takes at a time.
pub(super) const CHANNELS: usize = 4;

/// What the loop works on: pointers to a run's first tap and output, the run, and how sums are scaled.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Averages {
    pub input: *const i8,
    pub step: usize,
    pub output: *mut i8,
    pub channels: usize,
    /// The first of the last channels that are taken at a time, some of them perhaps done already.
    pub last: usize,
    /// Windows, and of each the rows and columns; all 1 or more.
    pub count: usize,
    pub rows: usize,
    pub columns: usize,
    pub gap: usize,
    pub column_step: usize,
    pub scale: Scale,
    /// For the loop's use.
    pub channel: usize,
}

/// How sums are scaled.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Scale {
    /// What a sum begins with.
    pub start: i32,
    pub left_shift: u32,
    /// Not negative.
    pub multiplier: i32,
    pub zero_point: i32,
}

/// The scale of windows of `count` elements.
#[inline(never)]
fn scale(op: &AveragePool2d, count: u32) -> Scale {
    match op.average {
        Average::Exact => {
            // Of fewer than three elements the multiplier would have 32 bits.
            let left_shift = if count < 3 { 2 } else { 0 };
            let below = u32::MAX.checked_div(count).unwrap_or(0) >> left_shift;
            let multiplier = below as i32 + 1 + i32::from(count.is_power_of_two());
            Scale { start: 0, left_shift, multiplier, zero_point: 0 }
        }
        Average::Scaled { mantissa, shift, input_zero_point, output_zero_point } => Scale {
            start: (count as i32).wrapping_mul(input_zero_point.into()).wrapping_neg(),
            left_shift: u32::from(shift) + 1,
            multiplier: mantissa,
            zero_point: output_zero_point.into(),
        },
    }
}

/// The average of each channel over all places of an operator that is global ([`AveragePool2d::is_global`]).
#[inline(always)]
pub(super) fn global_average<L: Linked>(
    op: &AveragePool2d,
    input: &[i8],
    output: &mut [i8],
    averages: impl Fn(&mut Averages),
) {
    let (c, places) = (op.input.extent.c, op.input.extent.h * op.input.extent.w);
    if c < CHANNELS || places == 0 || input.len() < places * c || output.len() < c {
        return;
    }
    averages(&mut Averages {
        input: input.as_ptr(),
        step: 0,
        output: output.as_mut_ptr(),
        channels: c,
        last: c - CHANNELS,
        count: 1,
        rows: 1,
        columns: places,
        gap: 0,
        column_step: c,
        scale: scale(op, places as u32),
        channel: 0,
    });
    clamp::<L>(op, output);
}

/// Averages of an operator by channels ([`AveragePool2d::is_by_channels`]). `averages` gets blocks whose taps lie inside the
/// input and whose outputs lie inside the output.
#[inline(always)]
pub(super) fn average_pool_2d<L: Linked>(
    op: &AveragePool2d,
    input: &[i8],
    output: &mut [i8],
    rows: Range<usize>,
    averages: impl Fn(&mut Averages),
) {
    let (c, len) = (op.output.extent.c, rows.len() * op.output.extent.row_len());
    if c < CHANNELS || input.len() < op.input.extent.len() || output.len() < len {
        return;
    }
    let full = (op.window.filter_h * op.window.filter_w) as u32;
    let (mut scaled_count, mut scaled) = (0, scale(op, 0));
    for_each_run(&op.window, op.input, op.output, rows, |run| {
        let taps = (run.rows * run.columns) as u32;
        let count = if op.counted_padding.is_some() { full } else { taps };
        if count != scaled_count {
            (scaled_count, scaled) = (count, scale(op, count));
        }
        let padding = op.counted_padding.map_or(0, i32::from).wrapping_mul(full.wrapping_sub(taps) as i32);
        let mut block = Averages {
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
            scale: Scale { start: scaled.start.wrapping_add(padding), ..scaled },
            channel: 0,
        };
        let is_outside = taps == 0;
        let (zeros, mut average) = ([0i8; CHANNELS], [0i8; CHANNELS]);
        if is_outside {
            // Windows wholly in the padding: one of a single 0.
            (block.input, block.output) = (zeros.as_ptr(), average.as_mut_ptr());
            (block.last, block.count, block.rows, block.columns) = (0, 1, 1, 1);
        }
        averages(&mut block);
        if is_outside {
            let outputs = output.iter_mut().skip(run.output).take(run.count * c);
            outputs.zip(average.iter().cycle()).for_each(|(q, average)| *q = *average);
        }
    });
    clamp::<L>(op, output);
}

fn clamp<L: Linked>(op: &AveragePool2d, output: &mut [i8]) {
    if L::VARIANTS.has(Variant::Clamp) {
        clamp_cells(Cell::from_mut(output).as_slice_of_cells(), op.output_min, op.output_max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::params::Window;
    use crate::shape::{Layout, View};

    /// Around every tie of every number of elements.
    #[test]
    fn quotients_are_exact() {
        let view = View::new(1, 1, 4, Layout::Nhwc);
        let op = AveragePool2d {
            input: view,
            output: view,
            window: Window::default(),
            counted_padding: None,
            average: Average::Exact,
            output_min: i8::MIN,
            output_max: i8::MAX,
        };
        for count in 1..=4096 {
            let scale = scale(&op, count);
            assert!(scale.multiplier > 0);
            let n = count as i32;
            for tie in (-128..128).map(|q| q * n + n / 2) {
                for sum in (tie - 2..=tie + 2).filter(|sum| (-128 * n..=127 * n).contains(sum)) {
                    let product = i64::from(sum << scale.left_shift) * i64::from(scale.multiplier);
                    let got = ((product + (1 << 31)) >> 32) as i8;
                    assert_eq!(got, op.finish(sum, count), "{sum} / {count}");
                }
            }
        }
    }
}
