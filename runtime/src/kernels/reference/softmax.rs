//! Softmax over the channels of each position.

use core::cell::Cell;

use crate::kernels::params::Softmax;
use crate::quant::Normalizer;

/// For each position: `m` = the largest input; `e[c] = exponentials[m - input[c]]`;
/// `output[c] = e[c] / Σ e` in the output's quantization, by [`Softmax::finish`].
pub(super) fn softmax(op: &Softmax<'_>, input: &[Cell<i8>], output: &[Cell<i8>]) {
    let extent = op.view.extent;
    let rows = input.len() / extent.row_len().max(1);
    for y in 0..rows {
        for x in 0..extent.w {
            let at = |c: usize| input.get(op.view.index(y, x, c)).map_or(0, Cell::get);
            let max = (0..extent.c).map(at).max().unwrap_or(i8::MIN);
            let exponential = |c: usize| op.exponential(max, at(c));
            let normalizer =
                Normalizer::new((0..extent.c).fold(0u32, |sum, c| sum.wrapping_add(exponential(c))));
            for c in 0..extent.c {
                // Element `c` is read for the last time here, so the output may lie on the input.
                let value = op.finish(normalizer, exponential(c));
                if let Some(element) = output.get(op.view.index(y, x, c)) {
                    element.set(value);
                }
            }
        }
    }
}
