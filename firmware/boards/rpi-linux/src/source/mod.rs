//! Where samples come from: every kind of sensor behind one type.

#[cfg(feature = "alsa")]
mod alsa;
mod chip;
mod command;
mod recording;

use std::fmt::Display;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use teff_app::needs::Needs;
use teff_app::sensor::{Format, Sensor};

use crate::config;

#[cfg(not(feature = "alsa"))]
const NO_ALSA: &str = "`sensor.alsa`: this program was built without ALSA: install the package that `cargo xtask \
                       deb --alsa` makes, or let `arecord` record in `sensor.command`";

/// A running source.
pub struct Source {
    /// The sensor.
    pub sensor: Erased,
    /// Time between two reads; zero where reading waits, or nothing has to be waited for.
    pub interval: Duration,
    /// Whether it can wait for the task, as a recording can, instead of losing what comes meanwhile.
    pub patient: bool,
    /// There is nothing behind what was read.
    pub over: Arc<AtomicBool>,
    /// Why reading failed last.
    pub reason: Reason,
    /// It hears: equal samples are silence, not a fault.
    pub is_sound: bool,
}

impl Source {
    /// Starts what the configuration names, at the model's rate.
    ///
    /// # Errors
    /// It does not answer, cannot do what the model needs, or is not built in.
    pub fn start(sensor: &config::Sensor, needs: &Needs<'_>) -> Result<Source> {
        use config::Sensor as Kind;
        if let Some(at) = chip::At::of(sensor) {
            return match chip::Setup::of(sensor, needs)? {
                Some(setup) => setup.start(at),
                // The only chip without a buffer.
                None => chip::bme280(at, needs),
            };
        }
        match sensor {
            #[cfg(feature = "alsa")]
            Kind::Alsa(at) => alsa::start(at, needs),
            #[cfg(not(feature = "alsa"))]
            Kind::Alsa(_) => bail!(NO_ALSA),
            Kind::Command(command) => command::start(command, needs),
            Kind::Recording(recording) => recording::start(recording, needs),
            Kind::Adxl345(_) | Kind::Lis3dh(_) | Kind::Mpu6050(_) | Kind::Icm42688(_) | Kind::Bme280(_) => {
                bail!("the chip has no bus")
            }
        }
    }

    /// What the source would give, found without its hardware.
    ///
    /// # Errors
    /// It cannot do what the model needs, is not built in, or its file cannot be read.
    pub fn plan(sensor: &config::Sensor, needs: &Needs<'_>) -> Result<Format> {
        use config::Sensor as Kind;
        if let Some(setup) = chip::Setup::of(sensor, needs)? {
            return Ok(setup.format());
        }
        match sensor {
            #[cfg(not(feature = "alsa"))]
            Kind::Alsa(_) => bail!(NO_ALSA),
            Kind::Bme280(_) => Ok(chip::bme280_format(needs)),
            Kind::Command(command) => Ok(command::format(command, needs)),
            Kind::Recording(recording) => Ok(recording::start(recording, needs)?.sensor.format()),
            _ => Ok(format_of("microphone", needs.rate_millihertz, 1, (Some(""), None), needs)),
        }
    }

    fn new<S: Sensor + Send + 'static>(sensor: S, interval: Duration) -> Source
    where
        S::Error: Explain,
    {
        let reason = Reason::default();
        let is_sound = sensor.format().unit.is_empty() && sensor.format().axes == 1;
        let named = Named { sensor, reason: reason.clone() };
        Source {
            sensor: Erased(Box::new(named)),
            interval,
            patient: false,
            over: Arc::new(AtomicBool::new(false)),
            reason,
            is_sound,
        }
    }
}

/// Why something failed, kept for the log: a watched sensor only counts errors.
#[derive(Clone, Debug, Default)]
pub struct Reason(Arc<Mutex<String>>);

impl Reason {
    fn set(&self, text: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }

    /// The last one.
    pub fn get(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An error in words.
pub trait Explain {
    /// The words.
    fn explain(&self) -> String;
}

impl<E: Display> Explain for teff_app::sensor::buffered::Error<E> {
    fn explain(&self) -> String {
        use teff_app::sensor::buffered::Error;
        match self {
            Error::Bus(error) => error.to_string(),
            Error::WrongDevice(identity) => {
                format!("another chip answers, with the identity {identity:#04x}")
            }
        }
    }
}

impl<E: Display> Explain for teff_app::sensor::bme280::Error<E> {
    fn explain(&self) -> String {
        use teff_app::sensor::bme280::Error;
        match self {
            Error::Chip(error) => error.explain(),
            Error::NoReading => "nothing was measured yet".to_string(),
        }
    }
}

impl Explain for String {
    fn explain(&self) -> String {
        self.clone()
    }
}

impl Explain for std::convert::Infallible {
    fn explain(&self) -> String {
        match *self {}
    }
}

/// A sensor whose errors are words.
struct Named<S> {
    sensor: S,
    reason: Reason,
}

impl<S: Sensor> Sensor for Named<S>
where
    S::Error: Explain,
{
    type Error = ();

    fn format(&self) -> Format {
        self.sensor.format()
    }

    fn read(&mut self, samples: &mut [i16]) -> Result<usize, ()> {
        self.sensor.read(samples).map_err(|error| self.reason.set(error.explain()))
    }

    fn gaps(&self) -> u32 {
        self.sensor.gaps()
    }

    fn restart(&mut self) -> Result<(), ()> {
        self.sensor.restart().map_err(|error| self.reason.set(error.explain()))
    }
}

/// Any sensor.
pub struct Erased(Box<dyn Sensor<Error = ()> + Send>);

impl Sensor for Erased {
    type Error = ();

    fn format(&self) -> Format {
        self.0.format()
    }

    fn read(&mut self, samples: &mut [i16]) -> Result<usize, ()> {
        self.0.read(samples)
    }

    fn gaps(&self) -> u32 {
        self.0.gaps()
    }

    fn restart(&mut self) -> Result<(), ()> {
        self.0.restart()
    }
}

/// The format of samples without a chip that would tell it: what the configuration says, else what the
/// model needs.
fn format_of(
    sensor: &'static str,
    rate_millihertz: u32,
    axes: u8,
    (unit, counts_per_unit): (Option<&str>, Option<f64>),
    needs: &Needs<'_>,
) -> Format {
    // For the whole run, as the sensor is.
    let unit: &'static str = unit.or(needs.unit).unwrap_or("").to_string().leak();
    let counts = counts_per_unit.map(thousandths).or(needs.counts_per_thousand_units);
    Format {
        sensor,
        rate_millihertz,
        axes,
        unit,
        counts_per_thousand_units: counts.unwrap_or(1000),
        full_scale: 32_768,
    }
}

/// A number of the configuration, which is at most 4,000,000, in thousandths.
fn thousandths(value: f64) -> u32 {
    (value * 1000.0).round() as u32
}

/// The time of so many instants.
fn time_of(instants: u32, rate_millihertz: u32) -> Duration {
    Duration::from_secs_f64(f64::from(instants) * 1000.0 / f64::from(rate_millihertz.max(1)))
}
