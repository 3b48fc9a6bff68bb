//! Whether a sensor works: what fails is noticed, counted, reported, and got over.
//!
//! A [`Watched`] sensor is polled from an interrupt or a task. It reads the sensor, tries again after
//! errors, first at once and then in ever longer intervals, starts the chip anew when that does not help,
//! and hands on instants with what lies before each: nothing, or a [`Gap`]. It counts in polls and
//! instants and needs no clock.
//!
//! | what | noticed by | what is done |
//! |---|---|---|
//! | transfers fail | errors | tried again, at once and then after 1, 2, 4, … polls; [`Condition::Unreachable`]; started anew |
//! | nothing comes | polls without an instant | [`Condition::Silent`]; started anew |
//! | instants lost in the sensor | its own count of gaps | a gap before the next instant |
//! | instants lost silently | fewer than time has passed for ([`Watched::elapsed`]) | a gap before the next instant |
//! | the same value again and again | so many equal instants | [`Condition::Stuck`]: withheld until it moves, then a gap |
//! | full scale too often | share of a block of instants | [`Condition::Saturated`] |

use crate::queue::Gap;
use crate::sensor::bus::complete;
use crate::sensor::{AsyncSensor, Format, Sensor};

/// Axes of a sensor, at most.
const MAX_AXES: usize = 16;

/// When something counts as wrong. 0 switches a check off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Limits {
    /// How often a failed read is tried again at once.
    pub retries: u8,
    /// Polls that are left out after failures: 1, then 2, 4, … up to this.
    pub longest_wait: u16,
    /// Polls that fail in a row before the sensor is unreachable; it is started anew then and after
    /// every further so many.
    pub unreachable_after: u16,
    /// Polls without an instant before the sensor is silent; it is started anew then and after every
    /// further so many.
    pub silent_after: u16,
    /// Equal instants in a row before the sensor is stuck.
    pub stuck_after: u32,
    /// Instants of a block in which saturated ones are counted.
    pub saturation_block: u16,
    /// Share of saturated instants in a block, in per cent, from which on the signal is saturated.
    pub saturation_percent: u8,
    /// Instants, by the time that passed, after which those that came are counted.
    pub rate_block: u16,
    /// Instants that may be missing in such a block: what waits in the sensor's buffer, and what its
    /// clock is slow.
    pub rate_slack: u16,
}

impl Limits {
    /// What suits most sensors.
    pub const DEFAULT: Limits = Limits {
        retries: 2,
        longest_wait: 64,
        unreachable_after: 3,
        silent_after: 50,
        stuck_after: 1000,
        saturation_block: 256,
        saturation_percent: 10,
        rate_block: 0,
        rate_slack: 0,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Limits::DEFAULT
    }
}

/// What lasts for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum What {
    /// A transfer failed.
    BusError,
    /// The sensor lost instants.
    SensorGap,
    /// About so many instants did not come, and the sensor said nothing.
    Missing(u32),
    /// The sensor was started anew.
    Restarted,
    /// Something lasts from now on.
    Begins(Condition),
    /// It is over.
    Ends(Condition),
}

/// What happened, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Event {
    /// Instants that the sensor gave before.
    pub instant: u64,
    /// What happened.
    pub what: What,
}

/// How often it happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Counts {
    /// Instants that the sensor gave.
    pub instants: u64,
    /// Of them, those that were withheld because the sensor was stuck.
    pub withheld: u64,
    /// Transfers that failed.
    pub bus_errors: u32,
    /// Gaps that the sensor reported.
    pub gaps: u32,
    /// Instants that were missing though the sensor reported no gap.
    pub missing: u32,
    /// How often the sensor was started anew.
    pub restarts: u32,
    /// How often it was stuck.
    pub stuck: u32,
    /// How often the signal was saturated.
    pub saturated: u32,
    /// How often it was unreachable.
    pub unreachable: u32,
    /// How often it was silent.
    pub silent: u32,
}

