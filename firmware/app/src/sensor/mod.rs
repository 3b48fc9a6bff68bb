//! What a sensor is, and those that exist.

pub mod adxl345;
pub mod bus;
pub mod recorded;
pub mod rescaled;
pub mod simulated;

/// How the samples of a sensor are meant. A model's front end states the same; they are compared
/// at the start, because a model fed at another rate or scale is silently wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Format {
    /// Instants per 1000 seconds.
    pub rate_millihertz: u32,
    /// Samples per instant.
    pub axes: u8,
    /// Counts per thousand units (of acceleration: per thousand g).
    pub counts_per_thousand_units: u32,
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

    /// How often the sensor itself had to drop samples since the start, because it was read late.
    fn gaps(&self) -> u32;
}
