//! Design of the resampling filter: a windowed sinc, cut into phases.

use std::f64::consts::PI;

use super::config::FrontEndConfig;

/// What is kept away from the new band, in dB.
const ATTENUATION_DB: f64 = 60.0;

/// Width of the transition around half the lower of the two rates, in parts of that rate: from 0.425 to 0.575 of it.
const TRANSITION: f64 = 0.15;

/// The factors of a filter are of 14 fractional bits; those of a phase have this sum.
const ONE: i32 = 1 << 14;

/// By how much the rate changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Resampling {
    /// Samples that come out for `down` that go in.
    pub(super) up: usize,
    pub(super) down: usize,
    /// Samples that one output is computed from.
    pub(super) taps: usize,
}

impl Resampling {
    /// `None` where the rate stays.
    pub(super) fn of(config: &FrontEndConfig) -> Option<Self> {
        let thousandths = |hz: f64| libm::round(hz * 1000.0) as u64;
        let (to, from) = (thousandths(config.rate_hz), thousandths(config.input_rate_hz));
        if to == from || to == 0 || from == 0 {
            return None;
        }
        let common = greatest_common_divisor(to, from);
        let (up, down) = ((to / common) as usize, (from / common) as usize);
        // Kaiser's estimate.
        let transition =
            2.0 * PI * TRANSITION * config.rate_hz.min(config.input_rate_hz) / config.input_rate_hz;
        let taps = libm::ceil((ATTENUATION_DB - 8.0) / (2.285 * transition)).min(1e6) as usize + 1;
        Some(Resampling { up, down, taps })
    }

    /// Samples that must go in until `outputs` (above 0) have come out.
    pub(super) fn inputs(&self, outputs: usize) -> usize {
        (outputs - 1) * self.down / self.up + 1
    }

    /// The factors, phase by phase, the oldest sample's first.
    pub(super) fn factors(&self) -> Vec<i16> {
        let beta = 0.1102 * (ATTENUATION_DB - 8.7);
        let parts = self.up as f64;
        // Half the filter's length, in samples that go in.
        let half = (self.taps as f64 - 1.0 / parts) / 2.0;
        // Twice the cut-off frequency, in parts of the input's rate.
        let band = (parts / self.down as f64).min(1.0);
        let response = |t: f64| {
            let x = (t - half) / (half + 0.5 / parts);
            let sinc = |x: f64| if x.abs() < 1e-9 { 1.0 } else { libm::sin(PI * x) / (PI * x) };
            sinc(band * (t - half)) * bessel_0(beta * libm::sqrt((1.0 - x * x).max(0.0)))
        };
        let row = |phase: usize| {
            let real: Vec<f64> =
                (0..self.taps).rev().map(|tap| response(tap as f64 + phase as f64 / parts)).collect();
            quantized(&real)
        };
        (0..self.up).flat_map(row).collect()
    }

    /// Whether sums of products stay in 32 bits for every signal of 16 bits.
    pub(super) fn stays_in_range(&self, factors: &[i16]) -> bool {
        factors
            .chunks(self.taps)
            .all(|row| row.iter().map(|f| i64::from(f.unsigned_abs())).sum::<i64>() < 1 << 16)
    }
}

/// Whole numbers in the proportion of `real`, with the sum [`ONE`]: rounded down, and one more for those that lost most.
fn quantized(real: &[f64]) -> Vec<i16> {
    let scale = f64::from(ONE) / real.iter().sum::<f64>();
    let mut whole: Vec<i32> = real.iter().map(|x| libm::floor(x * scale) as i32).collect();
    let mut order: Vec<usize> = (0..real.len()).collect();
    let lost = |i: usize| real[i] * scale - libm::floor(real[i] * scale);
    order.sort_by(|a, b| lost(*b).total_cmp(&lost(*a)));
    let missing = (ONE - whole.iter().sum::<i32>()).max(0) as usize;
    for at in order.into_iter().cycle().take(missing) {
        whole[at] += 1;
    }
    whole.into_iter().map(|f| f as i16).collect()
}

/// The modified Bessel function of the first kind, order 0.
fn bessel_0(x: f64) -> f64 {
    let (mut term, mut sum, mut n) = (1.0, 1.0, 1.0);
    while term > sum * 1e-15 {
        term *= (x / (2.0 * n)) * (x / (2.0 * n));
        sum += term;
        n += 1.0;
    }
    sum
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}
