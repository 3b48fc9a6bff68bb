//! Models that give one score: how unusual the signal is. In integers, the same on host and device.
//!
//! The line `teff.decision` says which score it is ([`Kind`]) and from what score on it is an event, a
//! threshold that was found with recordings and the quantized model itself.
//!
//! - `kind=score`: the model's only output `q`, in steps above its zero point: `max(q - zero_point, 0)`.
//! - `kind=reconstruction`: an autoencoder. Each output is compared with the input of the same place, in
//!   16ths of a step of the input: `d = 16·(a - zero_point_a) - (((b - zero_point_b)·r + 2^11) >> 12)`
//!   with `r` = 2^16 · scale_b / scale_a, rounded down, at most 2^22. The score is the sum of `d²`,
//!   which are 256ths, divided by their number, rounded down.
//!
//! Scores are held in 256ths, up to 2^24 of them.

use teff::quant::{QuantParams, shift_right_half_up};

use crate::decision::{Event, Kind, MOST, Settings};

/// The state of the decision on scores, with a smoothing of up to `MEMORY` inferences.
#[derive(Clone, Debug)]
pub struct Anomaly<const MEMORY: usize> {
    settings: Settings,
    /// The last scores; those of inference `n` stand at `n % smoothing`.
    scores: [u32; MEMORY],
    sum: u64,
    lasts: bool,
    inferences: u32,
    quiet: u32,
}

impl<const MEMORY: usize> Anomaly<MEMORY> {
    /// A decision that has seen nothing; `None` where the settings average over more than `MEMORY`
    /// inferences, or are those of classes.
    pub fn new(settings: Settings) -> Option<Self> {
        let fits = (1..=MEMORY).contains(&usize::from(settings.smoothing));
        if !fits || settings.kind == Kind::Classes || settings.threshold == 0 {
            return None;
        }
        Some(Anomaly { settings, scores: [0; MEMORY], sum: 0, lasts: false, inferences: 0, quiet: 0 })
    }

    /// Takes the score of one inference, in 256ths.
    pub fn push(&mut self, score: u32) -> Option<Event> {
        let inference = self.inferences;
        self.inferences = self.inferences.wrapping_add(1);
        let smoothing = u32::from(self.settings.smoothing);
        let score = score.min(MOST);
        let old = core::mem::replace(self.scores.get_mut((inference % smoothing) as usize)?, score);
        self.sum = self.sum - u64::from(old) + u64::from(score);
        let times = |limit: u32| u64::from(limit) * u64::from(smoothing);
        let threshold = times(self.settings.threshold);
        if self.sum < threshold.saturating_sub(times(self.settings.hysteresis)) {
            self.lasts = false;
        }
        if self.quiet > 0 {
            self.quiet -= 1;
            return None;
        }
        if self.lasts || self.sum < threshold {
            return None;
        }
        self.lasts = true;
        self.quiet = self.settings.refractory;
        Some(Event { class: 0, score: self.share(), inference })
    }

    /// The sum of the last `smoothing` scores, in 256ths: what is compared with `smoothing` times the
    /// threshold.
    pub fn sum(&self) -> u64 {
        self.sum
    }

    /// The smoothed score in 256ths of the threshold, up to 255 times the threshold.
    pub fn share(&self) -> u16 {
        let smoothing = u64::from(self.settings.smoothing);
        let threshold = u64::from(self.settings.threshold) * smoothing;
        // A sum is below 2^24 times 2^16.
        (self.sum * 256).checked_div(threshold).map_or(u16::MAX, |share| share.min(u16::MAX.into()) as u16)
    }

    /// Whether what the last event named still lasts.
    pub fn lasts(&self) -> bool {
        self.lasts
    }

    /// Forgets all scores, as after a gap in the signal; a refractory time goes on.
    pub fn reset(&mut self) {
        (self.scores, self.sum, self.lasts) = ([0; MEMORY], 0, false);
    }
}

/// The score of `kind=score`, in 256ths.
pub fn score(output: &[i8], quant: QuantParams) -> u32 {
    let steps = output.first().map_or(0, |q| i32::from(*q) - i32::from(quant.zero_point));
    // Not negative, and at most 255.
    (steps.max(0) as u32) << 8
}

/// The score of `kind=reconstruction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reconstruction {
    input_zero_point: i32,
    output_zero_point: i32,
    /// 2^16 times the output's scale over the input's.
    ratio: i32,
}

/// The largest ratio: an output step of 64 input steps.
const LARGEST_RATIO: u64 = 1 << 22;

impl Reconstruction {
    /// From the quantization of input and output; `None` where an output step is more than 64 input
    /// steps or less than 2^-16 of one.
    pub fn new(input: QuantParams, output: QuantParams) -> Option<Self> {
        let ratio = ratio_q16(output.scale, input.scale)?;
        if ratio == 0 || ratio > LARGEST_RATIO {
            return None;
        }
        Some(Reconstruction {
            input_zero_point: input.zero_point.into(),
            output_zero_point: output.zero_point.into(),
            ratio: ratio as i32,
        })
    }

    /// The score, in 256ths, of the output for an input of the same length.
    pub fn score(&self, input: &[i8], output: &[i8]) -> u32 {
        let (mut sum, mut count) = (0_u64, 0_u64);
        for (a, b) in input.iter().zip(output) {
            let a = (i32::from(*a) - self.input_zero_point) << 4;
            // At most 255 times 2^22.
            let b = shift_right_half_up((i32::from(*b) - self.output_zero_point) * self.ratio, 12);
            // At most 2^12 + 2^18.
            let difference = i64::from(a - b);
            sum += (difference * difference) as u64;
            count += 1;
        }
        sum.checked_div(count).map_or(0, |mean| mean.min(MOST.into()) as u32)
    }
}

