//! Slow and analog signals: values that are measured when they are asked for, at a fixed rate.

use super::{Format, Sensor};

/// Asks a channel for a value every so many instants, and repeats it in between: a temperature that
/// changes in minutes beside a model that looks ten times a second.
///
/// Whoever keeps the time, such as a timer's interrupt, says so by [`Held::elapsed`].
#[derive(Debug)]
pub struct Held<C, const AXES: usize> {
    channel: C,
    format: Format,
    /// Instants for which a value holds.
    every: u32,
    /// Instants that are over and were not read.
    due: u32,
    /// Instants for which the last value still holds.
    holds: u32,
    last: [i16; AXES],
    gaps: u32,
    lost: u32,
}

/// What values come from; closures are channels.
pub trait Channel<const AXES: usize> {
    /// Why measuring failed.
    type Error;

    /// The value now.
    ///
    /// # Errors
    /// When there is none.
    fn measure(&mut self) -> Result<[i16; AXES], Self::Error>;
}

impl<const AXES: usize, E, F: FnMut() -> Result<[i16; AXES], E>> Channel<AXES> for F {
    type Error = E;

    fn measure(&mut self) -> Result<[i16; AXES], E> {
        self()
    }
}

impl<C: Channel<AXES>, const AXES: usize> Held<C, AXES> {
    /// A channel that is asked every `every` instants, at least 1. The format's number of axes becomes
    /// `AXES`.
    pub fn new(channel: C, format: Format, every: u32) -> Self {
        // Fifteen are the most that any model takes.
        let format = Format { axes: AXES.min(255) as u8, ..format };
        let every = every.max(1);
        Held { channel, format, every, due: 0, holds: 0, last: [0; AXES], gaps: 0, lost: 0 }
    }

    /// The time of some instants passed.
    pub fn elapsed(&mut self, instants: u32) {
        self.due = self.due.saturating_add(instants);
    }

    /// Instants that were lost because they were read so late that their value could not be measured
    /// any more.
    pub fn lost(&self) -> u32 {
        self.lost
    }

    /// The channel.
    pub fn channel_mut(&mut self) -> &mut C {
        &mut self.channel
    }
}

impl<C: Channel<AXES>, const AXES: usize> Sensor for Held<C, AXES> {
    type Error = C::Error;

    fn format(&self) -> Format {
        self.format
    }

    fn read(&mut self, samples: &mut [i16]) -> Result<usize, C::Error> {
        let (instants, _) = samples.as_chunks_mut::<AXES>();
        let mut taken = 0;
        for instant in instants {
            if self.due == 0 {
                break;
            }
            if self.holds == 0 {
                // Of several values that should have been measured, only the newest still can be.
                let late = (self.due - 1) / self.every * self.every;
                if late > 0 && taken > 0 {
                    // The gap lies before the next read's first instant.
                    break;
                }
                let value = self.channel.measure()?;
                if late > 0 {
                    self.due -= late;
                    self.lost = self.lost.wrapping_add(late);
                    self.gaps = self.gaps.wrapping_add(1);
                }
                (self.last, self.holds) = (value, self.every);
            }
            *instant = self.last;
            self.holds -= 1;
            self.due -= 1;
            taken += 1;
        }
        Ok(taken)
    }

    fn gaps(&self) -> u32 {
        self.gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::convert::Infallible;

    const FORMAT: Format = Format {
        sensor: "thermistor",
        rate_millihertz: 10_000,
        axes: 0,
        unit: "C",
        counts_per_thousand_units: 100_000,
        full_scale: 32_768,
    };

    fn counting() -> impl FnMut() -> Result<[i16; 1], Infallible> {
        let mut value = 0;
        move || {
            value += 1;
            Ok([value])
        }
    }

    #[test]
    fn a_value_is_repeated_until_the_next_is_due() {
        let mut sensor = Held::new(counting(), FORMAT, 3);
        let mut samples = [0; 8];
        assert_eq!(sensor.read(&mut samples), Ok(0));
        for expected in [1, 1, 1, 2, 2, 2, 3] {
            sensor.elapsed(1);
            assert_eq!(sensor.read(&mut samples), Ok(1));
            assert_eq!(samples[0], expected);
        }
        assert_eq!((sensor.gaps(), sensor.format().axes), (0, 1));
    }

    #[test]
    fn what_could_not_be_measured_in_time_is_lost_and_counted() {
        let mut sensor = Held::new(counting(), FORMAT, 2);
        let mut samples = [0; 8];
        sensor.elapsed(2);
        assert_eq!(sensor.read(&mut samples), Ok(2));
        // Two values, of four instants, are too late; the third one is measured now.
        sensor.elapsed(5);
        assert_eq!(sensor.read(&mut samples), Ok(1));
        assert_eq!((samples[0], sensor.gaps(), sensor.lost()), (2, 1, 4));
        sensor.elapsed(1);
        assert_eq!(sensor.read(&mut samples), Ok(1));
        assert_eq!(samples[0], 2);
    }

    #[test]
    fn an_error_keeps_the_instant_for_later() {
        let mut answers = [Err("busy"), Ok([7]), Err("gone")].into_iter();
        let mut sensor = Held::new(move || answers.next().unwrap_or(Ok([0])), FORMAT, 1);
        let mut samples = [0; 4];
        sensor.elapsed(1);
        assert_eq!(sensor.read(&mut samples), Err("busy"));
        assert_eq!(sensor.read(&mut samples), Ok(1));
        assert_eq!((samples[0], sensor.gaps()), (7, 0));
    }
}
