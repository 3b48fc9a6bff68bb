//! The task: samples in, events out, in steps that never take long.

use core::fmt;

use teff::dsp::{self, FrontEnd, FrontEndError, Settings as FrontEndSettings};
use teff::plan::Ops;
use teff::{LoadError, Model, Progress, Session};

use crate::decision::{Decision, Event, Settings, SettingsError};
use crate::sensor::Format;

/// Why a model cannot run on this sensor, or at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StartError {
    /// The plan was refused.
    Model(LoadError),
    /// The model has no front end: the application has to compute its features.
    NoFrontEnd,
    /// The front end was refused.
    FrontEnd(FrontEndError),
    /// The front end does not give what the model's first input takes.
    Input {
        /// Elements of the input.
        needed: usize,
        /// Features of a window.
        given: usize,
    },
    /// The sensor has another sample rate, in thousandths of a hertz.
    Rate {
        /// What the model was trained with.
        needed: u32,
        /// What the sensor gives.
        given: u32,
    },
    /// The sensor has another number of axes.
    Axes {
        /// What the model was trained with.
        needed: u8,
        /// What the sensor gives.
        given: u8,
    },
    /// The sensor has another scale, in counts per thousand units.
    Scale {
        /// What the model was trained with.
        needed: u32,
        /// What the sensor gives.
        given: u32,
    },
    /// The model's last operator is no softmax, so that its outputs are no probabilities.
    NoProbabilities,
    /// The model has more classes than this application has room for.
    Classes {
        /// Classes of the model.
        needed: usize,
        /// Room.
        given: usize,
    },
    /// The settings of the decision that the model carries cannot be read.
    Decision(SettingsError),
    /// The model's decision averages over more inferences than this application remembers.
    Smoothing {
        /// Inferences that are averaged.
        needed: u16,
        /// Room.
        given: usize,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Model(error) => error.fmt(f),
            StartError::NoFrontEnd => f.write_str("the model has no front end"),
            StartError::FrontEnd(error) => error.fmt(f),
            StartError::Input { needed, given } => {
                write!(f, "the model takes {needed} features, but its front end gives {given}")
            }
            StartError::Rate { needed, given } => {
                write!(f, "the model needs {needed} samples per 1000 seconds, but the sensor gives {given}")
            }
            StartError::Axes { needed, given } => {
                write!(f, "the model needs {needed} axes, but the sensor has {given}")
            }
            StartError::Scale { needed, given } => {
                write!(f, "the model needs {needed} counts per thousand units, but the sensor gives {given}")
            }
            StartError::NoProbabilities => f.write_str("the model does not end in a softmax"),
            StartError::Classes { needed, given } => {
                write!(f, "the model has {needed} classes; this application has room for {given}")
            }
            StartError::Decision(error) => write!(f, "the model's decision settings: {error:?}"),
            StartError::Smoothing { needed, given } => {
                write!(f, "the model averages over {needed} inferences; this application remembers {given}")
            }
        }
    }
}

impl core::error::Error for StartError {}

/// What one call of [`Pipeline::step`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Step {
    /// There was nothing to do: samples are missing.
    Idle,
    /// An inference goes on: call again.
    Working,
    /// An inference ended, perhaps with an event.
    Inferred(Option<Event>),
}

/// Front end, session and decision of one model, for up to `CLASSES` classes and decisions over up
/// to `MEMORY` inferences. Of the front end, `STAGES` are linked: [`stages`] tells those of a plan.
#[derive(Debug)]
pub struct Pipeline<
    'a,
    M: Ops,
    const CLASSES: usize,
    const MEMORY: usize,
    const STAGES: u32 = { dsp::stages::ALL },
> {
    front_end: FrontEnd<'a, STAGES>,
    session: Session<'a, M>,
    decision: Decision<CLASSES, MEMORY>,
    working: bool,
    missed: u32,
}

