//! The table `[decision]`: how scores become events on the device.

use std::fmt;

use super::data::{Cut, Data, Format, named_labels};
use super::reader::Section;
use crate::error::Result;
use teff_compiler::front_end::FrontEndConfig;

/// The `[decision]` table.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Of a network that tells classes apart.
    Classes(Classes),
    /// Of a network that gives its input again.
    Reconstruction(Reconstruction),
}

/// How the probabilities of classes become events.
#[derive(Debug, Clone, PartialEq)]
pub struct Classes {
    /// Inferences whose scores are averaged.
    pub smoothing: usize,
    /// A class is decided when its smoothed score reaches this.
    pub threshold: f64,
    /// A decided class ends when its smoothed score falls this far below the threshold.
    pub hysteresis: f64,
    /// Inferences after a decision during which no other is made.
    pub refractory: usize,
    /// Whether a class is never decided, one for each label; empty where every class may be.
    pub never: Vec<bool>,
}

/// How the distance of a network's output from its input becomes an event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reconstruction {
    /// From which smoothed score on there is an event.
    pub limit: Limit,
    /// Inferences whose scores are averaged.
    pub smoothing: u16,
    /// An event ends when the smoothed score falls below the threshold by this share of it, in millionths.
    pub hysteresis_millionths: u32,
    /// Inferences after an event during which no other is reported.
    pub refractory: u32,
}

/// From which smoothed score on there is an event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// So many millionths of the smoothed scores of normal validation windows stay below the threshold.
    Quantile(u32),
    /// The threshold itself, in squared steps of the quantized input, in 256ths.
    Threshold(u32),
}

/// The value of the metadata key `teff.decision`.
impl fmt::Display for Classes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { smoothing, threshold, hysteresis, refractory, never } = self;
        write!(
            f,
            "smoothing={smoothing} threshold={threshold} hysteresis={hysteresis} refractory={refractory}"
        )?;
        for (label, &never) in never.iter().enumerate() {
            f.write_str(if label == 0 { " thresholds=" } else { "," })?;
            if never { f.write_str("-")? } else { write!(f, "{threshold}")? }
        }
        Ok(())
    }
}

impl Decision {
    pub(super) fn read(section: &Section, labels: &[String]) -> Result<Self> {
        let kind = section.word("kind", &["classes", "reconstruction"])?.unwrap_or("classes");
        let decision = match kind {
            "classes" => Self::Classes(Classes::read(section, labels)?),
            _ => Self::Reconstruction(Reconstruction::read(section)?),
        };
        section.finish()?;
        Ok(decision)
    }
}

impl Classes {
    fn read(section: &Section, labels: &[String]) -> Result<Self> {
        if section.has("quantile") {
            let remedy = "remove it and give `threshold`, or set `kind = \"reconstruction\"`";
            return Err(section.fault("quantile", "is not for `kind = \"classes\"`", remedy));
        }
        let smoothing = section.size("smoothing", 1..=64)?.unwrap_or(1);
        let threshold = section.required("threshold", section.number("threshold", 0.0..=1.0)?)?;
        let hysteresis = section.number("hysteresis", 0.0..=threshold)?.unwrap_or(0.0);
        let refractory = section.size("refractory", 0..=10_000)?.unwrap_or(0);
        let mut never = Vec::new();
        if let Some(names) = named_labels(section, "never", labels)? {
            if labels.iter().all(|label| names.contains(label)) {
                return Err(section.fault(
                    "never",
                    "names every label",
                    "leave out those that are to be decided",
                ));
            }
            never = labels.iter().map(|label| names.contains(label)).collect();
        }
        Ok(Self { smoothing, threshold, hysteresis, refractory, never })
    }
}

impl Reconstruction {
    fn read(section: &Section) -> Result<Self> {
        if section.has("never") {
            return Err(section.fault("never", "is not for `kind = \"reconstruction\"`", "remove it"));
        }
        // The ends are the smallest and the largest threshold that a device holds.
        let threshold = section.number("threshold", 0.004..=65_536.0)?;
        let quantile = section.number("quantile", 0.5..=1.0)?;
        let limit = match (quantile, threshold) {
            (Some(_), Some(_)) => {
                let remedy =
                    "leave one of them out: `quantile` has the threshold found, `threshold` gives it";
                return Err(section.fault("quantile", "stands beside `threshold`", remedy));
            }
            (None, None) => {
                let remedy = "add `quantile = 0.999`, the share of normal validation windows that stay below the \
                              threshold";
                return Err(section.fault("quantile", "is missing", remedy));
            }
            (Some(quantile), None) => {
                let millionths = libm::round(quantile * 1e6);
                if (quantile * 1e6 - millionths).abs() > 1e-3 {
                    let remedy = "write it with at most six decimals";
                    return Err(section.fault("quantile", format!("is {quantile}"), remedy));
                }
                Limit::Quantile(millionths as u32)
            }
            // At least 1 of them.
            (None, Some(threshold)) => Limit::Threshold((threshold * 256.0) as u32),
        };
        Ok(Self {
            limit,
            smoothing: section.integer("smoothing", 1..=64)?.unwrap_or(1) as u16,
            hysteresis_millionths: libm::round(section.number("hysteresis", 0.0..=0.95)?.unwrap_or(0.0) * 1e6)
                as u32,
            refractory: section.integer("refractory", 0..=10_000)?.unwrap_or(0) as u32,
        })
    }

    /// Refuses an average over windows that do not come one after the other as on the device; `section` is
    /// `[decision]`.
    pub(super) fn check(&self, section: &Section, data: &Data, front_end: &FrontEndConfig) -> Result<()> {
        if self.smoothing == 1 {
            return Ok(());
        }
        let fault = |problem: String, remedy: &str| Err(section.fault("smoothing", problem, remedy));
        let smoothing = self.smoothing;
        let window = match (&data.format, data.window()) {
            (Format::Idx | Format::Wav(_), _) | (_, None) => {
                return fault(
                    format!(
                        "is {smoothing}, but examples of this `format` stand alone: no scores of windows in a row are \
                         known that a threshold could be found with"
                    ),
                    "write `smoothing = 1`",
                );
            }
            (_, Some(window)) => window,
        };
        if window.cut != Cut::Slide {
            let problem = format!(
                "is {smoothing}, but `cut = \"place\"` of [data.window] gives windows that stand alone"
            );
            return fault(problem, "write `smoothing = 1`, or set `cut = \"slide\"` there");
        }
        let between =
            front_end.stride as f64 * front_end.hop_len as f64 * front_end.input_rate_hz / front_end.rate_hz;
        if between != window.stride as f64 {
            return fault(
                format!(
                    "is {smoothing}, but windows of the data begin {} samples apart, those of the device {between}: \
                     averages over them are not the device's",
                    window.stride
                ),
                "give `stride` in [data.window] and `hop_len` and `stride` in [front_end] the same distance",
            );
        }
        Ok(())
    }
}
