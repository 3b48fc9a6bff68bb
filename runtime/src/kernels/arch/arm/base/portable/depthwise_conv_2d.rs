//! As `armv7m/depthwise_conv_2d.rs`.
#![allow(unsafe_code)]

use crate::kernels::arch::arm::base::depthwise_conv_2d::Pixels;

/// Requantizes and stores the sum `acc` of channel `c` of pixel `x`.
unsafe fn finish(pixels: &Pixels, c: usize, x: usize, acc: i32) {
    // SAFETY: the caller's, here and below.
    let multiplier = unsafe { *pixels.multipliers.add(c) };
    let rounded = (i64::from(acc) * i64::from(2 * multiplier) + (1 << 31)) >> 32;
    let q = (rounded as i32).wrapping_add(pixels.zero_point).clamp(-128, 127) as i8;
    // SAFETY: as above.
    unsafe { *pixels.output.add(x * pixels.channels + c) = q };
}

unsafe fn along(pixels: &Pixels, count: usize, stride: usize) {
    for c in 0..pixels.channels {
        for x in 0..count {
            // SAFETY: the caller's, here and below.
            let mut acc = unsafe { *pixels.bias.add(c) };
            for (ky, row) in pixels.rows.iter().enumerate() {
                for kx in 0..3 {
                    // SAFETY: as above.
                    let (value, weight) = unsafe {
                        let value = *row.add((x * stride + kx) * pixels.channels + c);
                        (value, *pixels.weights.add(c * 9 + ky * 3 + kx))
                    };
                    acc = acc.wrapping_add(i32::from(value) * i32::from(weight));
                }
            }
            // SAFETY: as above.
            unsafe { finish(pixels, c, x, acc) };
        }
    }
}

/// Three pixels whose windows of 3×3 are one column apart, all channels.
pub(crate) unsafe fn along_row(pixels: &Pixels) {
    // SAFETY: the caller's.
    unsafe { along(pixels, 3, 1) };
}

/// Two pixels whose windows of 3×3 are two columns apart, all channels.
pub(crate) unsafe fn along_row_apart(pixels: &Pixels) {
    // SAFETY: the caller's.
    unsafe { along(pixels, 2, 2) };
}

/// One pixel, all channels.
pub(crate) unsafe fn at_taps(pixels: &Pixels) {
    for c in 0..pixels.channels {
        // SAFETY: the caller's, here and below.
        let mut acc = unsafe { *pixels.bias.add(c) };
        for tap in 0..pixels.count {
            // SAFETY: as above.
            let (value, weight) =
                unsafe { (*(*pixels.taps.add(tap)).add(c), *pixels.weights.add(c * pixels.count + tap)) };
            acc = acc.wrapping_add(i32::from(value) * i32::from(weight));
        }
        // SAFETY: as above.
        unsafe { finish(pixels, c, 0, acc) };
    }
}
