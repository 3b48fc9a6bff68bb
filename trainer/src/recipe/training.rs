//! The tables `[augment]`, `[train]` and `[quantize]`.

use teff_compiler::quantize::{Method, Settings, Step};

use super::reader::Section;
use crate::error::Result;

/// The `[augment]` table: random changes to training examples. What is left out is not done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Augment {
    /// Moves the signal in time, or the image in both directions, by up to this many samples or pixels.
    pub shift: usize,
    /// Scales sound or motion by up to this many decibels up or down.
    pub gain_db: f64,
    /// Adds normal noise with up to this standard deviation, in counts (pixels: grey levels).
    pub noise: f64,
    /// Stretches motion in time by up to this share, faster or slower.
    pub stretch: f64,
    /// Turns three-axis motion about a random axis by up to this angle.
    pub rotate_degrees: f64,
    /// Mirrors every second image left to right.
    pub mirror: bool,
    /// Sets up to this many consecutive frames of the features to their mean.
    pub time_mask: usize,
    /// Sets up to this many neighbouring bands of the features to their mean.
    pub band_mask: usize,
    /// Mixes pairs of examples and their labels, with weights of the beta distribution `(mixup, mixup)`.
    pub mixup: f64,
}

impl Augment {
    pub(super) fn read(section: &Section) -> Result<Self> {
        let augment = Self {
            shift: section.size("shift", 0..=100_000)?.unwrap_or(0),
            gain_db: section.number("gain_db", 0.0..=40.0)?.unwrap_or(0.0),
            noise: section.number("noise", 0.0..=10_000.0)?.unwrap_or(0.0),
            stretch: section.number("stretch", 0.0..=0.5)?.unwrap_or(0.0),
            rotate_degrees: section.number("rotate_degrees", 0.0..=180.0)?.unwrap_or(0.0),
            mirror: section.boolean("mirror")?.unwrap_or(false),
            time_mask: section.size("time_mask", 0..=1_024)?.unwrap_or(0),
            band_mask: section.size("band_mask", 0..=128)?.unwrap_or(0),
            mixup: section.number("mixup", 0.0..=2.0)?.unwrap_or(0.0),
        };
        section.finish()?;
        Ok(augment)
    }
}

/// The `[train]` table.
#[derive(Debug, Clone, PartialEq)]
pub struct Train {
    /// Passes over the training examples.
    pub epochs: usize,
    /// Examples per step.
    pub batch: usize,
    /// The rule that changes the weights.
    pub optimiser: Optimiser,
    /// Its step size at the start, after the warm-up.
    pub learning_rate: f64,
    /// How the step size falls.
    pub schedule: Schedule,
    /// Epochs over which the step size rises from zero.
    pub warmup_epochs: usize,
    /// Decay of the weights.
    pub weight_decay: f64,
    /// The share of a label that is spread over all classes.
    pub label_smoothing: f64,
    /// Weighs classes so that each counts the same, however many examples it has.
    pub balance_classes: bool,
    /// Which epoch's weights are kept.
    pub keep: Keep,
}

/// The rule that changes the weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Optimiser {
    /// Adam with decoupled weight decay.
    Adam,
    /// Gradient descent with momentum.
    Sgd {
        /// The momentum.
        momentum: f64,
    },
}

/// How the step size falls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Schedule {
    /// It does not.
    Constant,
    /// Along half a cosine to zero at the last step.
    Cosine,
    /// By a factor every so many epochs.
    Step {
        /// The factor.
        factor: f64,
        /// The epochs.
        every_epochs: usize,
    },
}

/// Which epoch's weights are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The last.
    Last,
    /// The best on the validation examples: in accuracy, or of a reconstruction in loss.
    Best,
}

impl Train {
    pub(super) fn read(section: &Section) -> Result<Self> {
        let epochs = section.required("epochs", section.size("epochs", 1..=100_000)?)?;
        let optimiser = section.word("optimiser", &["adam", "sgd"])?;
        let optimiser = match section.required("optimiser", optimiser)? {
            "adam" => Optimiser::Adam,
            _ => Optimiser::Sgd { momentum: section.number("momentum", 0.0..=0.999)?.unwrap_or(0.9) },
        };
        let schedule = section.word("schedule", &["constant", "cosine", "step"])?;
        let schedule = match schedule.unwrap_or("constant") {
            "constant" => Schedule::Constant,
            "cosine" => Schedule::Cosine,
            _ => Schedule::Step {
                factor: section.required("factor", section.number("factor", 0.001..=1.0)?)?,
                every_epochs: section.required("every_epochs", section.size("every_epochs", 1..=epochs)?)?,
            },
        };
        let train = Self {
            epochs,
            batch: section.required("batch", section.size("batch", 1..=65_536)?)?,
            optimiser,
            learning_rate: section
                .required("learning_rate", section.number("learning_rate", 1e-8..=10.0)?)?,
            schedule,
            warmup_epochs: section.size("warmup_epochs", 0..=epochs)?.unwrap_or(0),
            weight_decay: section.number("weight_decay", 0.0..=1.0)?.unwrap_or(0.0),
            label_smoothing: section.number("label_smoothing", 0.0..=0.5)?.unwrap_or(0.0),
            balance_classes: section.boolean("balance_classes")?.unwrap_or(false),
            keep: section
                .choice("keep", &[("last", Keep::Last), ("best", Keep::Best)])?
                .unwrap_or(Keep::Last),
        };
        section.finish()?;
        Ok(train)
    }
}

/// The `[quantize]` table.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantize {
    /// How ranges are chosen and what else is done.
    pub settings: Settings,
    /// How many training examples it is done with.
    pub samples: usize,
}

impl Default for Quantize {
    fn default() -> Self {
        Self { settings: Settings::default(), samples: 512 }
    }
}

impl Quantize {
    pub(super) fn read(section: &Section) -> Result<Self> {
        let words = ["auto", "min-max", "percentile", "mean-square", "entropy"];
        let method = match section.word("method", &words)?.unwrap_or("auto") {
            "auto" => Method::Auto,
            "min-max" => Method::MinMax,
            "mean-square" => Method::MeanSquare,
            "entropy" => Method::Entropy,
            _ => Method::Percentile(
                section.required("percentile", section.number("percentile", 90.0..=100.0)?)?,
            ),
        };
        let steps = [("auto", Step::Auto), ("on", Step::On), ("off", Step::Off)];
        let step = |key| Ok(section.choice(key, &steps)?.unwrap_or_default());
        let settings = Settings {
            method,
            equalize: step("equalize")?,
            round_weights: step("round_weights")?,
            correct_bias: step("correct_bias")?,
        };
        let samples = section.size("samples", 1..=1_000_000)?.unwrap_or(Self::default().samples);
        section.finish()?;
        Ok(Self { settings, samples })
    }
}
