//! What is told: one JSON object for each message, to the standard output and to the broker.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::log::error;
use crate::mqtt::Mqtt;

/// A message. `docs/sensord.md` says what the fields mean.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Message<'m> {
    /// The service began.
    Start(Start<'m>),
    /// A class was decided on.
    Decision(Decision<'m>),
    /// Something about the sensor.
    Health(Health<'m>),
    /// Figures since the start.
    Metrics(Metrics),
    /// The service ends.
    Stop {
        /// `signal` or `end of recording`.
        reason: &'m str,
    },
}

/// The service began.
#[derive(Debug, Serialize)]
pub struct Start<'m> {
    pub version: &'m str,
    pub model: &'m str,
    pub sensor: &'m str,
    pub rate_millihertz: u32,
    pub axes: u8,
    pub labels: Vec<&'m str>,
}

/// A class was decided on.
#[derive(Debug, Serialize)]
pub struct Decision<'m> {
    pub instant: u64,
    pub signal_ms: u64,
    pub class: usize,
    pub label: &'m str,
    pub score: u16,
}

/// Something about the sensor.
#[derive(Debug, Serialize)]
pub struct Health<'m> {
    pub instant: u64,
    pub what: &'m str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub begins: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'m str>,
}

/// Figures since the start.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Metrics {
    pub instants: u64,
    pub inferences: u32,
    pub missed: u32,
    pub gaps: u32,
    pub lost: u64,
    pub given_up: u32,
    pub overruns: u64,
    pub sensor_gaps: u32,
    pub bus_errors: u32,
    pub restarts: u32,
    pub withheld: u64,
    pub stuck: u32,
    pub saturated: u32,
    pub unreachable: u32,
    pub silent: u32,
    pub inference_us: u64,
    pub inference_us_longest: u64,
    pub mqtt_lost: u64,
}

/// A message and what all have.
#[derive(Serialize)]
struct Numbered<'m> {
    n: u64,
    time_ms: u64,
    #[serde(flatten)]
    message: &'m Message<'m>,
}

/// Where messages go; threads share it.
pub struct Emitter {
    mqtt: Option<Mqtt>,
    /// Held while a message is told, so that messages come in the order of their numbers.
    state: Mutex<State>,
}

struct State {
    stdout: bool,
    next: u64,
}

impl Emitter {
    /// To the standard output, to a broker, to both or to neither.
    pub fn new(stdout: bool, mqtt: Option<Mqtt>) -> Emitter {
        Emitter { mqtt, state: Mutex::new(State { stdout, next: 0 }) }
    }

    /// Tells a message. Never waits for the broker.
    pub fn tell(&self, message: &Message<'_>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let numbered = Numbered { n: state.next, time_ms: since.as_millis() as u64, message };
        state.next += 1;
        let line = match serde_json::to_string(&numbered) {
            Ok(line) => line,
            Err(why) => {
                error!("a message cannot be written as JSON: {why}");
                return;
            }
        };
        if let Some(mqtt) = &self.mqtt {
            let topic = match message {
                Message::Start(_) | Message::Stop { .. } => "service",
                Message::Decision(_) => "decision",
                Message::Health(_) => "health",
                Message::Metrics(_) => "metrics",
            };
            mqtt.send(topic, line.clone());
        }
        if state.stdout {
            let mut stdout = io::stdout().lock();
            if let Err(why) = writeln!(stdout, "{line}").and_then(|()| stdout.flush()) {
                state.stdout = false;
                error!("the standard output is not written to any more: {why}");
            }
        }
    }

    /// Messages that the broker will never get.
    pub fn mqtt_lost(&self) -> u64 {
        self.mqtt.as_ref().map_or(0, Mqtt::lost)
    }

    /// Waits a little for the broker to take what is left, and says goodbye to it.
    pub fn close(&self) {
        if let Some(mqtt) = &self.mqtt {
            mqtt.close();
        }
    }
}
