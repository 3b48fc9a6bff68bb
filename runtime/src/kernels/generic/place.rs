//! Copy into a part of a value.

use core::ops::Range;

use super::window::copy;
use crate::kernels::params::Place;
use crate::shape::Layout;

pub(super) fn place(op: &Place, input: &[i8], output: &mut [i8], rows: Range<usize>) {
    let (from, to) = (op.input, op.output);
    // Runs that lie side by side in both.
    let (runs, run_len) = match (from.layout, to.layout) {
        (Layout::Nhwc, Layout::Nhwc) if from.extent.c == to.extent.c => (1, from.extent.row_len()),
        (Layout::Nhwc, Layout::Nhwc) => (from.extent.w, from.extent.c),
        (Layout::Planar, Layout::Planar) if from.extent.w == to.extent.w => (1, from.extent.row_len()),
        (Layout::Planar, Layout::Planar) => (from.extent.c, from.extent.w),
        _ => (from.extent.row_len(), 1),
    };
    for y in rows {
        let source = input.get(from.index(y, 0, 0)..).and_then(|input| input.get(..from.extent.row_len()));
        let Some(target) = output.get_mut(to.index(op.top + y, op.left, op.channel)..) else { return };
        if run_len > 1 || runs == 1 {
            let step = match from.layout {
                Layout::Nhwc => to.w_stride(),
                Layout::Planar => to.c_stride(),
            };
            let sources = source.unwrap_or(&[]).chunks_exact(run_len.max(1));
            for (source, target) in sources.zip(target.chunks_mut(step.max(run_len).max(1))) {
                copy(target, source);
            }
        } else {
            transpose(op, source.unwrap_or(&[]), target);
        }
    }
}

/// Copies one row into another layout.
fn transpose(op: &Place, source: &[i8], target: &mut [i8]) {
    let (from, to) = (op.input, op.output);
    for c in 0..from.extent.c {
        let source = source.get(from.index(0, 0, c)..).unwrap_or(&[]).iter().step_by(from.w_stride().max(1));
        let target = target.get_mut(to.index(0, 0, c)..).unwrap_or(&mut []);
        let target = target.iter_mut().step_by(to.w_stride().max(1)).take(from.extent.w);
        target.zip(source).for_each(|(to, from)| *to = *from);
    }
}