/// A sensor that is watched.
#[derive(Debug)]
pub struct Watched<S> {
    sensor: S,
    watch: Watch,
}

impl<S> Watched<S> {
    /// How often what happened.
    pub fn counts(&self) -> &Counts {
        &self.watch.counts
    }

    /// Whether a condition lasts.
    pub fn is(&self, condition: Condition) -> bool {
        match condition {
            Condition::Stuck => self.watch.stuck,
            Condition::Saturated => self.watch.saturated,
            Condition::Unreachable => self.watch.unreachable,
            Condition::Silent => self.watch.silent,
        }
    }

    /// The time of so many instants passed since this was called last. Only with it are instants missed
    /// that a sensor loses without a word.
    pub fn elapsed(&mut self, instants: u32) {
        self.watch.due = self.watch.due.saturating_add(instants);
    }

    /// The sensor itself.
    pub fn sensor_mut(&mut self) -> &mut S {
        &mut self.sensor
    }
}

impl<S: Sensor> Watched<S> {
    /// A sensor that is watched from now on.
    pub fn new(sensor: S, limits: Limits) -> Self {
        let watch = Watch::new(sensor.format(), sensor.gaps(), limits);
        Watched { sensor, watch }
    }

    /// What comes.
    pub fn format(&self) -> Format {
        self.sensor.format()
    }

    /// Reads the sensor once into `buffer`, which is as long as instants are wanted at most, and hands on
    /// each instant with what lies before it, and what happened. Returns how many were handed on.
    ///
    /// `AXES` is the number of axes of the sensor; nothing is read with another one.
    pub fn poll<const AXES: usize>(
        &mut self,
        buffer: &mut [[i16; AXES]],
        hand_on: impl FnMut(Gap, [i16; AXES]),
        report: impl FnMut(Event),
    ) -> usize {
        complete(self.watch.poll(&mut Blocking(&mut self.sensor), buffer, hand_on, report))
    }
}

impl<S: AsyncSensor> Watched<S> {
    /// What [`Watched::new`] is, of an asynchronous sensor.
    pub fn new_async(sensor: S, limits: Limits) -> Self {
        let watch = Watch::new(sensor.format(), sensor.gaps(), limits);
        Watched { sensor, watch }
    }

    /// What [`Watched::poll`] does, of an asynchronous sensor.
    pub async fn poll_async<const AXES: usize>(
        &mut self,
        buffer: &mut [[i16; AXES]],
        hand_on: impl FnMut(Gap, [i16; AXES]),
        report: impl FnMut(Event),
    ) -> usize {
        self.watch.poll(&mut self.sensor, buffer, hand_on, report).await
    }
}

/// A blocking sensor where an asynchronous one is asked for.
struct Blocking<'s, S>(&'s mut S);

impl<S: Sensor> AsyncSensor for Blocking<'_, S> {
    type Error = S::Error;

    fn format(&self) -> Format {
        self.0.format()
    }

    async fn read(&mut self, samples: &mut [i16]) -> Result<usize, S::Error> {
        self.0.read(samples)
    }

    fn gaps(&self) -> u32 {
        self.0.gaps()
    }

    async fn restart(&mut self) -> Result<(), S::Error> {
        self.0.restart()
    }
}

/// All that is remembered between polls.
#[derive(Debug)]
struct Watch {
    limits: Limits,
    counts: Counts,
    axes: u8,
    full_scale: i32,
    gaps_seen: u32,
    /// What lies before the next instant that is handed on.
    gap: Gap,
    failed_polls: u16,
    empty_polls: u16,
    /// Polls that are still left out.
    wait: u16,
    last: [i16; MAX_AXES],
    /// Instants in a row that are as the last one, itself included.
    equal: u32,
    block: u16,
    block_saturated: u16,
    /// Instants that time has passed for, and those that came, in this block.
    due: u32,
    came: u32,
    /// What is missing in this block was reported already.
    explained: bool,
    stuck: bool,
    saturated: bool,
    unreachable: bool,
    silent: bool,
}

