//! What a board and a host say to each other over a serial line: recordings, events, figures.
//!
//! A message is written by `postcard`, followed by a CRC-32, wrapped by COBS and set between zeros, so
//! that a receiver finds the next frame after lost or damaged bytes. Frames are numbered, and samples
//! are counted from the start, so that what is lost is known exactly. The bytes stand in
//! `docs/link.md`.
//!
//! | module | what |
//! |---|---|
//! | [`message`] | what is said |
//! | [`frame`] | to bytes, [`Sender`], and back |
//! | [`receiver`] | frames out of a stream of bytes, [`Receiver`] |
//! | [`account`] | what came and what did not, [`Account`] |
//!
//! ```
//! use teff_link::{Message, Received, Receiver, Samples, Sender};
//!
//! let mut sender = Sender::new();
//! let mut buffer = [0; teff_link::MAX_FRAME_BYTES];
//! let mut bytes = [0; 4];
//! let samples = Samples::new(0, &[-1, 300], &mut bytes).unwrap();
//! let line = sender.frame(&Message::Samples(samples), &mut buffer).unwrap();
//!
//! let mut receiver = Receiver::<{ teff_link::MAX_FRAME_BYTES }>::new();
//! let mut rest = &line[..];
//! let Some(Received::Frame(frame)) = receiver.next(&mut rest) else { panic!() };
//! let Message::Samples(samples) = frame.message else { panic!() };
//! assert!(samples.iter().eq([-1, 300]));
//! ```
#![no_std]
#![deny(missing_docs)]

#[cfg(test)]
extern crate std;

pub mod account;
pub mod frame;
pub mod message;
pub mod receiver;
#[cfg(test)]
mod tests;

pub use account::Account;
pub use frame::{Frame, MAX_FRAME_BYTES, SendError, Sender};
pub use message::{
    Cause, Condition, Decision, End, Gap, Health, Hello, Level, Log, Message, Metrics, Samples,
};
pub use receiver::{Fault, Received, Receiver};

/// Version of the messages. A receiver refuses a hello of another one by name.
pub const VERSION: u16 = 1;
