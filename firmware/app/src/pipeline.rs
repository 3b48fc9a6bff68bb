//! The task: samples in, events out, in steps that never take long.

use core::fmt;

use teff::dsp::{self, FrontEnd, FrontEndError, Settings as FrontEndSettings};
use teff::plan::Ops;
use teff::{LoadError, Model, Progress, Session};

use crate::anomaly::{self, Anomaly, Reconstruction};
use crate::decision::{self, Decision, Event, Kind, Settings, SettingsError};
use crate::needs::Needs;
use crate::queue::{Gap, Instant};
use crate::sensor::Format;

/// Why a model cannot run on this sensor, or at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StartError<'m> {
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
        /// The sensor's name.
        sensor: &'static str,
        /// What the model was trained with.
        needed: u32,
        /// What the sensor gives.
        given: u32,
    },
    /// The sensor has another number of axes.
    Axes {
        /// The sensor's name.
        sensor: &'static str,
        /// What the model was trained with.
        needed: u8,
        /// What the sensor gives.
        given: u8,
    },
    /// The sensor measures another unit.
    Unit {
        /// The sensor's name.
        sensor: &'static str,
        /// What the model was trained with.
        needed: &'m str,
        /// What the sensor gives.
        given: &'static str,
    },
    /// The sensor has another scale, in counts per thousand units.
    Scale {
        /// The sensor's name.
        sensor: &'static str,
        /// What the model was trained with.
        needed: u32,
        /// What the sensor gives.
        given: u32,
    },
    /// The sensor saturates before what the model was trained with does, in thousandths of a unit.
    Range {
        /// The sensor's name.
        sensor: &'static str,
        /// What the model was trained with.
        needed: u32,
        /// What the sensor gives.
        given: u32,
    },
    /// What the model says of its sensor cannot be read: this word of it.
    Sensor(&'m str),
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
    /// The model's decision lists thresholds for another number of classes than it has.
    Thresholds {
        /// Classes of the model.
        needed: usize,
        /// Thresholds.
        given: usize,
    },
    /// The model gives one score, but has another number of outputs.
    OneScore {
        /// Elements of its output.
        given: usize,
    },
    /// The model is compared with its input, but its output is longer or shorter, or of a scale that
    /// has nothing to do with the input's.
    NoReconstruction,
    /// The model is compared with its input, for which this application keeps too little memory.
    Reference {
        /// Bytes of the input.
        needed: usize,
        /// Room.
        given: usize,
    },
}

impl fmt::Display for StartError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Model(error) => error.fmt(f),
            StartError::NoFrontEnd => f.write_str("the model has no front end"),
            StartError::FrontEnd(error) => error.fmt(f),
            StartError::Input { needed, given } => {
                write!(f, "the model takes {needed} features, but its front end gives {given}")
            }
            StartError::Rate { sensor, needed, given } => {
                write!(f, "the model needs {needed} samples per 1000 seconds, but the {sensor} gives {given}")
            }
            StartError::Axes { sensor, needed, given } => {
                write!(f, "the model needs {needed} axes, but the {sensor} has {given}")
            }
            StartError::Unit { sensor, needed, given } => {
                write!(f, "the model needs the unit `{needed}`, but the {sensor} measures `{given}`")
            }
            StartError::Scale { sensor, needed, given } => {
                write!(
                    f,
                    "the model needs {needed} counts per thousand units, but the {sensor} gives {given}"
                )
            }
            StartError::Range { sensor, needed, given } => write!(
                f,
                "the model needs a range of {needed} thousandths of a unit, but the {sensor} saturates at {given}"
            ),
            StartError::Sensor(word) => {
                write!(f, "what the model says of its sensor cannot be read: `{word}`")
            }
            StartError::NoProbabilities => f.write_str("the model does not end in a softmax"),
            StartError::Classes { needed, given } => {
                write!(f, "the model has {needed} classes; this application has room for {given}")
            }
            StartError::Decision(error) => write!(f, "the model's decision settings: {error}"),
            StartError::Smoothing { needed, given } => {
                write!(f, "the model averages over {needed} inferences; this application remembers {given}")
            }
            StartError::Thresholds { needed, given } => {
                write!(f, "the model's decision lists {given} thresholds, but it has {needed} classes")
            }
            StartError::OneScore { given } => {
                write!(f, "the model's decision is on one score, but it has {given} outputs")
            }
            StartError::NoReconstruction => {
                f.write_str("the model's output is no reconstruction of its input")
            }
            StartError::Reference { needed, given } => write!(
                f,
                "the model is compared with its input of {needed} bytes; this application keeps {given}"
            ),
        }
    }
}

