//! The accelerometer of the programs that decide on motion.

use core::fmt;

use teff_app::needs::Needs;
use teff_app::pipeline::StartError;
use teff_app::sensor::NotOffered;
use teff_app::sensor::adxl345::{ADDRESS, Adxl345, Setup};
use teff_app::sensor::bus::OnI2c;
use teff_app::sensor::simulated::SimulatedAdxl345;

use crate::Machine;
use crate::signal::Signal;
use crate::task::Setting;

/// Samples of an instant.
pub const AXES: usize = 3;
/// Of the recording that the boards have, in thousandths of a hertz.
const RATE_MILLIHERTZ: u32 = 1_600_000;

/// A simulated chip on a simulated I²C bus.
pub type Chip = Adxl345<OnI2c<SimulatedAdxl345<'static>>>;

/// Starts a chip that measures the signal that the emulator was started with, else the board's recording.
///
/// # Errors
/// The signal, or the chip, has not the rate that the model needs.
pub fn chip(
    machine: Machine,
    recording: &'static [i16],
    needs: &Needs<'_>,
    setting: &Setting,
) -> Result<Chip, Why> {
    let setup = Setup::new(needs.rate_millihertz).map_err(Why::Setting)?;
    let recording = Signal { axes: AXES, rate_millihertz: RATE_MILLIHERTZ, samples: recording };
    let given = Signal::given(machine).filter(|signal| signal.axes == AXES);
    let times = if given.is_some() { 1 } else { setting.times };
    let measured = given.unwrap_or(recording);
    if measured.rate_millihertz != needs.rate_millihertz {
        return Err(Why::Rate { needed: needs.rate_millihertz, given: measured.rate_millihertz });
    }
    let chip = SimulatedAdxl345::new(measured.samples).repeated(times).with_faults(setting.faults.chip);
    Adxl345::start(OnI2c::new(chip, ADDRESS), setup).map_err(|_| Why::NoSensor)
}

/// The setting of a program for a model with another rate than the boards' recording: a step has as much longer as measurements
/// are further apart.
pub fn paced(setting: Setting, rate_millihertz: u32) -> Setting {
    let rates = (RATE_MILLIHERTZ / 1000, (rate_millihertz / 1000).max(1));
    Setting { budget: setting.budget.saturating_mul(rates.0) / rates.1, ..setting }
}

/// Why a program cannot start.
pub enum Why {
    /// The accelerometer does not answer.
    NoSensor,
    /// The replayed signal has another rate than the model, in thousandths of a hertz.
    Rate {
        /// By the model.
        needed: u32,
        /// By the signal.
        given: u32,
    },
    /// The accelerometer has not such a setting.
    Setting(NotOffered),
    /// Model and sensor do not fit each other.
    Start(StartError<'static>),
}

impl From<StartError<'static>> for Why {
    fn from(error: StartError<'static>) -> Why {
        Why::Start(error)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Why::NoSensor => f.write_str("the accelerometer does not answer"),
            Why::Rate { needed, given } => write!(
                f,
                "the model needs {needed} samples per 1000 seconds, but the replayed signal has {given}"
            ),
            Why::Setting(error) => error.fmt(f),
            Why::Start(error) => error.fmt(f),
        }
    }
}
