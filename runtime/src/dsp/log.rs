//! Base-2 logarithm in fixed point: position of the leading one, and a table of 32 chords for what follows it.

use super::kinds::LOG_FRAC_BITS;
use crate::quant::shift_right_half_up;

const CHORDS: usize = 32;

/// `log2(1 + i/32)` in Q16. Computed digit by digit: squaring a number in [1, 2) tells the next bit of its logarithm.
static LOG2_Q16: [u32; CHORDS + 1] = log2_table();

const fn log2_table() -> [u32; CHORDS + 1] {
    let mut table = [0; CHORDS + 1];
    let mut i = 0;
    while i <= CHORDS {
        // Q31 in 64 bits.
        let mut x = ((CHORDS + i) as u64) << 26;
        let mut bits = if x >> 32 != 0 { 1 } else { 0 };
        x >>= bits;
        // Two more bits than the table has, then one rounding.
        let mut n = 0;
        while n < 18 {
            x = (x * x) >> 31;
            bits <<= 1;
            if x >> 32 != 0 {
                bits |= 1;
                x >>= 1;
            }
            n += 1;
        }
        table[i] = (bits as u32 + 2) >> 2;
        i += 1;
    }
    table
}

/// `log2(x)` with 16 fractional bits, for x above 0; at most 0.0002 below and 0.00001 above the exact value.
/// `log2_q16(0)` is 0.
pub fn log2_q16(x: u64) -> i32 {
    let zeros = x.leading_zeros();
    // The leading one moves to bit 31: Q31 in [1, 2).
    let mantissa = ((x << (zeros & 63)) >> 32) as u32;
    let chord = (mantissa >> 26) as usize & (CHORDS - 1);
    let between = (mantissa >> 10) & 0xffff;
    let low = LOG2_Q16.get(chord).copied().unwrap_or(0);
    let high = LOG2_Q16.get(chord + 1).copied().unwrap_or(0);
    let fraction = low + ((high.wrapping_sub(low).wrapping_mul(between) + 0x8000) >> 16);
    let whole = 63_i32 - (zeros as i32).min(63);
    (whole << 16) + fraction as i32
}

/// The feature of a band: `log2(energy · 4^exponent + 2^floor_log2)` with [`LOG_FRAC_BITS`] fractional bits.
///
/// `energy` has 16 fractional bits and is below 2^62.
pub(super) fn band_feature(energy: u64, exponent: i32, floor_log2: i8) -> i16 {
    let floor = i32::from(floor_log2);
    // The floor in units of the energy.
    let floor_bit = floor + 16 - 2 * exponent;
    let feature = if floor_bit > 62 {
        floor << 16
    } else {
        // Both are at most 2^62.
        let floored = energy.wrapping_add(if floor_bit >= 0 { 1 << (floor_bit & 63) } else { 0 });
        if floored == 0 { floor << 16 } else { log2_q16(floored) + ((2 * exponent - 16) << 16) }
    };
    let shift = 16 - LOG_FRAC_BITS;
    shift_right_half_up(feature, shift).clamp(-32768, 32767) as i16
}
