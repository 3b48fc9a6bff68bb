//! What the programs of the emulated boards share.
//!
//! A board's folder holds its target, its memory map, its runner, and a line that says which
//! [`Machine`] it is. The programs that are the same on every board stand in `programs/`.
#![no_std]

pub mod console;
pub mod counter;
pub mod fingerprint;
pub mod float;
mod machine;
pub mod mark;
pub mod memory;
pub mod motion;
pub mod pace;
pub mod replayed;
pub mod report;
pub mod signal;
pub mod task;
pub mod uart;

pub use machine::Machine;
