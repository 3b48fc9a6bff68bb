//! As `armv7m/windows.rs`.
#![allow(unsafe_code)]

use crate::kernels::arch::arm::base::windows::{CHANNELS, Windows};

/// Maxima of windows.
pub(crate) unsafe fn maxima(windows: &mut Windows) {
    for _ in 0..windows.count {
        let mut channel = 0;
        loop {
            let mut maxima = [windows.output_min; CHANNELS];
            let mut tap = windows.input.wrapping_add(channel);
            for _ in 0..windows.rows {
                for _ in 0..windows.columns {
                    for (i, maximum) in maxima.iter_mut().enumerate() {
                        // SAFETY: the caller's, here and below.
                        *maximum = (*maximum).max(unsafe { *tap.add(i) }.into());
                    }
                    tap = tap.wrapping_add(windows.column_step);
                }
                tap = tap.wrapping_add(windows.gap);
            }
            for (i, maximum) in maxima.into_iter().enumerate() {
                // SAFETY: as above.
                unsafe { *windows.output.add(channel + i) = maximum.min(windows.output_max) as i8 };
            }
            if channel == windows.last {
                break;
            }
            channel = (channel + CHANNELS).min(windows.last);
        }
        windows.input = windows.input.wrapping_add(windows.step);
        windows.output = windows.output.wrapping_add(windows.channels);
    }
}
