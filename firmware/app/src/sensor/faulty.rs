//! A sensor with faults, as they are wanted: for tests of what is around it.

use super::{Format, Sensor};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Instants vanish, and the sensor says nothing.
    Lost(u32),
    /// Instants vanish, and the sensor reports a gap.
    Gap(u32),
    /// For so many instants the first of their values comes again and again.
    Stuck(u32),
    /// For so many instants all samples are at full scale, each with its sign.
    Saturated(u32),
    /// So many reads fail. Instants wait meanwhile.
    Errors(u32),
    /// So many reads find nothing. Instants wait meanwhile.
    Late(u32),
    /// Reads find nothing until the sensor is started anew. Instants wait meanwhile.
    Asleep,
}

/// A fault and when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Instants of the sensor itself before it begins.
    pub at: u64,
    /// What goes wrong.
    pub kind: Kind,
}

/// Why a read failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error<E> {
    /// It was to fail.
    Injected,
    /// The sensor itself failed.
    Sensor(E),
}

/// A sensor that works except where a list of faults says otherwise.
#[derive(Debug)]
pub struct Faulty<'f, S> {
    sensor: S,
    /// Those that did not begin yet.
    faults: &'f [Fault],
    /// Instants that the sensor itself gave.
    instant: u64,
    vanish: u32,
    vanished: u64,
    stuck: u32,
    saturated: u32,
    errors: u32,
    late: u32,
    asleep: bool,
    gaps: u32,
    /// The value that comes again and again.
    held: [i16; MAX_AXES],
    holding: bool,
}

/// Axes of a sensor here, at most.
const MAX_AXES: usize = 16;

impl<'f, S: Sensor> Faulty<'f, S> {
    /// A sensor with faults, first one first. Of those that begin together, the first listed one begins
    /// first.
    pub fn new(sensor: S, faults: &'f [Fault]) -> Self {
        Faulty {
            sensor,
            faults,
            instant: 0,
            vanish: 0,
            vanished: 0,
            stuck: 0,
            saturated: 0,
            errors: 0,
            late: 0,
            asleep: false,
            gaps: 0,
            held: [0; MAX_AXES],
            holding: false,
        }
    }

    /// The sensor itself.
    pub fn sensor_mut(&mut self) -> &mut S {
        &mut self.sensor
    }

    /// Instants that the sensor itself gave.
    pub fn instant(&self) -> u64 {
        self.instant
    }

    /// Of them, those that vanished.
    pub fn vanished(&self) -> u64 {
        self.vanished
    }

    /// Lets the faults begin whose time has come.
    fn begin(&mut self) {
        while let Some((fault, later)) = self.faults.split_first()
            && fault.at <= self.instant
        {
            self.faults = later;
            match fault.kind {
                Kind::Lost(instants) => self.vanish += instants,
                Kind::Gap(instants) => {
                    self.vanish += instants;
                    self.gaps = self.gaps.wrapping_add(1);
                }
                Kind::Stuck(instants) => (self.stuck, self.holding) = (instants, false),
                Kind::Saturated(instants) => self.saturated = instants,
                Kind::Errors(reads) => self.errors += reads,
                Kind::Late(reads) => self.late += reads,
                Kind::Asleep => self.asleep = true,
            }
        }
    }

    /// Reads from the sensor itself, no further than something begins or ends.
    fn take(&mut self, samples: &mut [i16]) -> Result<usize, Error<S::Error>> {
        let axes = usize::from(self.sensor.format().axes).max(1);
        let next = self.faults.first().map_or(u64::MAX, |fault| fault.at.saturating_sub(self.instant));
        let mut limit = next.min(samples.len() as u64) as usize;
        for instants in [self.vanish, self.stuck, self.saturated] {
            if instants > 0 {
                limit = limit.min(instants as usize);
            }
        }
        let Some(room) = samples.get_mut(..(limit.saturating_mul(axes)).min(samples.len())) else {
            return Ok(0);
        };
        let instants = self.sensor.read(room).map_err(Error::Sensor)?;
        self.instant += instants as u64;
        Ok(instants)
    }
}

