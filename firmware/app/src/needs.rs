//! What a model needs of its sensor.

use teff::Model;
use teff::dsp::Settings;

use crate::pipeline::StartError;
use crate::sensor::rescaled::Rescaled;
use crate::sensor::{AsyncSensor, Format, Sensor};

/// What a model was trained with, as its metadata says: the line `teff.front_end`, and the line
/// `teff.sensor` with the words `unit=g` and `range=16` (in units), each of which may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Needs<'m> {
    /// Instants per 1000 seconds.
    pub rate_millihertz: u32,
    /// Samples per instant.
    pub axes: u8,
    /// The physical unit, where the model says it.
    pub unit: Option<&'m str>,
    /// Counts per thousand units, where the model says it.
    pub counts_per_thousand_units: Option<u32>,
    /// How far the signal reaches, in thousandths of a unit, where the model says it.
    pub range_thousandths: Option<u32>,
}

impl<'m> Needs<'m> {
    /// Reads what the model carries.
    ///
    /// # Errors
    /// [`StartError::Sensor`] with a word that cannot be read, [`StartError::NoFrontEnd`] and
    /// [`StartError::FrontEnd`] where the model does not say how it hears.
    pub fn read(model: &Model<'m>) -> Result<Self, StartError<'m>> {
        if model.front_end().is_empty() {
            return Err(StartError::NoFrontEnd);
        }
        let settings =
            Settings::read(model.front_end()).map_err(|error| StartError::FrontEnd(error.into()))?;
        Self::of(model, &settings)
    }

    pub(crate) fn of(model: &Model<'m>, settings: &Settings) -> Result<Self, StartError<'m>> {
        let line = model.metadata_value("teff.front_end").unwrap_or("");
        let mut needs = Needs {
            // The front end may take it to another one.
            rate_millihertz: settings.conditioning.input_rate_millihertz,
            axes: settings.axes,
            unit: None,
            counts_per_thousand_units: None,
            range_thousandths: None,
        };
        for word in line.split_ascii_whitespace() {
            if let Some(scale) = word.strip_prefix("lsb_per_unit=") {
                needs.counts_per_thousand_units = Some(thousandths(scale).ok_or(StartError::Sensor(word))?);
            }
        }
        let line = model.metadata_value("teff.sensor").unwrap_or("");
        for word in line.split_ascii_whitespace() {
            match word.split_once('=') {
                Some(("unit", unit)) => needs.unit = Some(unit),
                Some(("range", range)) => {
                    needs.range_thousandths = Some(thousandths(range).ok_or(StartError::Sensor(word))?);
                }
                _ => return Err(StartError::Sensor(word)),
            }
        }
        Ok(needs)
    }

    /// The sensor with the scale that the model needs, if it has another one.
    ///
    /// # Errors
    /// [`StartError`] names what the sensor cannot give, and what else was needed.
    pub fn fit<S: Sensor>(&self, sensor: S) -> Result<Rescaled<S>, StartError<'m>> {
        let given = sensor.format();
        self.fitted(given, Rescaled::new(sensor, self.scale(given)), |sensor| sensor.format())
    }

    /// What [`Needs::fit`] does, for an asynchronous sensor.
    ///
    /// # Errors
    /// [`StartError`] names what the sensor cannot give, and what else was needed.
    pub fn fit_async<S: AsyncSensor>(&self, sensor: S) -> Result<Rescaled<S>, StartError<'m>> {
        let given = sensor.format();
        self.fitted(given, Rescaled::new_async(sensor, self.scale(given)), |sensor| sensor.format())
    }

    /// Counts per thousand units that are needed: the sensor's own, where the model does not say.
    fn scale(&self, given: Format) -> u32 {
        self.counts_per_thousand_units.unwrap_or(given.counts_per_thousand_units)
    }

