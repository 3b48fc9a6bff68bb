//! As `armv7m/averages.rs`.
#![allow(unsafe_code)]

use crate::kernels::arch::arm::base::averages::{Averages, CHANNELS};
use crate::quant::clamp_i8;

/// Averages of windows.
pub(crate) unsafe fn averages(block: &mut Averages) {
    let scale = block.scale;
    for _ in 0..block.count {
        block.channel = 0;
        loop {
            let mut sums = [scale.start; CHANNELS];
            let mut tap = block.input.wrapping_add(block.channel);
            for _ in 0..block.rows {
                for _ in 0..block.columns {
                    for (i, sum) in sums.iter_mut().enumerate() {
                        // SAFETY: the caller's, here and below.
                        *sum += i32::from(unsafe { *tap.add(i) });
                    }
                    tap = tap.wrapping_add(block.column_step);
                }
                tap = tap.wrapping_add(block.gap);
            }
            for (i, sum) in sums.into_iter().enumerate() {
                let product = i64::from(sum << scale.left_shift) * i64::from(scale.multiplier);
                let scaled = ((product + (1 << 31)) >> 32) as i32 + scale.zero_point;
                // SAFETY: as above.
                unsafe { *block.output.add(block.channel + i) = clamp_i8(scaled, i8::MIN, i8::MAX) };
            }
            if block.channel == block.last {
                break;
            }
            block.channel = (block.channel + CHANNELS).min(block.last);
        }
        block.input = block.input.wrapping_add(block.step);
        block.output = block.output.wrapping_add(block.channels);
    }
}
