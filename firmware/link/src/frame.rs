//! A message as bytes on the line, and back.

use crc::{CRC_32_ISO_HDLC, Crc};
use postcard::ser_flavors::crc::CrcModifier;
use postcard::ser_flavors::{Cobs, Slice};
use serde::{Deserialize, Serialize};

use crate::message::Message;
use crate::receiver::Fault;

/// Bytes of a frame on the line, at most, both zeros included.
pub const MAX_FRAME_BYTES: usize = 512;

const CRC_BYTES: usize = 4;
static CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// A message and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame<'m> {
    /// Counts frames from the sender's start on; after 2^32 - 1 comes 0.
    pub sequence: u32,
    /// What is said.
    #[serde(borrow)]
    pub message: Message<'m>,
}

/// The buffer, or [`MAX_FRAME_BYTES`], is too small for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct SendError {
    /// Bytes that there is room for.
    pub room: usize,
}

impl core::fmt::Display for SendError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "the message needs more than the {} bytes that a frame has here", self.room)
    }
}

impl core::error::Error for SendError {}

/// Numbers frames.
#[derive(Clone, Debug, Default)]
pub struct Sender {
    sequence: u32,
}

impl Sender {
    /// A sender whose first frame is number 0.
    pub const fn new() -> Self {
        Sender { sequence: 0 }
    }

    /// The bytes of the next frame. A frame that was made counts, whether it is then sent or not: the
    /// receiver will know.
    ///
    /// # Errors
    /// [`SendError`] where the buffer is too small; such a frame does not count.
    pub fn frame<'b>(&mut self, message: &Message<'_>, buffer: &'b mut [u8]) -> Result<&'b [u8], SendError> {
        let room = buffer.len().min(MAX_FRAME_BYTES);
        let error = SendError { room };
        let frame = Frame { sequence: self.sequence, message: *message };
        let (line, _) = buffer.split_at_mut_checked(room).ok_or(error)?;
        let (first, rest) = line.split_first_mut().ok_or(error)?;
        // A zero in front too: where the one behind the last frame is damaged, only that one is lost.
        *first = 0;
        let wrapped = Cobs::try_new(Slice::new(rest)).map_err(|_| error)?;
        let checked = CrcModifier::new(wrapped, CRC.digest());
        let written = postcard::serialize_with_flavor(&frame, checked).map_err(|_| error)?.len();
        self.sequence = self.sequence.wrapping_add(1);
        buffer.get(..written + 1).ok_or(error)
    }

    /// Frames that were made so far.
    pub fn sent(&self) -> u32 {
        self.sequence
    }
}

/// Reads what stands between two zeros, which is unwrapped in place.
pub(crate) fn read(wrapped: &mut [u8]) -> Result<Frame<'_>, Fault> {
    let len = cobs::decode_in_place(wrapped).map_err(|_| Fault::Wrapping)?;
    let (plain, _) = wrapped.split_at_checked(len).ok_or(Fault::Wrapping)?;
    let end = plain.len().checked_sub(CRC_BYTES).ok_or(Fault::Wrapping)?;
    let (payload, crc) = plain.split_at_checked(end).ok_or(Fault::Wrapping)?;
    if crc != CRC.checksum(payload).to_le_bytes() {
        return Err(Fault::Checksum);
    }
    match postcard::take_from_bytes::<Frame<'_>>(payload) {
        Ok((frame, [])) => Ok(frame),
        _ => Err(Fault::Message),
    }
}
