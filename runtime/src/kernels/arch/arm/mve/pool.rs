//! Average over the whole input: sums of eight channels in a vector.
#![allow(unsafe_code)]

use core::arch::naked_asm;

use crate::kernels::params::AveragePool2d;

/// Channels of a vector.
const LANES: usize = 8;

/// The average of each channel over all places, at most 255 of them.
pub(super) fn global_average(op: &AveragePool2d, input: &[i8], output: &mut [i8]) {
    let (c, places) = (op.input.extent.c, op.input.extent.h * op.input.extent.w);
    if input.len() < places * c || places == 0 {
        return;
    }
    for (i, elements) in output.chunks_mut(LANES).enumerate().take(c.div_ceil(LANES)) {
        let first = i * LANES;
        let mut sums = [0i16; LANES];
        // SAFETY: reads `c - first` elements, at most eight, of each place; they lie inside `input`, whose length was
        // checked.
        unsafe { sum_places(input.as_ptr().wrapping_add(first), places, c, c - first, &mut sums) };
        for (element, sum) in elements.iter_mut().zip(sums) {
            *element = op.finish(sum.into(), places as u32);
        }
    }
}

/// Sums `channels`, at most eight of them, over `places` that lie `step` elements apart.
#[unsafe(naked)]
unsafe extern "C" fn sum_places(
    input: *const i8,
    places: usize,
    step: usize,
    channels: usize,
    sums: &mut [i16; LANES],
) {
    naked_asm!(
        processor!(),
        "push {{r4, lr}}",
        "ldr r4, [sp, #8]",
        "vctp.16 r3",
        "vmov.i32 q0, #0",
        "dls lr, r1",
        "2:",
        "vpst",
        "vldrbt.s16 q1, [r0]",
        "add r0, r0, r2",
        "vadd.i16 q0, q0, q1",
        "le lr, 2b",
        "vstrh.16 q0, [r4]",
        "pop {{r4, pc}}",
    )
}