impl core::error::Error for StartError<'_> {}

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

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Counts {
    /// Instants that reached the front end.
    pub instants: u64,
    /// Inferences that ended.
    pub inferences: u32,
    /// Windows that came while the inference of another one still went on.
    pub missed: u32,
    /// Gaps, after each of which the front end and the decision began anew.
    pub gaps: u32,
    /// Instants that are known to be missing in them.
    pub lost: u64,
    /// Inferences that were given up at a gap.
    pub given_up: u32,
}

/// What decides.
#[derive(Debug)]
enum Decider<const CLASSES: usize, const MEMORY: usize> {
    Classes(Decision<CLASSES, MEMORY>),
    Score(Anomaly<MEMORY>),
    Reconstruction(Anomaly<MEMORY>, Reconstruction),
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
    decider: Decider<CLASSES, MEMORY>,
    /// The input of the inference that goes on, where the output is compared with it.
    reference: &'a mut [i8],
    working: bool,
    /// What comes of it is from before a gap.
    given_up: bool,
    /// Instants before the end of its window.
    heard: u64,
    counts: Counts,
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
    ) -> Result<Self, StartError<'a>> {
        Self::with_reference(session, workspace, &mut [], sensor)
    }

    /// What [`Pipeline::new`] does, also for a model whose output is compared with its input
    /// ([`Kind::Reconstruction`]): `reference` is as long as [`reference_bytes`] says.
    ///
    /// # Errors
    /// [`StartError`] names what does not fit.
    pub fn with_reference(
        session: Session<'a, M>,
        workspace: &'a mut [u32],
        reference: &'a mut [i8],
        sensor: Format,
    ) -> Result<Self, StartError<'a>> {
        let model = *session.model();
        if model.front_end().is_empty() {
            return Err(StartError::NoFrontEnd);
        }
        let front_end = FrontEnd::with_stages(model.front_end(), workspace).map_err(StartError::FrontEnd)?;
        Needs::of(&model, front_end.settings())?.check(sensor)?;
        let needed = model.input(0).map_or(0, |value| value.view.extent.len());
        let given = front_end.settings().window_features();
        if needed != given {
            return Err(StartError::Input { needed, given });
        }
        let decider = decider(&model)?;
        let (needed, given) = match &decider {
            Decider::Reconstruction(..) => (needed, reference.len()),
            _ => (0, reference.len()),
        };
        let Some((reference, _)) = reference.split_at_mut_checked(needed) else {
            return Err(StartError::Reference { needed, given });
        };
        Ok(Pipeline {
            front_end,
            session,
            decider,
            reference,
            working: false,
            given_up: false,
            heard: 0,
            counts: Counts::default(),
        })
    }

    /// Takes samples that join those before, all axes of an instant side by side, in pieces of any size.
    /// Where a window completes while the inference of the last one still goes on, it is missed and
    /// counted; call [`Pipeline::step`] after every few samples.
    pub fn push(&mut self, samples: &[i16]) {
        let axes = usize::from(self.front_end.settings().axes).max(1);
        // On an instant's border, which is where all pieces of a queue end.
        self.counts.instants += (samples.len() / axes) as u64;
        self.hops(samples, axes);
    }

    /// Computes the hops that samples complete, which are counted already.
    #[inline]
    fn hops(&mut self, samples: &[i16], axes: usize) {
        let mut samples = samples;
        while let Some(hop) = self.front_end.push(&mut samples) {
            if !hop.ready {
                continue;
            }
            if self.working {
                self.counts.missed = self.counts.missed.wrapping_add(1);
                #[cfg(feature = "defmt")]
                defmt::warn!("a window was missed, {} so far", self.counts.missed);
            } else {
                let input = self.session.input_mut(0);
                self.working = self.front_end.write_input(input);
                self.heard = self.counts.instants - (samples.len() / axes) as u64;
                self.reference.iter_mut().zip(input).for_each(|(kept, value)| *kept = *value);
            }
        }
    }

    /// Takes one instant; behind a gap, front end and decision begin anew.
    pub fn take<const AXES: usize>(&mut self, instant: &Instant<AXES>) {
        if instant.gap != Gap::None {
            self.gap(instant.gap);
        }
        self.counts.instants += 1;
        self.hops(&instant.samples, AXES.max(1));
    }

    /// Instants are missing here: front end and decision begin anew, and what comes of an inference that
    /// goes on is left aside.
    pub fn gap(&mut self, gap: Gap) {
        self.counts.gaps = self.counts.gaps.wrapping_add(1);
        if let Gap::Lost(lost) = gap {
            self.counts.lost += u64::from(lost);
        }
        if self.working && !self.given_up {
            self.counts.given_up = self.counts.given_up.wrapping_add(1);
        }
        #[cfg(feature = "defmt")]
        defmt::warn!("{} before instant {}", gap, self.counts.instants);
        self.reset();
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
        if core::mem::take(&mut self.given_up) {
            return Step::Idle;
        }
        self.counts.inferences = self.counts.inferences.wrapping_add(1);
        let output = self.session.output(0);
        let event = match &mut self.decider {
            Decider::Classes(decision) => decision.push(output.values.iter().copied().map(probability)),
            Decider::Score(anomaly) => anomaly.push(anomaly::score(output.values, output.quant)),
            Decider::Reconstruction(anomaly, reconstruction) => {
                anomaly.push(reconstruction.score(self.reference, output.values))
            }
        };
        #[cfg(feature = "defmt")]
        if let Some(event) = event {
            defmt::info!("{=str}: {}", self.label(event.class), event);
        }
        Step::Inferred(event)
    }

    /// Forgets all samples and scores; what comes of an inference that goes on is left aside.
    pub fn reset(&mut self) {
        self.front_end.reset();
        // A session ends what it began; what comes of it is then left aside.
        self.given_up = self.working;
        match &mut self.decider {
            Decider::Classes(decision) => decision.reset(),
            Decider::Score(anomaly) | Decider::Reconstruction(anomaly, _) => anomaly.reset(),
        }
    }

    /// What happened since the start.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Instants that reached the front end before the end of the window that the last inference is about,
    /// however long it took.
    pub fn heard(&self) -> u64 {
        self.heard
    }

    /// Windows that came while the inference of another one still went on.
    pub fn missed(&self) -> u32 {
        self.counts.missed
    }

    /// Scores of the last inference, in 256ths; nothing that is meant of an anomaly model.
    pub fn scores(&self) -> impl Iterator<Item = u8> + '_ {
        self.session.output(0).values.iter().copied().map(probability)
    }

    /// The smoothed score of an anomaly model, in 256ths of its threshold; `None` of one with classes.
    pub fn share_of_threshold(&self) -> Option<u16> {
        match &self.decider {
            Decider::Classes(_) => None,
            Decider::Score(anomaly) | Decider::Reconstruction(anomaly, _) => Some(anomaly.share()),
        }
    }

    /// What leads after the last inference, whether it is an event or not: the class with the largest smoothed
    /// score, or class 0 with the share of the threshold. `None` where every score is 0.
    pub fn leading(&self) -> Option<Event> {
        let inference = self.counts.inferences.checked_sub(1)?;
        let (class, score) = match &self.decider {
            Decider::Classes(decision) => decision.leading()?,
            Decider::Score(anomaly) | Decider::Reconstruction(anomaly, _) => (0, anomaly.share()),
        };
        Some(Event { class, score, inference })
    }

    /// The model's name of a class; empty where it has none.
    pub fn label(&self, class: usize) -> &'a str {
        self.session.model().labels().nth(class).unwrap_or("")
    }
}

