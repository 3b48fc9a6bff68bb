//! What came over the line, and what did not.

use crate::message::Message;
use crate::receiver::{Fault, Received};

/// Counts. All that a sender made is either in `frames` or in `missing_frames`, from the first frame on
/// that was received; all instants that it measured are in `instants`, or lost and counted here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Frames that came.
    pub frames: u64,
    /// Frames that the sender made and that did not come.
    pub missing_frames: u64,
    /// Pieces between two zeros that are no frame.
    pub damaged: u64,
    /// Their bytes.
    pub damaged_bytes: u64,
    /// Of them, those with a right checksum: the sender speaks another version.
    pub foreign: u64,
    /// How often the sender began anew.
    pub restarts: u32,
    /// Instants that came.
    pub instants: u64,
    /// Instants that the sender said it lost, where it knew how many.
    pub lost_by_sender: u64,
    /// Gaps of which the sender did not know how many instants they have.
    pub gaps_of_unknown_length: u32,
    /// Instants that the sender sent and that did not come.
    pub lost_on_line: u64,
    /// Whether the sender said that its recording is over.
    pub ended: bool,
    next_sequence: Option<u32>,
    next_instant: Option<u64>,
    axes: u8,
}

impl Account {
    /// Nothing came yet.
    pub fn new() -> Self {
        Account::default()
    }

    /// Takes note of what a receiver gave. Returns how many instants are missing on the line directly
    /// before this frame: samples after them do not join those before.
    pub fn note(&mut self, received: &Received<'_>) -> u64 {
        let frame = match received {
            Received::Frame(frame) => frame,
            Received::Damaged { fault, bytes } => {
                self.damaged += 1;
                self.damaged_bytes += *bytes as u64;
                self.foreign += u64::from(*fault == Fault::Message);
                return 0;
            }
        };
        self.frames += 1;
        if let Some(next) = self.next_sequence {
            let ahead = frame.sequence.wrapping_sub(next);
            // A sender counts up; one that is behind what came has begun anew.
            if ahead < 1 << 31 {
                self.missing_frames += u64::from(ahead);
            } else {
                self.restarts += 1;
                self.missing_frames += u64::from(frame.sequence);
                self.next_instant = Some(0);
                self.ended = false;
            }
        }
        self.next_sequence = Some(frame.sequence.wrapping_add(1));
        match frame.message {
            Message::Hello(hello) => {
                self.axes = hello.axes;
                if frame.sequence == 0 {
                    self.next_instant = Some(0);
                }
                0
            }
            Message::Samples(samples) => {
                let count = samples.iter().len() as u64 / u64::from(self.axes.max(1));
                let missing = self.reach(samples.instant);
                self.instants += count;
                self.next_instant = Some(samples.instant.saturating_add(count));
                missing
            }
            Message::Gap(gap) => {
                let missing = self.reach(gap.instant);
                match gap.lost {
                    Some(lost) => {
                        self.lost_by_sender += u64::from(lost);
                        self.next_instant = Some(gap.instant.saturating_add(lost.into()));
                    }
                    None => self.gaps_of_unknown_length += 1,
                }
                missing
            }
            Message::End(end) => {
                self.ended = true;
                self.reach(end.instants)
            }
            Message::Log(_)
            | Message::Metrics(_)
            | Message::Decision(_)
            | Message::Health(_)
            | Message::Leading(_) => 0,
        }
    }

    /// The sender is at this instant: what lies between it and the last one that is known did not come.
    fn reach(&mut self, instant: u64) -> u64 {
        let missing = self.next_instant.map_or(0, |next| instant.saturating_sub(next));
        self.lost_on_line += missing;
        self.next_instant = Some(instant);
        missing
    }
}
