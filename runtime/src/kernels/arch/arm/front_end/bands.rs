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

/// How the energy of a band becomes its feature.
#[repr(C)]
pub(crate) struct Logarithm<'t> {
    /// Added to each energy.
    pub(crate) floor: u64,
    /// Added to the logarithm, which has 16 fractional bits.
    pub(crate) unit: i32,
    /// The logarithm of 0.
    pub(crate) least: i32,
    /// Logarithms of the beginnings of chords of [1, 2), and how much more the next is, with 16 fractional bits.
    pub(crate) chords: &'t [[u32; 2]; 32],
}

/// What the loop over bands reads when it has added one up.
#[repr(C)]
struct Bands<'t> {
    logarithm: Logarithm<'t>,
    /// Behind the last edge.
    end: *const u16,
}

/// Features of the bands of a filter bank: the logarithm of Σ weight · power over the rising side and Σ (2^16 - weight) · power over the
/// falling side of each triangle, between `edges`, the first of which is that of the first bin. Where a bin or a weight is missing or the
/// edges do not ascend nothing is written.
///
/// A feature has 7 fractional bits fewer than the logarithm and saturates at 16 bits.
#[inline(never)]
pub(crate) fn log_bands(
    bins: &[u32],
    weights: &[u16],
    edges: &[u16],
    logarithm: Logarithm<'_>,
    features: &mut [i16],
) {
    let [first, second, rest @ ..] = edges else { return };
    let rest = rest.get(..rest.len().min(features.len())).unwrap_or(&[]);
    let last = usize::from(*rest.last().unwrap_or(second));
    let n = bins.len().min(weights.len());
    if rest.is_empty() || !edges.is_sorted() || last - usize::from(*first) > n {
        return;
    }
    let rise = usize::from(*second - *first);
    let (Some(bins), Some(later)) = (bins.split_at_checked(rise), weights.split_at_checked(rise)) else {
        return;
    };
    let (rising, _) = sums(bins.0, later.0);
    let bands = Bands { logarithm, end: rest.as_ptr_range().end };
    // SAFETY: edges are read from `rest` to its end, and as many features written, of which there are enough. They ascend, so that the
    // segments between them have together `last - second` bins and weights, which are there.
    unsafe {
        asm!(
            "push {{r7}}",
            "mov r7, {total}",
            "2:",
            // The sum of the side that rose in the segment before becomes that of its band.
            "ldrh {len}, [{edge}], #2",
            "mov {total}, {rising}",
            "mov {total_high}, {rising_high}",
            "sub {p}, {len}, {at}",
            "mov {at}, {len}",
            "mov {rising}, #0",
            "mov {rising_high}, #0",
            "lsrs {len}, {p}, #1",
            "bcc 3f",
            "ldr {p}, [{bin}], #4",
            "ldrh {w}, [{weight}], #2",
            "umlal {rising}, {rising_high}, {p}, {w}",
            "umlal {total}, {total_high}, {p}, {one}",
            "3:",
            "subs {len}, {len}, #1",
            "bmi 5f",
            "4:",
            "ldr {p}, [{bin}], #4",
            "ldrh {w}, [{weight}], #2",
            "umlal {rising}, {rising_high}, {p}, {w}",
            "umlal {total}, {total_high}, {p}, {one}",
            "ldr {p}, [{bin}], #4",
            "ldrh {w}, [{weight}], #2",
            "umlal {rising}, {rising_high}, {p}, {w}",
            "umlal {total}, {total_high}, {p}, {one}",
            "subs {len}, {len}, #1",
            "bpl 4b",
            "5:",
            "ldrd {len}, {w}, [r7]",
            "subs {total}, {total}, {rising}",
            "sbc {total_high}, {total_high}, {rising_high}",
            "adds {total}, {total}, {len}",
            "adcs {total_high}, {total_high}, {w}",
            "ldrd {p}, {len}, [r7, #8]",
            "bne 6f",
            "movs {total_high}, {total}",
            "beq 7f",
            "mov {total}, #0",
            "sub {p}, {p}, #0x200000",
            "6:",
            // The leading one moves to bit 31.
            "clz {w}, {total_high}",
            "ldr {len}, [r7, #16]",
            "lsl {total_high}, {total_high}, {w}",
            "sub {p}, {p}, {w}, lsl #16",
            "rsb {w}, {w}, #32",
            "lsr {total}, {total}, {w}",
            "orr {total_high}, {total_high}, {total}",
            "ubfx {total}, {total_high}, #26, #5",
            "add {len}, {len}, {total}, lsl #3",
            "ubfx {total_high}, {total_high}, #10, #16",
            "ldrd {total}, {len}, [{len}]",
            "mul {total_high}, {total_high}, {len}",
            "add {total_high}, {total_high}, {one}, lsr #1",
            "add {total}, {total}, {total_high}, lsr #16",
            "add {len}, {p}, {total}",
            "7:",
            "ssat {len}, #16, {len}, asr #7",
            "ldr {w}, [r7, #24]",
            "strh {len}, [{feature}], #2",
            "cmp {edge}, {w}",
            "bne 2b",
            "pop {{r7}}",
            edge = inout(reg) rest.as_ptr() => _,
            at = inout(reg) u32::from(*second) => _,
            bin = inout(reg) bins.1.as_ptr() => _,
            weight = inout(reg) later.1.as_ptr() => _,
            rising = inout(reg) rising as u32 => _,
            rising_high = inout(reg) (rising >> 32) as u32 => _,
            total = inout(reg) &raw const bands => _,
            total_high = out(reg) _,
            feature = inout(reg) features.as_mut_ptr() => _,
            one = in(reg) 0x1_0000_u32,
            p = out(reg) _,
            w = out(reg) _,
            len = out(reg) _,
        );
    }
}
