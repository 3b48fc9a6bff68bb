//! The service: a thread that reads the sensor, and this one, which decides and tells.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use sd_notify::NotifyState;
use signal_hook::consts::{SIGINT, SIGTERM};
use teff::{AnyModel, ModelFile, Session};
use teff_app::health::{Counts, Limits, Watched};
use teff_app::needs::Needs;
use teff_app::output::{Output, Pulse};
use teff_app::pipeline::{Pipeline, Step, input_bytes, workspace_words};
use teff_app::queue::Gap;
use teff_app::sensor::Sensor;
use teff_app::sensor::recorded::Recorded;
use teff_app::sensor::rescaled::Rescaled;

use crate::config::Config;
use crate::emit::{Decision, Emitter, Message, Metrics, Start};
use crate::gpio::{self, Line};
use crate::log::{info, warning};
use crate::mqtt::Mqtt;
use crate::sense::{Portion, Sensing, sense};
use crate::source::Source;

/// Classes and averaged inferences of a model, at most.
const CLASSES: usize = 256;
const MEMORY: usize = 64;
/// Portions between the sensor's thread and this one.
const QUEUE_LEN: usize = 64;
/// How long the loop sleeps at most.
const TICK: Duration = Duration::from_millis(100);
/// How long the end waits for the sensor's thread.
const FAREWELL: Duration = Duration::from_secs(1);

type Deciding<'a> = Pipeline<'a, AnyModel, CLASSES, MEMORY>;

/// What a model and its pipeline need while they run.
struct Memory {
    arena: teff::plan::file::HostArena,
    workspace: Vec<u32>,
    reference: Vec<i8>,
}

impl Memory {
    fn of(file: &ModelFile) -> Memory {
        Memory {
            arena: file.arena(),
            workspace: vec![0; workspace_words(file.as_bytes())],
            reference: vec![0; input_bytes(file.as_bytes())],
        }
    }
}

/// Checks the configuration against the model, as far as that needs no hardware. Returns what was found.
///
/// # Errors
/// What does not fit.
pub fn check(config: &Config, file: &ModelFile) -> Result<String> {
    let needs = needs(file)?;
    let format = Source::plan(&config.sensor, &needs)?;
    let fitted = needs.fit(Recorded::new(format, &[], 1)).map_err(|error| anyhow!("{error}"))?;
    let mut memory = Memory::of(file);
    pipeline(file, &mut memory, fitted.format())?;
    for gpio in &config.gpio {
        if let Some(label) = &gpio.label
            && !file.model().labels().any(|of_model| of_model == label)
        {
            bail!("`gpio.label` of line {} is `{label}`, which the model does not have", gpio.line);
        }
    }
    Ok(format!(
        "{} at {} Hz, {} axes, for the classes {}",
        format.sensor,
        f64::from(format.rate_millihertz) / 1000.0,
        format.axes,
        file.model().labels().collect::<Vec<_>>().join(", ")
    ))
}

fn needs(file: &ModelFile) -> Result<Needs<'_>> {
    Needs::read(&file.model()).map_err(|error| anyhow!("{error}"))
}

fn pipeline<'a>(
    file: &'a ModelFile,
    memory: &'a mut Memory,
    format: teff_app::sensor::Format,
) -> Result<Deciding<'a>> {
    let session = Session::from_model(file.model(), memory.arena.as_mut_slice())
        .map_err(|error| anyhow!("the model cannot run here: {error}"))?;
    Pipeline::with_reference(session, &mut memory.workspace, &mut memory.reference, format)
        .map_err(|error| anyhow!("{error}"))
}

