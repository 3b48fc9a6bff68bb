//! What a running board tells: its decisions, figures, logs and its sensor's health.

use anyhow::Result;
use serde::Serialize;
use teff_link::{Account, Cause, Decision, Level, Message, Metrics, Received};

use super::take::Sender;

/// What is new, for a line of text or a JSON object.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum News {
    /// Who sends: once, and when it changes.
    Hello(Sender),
    /// Something was decided.
    Decision {
        /// Instants that were measured before.
        instant: u64,
        /// The same in seconds; null before the first hello.
        seconds: Option<f64>,
        /// The class, an index into the labels.
        class: u16,
        /// Its label.
        label: String,
        /// The smoothed score: a share, of an anomaly model in thresholds.
        score: f64,
    },
    /// What leads after the last inference, decided or not; the fields are those of a decision.
    Leading {
        /// Instants that were measured before.
        instant: u64,
        /// The same in seconds; null before the first hello.
        seconds: Option<f64>,
        /// The class.
        class: u16,
        /// Its label.
        label: String,
        /// The smoothed score.
        score: f64,
    },
    /// Figures since the start.
    Metrics(Figures),
    /// A line for people.
    Log {
        /// `error`, `warning` or `info`.
        level: &'static str,
        /// The line.
        text: String,
    },
    /// Something is wrong with the sensor, or well again.
    Health {
        /// Instants that were measured before it was noticed.
        instant: u64,
        /// `stuck`, `saturated`, `unreachable` or `silent`.
        condition: &'static str,
        /// Whether it begins.
        begins: bool,
    },
    /// Instants are missing in a recording.
    Gap {
        /// The first of them.
        instant: u64,
        /// How many; null where nobody knows.
        lost: Option<u32>,
        /// `sensor`, `queue` or `line`.
        cause: &'static str,
    },
    /// Bytes that were no frame.
    Damaged {
        /// How many.
        bytes: usize,
    },
}

/// Figures since the start of the board.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
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
    /// Microseconds of the last inference; 0 where the board has no clock.
    pub inference_us: u32,
}

impl From<&Metrics> for Figures {
    fn from(metrics: &Metrics) -> Figures {
        let Metrics {
            instants,
            inferences,
            missed,
            overruns,
            gaps,
            bus_errors,
            stuck,
            saturated,
            inference_us,
        } = *metrics;
        Figures { instants, inferences, missed, overruns, gaps, bus_errors, stuck, saturated, inference_us }
    }
}

impl Figures {
    /// What is wrong, in the words of a line; empty where nothing is.
    pub fn troubles(&self) -> String {
        let counts = [
            (self.missed, "windows missed"),
            (self.overruns, "queue overruns"),
            (self.gaps, "sensor gaps"),
            (self.bus_errors, "bus errors"),
            (self.stuck, "times stuck"),
            (self.saturated, "times saturated"),
        ];
        let shown =
            counts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        shown.collect::<Vec<_>>().join(", ")
    }
}

/// What was heard so far.
#[derive(Debug, Default)]
pub struct Watch {
    /// Who sends.
    pub sender: Option<Sender>,
    /// The last figures.
    pub figures: Figures,
    /// Decisions so far.
    pub decisions: u64,
    /// The label that leads, or its class in words, and its score: a share, of an anomaly model in thresholds.
    pub leading: Option<(String, f64)>,
    /// Inference times that were told: the least, the most, their sum and number.
    pub inference_us: Option<(u32, u32, u64, u64)>,
    /// Inferences at the last figures with a time.
    timed: u32,
    account: Account,
}

impl Watch {
    /// Nothing was heard.
    pub fn new() -> Watch {
        Watch::default()
    }

    /// What was lost on the line.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Takes what came off the line; what is no news is `None`.
    ///
    /// # Errors
    /// A board of another version.
    pub fn receive(&mut self, received: &Received<'_>) -> Result<Option<News>> {
        self.account.note(received);
        let frame = match received {
            Received::Frame(frame) => frame,
            Received::Damaged { bytes, .. } => return Ok(Some(News::Damaged { bytes: *bytes })),
        };
        Ok(match &frame.message {
            Message::Hello(hello) => {
                let sender = Sender::of(hello)?;
                let known = self.sender.as_ref() == Some(&sender);
                self.sender = Some(sender.clone());
                (!known).then_some(News::Hello(sender))
            }
            Message::Decision(decision) => {
                self.decisions += 1;
                let Decision { instant, class, label, score } = *decision;
                Some(News::Decision {
                    instant,
                    seconds: self.seconds(instant),
                    class,
                    label: label.to_string(),
                    score: share(score),
                })
            }
            Message::Leading(leading) => {
                let Decision { instant, class, label, score } = *leading;
                self.leading = Some((named(label, class), share(score)));
                Some(News::Leading {
                    instant,
                    seconds: self.seconds(instant),
                    class,
                    label: label.to_string(),
                    score: share(score),
                })
            }
            Message::Metrics(metrics) => {
                let figures = Figures::from(metrics);
                self.figures = figures;
                self.time(&figures);
                Some(News::Metrics(self.figures))
            }
            Message::Log(log) => {
                let level = match log.level {
                    Level::Error => "error",
                    Level::Warning => "warning",
                    Level::Info => "info",
                };
                Some(News::Log { level, text: log.text.to_string() })
            }
            Message::Health(health) => {
                let condition = match health.condition {
                    teff_link::Condition::Stuck => "stuck",
                    teff_link::Condition::Saturated => "saturated",
                    teff_link::Condition::Unreachable => "unreachable",
                    teff_link::Condition::Silent => "silent",
                };
                Some(News::Health { instant: health.instant, condition, begins: health.begins })
            }
            Message::Gap(gap) => {
                let cause = match gap.cause {
                    Cause::Sensor => "sensor",
                    Cause::Queue => "queue",
                    Cause::Line => "line",
                };
                Some(News::Gap { instant: gap.instant, lost: gap.lost, cause })
            }
            Message::Samples(_) | Message::End(_) => None,
        })
    }

    fn seconds(&self, instant: u64) -> Option<f64> {
        self.sender.as_ref().map(|sender| instant as f64 / sender.rate_hz())
    }

    fn time(&mut self, figures: &Figures) {
        if figures.inference_us == 0 || figures.inferences == self.timed {
            return;
        }
        self.timed = figures.inferences;
        let now = figures.inference_us;
        let (least, most, sum, count) = self.inference_us.unwrap_or((now, now, 0, 0));
        self.inference_us = Some((least.min(now), most.max(now), sum + u64::from(now), count + 1));
    }
}

/// The label of a class, or its number where it has none.
pub fn named(label: &str, class: u16) -> String {
    if label.is_empty() { format!("class {class}") } else { label.to_string() }
}

fn share(in_256ths: u16) -> f64 {
    f64::from(in_256ths) / 256.0
}
