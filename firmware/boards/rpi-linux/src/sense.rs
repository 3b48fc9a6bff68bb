//! The sensor's thread: reads, watches over the sensor's health, and hands portions on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use teff_app::health::{Condition, Counts, Event, Watched, What};
use teff_app::queue::Gap;
use teff_app::sensor::rescaled::Rescaled;

use crate::emit::{Emitter, Health, Message};
use crate::log::{info, warning};
use crate::service::{Counter, Sending};
use crate::source::{Erased, Reason};

/// Instants of one read, at most.
const READ_LEN: usize = 256;
/// After a read without an instant, where nothing else is waited for.
const PAUSE: Duration = Duration::from_millis(20);

/// Samples that join, and what lies before them.
pub struct Portion {
    /// What lies before the first one.
    pub gap: Gap,
    /// All axes of an instant side by side.
    pub samples: Vec<i16>,
    /// Samples of an instant.
    pub axes: usize,
}

/// What the other thread sees of this one.
#[derive(Debug, Default)]
pub struct Sensing {
    counts: Mutex<Counts>,
    /// Instants that found the queue full.
    pub overruns: Counter,
    /// Reads that ended.
    pub beats: Counter,
}

impl Sensing {
    /// How often what happened.
    pub fn counts(&self) -> Counts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the thread shares with the rest.
pub struct Link {
    /// The way to hand portions on.
    pub sender: Sending,
    /// Where health is told.
    pub emitter: Arc<Emitter>,
    /// What is counted.
    pub sensing: Arc<Sensing>,
    /// It is to end.
    pub stop: Arc<AtomicBool>,
    /// There is nothing behind what was read.
    pub over: Arc<AtomicBool>,
    /// Why reading failed last.
    pub reason: Reason,
    /// Time between two reads.
    pub interval: Duration,
}

/// Reads until it is to end, or a recording is over.
pub fn sense<const AXES: usize>(mut watched: Watched<Rescaled<Erased>>, link: Link) {
    let mut buffer = vec![[0; AXES]; READ_LEN];
    // What was given up before the next portion that finds room.
    let mut before = Gap::None;
    while !link.stop.load(Ordering::Acquire) {
        let (mut portions, mut events): (Vec<Portion>, Vec<Event>) = (Vec::new(), Vec::new());
        let hand_on = |gap: Gap, instant: [i16; AXES]| match portions.last_mut() {
            Some(last) if gap == Gap::None => last.samples.extend_from_slice(&instant),
            _ => portions.push(Portion { gap, samples: instant.to_vec(), axes: AXES }),
        };
        let instants = watched.poll(&mut buffer, hand_on, |event| events.push(event));
        *link.sensing.counts.lock().unwrap_or_else(PoisonError::into_inner) = *watched.counts();
        link.sensing.beats.fetch_add(1, Ordering::Relaxed);
        for event in events {
            tell(&link, event);
        }
        for mut portion in portions {
            portion.gap = before.and(portion.gap);
            match link.sender.send(portion) {
                None => return,
                Some(Ok(())) => before = Gap::None,
                Some(Err(full)) => {
                    let lost = full.samples.len() / AXES;
                    link.sensing.overruns.fetch_add(lost as u64, Ordering::Relaxed);
                    // At most a read.
                    before = full.gap.and(Gap::Lost(lost as u32));
                }
            }
        }
        if instants == 0 && link.over.load(Ordering::Acquire) {
            return;
        }
        let pause = if instants == 0 { link.interval.max(PAUSE) } else { link.interval };
        if !pause.is_zero() {
            thread::sleep(pause);
        }
    }
}

fn tell(link: &Link, event: Event) {
    let reason = link.reason.get();
    let mut health = Health { instant: event.instant, what: "", begins: None, lost: None, reason: None };
    let (what, begins) = match event.what {
        What::BusError => {
            health.reason = Some(&reason);
            ("bus error", None)
        }
        What::SensorGap => ("gap", None),
        What::Missing(lost) => {
            health.lost = Some(lost);
            ("missing", None)
        }
        What::Restarted => ("restarted", None),
        What::Begins(condition) => (name(condition), Some(true)),
        What::Ends(condition) => (name(condition), Some(false)),
    };
    (health.what, health.begins) = (what, begins);
    match (event.what, begins) {
        (What::BusError, _) => warning!("sensor: {what}: {reason}"),
        (What::Begins(Condition::Unreachable), _) => warning!("the sensor is unreachable: {reason}"),
        (_, Some(true)) => warning!("the sensor is {what}"),
        (_, Some(false)) => info!("the sensor is no longer {what}"),
        _ => warning!("sensor: {what}"),
    }
    link.emitter.tell(&Message::Health(health));
}

fn name(condition: Condition) -> &'static str {
    match condition {
        Condition::Stuck => "stuck",
        Condition::Saturated => "saturated",
        Condition::Unreachable => "unreachable",
        Condition::Silent => "silent",
    }
}