/// Runs until a signal, or the end of a recording.
///
/// # Errors
/// The sensor does not answer at the start, a line or the broker's settings cannot be used, or a thread
/// failed.
pub fn run(config: &Config, file: &ModelFile) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // The second one ends the program at once.
        signal_hook::flag::register_conditional_shutdown(signal, 1, stop.clone())
            .and_then(|_| signal_hook::flag::register(signal, stop.clone()))
            .context("cannot wait for signals")?;
    }
    let needs = needs(file)?;
    let source = Source::start(&config.sensor, &needs)?;
    let limits = limits(config, &source);
    let Source { sensor, interval, patient, over, reason, .. } = source;
    let sensor = needs.fit(sensor).map_err(|error| anyhow!("{error}"))?;
    let format = sensor.format();
    let mut memory = Memory::of(file);
    let mut pipeline = pipeline(file, &mut memory, format)?;
    let pulses: Result<Vec<_>> =
        config.gpio.iter().map(|line| gpio::open(line, file.model().labels())).collect();
    let mut pulses = pulses?;
    let mqtt = config.mqtt.as_ref().map(Mqtt::start).transpose()?;
    let emitter = Arc::new(Emitter::new(config.output.stdout, mqtt));
    let name = config.model.path.display().to_string();
    emitter.tell(&Message::Start(Start {
        version: env!("CARGO_PKG_VERSION"),
        model: &name,
        sensor: format.sensor,
        rate_millihertz: format.rate_millihertz,
        axes: format.axes,
        labels: file.model().labels().collect(),
    }));
    info!("{} with {name}", format.sensor);

    let (sender, receiver) = sync_channel(QUEUE_LEN);
    let sensing = Arc::new(Sensing::default());
    let watched = Watched::new(sensor, limits);
    let thread = {
        let link = crate::sense::Link {
            sender: if patient { Sending::Patient(sender) } else { Sending::Live(sender) },
            emitter: emitter.clone(),
            sensing: sensing.clone(),
            stop: stop.clone(),
            over,
            reason,
            interval,
        };
        thread::Builder::new()
            .name("sensor".to_string())
            .spawn(move || start_sensing(watched, format.axes, link))
            .context("cannot start a thread")?
    };
    notify(&[NotifyState::Ready]);
    let mut telling = Telling {
        emitter: &emitter,
        sensing: &sensing,
        metrics_every: Duration::from_secs(config.output.metrics_every_s),
        last_metrics: Instant::now(),
        rate_millihertz: format.rate_millihertz,
        inference: Duration::ZERO,
        longest: Duration::ZERO,
    };
    let stopped = decide(&mut pipeline, &mut pulses, &receiver, &mut telling, &stop);
    notify(&[NotifyState::Stopping]);
    stop.store(true, Ordering::Release);
    let end = Instant::now() + FAREWELL;
    while !thread.is_finished() && Instant::now() < end {
        thread::sleep(Duration::from_millis(5));
    }
    telling.metrics(pipeline.counts());
    let failed = thread.is_finished() && thread.join().is_err();
    let reason = if failed {
        "failure"
    } else if stopped {
        "signal"
    } else {
        "end of recording"
    };
    emitter.tell(&Message::Stop { reason });
    emitter.close();
    info!("stopped: {reason}");
    if failed {
        bail!("the sensor's thread failed");
    }
    Ok(())
}

/// A way to hand portions on.
pub enum Sending {
    /// Waits for room.
    Patient(SyncSender<Portion>),
    /// Gives up what finds none.
    Live(SyncSender<Portion>),
}

impl Sending {
    /// Whether the portion was taken; `None` where nobody listens any more.
    pub fn send(&self, portion: Portion) -> Option<Result<(), Portion>> {
        match self {
            Sending::Patient(sender) => sender.send(portion).ok().map(Ok),
            Sending::Live(sender) => match sender.try_send(portion) {
                Ok(()) => Some(Ok(())),
                Err(TrySendError::Full(portion)) => Some(Err(portion)),
                Err(TrySendError::Disconnected(_)) => None,
            },
        }
    }
}

