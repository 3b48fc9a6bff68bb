//! Sound at half the rate: for a microphone whose lowest rate is twice what a model was trained with.

use teff::quant::shift_right_half_up;

use super::{AsyncSensor, Format, Sensor};

/// Taps of the filter, of which every second one but the middle is 0.
const TAPS: usize = 47;

/// What lies 1, 3, 5, … from the middle, in Q15; the middle is 1/2.
///
/// `sin(πn/2) / πn` times a Kaiser window of 6, scaled to a sum of 1/4. It passes 0 to 0.41 of the halved
/// rate within 0.01 dB, is at -6 dB at 0.5, and at -61 dB or lower from 0.59 on.
const SIDE: [i16; 12] = [10_384, -3_332, 1_851, -1_175, 779, -518, 338, -213, 127, -69, 33, -13];

/// A sensor with one axis at half of its rate, or, where [`Halved::new`] is told so, as it is.
#[derive(Debug)]
pub struct Halved<S> {
    sensor: S,
    filter: Option<Filter>,
}

impl<S> Halved<S> {
    /// `sensor` at half of its rate where that is `rate_millihertz`, else at its own, which whoever
    /// compares rates will then refuse. Sensors with several axes are left as they are.
    fn with_format(sensor: S, own: Format, rate_millihertz: u32) -> Self {
        let halves = own.axes == 1 && rate_millihertz.checked_mul(2) == Some(own.rate_millihertz);
        Halved { sensor, filter: halves.then(Filter::new) }
    }

    /// The sensor itself.
    pub fn sensor_mut(&mut self) -> &mut S {
        &mut self.sensor
    }

    fn format_of(&self, own: Format) -> Format {
        let rate_millihertz =
            if self.filter.is_some() { own.rate_millihertz / 2 } else { own.rate_millihertz };
        Format { rate_millihertz, ..own }
    }

    fn halve(&mut self, samples: &mut [i16], came: usize) -> usize {
        self.filter.as_mut().map_or(came, |filter| filter.halve(samples, came))
    }
}

impl<S: Sensor> Halved<S> {
    /// A sensor at the rate that is wanted, if that is its own or half of it.
    pub fn new(sensor: S, rate_millihertz: u32) -> Self {
        let own = sensor.format();
        Self::with_format(sensor, own, rate_millihertz)
    }
}

impl<S: AsyncSensor> Halved<S> {
    /// What [`Halved::new`] is, of an asynchronous sensor.
    pub fn new_async(sensor: S, rate_millihertz: u32) -> Self {
        let own = sensor.format();
        Self::with_format(sensor, own, rate_millihertz)
    }
}

impl<S: Sensor> Sensor for Halved<S> {
    type Error = S::Error;

    fn format(&self) -> Format {
        self.format_of(self.sensor.format())
    }

    fn read(&mut self, samples: &mut [i16]) -> Result<usize, S::Error> {
        loop {
            let came = self.sensor.read(samples)?;
            let halved = self.halve(samples, came);
            // A single sample may complete none.
            if halved > 0 || came == 0 {
                return Ok(halved);
            }
        }
    }

    fn gaps(&self) -> u32 {
        self.sensor.gaps()
    }

    fn restart(&mut self) -> Result<(), S::Error> {
        self.sensor.restart()
    }
}

impl<S: AsyncSensor> AsyncSensor for Halved<S> {
    type Error = S::Error;

    fn format(&self) -> Format {
        self.format_of(self.sensor.format())
    }

    async fn read(&mut self, samples: &mut [i16]) -> Result<usize, S::Error> {
        loop {
            let came = self.sensor.read(samples).await?;
            let halved = self.halve(samples, came);
            if halved > 0 || came == 0 {
                return Ok(halved);
            }
        }
    }

    fn gaps(&self) -> u32 {
        self.sensor.gaps()
    }

    async fn restart(&mut self) -> Result<(), S::Error> {
        self.sensor.restart().await
    }
}

/// The newest samples, the last one first.
#[derive(Clone, Debug)]
struct Filter {
    newest: [i16; TAPS],
    /// The next sample is the second of a pair, which it completes.
    second: bool,
}

impl Filter {
    fn new() -> Self {
        Filter { newest: [0; TAPS], second: false }
    }

    /// Filters the first `came` of `samples` in place, and returns how many are left.
    fn halve(&mut self, samples: &mut [i16], came: usize) -> usize {
        let mut written = 0;
        for at in 0..came.min(samples.len()) {
            let Some(&sample) = samples.get(at) else { break };
            self.newest.copy_within(..TAPS - 1, 1);
            self.newest[0] = sample;
            self.second = !self.second;
            if !self.second
                && let Some(to) = samples.get_mut(written)
            {
                *to = self.output();
                written += 1;
            }
        }
        written
    }