impl<'a, M: Ops, const CLASSES: usize, const MEMORY: usize, const STAGES: u32>
    Pipeline<'a, M, CLASSES, MEMORY, STAGES>
{
    /// Puts a pipeline together from what the session's model carries, and compares what it was
    /// trained with to what the sensor gives. `workspace` is as long as [`workspace_words`] says.
    ///
    /// # Errors
    /// [`StartError`] names what does not fit.
    pub fn new(
        session: Session<'a, M>,
        workspace: &'a mut [u32],
        sensor: Format,
    ) -> Result<Self, StartError> {
        let model = *session.model();
        if model.front_end().is_empty() {
            return Err(StartError::NoFrontEnd);
        }
        let front_end = FrontEnd::with_stages(model.front_end(), workspace).map_err(StartError::FrontEnd)?;
        check_sensor(&model, front_end.settings(), sensor)?;
        let (input, output) = (model.input(0), model.output(0));
        let needed = input.map_or(0, |value| value.view.extent.len());
        let given = front_end.settings().window_features();
        if needed != given {
            return Err(StartError::Input { needed, given });
        }
        // Scale 1/256 and zero point -128: an output is a probability in 256ths, less 128.
        let probabilities = output.is_some_and(|value| {
            value.quant.zero_point == -128 && value.quant.scale.to_bits() == (1.0f32 / 256.0).to_bits()
        });
        if !probabilities {
            return Err(StartError::NoProbabilities);
        }
        let needed = output.map_or(0, |value| value.view.extent.len());
        if needed > CLASSES {
            return Err(StartError::Classes { needed, given: CLASSES });
        }
        let settings = match model.metadata_value("teff.decision") {
            Some(line) => Settings::read(line).map_err(StartError::Decision)?,
            None => Settings::default(),
        };
        let decision = Decision::new(settings)
            .ok_or(StartError::Smoothing { needed: settings.smoothing, given: MEMORY })?;
        Ok(Pipeline { front_end, session, decision, working: false, missed: 0 })
    }

    /// Takes samples, all axes of an instant side by side, in pieces of any size. Where a window
    /// completes while the inference of the last one still goes on, it is missed and counted; call
    /// [`Pipeline::step`] after every few samples.
    pub fn push(&mut self, samples: &[i16]) {
        let mut samples = samples;
        while let Some(hop) = self.front_end.push(&mut samples) {
            if !hop.ready {
                continue;
            }
            if self.working {
                self.missed = self.missed.wrapping_add(1);
                #[cfg(feature = "defmt")]
                defmt::warn!("a window was missed, {} so far", self.missed);
            } else {
                self.working = self.front_end.write_input(self.session.input_mut(0));
            }
        }
    }

    /// Works on an inference that is due, for about `budget` predicted instructions.
    pub fn step(&mut self, budget: u32) -> Step {
        if !self.working {
            return Step::Idle;
        }
        if self.session.step(budget) == Progress::Pending {
            return Step::Working;
        }
        self.working = false;
        let output = self.session.output(0);
        // -128 to 127 becomes 0 to 255.
        let scores = output.values.iter().map(|&score| (score as u8) ^ 0x80);
        let event = self.decision.push(scores);
        #[cfg(feature = "defmt")]
        if let Some(event) = event {
            defmt::info!("{=str}: {}", self.label(event.class), event);
        }
        Step::Inferred(event)
    }

    /// Forgets all samples, as after a gap in the signal; an inference that goes on is given up.
    pub fn reset(&mut self) {
        self.front_end.reset();
        self.working = false;
    }

    /// Windows that came while the inference of another one still went on.
    pub fn missed(&self) -> u32 {
        self.missed
    }

    /// Scores of the last inference, in 256ths.
    pub fn scores(&self) -> impl Iterator<Item = u8> + '_ {
        self.session.output(0).values.iter().map(|&score| (score as u8) ^ 0x80)
    }

    /// The model's name of a class; empty where it has none.
    pub fn label(&self, class: usize) -> &'a str {
        self.session.model().labels().nth(class).unwrap_or("")
    }
}

/// Words of 32 bits that the front end of a plan works in, known when the firmware is built; 0
/// where the plan has no front end that this version reads.
pub const fn workspace_words(plan: &[u8]) -> usize {
    match front_end_settings(plan) {
        Some(settings) => settings.workspace_words(),
        None => 0,
    }
}

/// The stages of the front end of a plan, bits of [`teff::dsp::stages`], known when the firmware is
/// built; none where the plan has no front end that this version reads.
pub const fn stages(plan: &[u8]) -> u32 {
    match front_end_settings(plan) {
        Some(settings) => settings.stages(),
        None => 0,
    }
}

const fn front_end_settings(plan: &[u8]) -> Option<FrontEndSettings> {
    let Ok(header) = teff::plan::Header::parse(plan) else { return None };
    let Some((_, from)) = plan.split_at_checked(header.front_end_offset as usize) else { return None };
    match FrontEndSettings::read(from) {
        Ok(settings) => Some(settings),
        Err(_) => None,
    }
}

fn check_sensor(model: &Model<'_>, settings: &FrontEndSettings, sensor: Format) -> Result<(), StartError> {
    let needed = settings.conditioning.input_rate_millihertz;
    if needed != sensor.rate_millihertz {
        let given = sensor.rate_millihertz;
        return Err(StartError::Rate { needed, given });
    }
    if settings.axes != sensor.axes {
        return Err(StartError::Axes { needed: settings.axes, given: sensor.axes });
    }
    let line = model.metadata_value("teff.front_end").unwrap_or("");
    let scale = line.split_ascii_whitespace().find_map(|word| word.strip_prefix("lsb_per_unit="));
    if let Some(needed) = scale.and_then(thousandths)
        && needed != sensor.counts_per_thousand_units
    {
        return Err(StartError::Scale { needed, given: sensor.counts_per_thousand_units });
    }
    Ok(())
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

    #[test]
    fn a_scale_is_read_without_floating_point() {
        assert_eq!(thousandths("256"), Some(256_000));
        assert_eq!(thousandths("16384.5"), Some(16_384_500));
        assert_eq!(thousandths("0.12345"), Some(123));
        assert_eq!(thousandths("2e3"), None);
        assert_eq!(thousandths("99999999"), None);
    }
}
