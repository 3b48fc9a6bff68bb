//! A cascade of second-order sections: high-pass and low-pass filters.
//!
//! A section computes `y = g · (x[n] + middle · x[n-1] + x[n-2]) - a1 · y[n-1] - a2 · y[n-2]`. Signals have
//! [`SIGNAL_FRAC_BITS`] fractional bits, coefficients 30. What rounding cuts off is not lost: twice the last remainder
//! less the one before it joins the next sum, so that the error of rounding has a double zero at 0 Hz, where the poles
//! of a low cut-off frequency would amplify it.

#[cfg(any(teff_dsp, teff_mve))]
use super::conditioner::behind;
use super::conditioner::{each_of_axis, from_axis};
#[cfg(any(teff_dsp, teff_mve))]
use crate::kernels::arch::arm::front_end::conditioning;
use crate::quant::shift_right_half_up;

/// Words of 32 bits that the state of one section on one axis takes.
pub(super) const STATE_WORDS: usize = 6;

/// Fractional bits of the signals between sections, in counts.
const SIGNAL_FRAC_BITS: u32 = 10;

const COEFFICIENT_FRAC_BITS: u32 = 30;

/// One section as the blob has it: `g`, `middle`, `a1`, `a2`; Q30 but for `middle`, which is 2 (low-pass) or -2
/// (high-pass).
type Coefficients = [i32; 4];

/// The last two inputs, the last two outputs, and the last two remainders.
type State = [u32; STATE_WORDS];

/// The sections of one front end.
#[derive(Debug)]
pub(super) struct Cascade<'a, 'w> {
    /// In the order of the signal's way.
    pub(super) sections: &'a [Coefficients],
    /// Axis after axis, section after section.
    pub(super) states: &'w mut [u32],
    pub(super) axes: usize,
    /// Axes that have begun, as bits.
    pub(super) begun: u32,
}

impl Cascade<'_, '_> {
    /// Whether each section is one of those that the host designs.
    pub(super) fn is_valid(&self) -> bool {
        self.sections.iter().all(|[g, middle, _, _]| *g >= 0 && (*middle == 2 || *middle == -2))
    }

    /// Filters `block` in place; its first sample belongs to `axis`. The first sample is taken as what has stood there
    /// all the time.
    pub(super) fn run(&mut self, block: &mut [i16], axis: usize) {
        let mut rest = self.states.as_chunks_mut::<STATE_WORDS>().0;
        for of in 0..self.axes {
            let Some((states, more)) = rest.split_at_mut_checked(self.sections.len()) else { return };
            rest = more;
            let samples = from_axis(block, axis, of, self.axes);
            let Some(first) = samples.first() else { continue };
            let (sections, bit) = (self.sections, 1 << (of & 31));
            if self.begun & bit == 0 {
                settle(sections, states, i32::from(*first) << SIGNAL_FRAC_BITS);
                self.begun |= bit;
            }
            #[cfg(any(teff_dsp, teff_mve))]
            let samples = run_blocks(sections, states, samples, self.axes);
            each_of_axis(samples, self.axes, |x| {
                let mut signal = i32::from(*x) << SIGNAL_FRAC_BITS;
                for (coefficients, state) in sections.iter().zip(states.iter_mut()) {
                    signal = step(coefficients, state, signal);
                }
                *x = shift_right_half_up(signal, SIGNAL_FRAC_BITS).clamp(-32768, 32767) as i16;
            });
        }
    }
}

/// Filters an axis in blocks of samples, and returns what is left.
#[cfg(any(teff_dsp, teff_mve))]
fn run_blocks<'b>(
    sections: &[Coefficients],
    states: &mut [State],
    samples: &'b mut [i16],
    axes: usize,
) -> &'b mut [i16] {
    // The loops subtract products by factors of the other sign.
    if sections.iter().any(|[_, _, a1, a2]| *a1 == i32::MIN || *a2 == i32::MIN) {
        return samples;
    }
    let mut signals = [0; conditioning::BLOCK];
    let mut rest = samples;
    loop {
        let len = rest.len().div_ceil(axes.max(1)).min(signals.len()) & !3;
        let Some(block) = signals.get_mut(..len).filter(|block| !block.is_empty()) else { return rest };
        conditioning::load(rest, axes, block);
        for (coefficients, state) in sections.iter().zip(&mut *states) {
            conditioning::section(block.as_chunks_mut().0, coefficients, state);
        }
        conditioning::store(block, rest, axes);
        rest = behind(rest, axes, len);
    }
}

/// Puts the sections in the state that a constant signal leaves: a low-pass passes it on, a high-pass gives 0.
fn settle(sections: &[Coefficients], states: &mut [State], signal: i32) {
    let mut signal = signal;
    for ([_, middle, _, _], state) in sections.iter().zip(states) {
        let after = if *middle > 0 { signal } else { 0 };
        *state = [signal as u32, signal as u32, after as u32, after as u32, 0, 0];
        signal = after;
    }
}

#[inline(always)]
fn step([g, middle, a1, a2]: &Coefficients, state: &mut State, x: i32) -> i32 {
    let [x1, x2, y1, y2, e1, e2] = state.map(|word| word as i32);
    let inner = x.wrapping_add(x2).wrapping_add(middle.wrapping_mul(x1));
    let product = |a: i32, b: i32| i64::from(a) * i64::from(b);
    let sum = product(inner, *g)
        .wrapping_sub(product(y1, *a1))
        .wrapping_sub(product(y2, *a2))
        .wrapping_add(i64::from(e1) + i64::from(e1) - i64::from(e2));
    let y = (sum >> COEFFICIENT_FRAC_BITS) as i32;
    let e = sum as u32 & ((1 << COEFFICIENT_FRAC_BITS) - 1);
    *state = [x as u32, x1 as u32, y as u32, y1 as u32, e, e1 as u32];
    y
}