impl Watch {
    fn new(format: Format, gaps_seen: u32, limits: Limits) -> Self {
        Watch {
            limits,
            counts: Counts::default(),
            axes: format.axes,
            full_scale: format.full_scale.into(),
            gaps_seen,
            gap: Gap::None,
            failed_polls: 0,
            empty_polls: 0,
            wait: 0,
            last: [0; MAX_AXES],
            equal: 0,
            block: 0,
            block_saturated: 0,
            due: 0,
            came: 0,
            explained: false,
            stuck: false,
            saturated: false,
            unreachable: false,
            silent: false,
        }
    }

    fn tell(&self, report: &mut impl FnMut(Event), what: What) {
        let event = Event { instant: self.counts.instants, what };
        #[cfg(feature = "defmt")]
        defmt::warn!("{}", event);
        report(event);
    }

    async fn poll<const AXES: usize, S: AsyncSensor>(
        &mut self,
        sensor: &mut S,
        buffer: &mut [[i16; AXES]],
        mut hand_on: impl FnMut(Gap, [i16; AXES]),
        mut report: impl FnMut(Event),
    ) -> usize {
        if AXES != usize::from(self.axes) {
            return 0;
        }
        if self.wait > 0 {
            self.wait -= 1;
            return 0;
        }
        let Some(came) = self.read(sensor, buffer.as_flattened_mut(), &mut report).await else {
            return 0;
        };
        if came == 0 {
            self.empty_polls = self.empty_polls.saturating_add(1);
            if is_multiple(self.empty_polls, self.limits.silent_after) {
                if !self.silent {
                    self.silent = true;
                    self.counts.silent = self.counts.silent.wrapping_add(1);
                    self.tell(&mut report, What::Begins(Condition::Silent));
                }
                self.restart(sensor, &mut report).await;
            }
        } else {
            self.empty_polls = 0;
            if core::mem::take(&mut self.silent) {
                self.tell(&mut report, What::Ends(Condition::Silent));
            }
        }
        let mut handed_on = 0;
        for instant in buffer.iter().take(came) {
            self.look(instant, &mut report);
            self.counts.instants += 1;
            if self.stuck {
                self.counts.withheld += 1;
                continue;
            }
            hand_on(core::mem::take(&mut self.gap), *instant);
            handed_on += 1;
        }
        self.came = self.came.saturating_add(came as u32);
        self.look_at_rate(&mut report);
        handed_on
    }

    /// Reads once, and again at once where that fails; `None` where it goes on failing.
    async fn read<S: AsyncSensor>(
        &mut self,
        sensor: &mut S,
        samples: &mut [i16],
        report: &mut impl FnMut(Event),
    ) -> Option<usize> {
        let mut retries = self.limits.retries;
        let came = loop {
            let result = sensor.read(samples).await;
            let gaps = sensor.gaps();
            let new = gaps.wrapping_sub(core::mem::replace(&mut self.gaps_seen, gaps));
            if new > 0 {
                self.counts.gaps = self.counts.gaps.wrapping_add(new);
                self.gap = self.gap.and(Gap::Unknown);
                self.explained = true;
                self.tell(report, What::SensorGap);
            }
            if let Ok(came) = result {
                break came;
            }
            self.counts.bus_errors = self.counts.bus_errors.wrapping_add(1);
            self.tell(report, What::BusError);
            if retries == 0 {
                self.back_off(sensor, report).await;
                return None;
            }
            retries -= 1;
        };
        self.failed_polls = 0;
        if core::mem::take(&mut self.unreachable) {
            self.tell(report, What::Ends(Condition::Unreachable));
        }
        Some(came)
    }

