//! Average over the whole input: sums of four channels in two registers.
#![allow(unsafe_code)]

use core::arch::asm;

use crate::kernels::params::AveragePool2d;

/// The average of each channel over all places.
pub(super) fn global_average(op: &AveragePool2d, input: &[i8], output: &mut [i8]) {
    let (c, places) = (op.input.extent.c, op.input.extent.h * op.input.extent.w);
    if input.len() < places * c || places == 0 {
        return;
    }
    for (i, elements) in output.as_chunks_mut::<4>().0.iter_mut().enumerate().take(c / 4) {
        // Channels 0 and 2, and channels 1 and 3, in 16 bits each.
        let (mut even, mut odd) = (0u32, 0u32);
        // SAFETY: reads one word of each of `places` places, `c` bytes apart, inside `input`, whose length was checked.
        unsafe {
            asm!(
                "2:",
                "ldr {x}, [{input}]",
                "add {input}, {input}, {c}",
                "subs {left}, {left}, #1",
                "sxtab16 {even}, {even}, {x}",
                "sxtab16 {odd}, {odd}, {x}, ror #8",
                "bne 2b",
                x = out(reg) _,
                input = inout(reg) input.as_ptr().wrapping_add(i * 4) => _,
                left = inout(reg) places => _,
                c = in(reg) c,
                even = inout(reg) even,
                odd = inout(reg) odd,
                options(nostack, readonly),
            );
        }
        let sums = [even as i16, odd as i16, (even >> 16) as i16, (odd >> 16) as i16];
        for (element, sum) in elements.iter_mut().zip(sums) {
            *element = op.finish(sum.into(), places as u32);
        }
    }
}
