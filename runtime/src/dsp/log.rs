//! Base-2 logarithm in fixed point: position of the leading one, and a table of 32 chords for what follows it.

use super::kinds::LOG_FRAC_BITS;

const CHORDS: usize = 32;

/// `log2(1 + i/32)` in Q16 and how much more the next is. Computed digit by digit: squaring a number in [1, 2) tells the next bit of its logarithm.
static LOG2_Q16: [[u32; 2]; CHORDS] = log2_table();

const fn log2_table() -> [[u32; 2]; CHORDS] {
    let mut table = [[0; 2]; CHORDS];
    let (mut i, mut last) = (1, 0);
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
        let next = (bits as u32 + 2) >> 2;
        table[i - 1] = [last, next - last];
        last = next;
        i += 1;
    }
    table
}

/// `log2(x)` with 16 fractional bits, for x above 0; at most 0.0002 below and 0.00001 above the exact value.
/// `log2_q16(0)` is 0.
#[inline(never)]
pub fn log2_q16(x: u64) -> i32 {
    log2(x)
}

#[inline(always)]
fn log2(x: u64) -> i32 {
    let (high, low) = ((x >> 32) as u32, x as u32);
    let (top, below, whole) = if high != 0 { (high, low, 63 << 16) } else { (low, 0, 31 << 16) };
    if top == 0 {
        return 0;
    }
    let zeros = top.leading_zeros();
    // The leading one moves to bit 31: Q31 in [1, 2).
    let mantissa = (top << (zeros & 31)) | ((below >> 1) >> (!zeros & 31));
    let chord = (mantissa >> 26) as usize & (CHORDS - 1);
    let between = (mantissa >> 10) & 0xffff;
    let [low, high] = LOG2_Q16.get(chord).copied().unwrap_or([0; 2]);
    let fraction = low + ((high.wrapping_mul(between) + 0x8000) >> 16);
    whole - ((zeros as i32) << 16) + fraction as i32
}

/// Features of the bands of a spectrum: `log2(energy · 4^exponent + 2^floor_log2)` with [`LOG_FRAC_BITS`] fractional bits.
#[derive(Clone, Copy)]
pub(super) struct Features {
    /// The floor in units of the energy.
    floor: u64,
    /// Added to the logarithm, with 16 fractional bits and one half of what is dropped.
    unit: i32,
    /// The feature of the floor alone.
    pub(super) least: i16,
    /// The floor is above all energies.
    pub(super) is_least: bool,
}

impl Features {
    #[inline(always)]
    pub(super) fn new(exponent: i32, floor_log2: i8) -> Self {
        let floor = i32::from(floor_log2);
        let bit = floor + 16 - 2 * exponent;
        Features {
            floor: if (0..=62).contains(&bit) { 1 << (bit & 63) } else { 0 },
            unit: ((2 * exponent - 16) << 16) + (1 << (SHIFT - 1)),
            least: (floor << LOG_FRAC_BITS) as i16,
            is_least: bit > 62,
        }
    }

    /// `energy` has 16 fractional bits and is below 2^62.
    #[inline(always)]
    #[cfg(not(any(teff_dsp, teff_mve)))]
    pub(super) fn of(self, energy: u64) -> i16 {
        // Both are at most 2^62.
        let floored = energy.wrapping_add(self.floor);
        if floored == 0 {
            return self.least;
        }
        (log2(floored).wrapping_add(self.unit) >> SHIFT).clamp(-32768, 32767) as i16
    }

    /// The same, for the loop over bands.
    #[cfg(any(teff_dsp, teff_mve))]
    pub(super) fn logarithm(self) -> crate::kernels::arch::arm::front_end::bands::Logarithm<'static> {
        crate::kernels::arch::arm::front_end::bands::Logarithm {
            floor: self.floor,
            unit: self.unit + (63 << 16),
            least: i32::from(self.least) << SHIFT,
            chords: &LOG2_Q16,
        }
    }
}

/// Fractional bits of a logarithm that a feature has not.
const SHIFT: u32 = 16 - LOG_FRAC_BITS;
