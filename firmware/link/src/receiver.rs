//! Frames out of a stream of bytes that comes in pieces, with losses.

use crate::frame::{self, Frame};

/// Why bytes between two zeros are no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Fault {
    /// Longer than any frame.
    TooLong,
    /// No wrapping of COBS, or less than a checksum.
    Wrapping,
    /// The checksum is another.
    Checksum,
    /// The checksum is right, but it is no message of this version.
    Message,
}

/// What stood between two zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received<'r> {
    /// A frame.
    Frame(Frame<'r>),
    /// So many bytes that are none, or the end of a frame whose beginning was not seen.
    Damaged {
        /// Why.
        fault: Fault,
        /// Bytes between the zeros.
        bytes: usize,
    },
}

/// Takes bytes and gives frames of up to `N - 2` bytes between their zeros; `N` is
/// [`crate::MAX_FRAME_BYTES`], or less where the sender is known to send less.
#[derive(Clone, Debug)]
pub struct Receiver<const N: usize> {
    buffer: [u8; N],
    /// Bytes since the last zero, more than `N` where they do not fit.
    len: usize,
}

impl<const N: usize> Receiver<N> {
    /// A receiver that has seen nothing.
    pub const fn new() -> Self {
        Receiver { buffer: [0; N], len: 0 }
    }

    /// Takes bytes from the front of `bytes` until a frame or a damaged one is complete. Call it until
    /// it gives `None`, when `bytes` is empty.
    pub fn next(&mut self, bytes: &mut &[u8]) -> Option<Received<'_>> {
        loop {
            let rest: &[u8] = bytes;
            let zero = rest.iter().position(|byte| *byte == 0);
            let (now, later) = rest.split_at_checked(zero.unwrap_or(rest.len()))?;
            for (to, byte) in self.buffer.iter_mut().skip(self.len).zip(now) {
                *to = *byte;
            }
            self.len = self.len.saturating_add(now.len());
            let Some((_, later)) = later.split_first() else {
                *bytes = later;
                return None;
            };
            *bytes = later;
            let len = core::mem::take(&mut self.len);
            if len > 0 {
                return Some(self.between_zeros(len));
            }
        }
    }

    fn between_zeros(&mut self, len: usize) -> Received<'_> {
        let found = self.buffer.get_mut(..len).ok_or(Fault::TooLong).and_then(frame::read);
        match found {
            Ok(frame) => Received::Frame(frame),
            Err(fault) => Received::Damaged { fault, bytes: len },
        }
    }

    /// Forgets what came since the last zero, as when the line was opened anew.
    pub fn reset(&mut self) {
        self.len = 0;
    }
}

impl<const N: usize> Default for Receiver<N> {
    fn default() -> Self {
        Receiver::new()
    }
}
