//! Pulse-density microphones: bits at some megahertz to samples of 16 bits.
//!
//! Four integrators and four combs (a CIC filter) decimate to four times the sample rate, exactly and
//! in wrapping integers; a filter of [`FIR_TAPS`] taps evens out what they lose and decimates by four.
//! It passes 0 to 0.42 of the sample rate within 0.01 dB, is at -6 dB at 0.5, and at -63 dB or lower
//! from 0.58 on. The integrators take eight bits at a time, by a table.

use teff::quant::shift_right_half_up;

use super::{Convert, Mean, saturate, sensor, sound};
use crate::sensor::Format;

/// Taps of the last filter.
pub const FIR_TAPS: usize = 96;
/// By how much it decimates.
const FIR_DECIMATION: usize = 4;

/// Bits of one sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decimation {
    /// 512 kHz to 16 kHz.
    By32,
    /// 1.024 MHz to 16 kHz.
    By64,
    /// 2.048 MHz to 16 kHz.
    By128,
}

impl Decimation {
    /// Bytes between two outputs of the combs.
    const fn bytes(self) -> u32 {
        match self {
            Decimation::By32 => 1,
            Decimation::By64 => 2,
            Decimation::By128 => 4,
        }
    }

    /// log2 of what integrators and combs multiply full scale by.
    const fn gain_bits(self) -> u32 {
        4 * (3 + self.bytes().trailing_zeros())
    }
}

/// A microphone whose bits come as bytes, the first bit in the highest place, as SPI and I²S receive
/// them.
#[derive(Debug)]
pub struct Pdm<S> {
    pub(super) source: S,
    pub(super) format: Format,
    pub(super) filter: Filter,
}

impl<S> Pdm<S> {
    /// A microphone whose bits come `decimation` times as fast as samples are to come.
    pub fn new(source: S, decimation: Decimation, rate_millihertz: u32) -> Self {
        Pdm { source, format: sound("PDM microphone", rate_millihertz), filter: Filter::new(decimation) }
    }

    /// The peripheral.
    pub fn source_mut(&mut self) -> &mut S {
        &mut self.source
    }
}

sensor!(Pdm, u8, Filter);

/// The first half of the last filter in Q15; the other half is its mirror image.
///
/// With f in sample rates of its input: `h[n]` is the integral from 0 to 1/8 of
/// 2·cos(2πf(n - 47.5)) / sinc(f)^4, times a Kaiser window of 6, and all together 1.
const FIR: [i16; FIR_TAPS / 2] = [
    -2, -6, -8, -4, 5, 15, 19, 10, -11, -33, -39, -19, 21, 60, 70, 34, -37, -102, -116, -55, 59, 163, 184,
    87, -91, -250, -280, -132, 137, 376, 421, 199, -204, -566, -638, -307, 309, 879, 1016, 510, -502, -1522,
    -1885, -1070, 1000, 3848, 6584, 8257,
];

/// What eight bits (ones count 1, zeros -1) add to each of the four integrators.
static ADDED: [[i16; 4]; 256] = added();

const fn added() -> [[i16; 4]; 256] {
    let mut table = [[0; 4]; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut sums = [0_i16; 4];
        let mut bit = 8;
        while bit > 0 {
            bit -= 1;
            sums[0] += if byte >> bit & 1 == 1 { 1 } else { -1 };
            sums[1] += sums[0];
            sums[2] += sums[1];
            sums[3] += sums[2];
        }
        table[byte] = sums;
        byte += 1;
    }
    table
}

/// The state of all filters.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    decimation: Decimation,
    integrators: [i32; 4],
    /// Bytes until the combs take what the integrators hold.
    bytes_to_go: u32,
    combs: [i32; 4],
    /// The newest outputs of the combs.
    ring: [i16; FIR_TAPS],
    at: usize,
    /// Outputs of the combs until the last filter gives a sample.
    outputs_to_go: usize,
    mean: Mean,
}