    fn fitted<S>(
        &self,
        given: Format,
        rescaled: Option<S>,
        format: impl FnOnce(&S) -> Format,
    ) -> Result<S, StartError<'m>> {
        let (sensor, needed, own) = (given.sensor, self.scale(given), given.counts_per_thousand_units);
        let fitted = rescaled.ok_or(StartError::Scale { sensor, needed, given: own })?;
        self.check(format(&fitted))?;
        Ok(fitted)
    }

    /// Compares what is needed with what a sensor gives.
    ///
    /// # Errors
    /// [`StartError`] names the sensor, what is needed, and what it gives.
    pub fn check(&self, format: Format) -> Result<(), StartError<'m>> {
        let sensor = format.sensor;
        if self.rate_millihertz != format.rate_millihertz {
            let (needed, given) = (self.rate_millihertz, format.rate_millihertz);
            return Err(StartError::Rate { sensor, needed, given });
        }
        if self.axes != format.axes {
            return Err(StartError::Axes { sensor, needed: self.axes, given: format.axes });
        }
        if let Some(needed) = self.unit
            && needed != format.unit
        {
            return Err(StartError::Unit { sensor, needed, given: format.unit });
        }
        if let Some(needed) = self.counts_per_thousand_units
            && needed != format.counts_per_thousand_units
        {
            return Err(StartError::Scale { sensor, needed, given: format.counts_per_thousand_units });
        }
        if let Some(needed) = self.range_thousandths {
            let counts = u64::from(format.full_scale) * 1_000_000;
            let given = counts.checked_div(format.counts_per_thousand_units.into()).unwrap_or(0);
            if given < u64::from(needed) {
                // Less than `needed`.
                return Err(StartError::Range { sensor, needed, given: given as u32 });
            }
        }
        Ok(())
    }
}

/// `256.5` as 256500, without floating point; further digits are cut off.
fn thousandths(text: &str) -> Option<u32> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let mut value: u32 = whole.parse().ok()?;
    let mut digits = decimals.bytes();
    for _ in 0..3 {
        let digit = digits.next().unwrap_or(b'0');
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(u32::from(digit - b'0'))?;
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::recorded::Recorded;
    use std::string::ToString;

    #[test]
    fn a_scale_is_read_without_floating_point() {
        assert_eq!(thousandths("256"), Some(256_000));
        assert_eq!(thousandths("16384.5"), Some(16_384_500));
        assert_eq!(thousandths("0.12345"), Some(123));
        assert_eq!(thousandths("2e3"), None);
        assert_eq!(thousandths("99999999"), None);
    }

    const NEEDS: Needs<'static> = Needs {
        rate_millihertz: 1_600_000,
        axes: 3,
        unit: Some("g"),
        counts_per_thousand_units: Some(512_000),
        range_thousandths: Some(15_900),
    };

    const FORMAT: Format = Format {
        sensor: "ADXL345",
        rate_millihertz: 1_600_000,
        axes: 3,
        unit: "g",
        counts_per_thousand_units: 256_000,
        full_scale: 4096,
    };

    #[test]
    fn a_sensor_is_fitted_or_refused_by_name() {
        let fit = |format: Format| NEEDS.fit(Recorded::new(format, &[], 1)).map(|sensor| sensor.format());
        let fitted = fit(FORMAT).unwrap();
        assert_eq!((fitted.counts_per_thousand_units, fitted.full_scale), (512_000, 8191));
        let refused = |format| fit(format).unwrap_err().to_string();
        let says = [
            (
                Format { rate_millihertz: 800_000, ..FORMAT },
                "the model needs 1600000 samples per 1000 seconds, but the ADXL345 gives 800000",
            ),
            (Format { axes: 1, ..FORMAT }, "the model needs 3 axes, but the ADXL345 has 1"),
            (Format { unit: "V", ..FORMAT }, "the model needs the unit `g`, but the ADXL345 measures `V`"),
            (
                Format { counts_per_thousand_units: 0, ..FORMAT },
                "the model needs 512000 counts per thousand units, but the ADXL345 gives 0",
            ),
            (
                Format { full_scale: 512, ..FORMAT },
                "the model needs a range of 15900 thousandths of a unit, but the ADXL345 saturates at 1998",
            ),
        ];
        for (format, expected) in says {
            assert_eq!(refused(format), expected);
        }
        assert_eq!(
            NEEDS.check(FORMAT).unwrap_err().to_string(),
            "the model needs 512000 counts per thousand units, but the ADXL345 gives 256000"
        );
    }
}