/// -128 to 127 as 0 to 255.
fn probability(score: i8) -> u8 {
    (score as u8) ^ 0x80
}

fn decider<'m, const CLASSES: usize, const MEMORY: usize>(
    model: &Model<'m>,
) -> Result<Decider<CLASSES, MEMORY>, StartError<'m>> {
    let line = model.metadata_value("teff.decision").unwrap_or("");
    let settings = Settings::read(line).map_err(StartError::Decision)?;
    let output = model.output(0);
    let outputs = output.map_or(0, |value| value.view.extent.len());
    let smoothing = StartError::Smoothing { needed: settings.smoothing, given: MEMORY };
    match settings.kind {
        Kind::Classes => {
            // Scale 1/256 and zero point -128: an output is a probability in 256ths, less 128.
            let probabilities = output.is_some_and(|value| {
                value.quant.zero_point == -128 && value.quant.scale.to_bits() == (1.0f32 / 256.0).to_bits()
            });
            if !probabilities {
                return Err(StartError::NoProbabilities);
            }
            if outputs > CLASSES {
                return Err(StartError::Classes { needed: outputs, given: CLASSES });
            }
            let listed = decision::thresholds(line).count();
            if listed != 0 && listed != outputs {
                return Err(StartError::Thresholds { needed: outputs, given: listed });
            }
            let mut decision = Decision::new(settings).ok_or(smoothing)?;
            for (class, threshold) in decision::thresholds(line).enumerate() {
                decision.set_threshold(class, threshold.map_err(StartError::Decision)?);
            }
            Ok(Decider::Classes(decision))
        }
        Kind::Score if outputs != 1 => Err(StartError::OneScore { given: outputs }),
        Kind::Score => Ok(Decider::Score(Anomaly::new(settings).ok_or(smoothing)?)),
        Kind::Reconstruction => {
            let (Some(input), Some(output)) = (model.input(0), output) else {
                return Err(StartError::NoReconstruction);
            };
            let same = input.view.extent.len() == outputs && input.view.layout == output.view.layout;
            let reconstruction = Reconstruction::new(input.quant, output.quant).filter(|_| same);
            let reconstruction = reconstruction.ok_or(StartError::NoReconstruction)?;
            Ok(Decider::Reconstruction(Anomaly::new(settings).ok_or(smoothing)?, reconstruction))
        }
    }
}

