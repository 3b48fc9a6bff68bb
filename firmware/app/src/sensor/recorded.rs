//! A recording as a sensor: the same pipeline on a host, without a chip.

use core::convert::Infallible;

use super::{Format, Sensor};

/// Hands out a recording in portions of a given length, as a sensor that is read at odd times.
#[derive(Debug)]
pub struct Recorded<'a> {
    format: Format,
    rest: &'a [i16],
    portion: usize,
}

impl<'a> Recorded<'a> {
    /// `samples` are interleaved by axis; a last instant that is not whole is left out. At most
    /// `portion` instants come at once.
    pub fn new(format: Format, samples: &'a [i16], portion: usize) -> Self {
        Recorded { format, rest: samples, portion }
    }

    /// Whether all of it has been read.
    pub fn is_over(&self) -> bool {
        self.rest.len() < usize::from(self.format.axes)
    }
}

impl Sensor for Recorded<'_> {
    type Error = Infallible;

    fn format(&self) -> Format {
        self.format
    }

    fn read(&mut self, samples: &mut [i16]) -> Result<usize, Infallible> {
        let axes = usize::from(self.format.axes).max(1);
        let instants = (samples.len() / axes).min(self.rest.len() / axes).min(self.portion);
        let (now, rest) = self.rest.split_at(instants * axes);
        for (sample, recorded) in samples.iter_mut().zip(now) {
            *sample = *recorded;
        }
        self.rest = rest;
        Ok(instants)
    }

    fn gaps(&self) -> u32 {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_comes_in_portions_of_whole_instants() {
        let format = Format {
            sensor: "recording",
            rate_millihertz: 1,
            axes: 2,
            unit: "",
            counts_per_thousand_units: 1,
            full_scale: 32_768,
        };
        let mut sensor = Recorded::new(format, &[1, 2, 3, 4, 5, 6, 7], 2);
        let mut samples = [0; 5];
        assert_eq!(sensor.read(&mut samples), Ok(2));
        assert_eq!(samples, [1, 2, 3, 4, 0]);
        assert_eq!(sensor.read(&mut samples), Ok(1));
        assert!(sensor.is_over());
        assert_eq!(sensor.read(&mut samples), Ok(0));
    }
}
