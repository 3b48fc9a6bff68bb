//! Trains small networks and turns them into plans for microcontrollers.
//!
//! The library behind the `trainer` command; see `cli` for the sub-commands.

pub mod cli;
