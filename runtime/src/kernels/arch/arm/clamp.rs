//! Clamps narrower than int8.

use crate::quant::Requantize;

/// Limits results that were saturated to int8, where the operator's clamp is narrower.
pub(super) fn clamp(output: &mut [i8], requantize: &Requantize<'_>) {
    let (min, max) = (requantize.output_min, requantize.output_max);
    if (min, max) != (i8::MIN, i8::MAX) {
        output.iter_mut().for_each(|q| *q = (*q).max(min).min(max));
    }
}
