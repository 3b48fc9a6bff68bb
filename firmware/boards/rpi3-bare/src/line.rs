//! A sensor at the other end of the serial line: frames of `docs/link.md`, here with the host as the sender.

use core::convert::Infallible;

use heapless::Vec;
use heapless::spsc::Consumer;
use teff_app::queue::Gap;
use teff_app::sensor::{Format, Sensor};
use teff_link::{Account, Hello, MAX_FRAME_BYTES, Message, Received, Receiver, VERSION};

/// Samples of one frame, at most.
const FRAME_SAMPLES: usize = MAX_FRAME_BYTES / 2;

/// What comes from the line.
pub struct Line {
    bytes: Consumer<'static, u8>,
    receiver: Receiver<MAX_FRAME_BYTES>,
    account: Account,
    format: Format,
    /// The unit that the model needs.
    unit: &'static str,
    /// Samples of the last frame that were not read yet.
    waiting: Vec<i16, FRAME_SAMPLES>,
    /// What lies before them.
    gap: Gap,
    gaps: u32,
    event: Option<Event>,
}

/// What is no samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A sender said how it measures.
    Format(Format),
    /// A sender speaks another version.
    Version(u16),
    /// The recording is over.
    End,
}

impl Line {
    /// A line of which nothing has come; `unit` is what the model needs.
    pub fn new(bytes: Consumer<'static, u8>, unit: &'static str) -> Self {
        let format = Format {
            sensor: "serial line",
            rate_millihertz: 0,
            axes: 0,
            unit: "",
            counts_per_thousand_units: 0,
            full_scale: 0,
        };
        Line {
            bytes,
            receiver: Receiver::new(),
            account: Account::new(),
            format,
            unit,
            waiting: Vec::new(),
            gap: Gap::None,
            gaps: 0,
            event: None,
        }
    }

    /// What came and what did not.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// Whether bytes came of which no note was taken yet.
    pub fn has_bytes(&self) -> bool {
        self.bytes.ready()
    }

    /// Takes note of what came until samples wait or there is an event, which is returned.
    pub fn poll(&mut self) -> Option<Event> {
        while self.waiting.is_empty() && self.event.is_none() {
            let byte = self.bytes.dequeue()?;
            let Some(received) = self.receiver.next(&mut &[byte][..]) else { continue };
            let restarts = self.account.restarts;
            let missing = self.account.note(&received);
            if missing > 0 {
                self.gap = self.gap.and(Gap::Lost(u32::try_from(missing).unwrap_or(u32::MAX)));
            }
            if self.account.restarts != restarts {
                // Another recording begins.
                self.gap = self.gap.and(Gap::Unknown);
            }
            let Received::Frame(frame) = received else { continue };
            match frame.message {
                Message::Hello(hello) if hello.version != VERSION => {
                    self.event = Some(Event::Version(hello.version));
                }
                Message::Hello(hello) => {
                    self.format = format(&hello, self.unit);
                    self.event = Some(Event::Format(self.format));
                }
                Message::Samples(samples) => {
                    // A frame has fewer bytes than there is room for.
                    self.waiting.extend(samples.iter().take(FRAME_SAMPLES));
                }
                Message::Gap(gap) => {
                    self.gap = self.gap.and(gap.lost.map_or(Gap::Unknown, Gap::Lost));
                }
                Message::End(_) => self.event = Some(Event::End),
                Message::Log(_)
                | Message::Metrics(_)
                | Message::Decision(_)
                | Message::Health(_)
                | Message::Leading(_) => {}
            }
        }
        self.event.take()
    }

    /// What lies before the samples that are read next.
    pub fn take_gap(&mut self) -> Gap {
        if self.waiting.is_empty() {
            return Gap::None;
        }
        let gap = core::mem::take(&mut self.gap);
        self.gaps = self.gaps.wrapping_add(u32::from(gap != Gap::None));
        gap
    }
}

/// A sender's format. A unit that is not the model's is only known not to be it.
fn format(hello: &Hello<'_>, unit: &'static str) -> Format {
    Format {
        sensor: "serial line",
        rate_millihertz: hello.rate_millihertz,
        axes: hello.axes,
        unit: if hello.unit == unit { unit } else { "another" },
        counts_per_thousand_units: hello.counts_per_thousand_units,
        full_scale: hello.full_scale,
    }
}

impl Sensor for Line {
    type Error = Infallible;

    fn format(&self) -> Format {
        self.format
    }

    fn read(&mut self, samples: &mut [i16]) -> Result<usize, Infallible> {
        let axes = usize::from(self.format.axes).max(1);
        let instants = samples.len().min(self.waiting.len()) / axes;
        for (to, from) in samples.iter_mut().zip(self.waiting.iter()).take(instants * axes) {
            *to = *from;
        }
        // Read whole, or in the caller's pieces.
        let left = self.waiting.len() - instants * axes;
        self.waiting.rotate_left(instants * axes);
        self.waiting.truncate(if left < axes { 0 } else { left });
        Ok(instants)
    }

    fn gaps(&self) -> u32 {
        self.gaps
    }
}
