//! The broker: messages wait for it in a queue of a given length, and each stays there until the broker
//! has acknowledged it.
//!
//! One message is under way at a time. So it is known which one the broker has, whatever becomes of the
//! connection; one whose acknowledgement was lost comes twice, and its number tells.

use std::collections::VecDeque;
use std::fs;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rumqttc::{Client, Connection, Event, LastWill, MqttOptions, Packet, QoS};

use crate::config;
use crate::log::{info, warning};

/// Pauses between attempts to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How long the end waits for what is left.
const FAREWELL: Duration = Duration::from_secs(2);
/// Requests that wait in the client: one message, and the goodbye.
const REQUESTS: usize = 4;

/// A message that waits.
#[derive(Debug)]
struct Waiting {
    topic: String,
    payload: String,
    retain: bool,
}

/// What the broker has not acknowledged yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum UnderWay {
    Nothing,
    /// That this device is there.
    Status,
    /// The first message of the queue.
    First,
}

#[derive(Debug)]
struct State {
    queue: VecDeque<Waiting>,
    under_way: UnderWay,
    connected: bool,
    closing: bool,
    lost: u64,
}

struct Shared {
    state: Mutex<State>,
    /// The queue became empty, or nothing is left to hope for.
    changed: Condvar,
    client: Client,
    room: usize,
    /// `prefix/device`.
    base: String,
}

/// The sender's end.
pub struct Mqtt(Arc<Shared>);

impl Mqtt {
    /// Begins to connect; the broker may come later.
    ///
    /// # Errors
    /// The password cannot be read, or no thread be started.
    pub fn start(settings: &config::Mqtt) -> Result<Mqtt> {
        let device = settings.device.clone().unwrap_or_else(host_name);
        let base = format!("{}/{device}", settings.prefix);
        let mut options = MqttOptions::new(format!("teff-{device}"), settings.host.clone(), settings.port);
        options.set_keep_alive(Duration::from_secs(settings.keep_alive_s.into()));
        options.set_last_will(LastWill::new(status_topic(&base), "offline", QoS::AtLeastOnce, true));
        if let Some(user) = &settings.username {
            let password = match &settings.password_file {
                Some(file) => fs::read_to_string(file)
                    .with_context(|| format!("cannot read `mqtt.password_file` {}", file.display()))?,
                None => String::new(),
            };
            options.set_credentials(user.clone(), password.lines().next().unwrap_or(""));
        }
        let (client, connection) = Client::new(options, REQUESTS);
        let state = State {
            queue: VecDeque::new(),
            under_way: UnderWay::Nothing,
            connected: false,
            closing: false,
            lost: 0,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
            client,
            room: settings.queue,
            base,
        });
        let of_thread = shared.clone();
        let address = format!("{}:{}", settings.host, settings.port);
        thread::Builder::new()
            .name("mqtt".to_string())
            .spawn(move || of_thread.run(connection, &address))
            .context("cannot start a thread")?;
        Ok(Mqtt(shared))
    }

    /// Appends a message of the topic `prefix/device/topic`. Where the queue is full, the oldest one that is
    /// not under way is given up and counted.
    pub fn send(&self, topic: &str, payload: String) {
        let mut state = self.0.lock();
        if state.queue.len() >= self.0.room {
            let oldest = usize::from(state.under_way == UnderWay::First);
            // A queue of one whose only message is under way gives up the new one.
            let given_up = state.queue.remove(oldest).is_some();
            if state.lost == 0 {
                warning!("the queue to the MQTT broker is full: messages are given up");
            }
            state.lost += 1;
            if !given_up {
                return;
            }
        }
        let topic = format!("{}/{topic}", self.0.base);
        state.queue.push_back(Waiting { topic, payload, retain: false });
        self.0.hand_over(&mut state);
    }

    /// Messages that were given up.
    pub fn lost(&self) -> u64 {
        self.0.lock().lost
    }

    /// Waits a little for the broker to take what is left, and says goodbye.
    pub fn close(&self) {
        let mut state = self.0.lock();
        let offline =
            Waiting { topic: status_topic(&self.0.base), payload: "offline".to_string(), retain: true };
        state.queue.push_back(offline);
        self.0.hand_over(&mut state);
        let end = Instant::now() + FAREWELL;
        while !state.queue.is_empty() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.0.changed.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        // The last one says only that nobody is here.
        let left = state.queue.len().saturating_sub(1);
        if left > 0 {
            warning!("{left} messages were not taken by the MQTT broker before the end");
        }
        state.closing = true;
        drop(state);
        // Without a connection there is nobody to say it to.
        let _ = self.0.client.try_disconnect();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands the first message to the client, if there is one and nothing is under way.
    fn hand_over(&self, state: &mut State) {
        if !state.connected || state.under_way != UnderWay::Nothing {
            return;
        }
        if let Some(first) = state.queue.front()
            && self.publish(first.topic.clone(), first.retain, first.payload.clone())
        {
            state.under_way = UnderWay::First;
        }
    }

    fn publish(&self, topic: String, retain: bool, payload: String) -> bool {
        match self.client.try_publish(topic, QoS::AtLeastOnce, retain, payload) {
            Ok(()) => true,
            Err(why) => {
                // It stays in the queue until the next acknowledgement or connection.
                warning!("the MQTT client takes no message: {why}");
                false
            }
        }
    }

    fn run(&self, mut connection: Connection, address: &str) {
        let mut pause = FIRST_PAUSE;
        let mut said = false;
        // Ends when no client is left.
        while let Ok(event) = connection.recv() {
            let mut state = self.lock();
            match event {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    info!("connected to the MQTT broker {address}");
                    (pause, said) = (FIRST_PAUSE, false);
                    state.connected = true;
                    state.under_way = UnderWay::Nothing;
                    if self.publish(status_topic(&self.base), true, "online".to_string()) {
                        state.under_way = UnderWay::Status;
                    }
                }
                Ok(Event::Incoming(Packet::PubAck(_))) => {
                    if state.under_way == UnderWay::First {
                        state.queue.pop_front();
                    }
                    state.under_way = UnderWay::Nothing;
                    self.hand_over(&mut state);
                    if state.queue.is_empty() {
                        self.changed.notify_all();
                    }
                }
                Ok(_) => {}
                Err(why) => {
                    state.connected = false;
                    state.under_way = UnderWay::Nothing;
                    // What was handed over and not sent stays in the queue; sent once more from here, it
                    // would be acknowledged twice.
                    connection.eventloop.clean();
                    connection.eventloop.pending.clear();
                    if state.closing {
                        return;
                    }
                    drop(state);
                    if !said {
                        warning!("no connection to the MQTT broker {address}: {why}; it is tried again");
                        said = true;
                    }
                    thread::sleep(pause);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }
}

fn status_topic(base: &str) -> String {
    format!("{base}/status")
}

/// The host's name, as the kernel tells it.
fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "device".to_string() } else { name.replace(['+', '#', '/'], "-") }
}