/// The front end's settings of a plan; `None` where it has no front end that this version reads.
const fn front_end_settings(plan: &[u8]) -> Option<FrontEndSettings> {
    let Ok(header) = teff::plan::Header::parse(plan) else { return None };
    let Some((_, from)) = plan.split_at_checked(header.front_end_offset as usize) else { return None };
    match FrontEndSettings::read(from) {
        Ok(settings) => Some(settings),
        Err(_) => None,
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

/// Bytes of the model input that the front end of a plan fills, known when the firmware is built; 0
/// where the plan has no front end that this version reads.
pub const fn input_bytes(plan: &[u8]) -> usize {
    match front_end_settings(plan) {
        Some(settings) => settings.window_features(),
        None => 0,
    }
}

/// Bytes of the input that [`Pipeline::with_reference`] keeps, known when the firmware is built: 0
/// where the model of the plan does not give its input again.
pub const fn reference_bytes(plan: &[u8]) -> usize {
    if reconstructs(plan) { input_bytes(plan) } else { 0 }
}

/// Whether the metadata of a plan has the word that makes a model one of [`Kind::Reconstruction`].
const fn reconstructs(plan: &[u8]) -> bool {
    const WORD: &[u8] = b"kind=reconstruction";
    let Ok(header) = teff::plan::Header::parse(plan) else { return false };
    let Some((_, from)) = plan.split_at_checked(header.metadata_offset as usize) else { return false };
    let Some((mut metadata, _)) = from.split_at_checked(header.metadata_len as usize) else { return false };
    while let Some((start, _)) = metadata.split_at_checked(WORD.len()) {
        let mut at = 0;
        while at < WORD.len() && start[at] == WORD[at] {
            at += 1;
        }
        if at == WORD.len() {
            return true;
        }
        (_, metadata) = metadata.split_at(1);
    }
    false
}
