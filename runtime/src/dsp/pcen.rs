//! Per-channel energy normalization: the energy of a band by a power of its own smoothed past, and a root of that.

use super::exp::exp2_q16;
use super::kinds::PCEN_FRAC_BITS;
use super::log::log2_q16;
use super::settings::PcenSettings;

/// The floor has this many fractional bits in the unit of smoothed energies.
const FLOOR_FRAC_BITS: u32 = 16;

/// Largest energy, in that unit.
const MOST: u64 = 1 << 60;

/// Fractional bits of what a root is taken of.
const RATIO_FRAC_BITS: u32 = 20;

/// `m += smoothing · (e - m)`, `feature = (e / (2^floor + m)^gain + bias)^root - bias^root`, for each band.
#[derive(Debug)]
pub(super) struct Pcen<'w> {
    settings: PcenSettings,
    floor_log2: i32,
    /// `bias^root`, Q16.
    base: i32,
    /// Low and high half of each band's smoothed energy.
    smoothed: &'w mut [[u32; 2]],
    begun: bool,
}

impl<'w> Pcen<'w> {
    pub(super) fn new(settings: PcenSettings, floor_log2: i8, smoothed: &'w mut [u32]) -> Self {
        let mut pcen = Pcen {
            settings,
            floor_log2: floor_log2.into(),
            base: 0,
            smoothed: smoothed.as_chunks_mut().0,
            begun: false,
        };
        pcen.base = pcen.root(0);
        pcen
    }

    /// Forgets the past.
    pub(super) fn reset(&mut self) {
        self.begun = false;
    }

    /// The features of a frame, `energies · 4^exponent` with 16 fractional bits. In the first frame the past is taken
    /// to be as it.
    pub(super) fn frame(&mut self, exponent: i32) -> impl FnMut(usize, u64) -> i16 {
        let first = !core::mem::replace(&mut self.begun, true);
        let shift = exponent.wrapping_mul(2).wrapping_sub(self.floor_log2);
        move |band, energy| {
            let energy = shifted(energy, shift);
            let Some([low, high]) = self.smoothed.get_mut(band) else { return 0 };
            let past = if first { energy } else { u64::from(*low) | u64::from(*high) << 32 };
            let difference = energy as i64 - past as i64;
            let weight = i64::from(self.settings.smoothing);
            let step = ((difference >> 16) * weight).wrapping_add(((difference & 0xffff) * weight) >> 16);
            let now = past.wrapping_add(step as u64).min(MOST);
            (*low, *high) = (now as u32, (now >> 32) as u32);
            self.feature(energy, now)
        }
    }

    fn feature(&self, energy: u64, smoothed: u64) -> i16 {
        let unit = (self.floor_log2 - FLOOR_FRAC_BITS as i32) << 16;
        let ratio = if energy == 0 {
            0
        } else {
            let level = log2_q16(smoothed + (1 << FLOOR_FRAC_BITS)) + unit;
            let divisor = (i64::from(level) * i64::from(self.settings.gain) + (1 << 14)) >> 15;
            exp2_q16(log2_q16(energy) + unit - divisor as i32, RATIO_FRAC_BITS)
        };
        let above = self.root(ratio).saturating_sub(self.base);
        let shift = 16 - PCEN_FRAC_BITS;
        (above.saturating_add((1 << shift) >> 1) >> shift).clamp(-32768, 32767) as i16
    }

    /// `(ratio + bias)^root` in Q16.
    fn root(&self, ratio: u64) -> i32 {
        let sum = ratio.saturating_add(u64::from(self.settings.bias) << (RATIO_FRAC_BITS - 16));
        if sum == 0 {
            return 0;
        }
        let log = log2_q16(sum) - ((RATIO_FRAC_BITS as i32) << 16);
        let power = (i64::from(log) * i64::from(self.settings.root) + (1 << 14)) >> 15;
        exp2_q16(power as i32, 16).min(i32::MAX as u64) as i32
    }
}

/// `x · 2^shift`, rounded half up, saturated at [`MOST`].
fn shifted(x: u64, shift: i32) -> u64 {
    if shift >= 0 {
        let room = x.leading_zeros() as i32 - 4;
        if shift > room && x != 0 { MOST } else { x.checked_shl(shift as u32).unwrap_or(0).min(MOST) }
    } else {
        let down = shift.unsigned_abs().min(63);
        (x.saturating_add((1 << down) >> 1) >> down).min(MOST)
    }
}
