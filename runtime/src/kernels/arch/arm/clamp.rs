//! Clamps narrower than int8.

use core::cell::Cell;

use crate::quant::Requantize;

/// Limits results that were saturated to int8, where the operator's clamp is narrower.
pub(super) fn clamp(output: &mut [i8], requantize: &Requantize<'_>) {
    let (min, max) = (requantize.output_min, requantize.output_max);
    clamp_cells(Cell::from_mut(output).as_slice_of_cells(), min, max);
}

/// As [`clamp`], for element-wise operators.
pub(super) fn clamp_cells(output: &[Cell<i8>], min: i8, max: i8) {
    if (min, max) != (i8::MIN, i8::MAX) {
        output.iter().for_each(|q| q.set(q.get().max(min).min(max)));
    }
}
