//! Powers of two in fixed point: 32 chords.

const CHORDS: usize = 32;

/// `2^(i/32) - 1` in Q16.
static EXP2_Q16: [u32; CHORDS + 1] = exp2_table();

/// The square root of a Q31 number in [1, 2], Q31, rounded down.
const fn root_q31(x: u64) -> u64 {
    let x = x << 31;
    let (mut low, mut high) = (0_u64, 1 << 32);
    while high - low > 1 {
        let middle = (low + high) / 2;
        if middle * middle <= x { low = middle } else { high = middle }
    }
    low
}

const fn exp2_table() -> [u32; CHORDS + 1] {
    let mut table = [0; CHORDS + 1];
    let mut i = 0;
    while i <= CHORDS {
        // From the lowest of the five digits up: x = √(x · 2^digit).
        let mut x = 1_u64 << 31;
        let mut digit = 0;
        while digit < 5 {
            if (i >> digit) & 1 == 1 {
                x <<= 1;
            }
            x = root_q31(x);
            digit += 1;
        }
        if i == CHORDS {
            x = 1 << 32;
        }
        table[i] = ((x - (1 << 31) + (1 << 14)) >> 15) as u32;
        i += 1;
    }
    table
}

/// `2^(x / 2^16)` with `frac_bits` fractional bits, at most 46 of them: at most 0.00007 of it above and half a step and
/// 0.00002 of it below the exact value, saturated at 2^62.
pub fn exp2_q16(x: i32, frac_bits: u32) -> u64 {
    let chord = (x >> 11) as usize & (CHORDS - 1);
    let between = (x & 0x7ff) as u32;
    let low = EXP2_Q16.get(chord).copied().unwrap_or(0);
    let high = EXP2_Q16.get(chord + 1).copied().unwrap_or(0);
    // In [1, 2), Q16.
    let mantissa = (1 << 16) + low + ((high.wrapping_sub(low).wrapping_mul(between) + 0x400) >> 11);
    let shift = (x >> 16).saturating_add(frac_bits as i32).saturating_sub(16);
    if shift >= 46 {
        1 << 62
    } else if shift >= 0 {
        u64::from(mantissa) << (shift & 63)
    } else {
        let down = shift.unsigned_abs().min(31);
        u64::from((mantissa + ((1 << down) >> 1)) >> down)
    }
}