/// Reads a sensor with any number of axes.
fn start_sensing(watched: Watched<Rescaled<crate::source::Erased>>, axes: u8, link: crate::sense::Link) {
    macro_rules! with_axes {
        ($($axes:literal),*) => {
            match axes {
                $($axes => sense::<$axes>(watched, link),)*
                // No model takes more than fifteen.
                _ => warning!("a sensor with {axes} axes cannot be read"),
            }
        };
    }
    with_axes!(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

fn limits(config: &Config, source: &Source) -> Limits {
    let usual = Limits::default();
    Limits {
        stuck_after: config.health.stuck_after.unwrap_or(if source.is_sound { 0 } else { usual.stuck_after }),
        saturation_percent: config.health.saturation_percent.unwrap_or(usual.saturation_percent),
        silent_after: config.health.silent_after.unwrap_or(usual.silent_after),
        ..usual
    }
}

/// What is told of decisions and figures.
struct Telling<'a> {
    emitter: &'a Emitter,
    sensing: &'a Sensing,
    metrics_every: Duration,
    last_metrics: Instant,
    rate_millihertz: u32,
    inference: Duration,
    longest: Duration,
}

impl Telling<'_> {
    fn metrics(&mut self, counts: &teff_app::pipeline::Counts) {
        let health: Counts = self.sensing.counts();
        self.emitter.tell(&Message::Metrics(Metrics {
            instants: counts.instants,
            inferences: counts.inferences,
            missed: counts.missed,
            gaps: counts.gaps,
            lost: counts.lost,
            given_up: counts.given_up,
            overruns: self.sensing.overruns.load(Ordering::Relaxed),
            sensor_gaps: health.gaps,
            bus_errors: health.bus_errors,
            restarts: health.restarts,
            withheld: health.withheld,
            stuck: health.stuck,
            saturated: health.saturated,
            unreachable: health.unreachable,
            silent: health.silent,
            inference_us: self.inference.as_micros() as u64,
            inference_us_longest: self.longest.as_micros() as u64,
            mqtt_lost: self.emitter.mqtt_lost(),
        }));
        self.last_metrics = Instant::now();
    }
}

/// Takes portions until there are no more. Returns whether a signal ended it.
fn decide(
    pipeline: &mut Deciding<'_>,
    pulses: &mut [Pulse<Line>],
    receiver: &Receiver<Portion>,
    telling: &mut Telling<'_>,
    stop: &AtomicBool,
) -> bool {
    let watchdog = sd_notify::watchdog_enabled().map(|limit| (limit / 2, limit));
    let (mut last_notified, mut beat, mut beat_at) = (Instant::now(), 0, Instant::now());
    let mut until = None;
    loop {
        if stop.load(Ordering::Acquire) && until.is_none() {
            // What was read is still decided on.
            until = Some(Instant::now() + FAREWELL);
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            return true;
        }
        match receiver.recv_timeout(TICK) {
            Ok(portion) => take(pipeline, pulses, &portion, telling),
            Err(RecvTimeoutError::Timeout) => {}
            // The sensor's thread sees a signal too, and may be the first to.
            Err(RecvTimeoutError::Disconnected) => return stop.load(Ordering::Acquire),
        }
        if !telling.metrics_every.is_zero() && telling.last_metrics.elapsed() >= telling.metrics_every {
            telling.metrics(pipeline.counts());
        }
        if let Some((every, limit)) = watchdog {
            let now = telling.sensing.beats.load(Ordering::Relaxed);
            if now != beat {
                (beat, beat_at) = (now, Instant::now());
            }
            // A sensor's thread that hangs is as bad as this one hanging.
            if last_notified.elapsed() >= every && beat_at.elapsed() < limit {
                notify(&[NotifyState::Watchdog]);
                last_notified = Instant::now();
            }
        }
    }
}

fn take(
    pipeline: &mut Deciding<'_>,
    pulses: &mut [Pulse<Line>],
    portion: &Portion,
    telling: &mut Telling<'_>,
) {
    if portion.gap != Gap::None {
        pipeline.gap(portion.gap);
    }
    // One at a time, so that no window is missed here.
    for instant in portion.samples.chunks_exact(portion.axes) {
        pipeline.push(instant);
        loop {
            let began = Instant::now();
            match pipeline.step(u32::MAX) {
                Step::Idle => break,
                Step::Working => {}
                Step::Inferred(event) => {
                    telling.inference = began.elapsed();
                    telling.longest = telling.longest.max(telling.inference);
                    let label = event.map_or("", |event| pipeline.label(event.class));
                    for pulse in pulses.iter_mut() {
                        if let Err(why) = pulse.inferred(event.as_ref(), label) {
                            warning!("a GPIO line cannot be set: {why}");
                        }
                    }
                    if let Some(event) = event {
                        let instant = pipeline.heard();
                        let signal_ms = instant * 1_000_000 / u64::from(telling.rate_millihertz.max(1));
                        let (class, score) = (event.class, event.score);
                        let decision = Decision { instant, signal_ms, class, label, score };
                        telling.emitter.tell(&Message::Decision(decision));
                    }
                }
            }
        }
    }
}

/// Tells systemd, where it asked to be told.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(why) = sd_notify::notify(state) {
        warning!("systemd cannot be told: {why}");
    }
}

/// A number that only grows.
pub type Counter = AtomicU64;