impl<S: Sensor> Sensor for Faulty<'_, S> {
    type Error = Error<S::Error>;

    fn format(&self) -> Format {
        self.sensor.format()
    }

    fn read(&mut self, samples: &mut [i16]) -> Result<usize, Self::Error> {
        self.begin();
        if self.errors > 0 {
            self.errors -= 1;
            return Err(Error::Injected);
        }
        if self.asleep {
            return Ok(0);
        }
        if self.late > 0 {
            self.late -= 1;
            return Ok(0);
        }
        while self.vanish > 0 {
            let instants = self.take(samples)?;
            if instants == 0 {
                return Ok(0);
            }
            // No more came than were to vanish.
            self.vanish -= (instants as u32).min(self.vanish);
            self.vanished += instants as u64;
        }
        let instants = self.take(samples)?;
        let format = self.sensor.format();
        let axes = usize::from(format.axes).clamp(1, MAX_AXES);
        let came = samples.get_mut(..instants * axes).unwrap_or(&mut []);
        if self.stuck > 0 && instants > 0 {
            if !self.holding {
                self.holding = true;
                for (held, sample) in self.held.iter_mut().zip(came.iter().take(axes)) {
                    *held = *sample;
                }
            }
            for instant in came.chunks_mut(axes) {
                instant.iter_mut().zip(&self.held).for_each(|(sample, held)| *sample = *held);
            }
            self.stuck -= (instants as u32).min(self.stuck);
        }
        if self.saturated > 0 && instants > 0 {
            // At most 32767, and at least -32768.
            let (highest, lowest) = (i32::from(format.full_scale) - 1, -i32::from(format.full_scale));
            for sample in came.iter_mut() {
                let full =
                    if *sample < 0 { lowest.max(i16::MIN.into()) } else { highest.min(i16::MAX.into()) };
                *sample = full as i16;
            }
            self.saturated -= (instants as u32).min(self.saturated);
        }
        Ok(instants)
    }

    fn gaps(&self) -> u32 {
        self.gaps.wrapping_add(self.sensor.gaps())
    }

    fn restart(&mut self) -> Result<(), Self::Error> {
        if self.errors > 0 {
            self.errors -= 1;
            return Err(Error::Injected);
        }
        self.asleep = false;
        self.sensor.restart().map_err(Error::Sensor)
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorded::Recorded;
    use super::*;
    use std::vec::Vec;

    const FORMAT: Format = Format {
        sensor: "recording",
        rate_millihertz: 100_000,
        axes: 1,
        unit: "g",
        counts_per_thousand_units: 1,
        full_scale: 1000,
    };

    #[test]
    fn faults_happen_when_they_are_to() {
        let mut recording: Vec<i16> = (0..40).collect();
        recording[33] = -33;
        let fault = |at, kind| Fault { at, kind };
        let faults = [
            fault(3, Kind::Errors(2)),
            fault(5, Kind::Lost(2)),
            fault(10, Kind::Stuck(4)),
            fault(20, Kind::Gap(5)),
            fault(30, Kind::Late(1)),
            fault(32, Kind::Saturated(3)),
        ];
        for room in [1, 3, 40] {
            let mut sensor = Faulty::new(Recorded::new(FORMAT, &recording, 64), &faults);
            let (mut found, mut errors, mut empty, mut samples) = (Vec::new(), 0, 0, [0; 40]);
            let mut gap_before = None;
            while sensor.instant() < 40 {
                match sensor.read(&mut samples[..room]) {
                    Ok(0) => empty += 1,
                    Ok(instants) => {
                        if sensor.gaps() == 1 && gap_before.is_none() {
                            gap_before = Some(samples[0]);
                        }
                        found.extend_from_slice(&samples[..instants]);
                    }
                    Err(Error::Injected) => errors += 1,
                    Err(Error::Sensor(_)) => unreachable!(),
                }
            }
            let mut expected = recording.clone();
            expected.retain(|n| ![5, 6].contains(n));
            expected.retain(|n| !(20..25).contains(n));
            for sample in &mut expected {
                *sample = match *sample {
                    10..14 => 10,
                    -33 => -1000,
                    32..35 => 999,
                    other => other,
                };
            }
            assert_eq!(found, expected, "{room} at once");
            assert_eq!((errors, empty, gap_before), (2, 1, Some(25)));
            assert_eq!((sensor.instant(), sensor.vanished()), (40, 7));
        }
    }
}