    fn output(&self) -> i16 {
        const MIDDLE: usize = TAPS / 2;
        let (after, rest) = self.newest.split_at(MIDDLE);
        let Some((middle, before)) = rest.split_first() else { return 0 };
        let near = before.iter().step_by(2);
        let far = after.iter().rev().step_by(2);
        // The taps' absolute values add up to 18,832 and a pair is at most 2^16, so that all together stays
        // below 2^31.
        let side: i32 = SIDE
            .iter()
            .zip(near.zip(far))
            .map(|(tap, (a, b))| i32::from(*tap) * (i32::from(*a) + i32::from(*b)))
            .sum();
        let sample = shift_right_half_up((i32::from(*middle) << 14) + side, 15);
        sample.clamp(i16::MIN.into(), i16::MAX.into()) as i16
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorded::Recorded;
    use super::*;
    use core::f64::consts::PI;
    use std::vec::Vec;

    const FORMAT: Format = Format {
        sensor: "recording",
        rate_millihertz: 16_000_000,
        axes: 1,
        unit: "",
        counts_per_thousand_units: 32_768_000,
        full_scale: 32_768,
    };

    /// The modified Bessel function of the first kind and order 0.
    fn bessel(x: f64) -> f64 {
        let (mut sum, mut term) = (1.0, 1.0);
        for k in 1..60 {
            term *= (x / 2.0 / f64::from(k)).powi(2);
            sum += term;
        }
        sum
    }

    #[test]
    fn the_taps_are_those_of_the_formula() {
        let ideal = |x: f64| {
            let r = x / 24.0;
            (PI * x / 2.0).sin() / (PI * x) * bessel(6.0 * (1.0 - r * r).sqrt()) / bessel(6.0)
        };
        let places = || (0..12).map(|at| f64::from(2 * at + 1));
        let sum: f64 = places().map(ideal).sum();
        for (tap, x) in SIDE.iter().zip(places()) {
            assert!((f64::from(*tap) / 32_768.0 - ideal(x) * 0.25 / sum).abs() <= 0.51 / 32_768.0, "{x}");
        }
        assert_eq!(SIDE.iter().map(|tap| i32::from(*tap)).sum::<i32>(), 8192);
    }

    #[test]
    fn the_response_is_what_the_page_says() {
        // f is in rates before halving.
        let decibels = |f: f64| {
            let side = SIDE.iter().zip((1..).step_by(2));
            let sum: f64 = side
                .map(|(tap, x)| 2.0 * f64::from(*tap) / 32_768.0 * (2.0 * PI * f * f64::from(x)).cos())
                .sum();
            20.0 * (0.5 + sum).abs().max(1e-9).log10()
        };
        (0..=205).for_each(|f| assert!(decibels(f64::from(f) / 1000.0).abs() < 0.01, "{f}"));
        (295..=500).for_each(|f| assert!(decibels(f64::from(f) / 1000.0) < -61.0, "{f}"));
    }

    /// However a recording is cut, what comes is what the filter gives in f64.
    #[test]
    fn integers_follow_the_filter_in_f64() {
        let recording: Vec<i16> = (0..2000)
            .map(|n| (12_000.0 * (0.3 * f64::from(n)).sin() + f64::from(n % 17) * 300.0) as i16)
            .collect();
        let expected = |output: usize| -> f64 {
            let middle = 2 * output as isize + 1 - 23;
            let at = |n: isize| {
                f64::from(usize::try_from(n).ok().and_then(|n| recording.get(n)).copied().unwrap_or(0))
            };
            let side = SIDE.iter().zip((1..).step_by(2));
            at(middle) / 2.0
                + side
                    .map(|(tap, x)| f64::from(*tap) / 32_768.0 * (at(middle - x) + at(middle + x)))
                    .sum::<f64>()
        };
        for portion in [1, 2, 7, 64] {
            let mut sensor = Halved::new(Recorded::new(FORMAT, &recording, portion), 8_000_000);
            assert_eq!(sensor.format().rate_millihertz, 8_000_000);
            let (mut samples, mut found) = ([0; 64], Vec::new());
            while !sensor.sensor_mut().is_over() {
                let count = sensor.read(&mut samples).unwrap();
                found.extend_from_slice(&samples[..count]);
            }
            assert_eq!(found.len(), 1000);
            for (at, found) in found.iter().enumerate() {
                assert!((f64::from(*found) - expected(at)).abs() <= 0.51, "{at} in portions of {portion}");
            }
        }
    }

    #[test]
    fn the_extremes_stay_in_range() {
        let mut filter = Filter::new();
        for value in [i16::MIN, i16::MAX] {
            let mut samples = [value; 200];
            let count = filter.halve(&mut samples, 200);
            assert_eq!((count, samples[99]), (100, value));
        }
    }

    #[test]
    fn another_rate_is_left_as_it_is() {
        let mut sensor = Halved::new(Recorded::new(FORMAT, &[1, 2, 3], 3), 16_000_000);
        let mut samples = [0; 3];
        assert_eq!((sensor.read(&mut samples), samples), (Ok(3), [1, 2, 3]));
        let refused = Halved::new(Recorded::new(FORMAT, &[], 3), 4_000_000);
        assert_eq!(refused.format(), FORMAT);
    }
}