    async fn back_off<S: AsyncSensor>(&mut self, sensor: &mut S, report: &mut impl FnMut(Event)) {
        let doublings = u32::from(self.failed_polls).min(15);
        self.wait = (1_u16 << doublings).min(self.limits.longest_wait);
        self.failed_polls = self.failed_polls.saturating_add(1);
        if is_multiple(self.failed_polls, self.limits.unreachable_after) {
            if !self.unreachable {
                self.unreachable = true;
                self.counts.unreachable = self.counts.unreachable.wrapping_add(1);
                self.tell(report, What::Begins(Condition::Unreachable));
            }
            self.restart(sensor, report).await;
        }
    }

    async fn restart<S: AsyncSensor>(&mut self, sensor: &mut S, report: &mut impl FnMut(Event)) {
        if sensor.restart().await.is_ok() {
            self.counts.restarts = self.counts.restarts.wrapping_add(1);
            self.tell(report, What::Restarted);
        } else {
            self.counts.bus_errors = self.counts.bus_errors.wrapping_add(1);
            self.tell(report, What::BusError);
        }
    }

    /// Looks at one instant.
    fn look(&mut self, instant: &[i16], report: &mut impl FnMut(Event)) {
        let same = self.equal > 0 && self.last.iter().zip(instant).all(|(last, now)| last == now);
        if same {
            self.equal = self.equal.saturating_add(1);
        } else {
            self.equal = 1;
            self.last.iter_mut().zip(instant).for_each(|(last, now)| *last = *now);
        }
        let stuck = self.limits.stuck_after > 0 && self.equal > self.limits.stuck_after;
        if stuck && !self.stuck {
            self.stuck = true;
            self.counts.stuck = self.counts.stuck.wrapping_add(1);
            self.tell(report, What::Begins(Condition::Stuck));
        } else if self.stuck && !stuck {
            self.stuck = false;
            // What was withheld is missing behind it.
            self.gap = Gap::Unknown;
            self.tell(report, What::Ends(Condition::Stuck));
        }

        let is_full = |sample: &i16| {
            let sample = i32::from(*sample);
            sample >= self.full_scale - 1 || sample <= -self.full_scale
        };
        self.block_saturated += u16::from(instant.iter().any(is_full));
        self.block += 1;
        if self.limits.saturation_block == 0 {
            (self.block, self.block_saturated) = (0, 0);
        } else if self.block >= self.limits.saturation_block {
            let hundredths = u32::from(self.block_saturated) * 100;
            let limit = u32::from(self.limits.saturation_percent) * u32::from(self.block);
            (self.block, self.block_saturated) = (0, 0);
            if !self.saturated && limit > 0 && hundredths >= limit {
                self.saturated = true;
                self.counts.saturated = self.counts.saturated.wrapping_add(1);
                self.tell(report, What::Begins(Condition::Saturated));
            } else if self.saturated && hundredths * 2 < limit {
                // Half of what it began with, so that it does not flicker.
                self.saturated = false;
                self.tell(report, What::Ends(Condition::Saturated));
            }
        }
    }

    /// Compares what came with the time that passed.
    fn look_at_rate(&mut self, report: &mut impl FnMut(Event)) {
        let block = u32::from(self.limits.rate_block);
        if block == 0 || self.due < block {
            return;
        }
        let missing = self.due.saturating_sub(self.came);
        // Nothing is missing that still waits, and what the sensor said itself is no news.
        let waiting = self.failed_polls > 0 || self.silent;
        let known = self.explained || waiting;
        (self.due, self.came, self.explained) = (0, 0, waiting);
        if missing > u32::from(self.limits.rate_slack) && !known {
            self.counts.missing = self.counts.missing.wrapping_add(missing);
            self.gap = self.gap.and(Gap::Lost(missing));
            self.tell(report, What::Missing(missing));
        }
    }
}

fn is_multiple(count: u16, of: u16) -> bool {
    count.checked_rem(of) == Some(0)
}

#[cfg(test)]
mod tests;
