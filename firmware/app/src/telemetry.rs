//! What a board tells a host, as frames of `teff-link`: recordings for `trainer record`, logs, decisions
//! and figures for `trainer monitor`.
//!
//! Nothing here sends: each call gives the bytes of a frame, for a UART, for USB, or for an executor's
//! pipe. [`Telemetry`] makes frames of events, [`Recorder`] makes frames of all that comes out of a queue.

use teff_link::{Cause, End, Hello, Level, Log, MAX_FRAME_BYTES, Message, Metrics, Samples, Sender, VERSION};

use crate::decision::Event;
use crate::health::{self, Condition, What};
use crate::pipeline;
use crate::queue::{Gap, Instant};
use crate::sensor::Format;

/// Bytes of a log's text, at most; what is longer is cut off.
const TEXT_BYTES: usize = 400;
/// Bytes of a decision's label, of a board's and of a sensor's name, at most.
const NAME_BYTES: usize = 100;
/// Bytes of the samples in one frame, at most.
const SAMPLE_BYTES: usize = 480;
/// Frames of samples come at least so often in a second, as far as there is an instant for each.
const FRAMES_PER_SECOND: u32 = 20;

/// Makes frames, one at a time.
#[derive(Debug)]
pub struct Telemetry {
    sender: Sender,
    buffer: [u8; MAX_FRAME_BYTES],
}

impl Default for Telemetry {
    fn default() -> Self {
        Telemetry::new()
    }
}

impl Telemetry {
    /// Nothing was said yet.
    pub const fn new() -> Self {
        Telemetry { sender: Sender::new(), buffer: [0; MAX_FRAME_BYTES] }
    }

    /// Who speaks, and how samples are meant: to be sent first, and again from time to time for a host
    /// that comes late.
    pub fn hello(&mut self, board: &str, format: &Format) -> &[u8] {
        let Format { rate_millihertz, axes, unit, counts_per_thousand_units, full_scale, .. } = *format;
        let (board, sensor) = (cut(board, NAME_BYTES), cut(format.sensor, NAME_BYTES));
        self.frame(&Message::Hello(Hello {
            version: VERSION,
            board,
            sensor,
            rate_millihertz,
            axes,
            unit: cut(unit, NAME_BYTES),
            counts_per_thousand_units,
            full_scale,
        }))
    }

    /// A line for a person, of which the first 400 bytes are sent.
    pub fn log(&mut self, level: Level, text: &str) -> &[u8] {
        self.frame(&Message::Log(Log { level, text: cut(text, TEXT_BYTES) }))
    }

    /// What was decided on the window that ended after `instant` instants.
    pub fn decision(&mut self, instant: u64, event: &Event, label: &str) -> &[u8] {
        self.frame(&Message::Decision(told(instant, event, label)))
    }

    /// What leads after the inference on the window that ended after `instant` instants: see
    /// [`pipeline::Pipeline::leading`].
    pub fn leading(&mut self, instant: u64, event: &Event, label: &str) -> &[u8] {
        self.frame(&Message::Leading(told(instant, event, label)))
    }

    /// Figures since the start; `inference_us` is how long the last inference took, 0 where no clock is read.
    pub fn metrics(
        &mut self,
        pipeline: &pipeline::Counts,
        health: &health::Counts,
        overruns: u32,
        inference_us: u32,
    ) -> &[u8] {
        self.frame(&Message::Metrics(Metrics {
            instants: pipeline.instants,
            inferences: pipeline.inferences,
            missed: pipeline.missed,
            overruns,
            gaps: health.gaps,
            bus_errors: health.bus_errors,
            stuck: health.stuck,
            saturated: health.saturated,
            inference_us,
        }))
    }

    /// What happened to the sensor. A condition that begins or ends is a message of health, everything else
    /// a line for a person.
    pub fn health(&mut self, event: &health::Event) -> &[u8] {
        let (condition, begins) = match event.what {
            What::Begins(condition) => (condition, true),
            What::Ends(condition) => (condition, false),
            What::BusError => return self.log(Level::Warning, "a transfer from the sensor failed"),
            What::SensorGap => return self.log(Level::Warning, "the sensor lost instants"),
            What::Missing(_) => {
                return self.log(Level::Warning, "the sensor lost instants and did not say so");
            }
            What::Restarted => return self.log(Level::Info, "the sensor was started anew"),
        };
        let condition = match condition {
            Condition::Stuck => teff_link::Condition::Stuck,
            Condition::Saturated => teff_link::Condition::Saturated,
            Condition::Unreachable => teff_link::Condition::Unreachable,
            Condition::Silent => teff_link::Condition::Silent,
        };
        self.frame(&Message::Health(teff_link::Health { instant: event.instant, condition, begins }))
    }

    /// Any message. Empty where it is longer than a frame, which none of the above is.
    pub fn frame(&mut self, message: &Message<'_>) -> &[u8] {
        self.sender.frame(message, &mut self.buffer).unwrap_or_default()
    }
}

fn told<'m>(instant: u64, event: &Event, label: &'m str) -> teff_link::Decision<'m> {
    teff_link::Decision {
        instant,
        class: u16::try_from(event.class).unwrap_or(u16::MAX),
        label: cut(label, NAME_BYTES),
        score: event.score,
    }
}

