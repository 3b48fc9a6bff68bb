//! Frames of `teff-link` on a line that may be slow or cut.

use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::pipe::Pipe;
use embassy_time::Timer;
use embedded_io_async::Write;
use teff_link::{Level, Log, MAX_FRAME_BYTES, Message, Sender};

/// Bytes that wait for the line.
const ROOM: usize = 2048;
/// Bytes given to the line at once: a packet of USB.
const PIECE: usize = 64;

/// What waits for the line. Frames that find no room are left out; their numbers tell the host.
pub struct Outbox {
    waiting: Pipe<CriticalSectionRawMutex, ROOM>,
}

impl Default for Outbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Outbox {
    /// Nothing waits.
    pub const fn new() -> Self {
        Outbox { waiting: Pipe::new() }
    }

    /// Gives to the line what waits, for ever. What a line does not take, because nobody listens or it
    /// is cut, is lost.
    pub async fn transmit<W: Write>(&self, line: &mut W) -> ! {
        loop {
            self.transmit_piece(line).await;
        }
    }

    async fn transmit_piece<W: Write>(&self, line: &mut W) {
        let mut piece = [0; PIECE];
        let len = self.waiting.read(&mut piece).await;
        if line.write_all(piece.get(..len).unwrap_or(&[])).await.is_err() {
            // Frames go on to be made meanwhile.
            Timer::after_millis(10).await;
        }
    }
}

/// Numbers frames and puts them in an [`Outbox`].
pub struct Speaker<'o> {
    outbox: &'o Outbox,
    sender: Sender,
    left_out: u32,
}

impl<'o> Speaker<'o> {
    /// The only one that speaks through this outbox.
    pub fn new(outbox: &'o Outbox) -> Self {
        Speaker { outbox, sender: Sender::new(), left_out: 0 }
    }

    /// Says something without waiting: where the line is too slow, it is left out.
    pub fn say(&mut self, message: &Message<'_>) {
        let mut bytes = [0; MAX_FRAME_BYTES];
        let Ok(frame) = self.sender.frame(message, &mut bytes) else {
            // Longer than a frame: labels are not.
            self.left_out = self.left_out.wrapping_add(1);
            return;
        };
        // Nobody else writes, so that room does not shrink before it is used.
        if self.outbox.waiting.free_capacity() < frame.len() {
            self.left_out = self.left_out.wrapping_add(1);
            return;
        }
        let mut rest = frame;
        while let Ok(written) = self.outbox.waiting.try_write(rest) {
            rest = rest.get(written..).unwrap_or(&[]);
            if rest.is_empty() {
                break;
            }
        }
    }

    /// Messages that were left out since the start.
    pub fn left_out(&self) -> u32 {
        self.left_out
    }

    /// Says every second for ever why the program cannot run.
    pub async fn refuse(&mut self, why: impl core::fmt::Display) -> ! {
        let text = Line::new(why);
        loop {
            self.say(&text.message());
            Timer::after_secs(1).await;
        }
    }
}

/// Says every second for ever, to a line without an outbox, why the program cannot run.
pub async fn refuse<W: Write>(mut line: W, why: impl core::fmt::Display) -> ! {
    let (text, mut sender) = (Line::new(why), Sender::new());
    loop {
        let mut bytes = [0; MAX_FRAME_BYTES];
        if let Ok(frame) = sender.frame(&text.message(), &mut bytes) {
            // Said again in a second.
            let _ = line.write_all(frame).await;
        }
        Timer::after_secs(1).await;
    }
}

/// A line for a person, as much of it as has room.
struct Line {
    bytes: [u8; 200],
    len: usize,
}

impl Line {
    /// The beginning of a text, which goes to the log too.
    fn new(text: impl core::fmt::Display) -> Self {
        let mut line = Line { bytes: [0; 200], len: 0 };
        // What does not fit is cut off.
        let _ = core::fmt::Write::write_fmt(&mut line, format_args!("{text}"));
        #[cfg(feature = "defmt")]
        defmt::error!("{=str}", line.as_str());
        line
    }

    fn message(&self) -> Message<'_> {
        Message::Log(Log { level: Level::Error, text: self.as_str() })
    }

    fn as_str(&self) -> &str {
        core::str::from_utf8(self.bytes.get(..self.len).unwrap_or(&[])).unwrap_or("")
    }
}

impl core::fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        for character in text.chars() {
            let mut encoded = [0; 4];
            let encoded = character.encode_utf8(&mut encoded).as_bytes();
            let end = self.len + encoded.len();
            let Some(to) = self.bytes.get_mut(self.len..end) else { return Err(core::fmt::Error) };
            to.copy_from_slice(encoded);
            self.len = end;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;
    use teff_app::sensor::bus::complete;
    use teff_link::{Account, Receiver};

    fn log(text: &str) -> Message<'_> {
        Message::Log(Log { level: Level::Info, text })
    }

    #[test]
    fn what_finds_no_room_is_missed_by_its_number() {
        let outbox = Outbox::new();
        let mut speaker = Speaker::new(&outbox);
        let text = "x".repeat(400);
        // Five of 400 bytes do not fit; what was said in time does.
        (0..5).for_each(|_| speaker.say(&log(&text)));
        assert_eq!(speaker.left_out(), 1);
        let mut line: Vec<u8> = Vec::new();
        while !outbox.waiting.is_empty() {
            complete(outbox.transmit_piece(&mut line));
        }
        speaker.say(&log("late"));
        while !outbox.waiting.is_empty() {
            complete(outbox.transmit_piece(&mut line));
        }
        let (mut receiver, mut account) = (Receiver::<MAX_FRAME_BYTES>::new(), Account::new());
        let mut rest = &line[..];
        while let Some(received) = receiver.next(&mut rest) {
            account.note(&received);
        }
        assert_eq!((account.frames, account.missing_frames, account.damaged), (5, 1, 0));
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let line = Line::new("ä".repeat(150));
        assert_eq!(line.as_str(), "ä".repeat(100));
    }
}
