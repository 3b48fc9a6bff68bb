//! The largest peaks of a spectrum, in floating point.

use microfft::Complex32;

use super::log2;

/// Most peaks.
pub const MAX_PEAKS: usize = 8;

fn power(bin: &Complex32) -> f32 {
    bin.re * bin.re + bin.im * bin.im
}

/// Writes frequency, in bins, and height, the base-2 logarithm of the power, at least `floor`, of the largest peaks among the bins from
/// `first` to `end`: a peak is above the bin below and not below the bin above it, and lies on the parabola through the three logarithms.
pub fn write(spectrum: &[Complex32], (first, end): (usize, usize), floor: f32, features: &mut [f32]) {
    let mut found = [(0_usize, 0.0_f32); MAX_PEAKS];
    let pairs = features.as_chunks_mut::<2>().0;
    let wanted = found.get_mut(..pairs.len()).unwrap_or(&mut []);
    // Of the smallest of them.
    let mut least = 0.0;
    // Nothing is below 0 Hz.
    let mut last = first.checked_sub(1).and_then(|at| spectrum.get(at)).map_or(f32::MAX, power);
    let mut bins = spectrum.iter().enumerate().take(end + 1).skip(first);
    let Some((mut at, bin)) = bins.next() else { return };
    let mut here = power(bin);
    for (above, bin) in bins {
        let next = power(bin);
        if here > last && here >= next && here > least {
            let mut peak = (at, here);
            for slot in wanted.iter_mut() {
                if peak.1 > slot.1 {
                    core::mem::swap(slot, &mut peak);
                }
                least = slot.1;
            }
        }
        (last, here, at) = (here, next, above);
    }
    for (pair, (at, peak)) in pairs.iter_mut().zip(&found) {
        let (true, Some([below, _, above])) = (*peak > 0.0, spectrum.get(at.wrapping_sub(1)..=at + 1)) else {
            *pair = [0.0, floor];
            continue;
        };
        let tiny = f32::MIN_POSITIVE;
        let [below, here, above] = [power(below), *peak, power(above)].map(|power| log2(power.max(tiny)));
        let (slope, bend) = (above - below, 2.0 * here - below - above);
        let shift = if bend > 0.0 { 0.5 * slope / bend } else { 0.0 };
        *pair = [*at as f32 + shift, (here + 0.25 * slope * shift).max(floor)];
    }
}
