//! As `armv7m/fully_connected.rs`.
#![allow(unsafe_code)]

use crate::kernels::arch::arm::base::fully_connected::Outputs;
use crate::kernels::packing::base::CHANNELS;

/// The sums of four outputs from their three accumulators.
fn sums([first, second, third]: [i32; 3]) -> [i32; CHANNELS] {
    let rest = first.wrapping_sub(third << 16);
    let low_b = i32::from(second as i16);
    let rest = rest.wrapping_sub(low_b << 8);
    let a = rest << 8 >> 8;
    let b = low_b.wrapping_add(rest.wrapping_sub(a) >> 8);
    let low_d = second.wrapping_sub(b) as u32;
    let rest = third.wrapping_sub((low_d >> 8) as i32);
    let c = rest << 8 >> 8;
    [a, b, c, ((low_d >> 16) as i32).wrapping_add(rest.wrapping_sub(c) >> 8)]
}

/// Eight outputs, requantized and stored.
pub(crate) unsafe fn multiply_vector(block: &Outputs) {
    let k = block.input_end as usize - block.input as usize;
    for (i, weights) in block.weights.into_iter().enumerate() {
        let mut accs = block.start;
        for j in 0..k {
            // SAFETY: the caller's, here and below.
            let (x, w) = unsafe { (i32::from(*block.input.add(j)), *weights.cast::<u32>().add(j)) };
            for (acc, w) in accs.iter_mut().zip([w, w >> 8 & 0x00FF_00FF, w >> 16]) {
                *acc = acc.wrapping_add(x.wrapping_mul(w as i32));
            }
        }
        for (c, sum) in sums(accs).into_iter().enumerate() {
            let o = i * CHANNELS + c;
            // SAFETY: as above.
            let (bias, multiplier) = unsafe { (*block.bias.add(o), *block.multipliers.add(o)) };
            let acc = i64::from(sum.wrapping_add(bias));
            let rounded = (acc * i64::from(2 * multiplier) + (1 << 31)) >> 32;
            // SAFETY: as above.
            unsafe { *block.output.add(o) = (rounded as i32 + block.zero_point).clamp(-128, 127) as i8 };
        }
    }
}
