//! The largest peaks of a power spectrum.

use super::kinds::{LOG_FRAC_BITS, MAX_PEAKS, PEAK_FRAC_BITS};
use super::log::log2_q16;
use crate::quant::shift_right_half_up;

/// A power spectrum: the bins below half the sample rate, each · 4^exponent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spectrum<'s> {
    pub(super) bins: &'s [u32],
    pub(super) exponent: i32,
}

/// Writes frequency (in bins, [`PEAK_FRAC_BITS`]) and height (base-2 logarithm of the power, [`LOG_FRAC_BITS`], not below
/// the floor) of the largest peaks between `first` and `end`, the largest first. Where there are fewer: 0 and the floor.
///
/// A peak is a bin that is larger than the one below and not smaller than the one above it. Its place and height are
/// those of the parabola through the three logarithms.
pub(super) fn write(
    spectrum: Option<Spectrum<'_>>,
    (first, end): (usize, usize),
    floor_log2: i8,
    features: &mut [i16],
) {
    let floor = i32::from(floor_log2) << LOG_FRAC_BITS;
    for pair in features.as_chunks_mut::<2>().0 {
        *pair = [0, floor as i16];
    }
    let Some(Spectrum { bins, exponent }) = spectrum else { return };
    // Bins and their powers, the largest first.
    let mut found = [(0_usize, 0_u32); MAX_PEAKS];
    let pairs = features.as_chunks_mut::<2>().0;
    let wanted = found.get_mut(..pairs.len()).unwrap_or(&mut []);
    // Of the smallest of them.
    let mut least = 0;
    let mut last = match first.checked_sub(1) {
        Some(below) => bins.get(below).copied().unwrap_or(0),
        None => u32::MAX,
    };
    let Some((here, above)) = bins.get(first..).and_then(<[u32]>::split_first) else { return };
    let (mut at, mut here) = (first, *here);
    for next in above.get(..end.saturating_sub(first)).unwrap_or(above) {
        if here > last && here >= *next && here > least {
            let mut peak = (at, here);
            for slot in &mut *wanted {
                if peak.1 > slot.1 {
                    core::mem::swap(slot, &mut peak);
                }
                least = slot.1;
            }
        }
        (last, here, at) = (here, *next, at + 1);
    }
    for (pair, (at, power)) in pairs.iter_mut().zip(found) {
        let (1.., Some([below, _, above])) = (power, bins.get(at.wrapping_sub(1)..=at + 1)) else { break };
        let [below, here, above] = [*below, power, *above].map(|p| log2_q16(p.into()));
        let (slope, bend) = (above - below, 2 * here - below - above);
        // Half a bin at most, in sixteenths.
        let shift = match bend {
            1.. => {
                let half = if slope < 0 { -bend } else { bend };
                ((slope << (PEAK_FRAC_BITS - 1)).wrapping_add(half / 2)).checked_div(bend).unwrap_or(0)
            }
            _ => 0,
        };
        let half = 1 << (PEAK_FRAC_BITS - 1);
        let shift = shift.max(-half).min(half);
        let top = here + shift_right_half_up(slope * shift, PEAK_FRAC_BITS + 2);
        let height = shift_right_half_up(top + (exponent << 17), 16 - LOG_FRAC_BITS);
        *pair = [
            (((at as i32) << PEAK_FRAC_BITS) + shift).clamp(0, 32767) as i16,
            height.max(floor).clamp(-32768, 32767) as i16,
        ];
    }
}
