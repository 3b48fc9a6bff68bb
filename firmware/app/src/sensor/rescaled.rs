//! A sensor of another resolution than a model was trained with.

use super::{AsyncSensor, Format, Sensor};
use teff::quant::divide_half_away;

/// Multiplies the counts of a sensor so that a unit has the counts that a model expects.
#[derive(Debug)]
pub struct Rescaled<S> {
    sensor: S,
    /// Of the rescaled samples.
    format: Format,
    fraction: Fraction,
}

/// `multiplier / divisor`, both below 2^16, so that a product with a sample stays in 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fraction {
    multiplier: i32,
    divisor: u32,
}

impl Fraction {
    const LIMIT: u64 = 1 << 16;

    /// `wanted / own`, or the last of its convergents whose parts are below 2^16: it is off by less than
    /// one part in its divisor times 2^16. `None` where one of the numbers is 0 or the ratio too large or
    /// too small.
    fn new(wanted: u32, own: u32) -> Option<Fraction> {
        let (mut numerator, mut denominator) = (u64::from(wanted), u64::from(own));
        let ((mut before, mut last), mut found) = (((0, 1), (1, 0)), None);
        while let Some(whole) = numerator.checked_div(denominator) {
            let next = (whole * last.0 + before.0, whole * last.1 + before.1);
            if next.0 >= Self::LIMIT || next.1 >= Self::LIMIT {
                break;
            }
            (before, last) = (last, next);
            (numerator, denominator) = (denominator, numerator % denominator);
            found = Some(last);
        }
        match found {
            // Below 2^16.
            Some((m, d)) if m > 0 && d > 0 => Some(Fraction { multiplier: m as i32, divisor: d as u32 }),
            _ => None,
        }
    }

    fn apply(self, sample: i16) -> i16 {
        // Below 2^15 times 2^16.
        let scaled = divide_half_away(i32::from(sample) * self.multiplier, self.divisor);
        scaled.clamp(i16::MIN.into(), i16::MAX.into()) as i16
    }
}

impl<S> Rescaled<S> {
    fn with_format(sensor: S, own: Format, counts_per_thousand_units: u32) -> Option<Self> {
        let fraction = Fraction::new(counts_per_thousand_units, own.counts_per_thousand_units)?;
        let largest = fraction.apply(own.full_scale.saturating_sub(1).min(i16::MAX as u16) as i16);
        // Not negative, as `full_scale` is not.
        let full_scale = largest.max(0) as u16 + 1;
        let format = Format { counts_per_thousand_units, full_scale, ..own };
        Some(Rescaled { sensor, format, fraction })
    }

    /// The sensor itself.
    pub fn sensor_mut(&mut self) -> &mut S {
        &mut self.sensor
    }

    fn rescale(&self, samples: &mut [i16], instants: usize) {
        for sample in samples.iter_mut().take(instants * usize::from(self.format.axes)) {
            *sample = self.fraction.apply(*sample);
        }
    }
}

impl<S: Sensor> Rescaled<S> {
    /// The same sensor at another scale, as near as a fraction of numbers below 65,536 comes: exact, or
    /// off by less than a sample has digits. `None` where one of the scales is 0, or where they differ by
    /// a factor of more than 65,535.
    pub fn new(sensor: S, counts_per_thousand_units: u32) -> Option<Self> {
        let own = sensor.format();
        Self::with_format(sensor, own, counts_per_thousand_units)
    }
}

impl<S: AsyncSensor> Rescaled<S> {
    /// What [`Rescaled::new`] is, of an asynchronous sensor.
    pub fn new_async(sensor: S, counts_per_thousand_units: u32) -> Option<Self> {
        let own = sensor.format();
        Self::with_format(sensor, own, counts_per_thousand_units)
    }
}

impl<S: Sensor> Sensor for Rescaled<S> {
    type Error = S::Error;

    fn format(&self) -> Format {
        self.format
    }

    fn read(&mut self, samples: &mut [i16]) -> Result<usize, S::Error> {
        let instants = self.sensor.read(samples)?;
        self.rescale(samples, instants);
        Ok(instants)
    }

    fn gaps(&self) -> u32 {
        self.sensor.gaps()
    }

    fn restart(&mut self) -> Result<(), S::Error> {
        self.sensor.restart()
    }
}

impl<S: AsyncSensor> AsyncSensor for Rescaled<S> {
    type Error = S::Error;

    fn format(&self) -> Format {
        self.format
    }

    async fn read(&mut self, samples: &mut [i16]) -> Result<usize, S::Error> {
        let instants = self.sensor.read(samples).await?;
        self.rescale(samples, instants);
        Ok(instants)
    }

    fn gaps(&self) -> u32 {
        self.sensor.gaps()
    }

    async fn restart(&mut self) -> Result<(), S::Error> {
        self.sensor.restart().await
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorded::Recorded;
    use super::*;

    const FORMAT: Format = Format {
        sensor: "recording",
        rate_millihertz: 1,
        axes: 1,
        unit: "g",
        counts_per_thousand_units: 256_000,
        full_scale: 4096,
    };

    #[test]
    fn counts_are_multiplied_rounded_and_saturated() {
        let samples = [3, -3, 32_000];
        let mut read = [0; 3];
        let mut up = Rescaled::new(Recorded::new(FORMAT, &samples, 3), 640_000).unwrap();
        assert_eq!(up.read(&mut read), Ok(3));
        assert_eq!(read, [8, -8, 32_767]);
        assert_eq!(up.format().counts_per_thousand_units, 640_000);
        assert!(Rescaled::new(Recorded::new(FORMAT, &samples, 3), 0).is_none());
    }

    #[test]
    fn the_largest_sample_still_counts_as_saturated() {
        let full_scale =
            |scale| Rescaled::new(Recorded::new(FORMAT, &[], 3), scale).unwrap().format().full_scale;
        assert_eq!(full_scale(512_000), 4095 * 2 + 1);
        assert_eq!(full_scale(128_000), 2049);
        assert_eq!(full_scale(256_000_000), 32_768);
    }

    #[test]
    fn a_ratio_without_a_small_fraction_is_approached() {
        assert_eq!(Fraction::new(640_000, 256_000), Some(Fraction { multiplier: 5, divisor: 2 }));
        for (wanted, own) in [(512_000, 1_333_333), (256_001, 256_000), (16_000_000, 83_333), (1, 65_535)] {
            let Fraction { multiplier, divisor } = Fraction::new(wanted, own).unwrap();
            let (exact, found) =
                (f64::from(wanted) / f64::from(own), f64::from(multiplier) / f64::from(divisor));
            assert!((found / exact - 1.0).abs() < 1.0 / 65_536.0, "{wanted}/{own}: {multiplier}/{divisor}");
        }
        assert_eq!(Fraction::new(1, 65_536), None);
        assert_eq!(Fraction::new(u32::MAX, 1), None);
        assert_eq!(Fraction::new(1, 0), None);
    }
}
