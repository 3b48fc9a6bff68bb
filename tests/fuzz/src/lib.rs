//! What every fuzz target does with the bytes it is given, and how bytes become files.
//!
//! A target fails where something panics, where an import gives an unsound graph, where a plan of ours does not pass
//! its own check, or where more than [`MEMORY`] bytes are allocated at a time.

pub mod check;
pub mod generate;
pub mod protobuf;

/// The most that may be allocated at a time: files of some kilobytes have no need of more.
pub const MEMORY: usize = 512 << 20;