impl Filter {
    fn new(decimation: Decimation) -> Self {
        Filter {
            decimation,
            integrators: [0; 4],
            bytes_to_go: decimation.bytes(),
            combs: [0; 4],
            ring: [0; FIR_TAPS],
            at: 0,
            outputs_to_go: FIR_DECIMATION,
            mean: Mean::new(12),
        }
    }

    /// Takes eight bits; now and then they complete a sample, its mean not removed yet.
    fn byte(&mut self, byte: u8) -> Option<i32> {
        let [a, b, c, d] = ADDED.get(usize::from(byte)).copied().unwrap_or([0; 4]).map(i32::from);
        let [s, t, u, v] = self.integrators;
        // Eight steps at once: what the integrators before add in eight steps, by binomials.
        self.integrators = [
            s.wrapping_add(a),
            t.wrapping_add(s.wrapping_mul(8)).wrapping_add(b),
            u.wrapping_add(t.wrapping_mul(8)).wrapping_add(s.wrapping_mul(36)).wrapping_add(c),
            v.wrapping_add(u.wrapping_mul(8))
                .wrapping_add(t.wrapping_mul(36))
                .wrapping_add(s.wrapping_mul(120))
                .wrapping_add(d),
        ];
        self.bytes_to_go = self.bytes_to_go.saturating_sub(1);
        if self.bytes_to_go > 0 {
            return None;
        }
        self.bytes_to_go = self.decimation.bytes();
        let [.., mut value] = self.integrators;
        for before in &mut self.combs {
            let difference = value.wrapping_sub(*before);
            *before = value;
            value = difference;
        }
        // Full scale becomes 2^15, which a microphone never reaches.
        let gain = self.decimation.gain_bits();
        let scaled = if gain > 15 { shift_right_half_up(value, gain - 15) } else { value << (15 - gain) };
        if let Some(to) = self.ring.get_mut(self.at) {
            *to = saturate(scaled);
        }
        self.at = if self.at + 1 < FIR_TAPS { self.at + 1 } else { 0 };
        self.outputs_to_go -= 1;
        if self.outputs_to_go > 0 {
            return None;
        }
        self.outputs_to_go = FIR_DECIMATION;
        Some(self.fir())
    }

    /// The magnitudes of the taps sum to less than 2^16, so that the sum stays below 2^31.
    fn fir(&self) -> i32 {
        let (newer, older) = self.ring.split_at_checked(self.at).unwrap_or((&self.ring, &[]));
        let oldest_first = older.iter().chain(newer);
        let newest_first = newer.iter().rev().chain(older.iter().rev());
        let pairs = FIR.iter().zip(oldest_first.zip(newest_first));
        let sum = pairs.fold(0_i32, |sum, (tap, (old, new))| {
            sum.wrapping_add(i32::from(*tap) * (i32::from(*old) + i32::from(*new)))
        });
        shift_right_half_up(sum, 15)
    }
}

impl Convert<u8> for Filter {
    fn wanted(&self, room: usize, most: usize) -> usize {
        let bytes = self.decimation.bytes() as usize;
        // Bytes until the next sample, and whole samples after it.
        let next = (self.outputs_to_go - 1) * bytes + self.bytes_to_go as usize;
        let after = room.saturating_sub(1).saturating_mul(FIR_DECIMATION * bytes);
        if room == 0 { 0 } else { next.saturating_add(after).min(most) }
    }

