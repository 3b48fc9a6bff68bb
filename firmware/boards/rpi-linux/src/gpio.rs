//! Lines that events set high, by the kernel's character devices.

use anyhow::{Context, Result};
use embedded_hal::digital::{self, ErrorKind, ErrorType, OutputPin};
use gpiocdev::Request;
use gpiocdev::line::Value;
use teff_app::output::Pulse;

use crate::config;

/// An output line.
pub struct Line(Request);

/// Why a line cannot be set.
#[derive(Debug)]
pub struct LineError(gpiocdev::Error);

impl std::fmt::Display for LineError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for LineError {}

impl digital::Error for LineError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Other
    }
}

impl ErrorType for Line {
    type Error = LineError;
}

impl OutputPin for Line {
    fn set_low(&mut self) -> Result<(), LineError> {
        self.0.set_lone_value(Value::Inactive).map(|_| ()).map_err(LineError)
    }

    fn set_high(&mut self) -> Result<(), LineError> {
        self.0.set_lone_value(Value::Active).map(|_| ()).map_err(LineError)
    }
}

/// Asks the kernel for a line and sets it low. `labels` are the model's.
///
/// # Errors
/// The model has no such label, or the kernel does not give the line.
pub fn open<'m>(settings: &config::Gpio, mut labels: impl Iterator<Item = &'m str>) -> Result<Pulse<Line>> {
    let class = settings.label.as_deref().map(|label| {
        labels.position(|of_model| of_model == label).with_context(|| {
            format!("`gpio.label` of line {} is `{label}`, which the model does not have", settings.line)
        })
    });
    let class = class.transpose()?;
    let mut builder = Request::builder();
    builder
        .on_chip(&settings.chip)
        .with_consumer("teff-sensord")
        .with_line(settings.line)
        .as_output(Value::Inactive);
    if settings.active_low {
        builder.as_active_low();
    }
    let shown = || {
        format!(
            "cannot use line {} of {}: is it free, and is this user in the group `gpio`?",
            settings.line,
            settings.chip.display()
        )
    };
    let request = builder.request().with_context(shown)?;
    Pulse::new(Line(request), class, settings.inferences).with_context(shown)
}
