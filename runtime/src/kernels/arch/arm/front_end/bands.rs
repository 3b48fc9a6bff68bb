//! Sums over bins, and the cosine transform of bands.

use core::arch::asm;

/// Σ weight · power and Σ 2^16 · power, of as many bins as there are of both, at most 2^16.
#[inline(always)]
pub(crate) fn sums(bins: &[u32], weights: &[u16]) -> (u64, u64) {
    let len = bins.len().min(weights.len());
    let (mut rising, mut rising_high, mut total, mut total_high) = (0_u32, 0_u32, 0_u32, 0_u32);
    // SAFETY: `len` bins and as many weights are read, an odd one first. Nothing is written.
    unsafe {
        asm!(
            "lsrs {len}, {len}, #1",
            "bcc 3f",
            "ldr {p}, [{bin}], #4",
            "ldrh {w}, [{weight}], #2",
            "umlal {rising}, {rising_high}, {p}, {w}",
            "umlal {total}, {total_high}, {p}, {one}",
            "3:",
            "subs {len}, {len}, #1",
            "bmi 4f",
            "2:",
            "ldr {p}, [{bin}], #4",
            "ldrh {w}, [{weight}], #2",
            "umlal {rising}, {rising_high}, {p}, {w}",
            "umlal {total}, {total_high}, {p}, {one}",
            "ldr {p}, [{bin}], #4",
            "ldrh {w}, [{weight}], #2",
            "umlal {rising}, {rising_high}, {p}, {w}",
            "umlal {total}, {total_high}, {p}, {one}",
            "subs {len}, {len}, #1",
            "bpl 2b",
            "4:",
            len = inout(reg) len => _,
            bin = inout(reg) bins.as_ptr() => _,
            weight = inout(reg) weights.as_ptr() => _,
            rising = inout(reg) rising,
            rising_high = inout(reg) rising_high,
            total = inout(reg) total,
            total_high = inout(reg) total_high,
            one = in(reg) 0x1_0000_u32,
            p = out(reg) _,
            w = out(reg) _,
            options(readonly, nostack),
        );
    }
    (u64::from(rising) | u64::from(rising_high) << 32, u64::from(total) | u64::from(total_high) << 32)
}

/// Σ row · bands, of as many as there are of both.
#[inline(always)]
pub(crate) fn product(row: &[i16], bands: &[i16]) -> i64 {
    let len = row.len().min(bands.len());
    let (mut low, mut high) = (0_u32, 0_u32);
    if len >= 4 {
        // SAFETY: four numbers of each at a time are read, `len / 4` times. Nothing is written.
        unsafe {
            asm!(
                "2:",
                "ldr {x}, [{row}], #4",
                "ldr {y}, [{band}], #4",
                "smlald {low}, {high}, {x}, {y}",
                "ldr {x}, [{row}], #4",
                "ldr {y}, [{band}], #4",
                "smlald {low}, {high}, {x}, {y}",
                "subs {fours}, {fours}, #1",
                "bne 2b",
                row = inout(reg) row.as_ptr() => _,
                band = inout(reg) bands.as_ptr() => _,
                fours = inout(reg) len / 4 => _,
                low = inout(reg) low,
                high = inout(reg) high,
                x = out(reg) _,
                y = out(reg) _,
                options(readonly, nostack),
            );
        }
    }
    let rest = row.iter().zip(bands).skip(len & !3).map(|(t, b)| i64::from(i32::from(*t) * i32::from(*b)));
    (u64::from(low) | u64::from(high) << 32) as i64 + rest.sum::<i64>()
}
