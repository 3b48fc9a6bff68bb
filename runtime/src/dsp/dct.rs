//! Cosine transform of the logarithms of a frame.

use super::kinds::{CEPSTRUM_FRAC_BITS, LOG_FRAC_BITS};

/// `cepstrum[i] = Σ table[i][b] · bands[b]`, one rounding, half up.
///
/// bands Q9 (`LOG_FRAC_BITS`); table Q15, row by row; cepstrum Q6 (`CEPSTRUM_FRAC_BITS`), saturated.
pub(super) fn apply(bands: &[i16], table: &[i16], cepstrum: &mut [i16]) {
    let shift = 15 + LOG_FRAC_BITS - CEPSTRUM_FRAC_BITS;
    let mut rows = table;
    for out in cepstrum {
        let Some((row, rest)) = rows.split_at_checked(bands.len()) else { return };
        rows = rest;
        let sum = product(row, bands);
        *out = ((sum + (1 << (shift - 1))) >> shift).clamp(-32768, 32767) as i16;
    }
}

#[cfg(any(teff_dsp, teff_mve))]
use crate::kernels::arch::arm::front_end::bands::product;

#[cfg(not(any(teff_dsp, teff_mve)))]
fn product(row: &[i16], bands: &[i16]) -> i64 {
    row.iter().zip(bands).map(|(t, b)| i64::from(i32::from(*t) * i32::from(*b))).sum()
}
