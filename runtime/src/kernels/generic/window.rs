//! Where a window lies in its input.

use core::ops::Range;

/// Filter taps whose input position is inside `0..len`: those of output position `at` along one axis.
#[inline]
pub(in crate::kernels) fn taps_inside(
    at: usize,
    stride: usize,
    pad: usize,
    filter: usize,
    dilation: usize,
    len: usize,
) -> Range<usize> {
    let (origin, dilation) = (at * stride, dilation.max(1));
    let first = if dilation == 1 {
        pad.saturating_sub(origin)
    } else {
        pad.saturating_sub(origin).div_ceil(dilation)
    };
    let room = (len + pad).saturating_sub(origin);
    let end = if dilation == 1 { room } else { room.div_ceil(dilation) };
    first.min(filter)..end.min(filter).max(first.min(filter))
}

/// Copies as many elements as both slices have.
#[inline(always)]
pub(super) fn copy(to: &mut [i8], from: &[i8]) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
}