/// `floor(2^16 · a / b)` of two positive finite numbers, from their bits.
fn ratio_q16(a: f32, b: f32) -> Option<u64> {
    let parts = |x: f32| {
        let bits = x.to_bits();
        let exponent = (bits >> 23) as i32;
        let mantissa = u64::from(bits & 0x007f_ffff);
        match exponent {
            // Negative, infinite or no number.
            255.. => None,
            0 => (mantissa > 0).then_some((mantissa, 1)),
            _ => Some((mantissa | 1 << 23, exponent)),
        }
    };
    let ((a, a_exponent), (b, b_exponent)) = (parts(a)?, parts(b)?);
    match a_exponent - b_exponent + 16 {
        // 24 bits shifted by at most 40.
        shift @ 0..=40 => Some((a << shift) / b),
        shift @ -40..0 => Some(a / (b << -shift)),
        41.. => Some(u64::MAX),
        _ => Some(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn settings(line: &str) -> Settings {
        Settings::read(line).unwrap()
    }

    #[test]
    fn a_score_above_the_threshold_is_one_event() {
        let mut anomaly =
            Anomaly::<4>::new(settings("kind=score smoothing=2 threshold=10 hysteresis=4 refractory=2"))
                .unwrap();
        let scores = [8, 8, 14, 14, 7, 5, 12, 30, 30];
        let events: Vec<Event> = scores.iter().filter_map(|score| anomaly.push(score * 256)).collect();
        assert_eq!(events[0], Event { class: 0, score: 11 * 256 / 10, inference: 2 });
        assert_eq!(anomaly.sum(), 60 * 256);
        // Below 6 at (7 + 5) / 2 it is not yet over; it never is here.
        assert_eq!(events.len(), 1);
        assert!(anomaly.lasts());
        anomaly.reset();
        assert!(!anomaly.lasts());
        assert_eq!(anomaly.push(30 * 256).map(|event| event.score), Some(15 * 256 / 10));
    }

    #[test]
    fn the_largest_scores_do_not_overflow() {
        let mut anomaly = Anomaly::<64>::new(settings("kind=score smoothing=64 threshold=0.004")).unwrap();
        let last = (0..200).filter_map(|_| anomaly.push(u32::MAX)).last().unwrap();
        assert_eq!(last.score, u16::MAX);
        assert!(Anomaly::<2>::new(settings("kind=score smoothing=3 threshold=1")).is_none());
        assert!(Anomaly::<2>::new(Settings { smoothing: 1, ..Settings::default() }).is_none());
    }

    #[test]
    fn a_score_is_what_lies_above_the_zero_point() {
        let quant = QuantParams { scale: 0.25, zero_point: -100 };
        assert_eq!([127, -100, -128].map(|q| score(&[q], quant)), [227 * 256, 0, 0]);
        assert_eq!(score(&[], quant), 0);
    }

    #[test]
    fn the_ratio_of_scales_is_that_of_f64() {
        let scales = [1e-30_f32, 3.1e-7, 0.003_921_569, 0.1, 1.0, 7.3, 3e8, f32::MIN_POSITIVE / 8.0];
        for a in scales {
            for b in scales {
                let expected = (f64::from(a) / f64::from(b) * 65_536.0).floor();
                let found = ratio_q16(a, b).unwrap();
                if expected < 2f64.powi(40) {
                    assert_eq!(found as f64, expected, "{a} {b}");
                } else {
                    assert!(found > LARGEST_RATIO, "{a} {b}");
                }
            }
        }
        for bad in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert_eq!((ratio_q16(bad, 1.0), ratio_q16(1.0, bad)), (None, None));
        }
    }

    #[test]
    fn a_reconstruction_is_compared_in_steps_of_the_input() {
        let input = QuantParams { scale: 0.05, zero_point: 3 };
        for (scale, zero_point) in [(0.05, 3), (0.1, -20), (0.037, 100), (0.9, 0)] {
            let output = QuantParams { scale, zero_point };
            let reconstruction = Reconstruction::new(input, output).unwrap();
            let a: Vec<i8> = (-100..100).collect();
            let b: Vec<i8> = (-100..100).map(|q: i32| (q * 77 % 120) as i8).collect();
            let expected: f64 = a
                .iter()
                .zip(&b)
                .map(|(a, b)| {
                    let d = f64::from(i32::from(*a) - 3)
                        - f64::from(i32::from(*b) - i32::from(zero_point)) * f64::from(scale)
                            / 0.05_f32 as f64;
                    d * d
                })
                .sum::<f64>()
                / 200.0;
            let expected = expected.min(65_536.0);
            let found = f64::from(reconstruction.score(&a, &b)) / 256.0;
            assert!((found - expected).abs() < 0.002 * expected + 0.05, "{found} {expected}");
        }
        let exact = Reconstruction::new(input, input).unwrap();
        assert_eq!(exact.score(&[5, -7], &[5, -7]), 0);
        assert_eq!(exact.score(&[5, -7], &[6, -7]), 128);
        assert_eq!(exact.score(&[], &[]), 0);
        let far = QuantParams { scale: 4.0, zero_point: 0 };
        assert!(Reconstruction::new(input, far).is_none());
        let extreme = Reconstruction::new(input, QuantParams { scale: 3.2, zero_point: 127 }).unwrap();
        assert_eq!(extreme.score(&[127; 9], &[-128; 9]), MOST);
    }
}
