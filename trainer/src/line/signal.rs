//! What an emulated board's sensor measures: a file, or the simulated machine.

use std::path::Path;

use anyhow::{Context, Result, bail};
use teff_board::Signal;

use crate::dataset::machine::{self, RATE_HZ, STATES};
use crate::error::InputError;

/// Counts per g of the emulated accelerometer, and its largest count.
const SENSOR_LSB_PER_G: f64 = 256.0;
const SENSOR_FULL_SCALE: f64 = 4095.0;

/// Which signal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The simulated machine in one of its states.
    Machine(&'static str),
    /// A WAV file for the microphone.
    Sound(std::path::PathBuf),
    /// A file of three columns, in counts of the accelerometer, for that many instants a second.
    Motion(std::path::PathBuf),
}

impl Choice {
    /// Reads `machine:STATE`, `FILE.wav` or `FILE.csv`.
    ///
    /// # Errors
    /// Says what is allowed.
    pub fn parse(text: &str) -> Result<Choice, String> {
        if let Some(state) = text.strip_prefix("machine:") {
            return match STATES.iter().find(|known| **known == state) {
                Some(state) => Ok(Choice::Machine(state)),
                None => Err(format!("the simulated machine's states are {}", STATES.join(", "))),
            };
        }
        let path = std::path::PathBuf::from(text);
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("wav") => Ok(Choice::Sound(path)),
            Some("csv") => Ok(Choice::Motion(path)),
            _ => {
                Err("give machine:STATE, a .wav file, or a .csv file with columns x,y,z in counts"
                    .to_string())
            }
        }
    }

    /// The signal. Of the machine, `seconds` of its `take`th recording: each is another one.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn load(&self, seconds: f64, take: u64) -> Result<Signal> {
        match self {
            Choice::Machine(state) => {
                let counts = machine::another(state, seconds, take);
                let to_sensor = |count: &i16| {
                    let count = f64::from(*count) * SENSOR_LSB_PER_G / machine::LSB_PER_G;
                    count.round().clamp(-SENSOR_FULL_SCALE, SENSOR_FULL_SCALE) as i16
                };
                let samples = counts.iter().map(to_sensor).collect();
                Ok(Signal { axes: 3, rate_millihertz: (RATE_HZ * 1000.0) as u32, samples })
            }
            Choice::Sound(path) => sound(path),
            Choice::Motion(path) => motion(path),
        }
    }
}

fn sound(path: &Path) -> Result<Signal> {
    let read = || -> Result<Signal, hound::Error> {
        let mut reader = hound::WavReader::open(path)?;
        let spec = reader.spec();
        if (spec.channels, spec.bits_per_sample) != (1, 16) {
            return Err(hound::Error::Unsupported);
        }
        let samples = reader.samples::<i16>().collect::<Result<_, _>>()?;
        Ok(Signal { axes: 1, rate_millihertz: spec.sample_rate.saturating_mul(1000), samples })
    };
    read().with_context(|| {
        format!("{}: cannot be read as a WAV file of one channel with 16 bits", path.display())
    })
}

fn motion(path: &Path) -> Result<Signal> {
    let text = std::fs::read_to_string(path).map_err(|error| InputError::unreadable(path, &error))?;
    let mut samples = Vec::new();
    for (number, line) in text.lines().enumerate().skip(1) {
        let values: Vec<i16> = line.split(',').filter_map(|value| value.trim().parse().ok()).collect();
        if values.len() != 3 || line.split(',').count() != 3 {
            return Err(InputError::new(
                path,
                format!("`{line}` is not three counts from -32768 to 32767"),
                "give a header line and then x,y,z in counts of the accelerometer, 256 per g",
            )
            .at_line(number + 1)
            .into());
        }
        samples.extend(values);
    }
    if samples.is_empty() {
        bail!("{}: holds no sample", path.display());
    }
    Ok(Signal { axes: 3, rate_millihertz: (RATE_HZ * 1000.0) as u32, samples })
}
