//! Design of the second-order sections: Butterworth high-pass and low-pass filters.

use std::f64::consts::PI;

use super::config::FrontEndConfig;

/// One section, real: `y = g · (x + middle · x1 + x2) - a1 · y1 - a2 · y2`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Section {
    g: f64,
    /// 2 for a low-pass, -2 for a high-pass.
    middle: f64,
    a1: f64,
    a2: f64,
}

/// The lowest cut-off frequency, in parts of the sample rate: from here on the coefficients are exact enough.
pub(super) const LOWEST: f64 = 1.0 / 5000.0;
/// The highest one: nearer to half the rate, the poles would amplify what the sections' rounding moves there.
pub(super) const HIGHEST: f64 = 0.45;

/// Most that a signal may grow on its way, so that it stays in 32 bits.
const MOST_GAIN: f64 = 15.0;

const ONE: f64 = (1 << 30) as f64;

/// The sections of a front end in the order of the signal's way: high-pass, then low-pass, those of low quality first.
pub(super) fn sections(config: &FrontEndConfig) -> Vec<Section> {
    let mut sections = Vec::new();
    for (cut, middle) in [(config.high_pass_hz, -2.0), (config.low_pass_hz, 2.0)] {
        if cut > 0.0 {
            let pairs = config.filter_order / 2;
            sections.extend((1..=pairs).rev().map(|k| {
                let angle = PI * (2 * k - 1) as f64 / (2 * config.filter_order) as f64;
                Section::new(cut / config.rate_hz, 1.0 / (2.0 * libm::sin(angle)), middle)
            }));
        }
    }
    sections
}

impl Section {
    /// By the bilinear transform, from the cut-off frequency in parts of the sample rate and the quality.
    fn new(cut: f64, quality: f64, middle: f64) -> Self {
        let (sine, cosine) = (libm::sin(2.0 * PI * cut), libm::cos(2.0 * PI * cut));
        let alpha = sine / (2.0 * quality);
        let a0 = 1.0 + alpha;
        let g = if middle > 0.0 { (1.0 - cosine) / 2.0 } else { (1.0 + cosine) / 2.0 };
        Section { g: g / a0, middle, a1: -2.0 * cosine / a0, a2: (1.0 - alpha) / a0 }
    }

    /// As the blob has it. The gain of a low-pass at 0 Hz is exactly 1.
    pub(super) fn words(&self) -> [i32; 4] {
        let fixed = |x: f64| libm::round(x * ONE).clamp(-2_147_483_647.0, 2_147_483_647.0) as i32;
        let (a1, a2) = (fixed(self.a1), fixed(self.a2));
        if self.middle < 0.0 {
            return [fixed(self.g), self.middle as i32, a1, a2];
        }
        // 4·g = 1 + a1 + a2, for which a2 moves by two steps at most.
        let g = libm::round((ONE + f64::from(a1) + f64::from(a2)) / 4.0);
        [g as i32, self.middle as i32, a1, (4.0 * g - ONE - f64::from(a1)) as i32]
    }
}

/// Whether no signal of 16 bits can leave the range that the sections have, wherever between them: the sum of the
/// magnitudes of each impulse response is bounded.
pub(super) fn stay_in_range(sections: &[Section], lowest: f64) -> bool {
    let mut signal = vec![0.0; (40.0 / lowest).min(400_000.0) as usize];
    if let Some(first) = signal.first_mut() {
        *first = 1.0;
    }
    sections.iter().all(|section| {
        let (mut x1, mut x2, mut y1, mut y2) = (0.0, 0.0, 0.0, 0.0);
        for x in &mut signal {
            let y = section.g * (*x + section.middle * x1 + x2) - section.a1 * y1 - section.a2 * y2;
            (x2, x1, y2, y1) = (x1, *x, y1, y);
            *x = y;
        }
        signal.iter().map(|y: &f64| y.abs()).sum::<f64>() <= MOST_GAIN
    })
}
