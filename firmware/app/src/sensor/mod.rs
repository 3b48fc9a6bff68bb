//! What a sensor is, and those that exist.
//!
//! | module | what |
//! |---|---|
//! | [`adxl345`], [`lis3dh`], [`mpu6050`], [`icm42688`] | accelerometers, over [`bus`] and [`buffered`] |
//! | [`bus`] | registers over I²C or SPI, blocking or asynchronous |
//! | [`buffered`] | the driver of all chips that keep instants in a buffer |
//! | [`microphone`] | PDM, I²S and ADC microphones |
//! | [`halved`] | sound at half the rate of a microphone that has no lower one |
//! | [`rescaled`] | another resolution than a model was trained with |
//! | [`interrupt`] | an asynchronous sensor that waits for its interrupt line |
//! | [`held`] | slow and analog channels at a fixed rate, a closure or the [`bme280`] |
//! | [`recorded`] | a recording in a sensor's place |
//! | [`faulty`] | a sensor with faults, as they are wanted |
//! | [`simulated`] | simulated chips on a simulated bus, for tests and emulated boards |

use core::fmt;

pub mod adxl345;
pub mod bme280;
pub mod buffered;
pub mod bus;
pub mod faulty;
pub mod halved;
pub mod held;
pub mod icm42688;
pub mod interrupt;
pub mod lis3dh;
pub mod microphone;
pub mod mpu6050;
pub mod recorded;
pub mod rescaled;
pub mod simulated;

/// How the samples of a sensor are meant. What a model was trained with is compared with it at the
/// start, because a model fed at another rate or scale is silently wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Format {
    /// The sensor's name, for messages.
    pub sensor: &'static str,
    /// Instants per 1000 seconds.
    pub rate_millihertz: u32,
    /// Samples per instant.
    pub axes: u8,
    /// The physical unit, such as `g`; empty where counts have none, as sound.
    pub unit: &'static str,
    /// Counts per thousand units (of acceleration: per thousand g).
    pub counts_per_thousand_units: u32,
    /// Where the sensor saturates, at most 32768: at samples of `full_scale - 1` or more, and of
    /// `-full_scale` or less.
    pub full_scale: u16,
}

/// A source of samples at a fixed rate.
pub trait Sensor {
    /// Why reading failed.
    type Error;

    /// What comes.
    fn format(&self) -> Format;

    /// Takes what is ready, as far as `samples` has room for whole instants, all axes of an
    /// instant side by side. Returns the number of instants; 0 is no error.
    ///
    /// # Errors
    /// When the sensor does not answer. What was lost meanwhile counts as a gap.
    fn read(&mut self, samples: &mut [i16]) -> Result<usize, Self::Error>;

    /// How often instants were lost since the start, because the sensor was read late or a transfer
    /// broke off. A gap that is counted in a call of [`Sensor::read`] lies before the first instant
    /// that this call returns.
    fn gaps(&self) -> u32;

    /// Starts the sensor anew, as after a loss of its power. What it held is lost and counts as a gap.
    ///
    /// # Errors
    /// When it does not answer. A sensor that cannot be started anew goes on as it is.
    fn restart(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// What [`Sensor`] is, where reading waits without blocking.
#[allow(async_fn_in_trait)]
pub trait AsyncSensor {
    /// Why reading failed.
    type Error;

    /// What comes.
    fn format(&self) -> Format;

    /// Takes what is ready, see [`Sensor::read`].
    ///
    /// # Errors
    /// When the sensor does not answer. What was lost meanwhile counts as a gap.
    async fn read(&mut self, samples: &mut [i16]) -> Result<usize, Self::Error>;

    /// How often instants were lost since the start, see [`Sensor::gaps`].
    fn gaps(&self) -> u32;

    /// Starts the sensor anew, see [`Sensor::restart`].
    ///
    /// # Errors
    /// When it does not answer.
    async fn restart(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}

/// What a sensor can be set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Setting {
    /// Instants per 1000 seconds.
    RateMillihertz,
    /// The greatest acceleration, in g.
    RangeG,
    /// Instants between two interrupts.
    InterruptEvery,
}

/// A sensor has no such setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct NotOffered {
    /// The sensor's name.
    pub sensor: &'static str,
    /// What was to be set.
    pub setting: Setting,
    /// What was asked for.
    pub needed: u32,
    /// The nearest that the sensor has.
    pub nearest: u32,
}

impl fmt::Display for NotOffered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NotOffered { sensor, setting, needed, nearest } = self;
        match setting {
            Setting::RateMillihertz => write!(
                f,
                "the {sensor} cannot give {needed} samples per 1000 seconds; the nearest it has is {nearest}"
            ),
            Setting::RangeG => {
                write!(f, "the {sensor} has no range of {needed} g; the nearest it has is {nearest} g")
            }
            Setting::InterruptEvery => write!(
                f,
                "the {sensor} cannot interrupt every {needed} instants; the nearest it can is {nearest}"
            ),
        }
    }
}

impl core::error::Error for NotOffered {}

/// The code of the entry whose first number is `needed`, or the refusal that names the nearest.
fn offered(
    sensor: &'static str,
    setting: Setting,
    table: &[(u32, u8)],
    needed: u32,
) -> Result<u8, NotOffered> {
    let nearest = table.iter().min_by_key(|(value, _)| value.abs_diff(needed));
    match nearest {
        Some(&(value, code)) if value == needed => Ok(code),
        _ => Err(NotOffered { sensor, setting, needed, nearest: nearest.map_or(0, |(value, _)| *value) }),
    }
}

/// A number of instants between two interrupts that a chip with a buffer of `most` or more can count.
fn interrupt_every(sensor: &'static str, most: u8, needed: u8) -> Result<u8, NotOffered> {
    let nearest = needed.clamp(1, most);
    if nearest == needed {
        return Ok(needed);
    }
    let setting = Setting::InterruptEvery;
    Err(NotOffered { sensor, setting, needed: needed.into(), nearest: nearest.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn what_a_sensor_does_not_offer_is_named_with_the_nearest() {
        let table = [(25_000, 3), (100_000, 5)];
        assert_eq!(offered("X", Setting::RateMillihertz, &table, 100_000), Ok(5));
        let refused = offered("LIS3DH", Setting::RateMillihertz, &table, 90_000).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the LIS3DH cannot give 90000 samples per 1000 seconds; the nearest it has is 100000"
        );
        assert_eq!(interrupt_every("X", 31, 31), Ok(31));
        assert_eq!(interrupt_every("X", 31, 0).unwrap_err().nearest, 1);
        assert_eq!(interrupt_every("X", 31, 32).unwrap_err().nearest, 31);
    }
}
