//! What is said.

use serde::{Deserialize, Serialize};

/// A message. The order is part of the format: new ones are appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message<'m> {
    /// Who sends, and how samples are meant. The first one, and repeated so that a host may come late.
    #[serde(borrow)]
    Hello(Hello<'m>),
    /// Samples.
    #[serde(borrow)]
    Samples(Samples<'m>),
    /// Instants are missing.
    Gap(Gap),
    /// The recording is over.
    End(End),
    /// A line for a person.
    #[serde(borrow)]
    Log(Log<'m>),
    /// Figures since the start.
    Metrics(Metrics),
    /// What was decided.
    #[serde(borrow)]
    Decision(Decision<'m>),
    /// Something is wrong with the sensor, or well again.
    Health(Health),
    /// What would be decided: the class that leads after the last inference, however low its score.
    #[serde(borrow)]
    Leading(Decision<'m>),
}

/// Who sends, and how samples are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello<'m> {
    /// [`crate::VERSION`] of the sender.
    pub version: u16,
    /// The board's name.
    pub board: &'m str,
    /// The sensor's name.
    pub sensor: &'m str,
    /// Instants per 1000 seconds.
    pub rate_millihertz: u32,
    /// Samples per instant.
    pub axes: u8,
    /// The physical unit; empty where counts have none.
    pub unit: &'m str,
    /// Counts per thousand units.
    pub counts_per_thousand_units: u32,
    /// Samples of `full_scale - 1` or more, or `-full_scale` or less, are saturated.
    pub full_scale: u16,
}

/// Samples of consecutive instants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Samples<'m> {
    /// Instants that were measured before the first one of these, lost ones included.
    pub instant: u64,
    /// The samples, two bytes each, the low one first, all axes of an instant side by side.
    #[serde(borrow)]
    pub bytes: &'m [u8],
}

impl<'m> Samples<'m> {
    /// Samples as bytes, which are written to `bytes`; `None` where those are too few.
    pub fn new(instant: u64, samples: &[i16], bytes: &'m mut [u8]) -> Option<Self> {
        let (bytes, _) = bytes.split_at_mut_checked(samples.len() * 2)?;
        for (to, sample) in bytes.as_chunks_mut::<2>().0.iter_mut().zip(samples) {
            *to = sample.to_le_bytes();
        }
        Some(Samples { instant, bytes })
    }

    /// The samples; an odd last byte is none.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = i16> + 'm {
        self.bytes.as_chunks::<2>().0.iter().map(|pair| i16::from_le_bytes(*pair))
    }
}

/// Why instants are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Cause {
    /// The sensor's own buffer ran over, or a transfer from it broke off.
    Sensor,
    /// The queue between interrupt and task was full.
    Queue,
    /// The line to the host was too slow.
    Line,
}

/// Instants are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Gap {
    /// The first missing instant.
    pub instant: u64,
    /// How many are missing; `None` where nobody knows, and the count of instants goes on as if none
    /// were.
    pub lost: Option<u32>,
    /// Why.
    pub cause: Cause,
}

/// The recording is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct End {
    /// Instants that were measured, lost ones included.
    pub instants: u64,
    /// Gap messages that were sent.
    pub gaps: u32,
}

/// How much a line for a person matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Level {
    /// Something failed.
    Error,
    /// Something is not as it should be.
    Warning,
    /// For information.
    Info,
}

/// A line for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log<'m> {
    /// How much it matters.
    pub level: Level,
    /// The line.
    pub text: &'m str,
}

/// Figures, all since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Metrics {
    /// Instants that reached the front end.
    pub instants: u64,
    /// Inferences that ended.
    pub inferences: u32,
    /// Windows that came while an inference still went on.
    pub missed: u32,
    /// Instants that found the queue full.
    pub overruns: u32,
    /// Gaps that the sensor reported.
    pub gaps: u32,
    /// Transfers that failed.
    pub bus_errors: u32,
    /// How often the sensor was stuck.
    pub stuck: u32,
    /// How often the signal was saturated.
    pub saturated: u32,
    /// Microseconds of the last inference, from its first step to its last; 0 where no clock is read.
    pub inference_us: u32,
}

/// What was decided, or leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision<'m> {
    /// Instants that were measured before.
    pub instant: u64,
    /// The class, as an index into the model's labels.
    pub class: u16,
    /// Its label.
    pub label: &'m str,
    /// Its smoothed score, in 256ths; of an anomaly model, of the threshold.
    pub score: u16,
}

/// What can be wrong with a sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Condition {
    /// It gives the same value again and again.
    Stuck,
    /// Its signal reaches full scale too often.
    Saturated,
    /// It does not answer.
    Unreachable,
    /// It answers, but has nothing.
    Silent,
}

/// Something is wrong with the sensor, or well again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Health {
    /// Instants that were measured before it was noticed.
    pub instant: u64,
    /// What.
    pub condition: Condition,
    /// `true` when it begins, `false` when it is over.
    pub begins: bool,
}
