//! Changes the sample rate by a rational factor: a polyphase filter that was designed on the host.

use crate::quant::shift_right_half_up;

/// Fractional bits of the filter's factors.
const FACTOR_FRAC_BITS: u32 = 14;

/// Output `n` stands `n · down / up` samples after the first; it is the sum of the newest `taps` samples, weighted by
/// the factors of its phase.
#[derive(Debug)]
pub(super) struct Resampler<'a, 'w> {
    /// `up` rows of `taps` factors, Q14, the oldest sample's first.
    factors: &'a [i16],
    /// Per axis the newest `taps` samples, twice, so that they stand in one piece wherever the ring begins.
    history: &'w mut [i16],
    taps: usize,
    up: usize,
    down: usize,
    axes: usize,
    /// Where the next sample goes in the ring of its axis.
    at: usize,
    /// The axis of the next sample.
    axis: usize,
    /// How far the next output is behind the newest sample, in parts of `up`; `up` and more: a sample is missing.
    phase: usize,
}

impl<'a, 'w> Resampler<'a, 'w> {
    pub(super) fn new(
        factors: &'a [i16],
        history: &'w mut [i16],
        (up, down, taps, axes): (usize, usize, usize, usize),
    ) -> Self {
        let mut resampler = Resampler { factors, history, taps, up, down, axes, at: 0, axis: 0, phase: up };
        resampler.reset();
        resampler
    }

    /// Forgets all samples: those before the next one count as zeros.
    pub(super) fn reset(&mut self) {
        self.history.fill(0);
        (self.at, self.axis, self.phase) = (0, 0, self.up);
    }

    /// Takes samples from the front of `samples` and writes whole instants to the front of `target` until it is full
    /// or none is left. Returns how many samples it wrote.
    pub(super) fn fill(&mut self, samples: &mut &[i16], target: &mut [i16]) -> usize {
        let mut written = 0;
        loop {
            while self.phase < self.up {
                let Some(instant) = target.get_mut(written..written + self.axes) else { return written };
                self.write(instant);
                written += self.axes;
                self.phase += self.down;
            }
            if !self.take(samples) {
                return written;
            }
        }
    }

    /// Takes samples until an output is due, and tells whether one is.
    // Apart, so that its loop has the registers for itself.
    #[inline(never)]
    fn take(&mut self, samples: &mut &[i16]) -> bool {
        let (taps, up, axes) = (self.taps, self.up, self.axes);
        let (mut at, mut axis, mut phase) = (self.at, self.axis, self.phase);
        let mut begin = axis * 2 * taps;
        let (history, mut rest) = (&mut *self.history, *samples);
        while phase >= up
            && let Some((sample, later)) = rest.split_first()
        {
            rest = later;
            let place = begin + at;
            if let Some(first) = history.get_mut(place) {
                *first = *sample;
            }
            if let Some(second) = history.get_mut(place + taps) {
                *second = *sample;
            }
            axis += 1;
            begin += 2 * taps;
            if axis >= axes {
                (axis, begin) = (0, 0);
                at = if at + 1 >= taps { 0 } else { at + 1 };
                phase -= up;
            }
        }
        (self.at, self.axis, self.phase) = (at, axis, phase);
        *samples = rest;
        phase < up
    }

    /// One output of each axis.
    fn write(&self, instant: &mut [i16]) {
        let row = self.phase * self.taps;
        let factors = self.factors.get(row..row + self.taps).unwrap_or(&[]);
        let mut begin = self.at;
        for to in instant {
            let newest = self.history.get(begin..begin + self.taps).unwrap_or(&[]);
            let sum = product(factors, newest);
            *to = shift_right_half_up(sum, FACTOR_FRAC_BITS).clamp(-32768, 32767) as i16;
            begin += 2 * self.taps;
        }
    }
}

#[cfg(any(teff_dsp, teff_mve))]
use crate::kernels::arch::arm::front_end::conditioning::product;

/// Sum of the products of what is in the same places.
#[inline(never)]
#[cfg(not(any(teff_dsp, teff_mve)))]
fn product(factors: &[i16], samples: &[i16]) -> i32 {
    let products = factors.iter().zip(samples).map(|(f, x)| i32::from(*f) * i32::from(*x));
    products.fold(0_i32, i32::wrapping_add)
}
