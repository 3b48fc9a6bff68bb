//! A sensor of another resolution than a model was trained with.

use super::{Format, Sensor};
use teff::quant::divide_half_away;

/// Multiplies the counts of a sensor so that a unit has the counts that a model expects.
#[derive(Debug)]
pub struct Rescaled<S> {
    sensor: S,
    counts_per_thousand_units: u32,
    multiplier: i32,
    divisor: u32,
}

impl<S: Sensor> Rescaled<S> {
    /// The same sensor at another scale; `None` where one of the scales is 0, or where their ratio is
    /// no fraction of numbers below 65,536.
    pub fn new(sensor: S, counts_per_thousand_units: u32) -> Option<Self> {
        let own = sensor.format().counts_per_thousand_units;
        let common = greatest_common_divisor(own, counts_per_thousand_units);
        let multiplier = counts_per_thousand_units.checked_div(common)?;
        let divisor = own.checked_div(common)?;
        if multiplier >= 1 << 16 || divisor >= 1 << 16 || multiplier == 0 || divisor == 0 {
            return None;
        }
        Some(Rescaled { sensor, counts_per_thousand_units, multiplier: multiplier as i32, divisor })
    }

    /// The sensor itself.
    pub fn sensor_mut(&mut self) -> &mut S {
        &mut self.sensor
    }
}

impl<S: Sensor> Sensor for Rescaled<S> {
    type Error = S::Error;

    fn format(&self) -> Format {
        Format { counts_per_thousand_units: self.counts_per_thousand_units, ..self.sensor.format() }
    }

    fn read(&mut self, samples: &mut [i16]) -> Result<usize, S::Error> {
        let instants = self.sensor.read(samples)?;
        let axes = usize::from(self.sensor.format().axes);
        for sample in samples.iter_mut().take(instants * axes) {
            // Below 2^15 times 2^16.
            let product = i32::from(*sample) * self.multiplier;
            let scaled = divide_half_away(product, self.divisor);
            *sample = scaled.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        }
        Ok(instants)
    }

    fn gaps(&self) -> u32 {
        self.sensor.gaps()
    }
}

fn greatest_common_divisor(mut a: u32, mut b: u32) -> u32 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::super::recorded::Recorded;
    use super::*;

    #[test]
    fn counts_are_multiplied_rounded_and_saturated() {
        let format = Format { rate_millihertz: 1, axes: 1, counts_per_thousand_units: 256_000 };
        let samples = [3, -3, 32_000];
        let mut read = [0; 3];
        let mut up = Rescaled::new(Recorded::new(format, &samples, 3), 640_000).unwrap();
        assert_eq!(up.read(&mut read), Ok(3));
        assert_eq!(read, [8, -8, 32_767]);
        assert_eq!(up.format().counts_per_thousand_units, 640_000);
        assert!(Rescaled::new(Recorded::new(format, &samples, 3), 0).is_none());
        assert!(Rescaled::new(Recorded::new(format, &samples, 3), 256_001).is_none());
    }
}