    fn convert(&mut self, words: &[u8], samples: &mut [i16]) -> usize {
        let room = samples.len();
        let mut to = samples.iter_mut();
        for byte in words {
            if let Some(sample) = self.byte(*byte)
                && let Some(to) = to.next()
            {
                *to = saturate(self.mean.remove(sample));
            }
        }
        room - to.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::Sensor;
    use core::convert::Infallible;
    use core::f64::consts::PI;
    use std::vec::Vec;

    fn sinc(x: f64) -> f64 {
        if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) }
    }

    /// The modified Bessel function of the first kind and order 0.
    fn bessel(x: f64) -> f64 {
        let (mut sum, mut term, mut k) = (1.0, 1.0, 1.0);
        while term > 1e-18 * sum {
            term *= (x / 2.0 / k) * (x / 2.0 / k);
            sum += term;
            k += 1.0;
        }
        sum
    }

    fn taps() -> impl Iterator<Item = f64> {
        FIR.iter().chain(FIR.iter().rev()).map(|tap| f64::from(*tap) / 32_768.0)
    }

    #[test]
    fn the_taps_are_those_of_the_formula() {
        const STEPS: usize = 4000;
        let (edge, centre) = (0.125, (FIR_TAPS as f64 - 1.0) / 2.0);
        let ideal: Vec<f64> = (0..FIR_TAPS)
            .map(|n| {
                let x = n as f64 - centre;
                let integral: f64 = (0..STEPS)
                    .map(|step| {
                        let f = (step as f64 + 0.5) * edge / STEPS as f64;
                        (2.0 * PI * f * x).cos() / sinc(f).powi(4)
                    })
                    .sum();
                let r = x / (centre + 0.5);
                integral * bessel(6.0 * (1.0 - r * r).sqrt()) / bessel(6.0)
            })
            .collect();
        let sum: f64 = ideal.iter().sum();
        for (tap, ideal) in taps().zip(&ideal) {
            assert!((tap - ideal / sum).abs() <= 0.51 / 32_768.0, "{tap}");
        }
        assert!(FIR.iter().map(|tap| i32::from(*tap).abs()).sum::<i32>() * 2 < 1 << 16);
    }

    /// f is in output sample rates; the droop of integrators and combs is in it.
    fn response(f: f64, decimation: Decimation) -> f64 {
        let x = f / FIR_DECIMATION as f64;
        let ratio = f64::from(8 * decimation.bytes());
        let combs = (sinc(x) / sinc(x / ratio)).powi(4);
        let centre = (FIR_TAPS as f64 - 1.0) / 2.0;
        combs
            * taps().enumerate().map(|(n, tap)| tap * (2.0 * PI * x * (n as f64 - centre)).cos()).sum::<f64>()
    }

    #[test]
    fn the_response_is_what_the_page_says() {
        for step in 0..=42 {
            let decibels = 20.0 * response(f64::from(step) / 100.0, Decimation::By64).log10();
            assert!(decibels.abs() < 0.012, "{step}: {decibels}");
        }
        for step in 0..700 {
            let f = 0.58 + f64::from(step) / 500.0;
            assert!(response(f, Decimation::By64).abs() < 0.000_71, "{f}");
        }
    }

    /// Integrators and combs bit by bit in f64, and the last filter in f64.
    fn reference(bits: &[f64], decimation: Decimation) -> Vec<f64> {
        let mut values = bits.to_vec();
        let ratio = 8 * decimation.bytes() as usize;
        for _ in 0..4 {
            let mut sum = 0.0;
            for value in &mut values {
                sum += *value;
                *value = sum;
            }
        }
        let mut decimated: Vec<f64> = values.chunks_exact(ratio).map(|chunk| chunk[ratio - 1]).collect();
        for _ in 0..4 {
            let mut before = 0.0;
            for value in &mut decimated {
                (*value, before) = (*value - before, *value);
            }
        }
        let scale = 32_768.0 / (ratio as f64).powi(4);
        let taps: Vec<f64> = taps().collect();
        (1..=decimated.len() / FIR_DECIMATION)
            .map(|sample| {
                let end = sample * FIR_DECIMATION;
                (0..FIR_TAPS.min(end)).map(|n| taps[n] * decimated[end - 1 - n] * scale).sum()
            })
            .collect()
    }

    /// A modulator of second order, as simple as one can be.
    fn modulate(signal: impl Iterator<Item = f64>) -> Vec<f64> {
        let (mut a, mut b, mut bit) = (0.0, 0.0, 1.0);
        signal
            .map(|x| {
                a += x - bit;
                b += a - 2.0 * bit;
                bit = if b >= 0.0 { 1.0 } else { -1.0 };
                bit
            })
            .collect()
    }

    fn bytes(bits: &[f64]) -> Vec<u8> {
        let byte = |bits: &[f64]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit > 0.0));
        bits.chunks_exact(8).map(byte).collect()
    }

    /// All samples, their mean not removed.
    fn filtered(bytes: &[u8], decimation: Decimation) -> Vec<i32> {
        let mut filter = Filter::new(decimation);
        bytes.iter().filter_map(|byte| filter.byte(*byte)).collect()
    }

    #[test]
    fn integers_follow_the_filter_in_f64() {
        for (decimation, ratio) in [(Decimation::By32, 32), (Decimation::By64, 64), (Decimation::By128, 128)]
        {
            let signal = (0..ratio * 400).map(|n| {
                let t = n as f64 / ratio as f64;
                0.4 * (2.0 * PI * 0.11 * t).sin() + 0.2 * (2.0 * PI * 0.031 * t).cos()
            });
            let bits = modulate(signal);
            let expected = reference(&bits, decimation);
            let found = filtered(&bytes(&bits), decimation);
            assert_eq!(found.len(), expected.len());
            for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
                assert!((f64::from(*found) - expected).abs() < 1.6, "{at}: {found} {expected}");
            }
        }
    }

    #[test]
    fn a_tone_keeps_its_size_and_little_else_is_there() {
        let ratio = 64;
        let signal = (0..ratio * 1200).map(|n| 0.5 * (2.0 * PI * 0.0625 * n as f64 / ratio as f64).sin());
        let found = filtered(&bytes(&modulate(signal)), Decimation::By64);
        let settled: Vec<f64> = found[200..1160].iter().map(|sample| f64::from(*sample)).collect();
        let (mut re, mut im) = (0.0, 0.0);
        for (n, sample) in settled.iter().enumerate() {
            re += sample * (2.0 * PI * 0.0625 * n as f64).cos() * 2.0 / 960.0;
            im += sample * (2.0 * PI * 0.0625 * n as f64).sin() * 2.0 / 960.0;
        }
        let amplitude = (re * re + im * im).sqrt();
        assert!((amplitude / 16_384.0 - 1.0).abs() < 0.002, "{amplitude}");
        let power: f64 = settled.iter().map(|sample| sample * sample).sum::<f64>() / 960.0;
        let noise = power - amplitude * amplitude / 2.0;
        assert!(10.0 * (amplitude * amplitude / 2.0 / noise).log10() > 55.0, "{noise}");
    }

    #[test]
    fn the_extremes_saturate() {
        for (byte, expected) in [(0xff, 32_767), (0x00, -32_768)] {
            let found = filtered(&[byte; 4000], Decimation::By128);
            assert!((found[found.len() - 1] - expected).abs() <= 1);
        }
    }

    #[test]
    fn a_reader_is_given_what_it_has_room_for() {
        let mut left = 1000;
        let source = |bytes: &mut [u8]| -> Result<usize, Infallible> {
            let len = bytes.len().min(left);
            bytes[..len].fill(0x55);
            left -= len;
            Ok(len)
        };
        let mut microphone = Pdm::new(source, Decimation::By64, 16_000_000);
        let mut samples = [0; 100];
        for room in [1, 2, 0, 5] {
            assert_eq!(microphone.read(&mut samples[..room]), Ok(room));
        }
        assert_eq!(microphone.read(&mut samples), Ok(100));
        // 1000 bytes are 125 samples.
        assert_eq!(microphone.read(&mut samples), Ok(17));
        assert_eq!(microphone.read(&mut samples), Ok(0));
        assert_eq!(microphone.format().rate_millihertz, 16_000_000);
    }
}
