//! Runs of windows of maximum and average: neighbours that have equally many taps in the input.

use core::ops::Range;

use crate::kernels::generic::window::taps_inside;
#[cfg(any(test, teff_dsp, teff_armv6m, teff_armv7m))]
use crate::kernels::params::MaxPool2d;
use crate::kernels::params::Window;
#[cfg(any(test, teff_dsp, teff_armv6m, teff_armv7m))]
use crate::quant::clamp_i8;
use crate::shape::{Extent, View};

/// Windows side by side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    /// Index of the first window's first element, of channel 0.
    pub input: usize,
    /// Elements from a window to the next.
    pub step: usize,
    /// Index of the first output.
    pub output: usize,
    /// Windows; 1 or more.
    pub count: usize,
    /// Taps inside the input. Where there is none, the windows lie wholly in the padding.
    pub rows: usize,
    pub columns: usize,
    /// Elements from a tap to the next in its row, and from behind a row to the next.
    pub column_step: usize,
    pub gap: usize,
}

/// Calls `visit` with all windows of the output rows `rows`. Channels lie side by side.
#[inline(always)]
pub(super) fn for_each_run(
    window: &Window,
    input: View,
    output: View,
    rows: Range<usize>,
    mut visit: impl FnMut(Run),
) {
    let (mut w, mut from, to) = (*window, input.extent, output.extent);
    let c = to.c;
    let (mut outer, mut inner) = (rows.clone(), 0..to.w);
    if from.w == 1 && to.w == 1 {
        // A signal over time: its steps lie side by side.
        w = Window {
            filter_h: window.filter_w,
            filter_w: window.filter_h,
            stride_h: window.stride_w,
            stride_w: window.stride_h,
            dilation_h: window.dilation_w,
            dilation_w: window.dilation_h,
            pad_top: window.pad_left,
            pad_left: window.pad_top,
        };
        from = Extent { h: 1, w: from.h, c };
        (outer, inner) = (0..1, rows);
    }
    // Where the windows end that do not reach beyond the last column.
    let reach = w.dilation_w * w.filter_w.saturating_sub(1) + 1;
    let inside = (from.w + w.pad_left).checked_sub(reach).map_or(0, |last| last / w.stride_w.max(1) + 1);
    let inside = inside.min(inner.end);
    let mut index = 0;
    for y in outer {
        let ky = taps_inside(y, w.stride_h, w.pad_top, w.filter_h, w.dilation_h, from.h);
        let iy = (y * w.stride_h + ky.start * w.dilation_h).wrapping_sub(w.pad_top);
        let mut x = inner.start;
        while x < inner.end {
            let kx = taps_inside(x, w.stride_w, w.pad_left, w.filter_w, w.dilation_w, from.w);
            let ix = (x * w.stride_w + kx.start * w.dilation_w).wrapping_sub(w.pad_left);
            let (rows, columns) = (ky.len(), kx.len());
            let count = if columns == w.filter_w { inside.saturating_sub(x).max(1) } else { 1 };
            let column_step = w.dilation_w * c;
            visit(Run {
                input: iy.wrapping_mul(from.row_len()).wrapping_add(ix.wrapping_mul(c)),
                step: w.stride_w * c,
                output: index,
                count,
                rows: if columns == 0 { 0 } else { rows },
                columns,
                column_step,
                gap: (w.dilation_h * from.row_len()).wrapping_sub(columns * column_step),
            });
            index += count * c;
            x += count;
        }
    }
}

/// What the loop of a maximum works on: pointers to a run's first tap and output, and the run.
#[cfg(any(test, teff_dsp, teff_armv6m, teff_armv7m))]
#[derive(Debug)]
#[repr(C)]
pub(super) struct Windows {
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
    /// As the loop's registers hold them.
    pub output_min: i32,
    pub output_max: i32,
}

/// Maxima by a loop that takes `at_once` channels at a time, if there are so many. `maxima` gets blocks whose taps lie
/// inside the input and whose outputs lie inside the output; `register` says how its registers hold a clamp.
#[cfg(any(test, teff_dsp, teff_armv6m, teff_armv7m))]
#[inline(always)]
pub(super) fn max_pool_2d(
    op: &MaxPool2d,
    input: &[i8],
    output: &mut [i8],
    rows: Range<usize>,
    at_once: usize,
    register: impl Fn(i8) -> i32,
    maxima: impl Fn(&mut Windows),
) {
    let c = op.output.extent.c;
    let fits =
        input.len() >= op.input.extent.len() && output.len() >= rows.len() * op.output.extent.row_len();
    let Some(last) = c.checked_sub(at_once).filter(|_| fits) else { return };
    for_each_run(&op.window, op.input, op.output, rows, |run| {
        if run.rows == 0 {
            let outputs = output.iter_mut().skip(run.output).take(run.count * c);
            return outputs.for_each(|q| *q = clamp_i8(i8::MIN.into(), op.output_min, op.output_max));
        }
        maxima(&mut Windows {
            input: input.as_ptr().wrapping_add(run.input),
            step: run.step,
            output: output.as_mut_ptr().wrapping_add(run.output),
            channels: c,
            last,
            count: run.count,
            rows: run.rows,
            columns: run.columns,
            gap: run.gap,
            column_step: run.column_step,
            output_min: register(op.output_min),
            output_max: register(op.output_max),
        });
    });
}