/// The beginning of a text, in whole characters.
fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or("")
}

/// Makes frames of a recording: of instants from a queue, with every gap in its place.
///
/// After each [`Recorder::take`], and after [`Recorder::end`], call [`Recorder::next`] until it gives nothing.
///
/// A queue's gap says how many instants are missing, and the queue's count of overruns says how many of
/// them found it full; the others are the sensor's.
#[derive(Debug)]
pub struct Recorder<'b, const AXES: usize> {
    telemetry: Telemetry,
    board: &'b str,
    format: Format,
    /// Instants until the next hello.
    until_hello: u32,
    /// What was not sent yet: instants from `first` on, of `len` bytes.
    samples: [u8; SAMPLE_BYTES],
    len: usize,
    /// Instants that were measured before these, and before the next one.
    first: u64,
    next: u64,
    /// Gaps to be told, then the instant behind them.
    queue_gap: Option<Option<u32>>,
    sensor_gap: Option<Option<u32>>,
    behind: Option<[i16; AXES]>,
    /// Overruns of the queue that were told.
    told_overruns: u32,
    gaps: u32,
    end: bool,
}

impl<'b, const AXES: usize> Recorder<'b, AXES> {
    /// Nothing was measured yet. `format` is what the queue holds.
    pub const fn new(board: &'b str, format: Format) -> Self {
        Recorder {
            telemetry: Telemetry::new(),
            board,
            format,
            until_hello: 0,
            samples: [0; SAMPLE_BYTES],
            len: 0,
            first: 0,
            next: 0,
            queue_gap: None,
            sensor_gap: None,
            behind: None,
            told_overruns: 0,
            gaps: 0,
            end: false,
        }
    }

    /// For logs and the sensor's health between the samples.
    pub fn telemetry(&mut self) -> &mut Telemetry {
        &mut self.telemetry
    }

    /// Takes an instant; `overruns` is what the queue's outlet says after it gave it.
    pub fn take(&mut self, instant: &Instant<AXES>, overruns: u32) {
        match instant.gap {
            Gap::None => {}
            Gap::Lost(lost) => {
                // Overruns behind this instant are told at the gap that they make.
                let of_queue = overruns.wrapping_sub(self.told_overruns).min(lost);
                self.told_overruns = self.told_overruns.wrapping_add(of_queue);
                self.queue_gap = (of_queue > 0).then_some(Some(of_queue));
                self.sensor_gap = (lost > of_queue).then_some(Some(lost - of_queue));
            }
            Gap::Unknown => {
                self.told_overruns = overruns;
                self.sensor_gap = Some(None);
            }
        }
        self.behind = Some(instant.samples);
    }

    /// The recording is over; `overruns` is what the queue's outlet says now.
    pub fn end(&mut self, overruns: u32) {
        let lost = overruns.wrapping_sub(self.told_overruns);
        self.told_overruns = overruns;
        self.queue_gap = (lost > 0).then_some(Some(lost));
        self.end = true;
    }

    /// The bytes of the next frame that is due.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<&[u8]> {
        if self.until_hello == 0 {
            self.until_hello = (self.format.rate_millihertz / 1000).max(1);
            return Some(self.telemetry.hello(self.board, &self.format));
        }
        let gap = self.queue_gap.is_some() || self.sensor_gap.is_some();
        if self.len > 0 && (gap || self.end || self.is_full()) {
            return Some(self.flush());
        }
        for (gap, cause) in [(&mut self.queue_gap, Cause::Queue), (&mut self.sensor_gap, Cause::Sensor)] {
            if let Some(lost) = gap.take() {
                let message = Message::Gap(teff_link::Gap { instant: self.next, lost, cause });
                self.gaps = self.gaps.wrapping_add(1);
                self.next += u64::from(lost.unwrap_or(0));
                return Some(self.telemetry.frame(&message));
            }
        }
        if let Some(samples) = self.behind.take() {
            self.append(samples);
            if self.is_full() || self.until_hello == 0 {
                return self.next();
            }
        }
        if core::mem::take(&mut self.end) {
            let message = Message::End(End { instants: self.next, gaps: self.gaps });
            return Some(self.telemetry.frame(&message));
        }
        None
    }

    fn append(&mut self, samples: [i16; AXES]) {
        if self.len == 0 {
            self.first = self.next;
        }
        let (_, free) = self.samples.split_at_mut(self.len.min(SAMPLE_BYTES));
        for (to, sample) in free.as_chunks_mut::<2>().0.iter_mut().zip(samples) {
            *to = sample.to_le_bytes();
        }
        self.len += 2 * AXES;
        self.next += 1;
        self.until_hello -= 1;
    }

    /// Whether another instant has no room, or has waited long enough.
    fn is_full(&self) -> bool {
        let instants = (self.format.rate_millihertz / (1000 * FRAMES_PER_SECOND)).max(1) as usize;
        self.len + 2 * AXES > SAMPLE_BYTES || self.len >= instants * 2 * AXES
    }

    fn flush(&mut self) -> &[u8] {
        let len = core::mem::take(&mut self.len);
        let bytes = self.samples.get(..len).unwrap_or_default();
        let samples = Samples { instant: self.first, bytes };
        self.telemetry.frame(&Message::Samples(samples))
    }
}

#[cfg(test)]
mod tests;
