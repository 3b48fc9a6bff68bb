//! Boards: building their firmware, running it in an emulator, and asking it questions.
//!
//! This is the one place that knows how firmware is built on the Rust at hand (`rust`), how an
//! emulated board is started (`emulator`), and how a plan and its inputs reach it (`job`). Both
//! `trainer verify` and `cargo xtask` stand on it. Nothing here installs anything: what is missing
//! is an error that names `cargo xtask setup`.

mod board;
mod device;
mod elf;
mod emulator;
mod firmware;
mod front_end;
pub mod job;
pub mod numbers;
mod plugin;
mod profile;
mod root;
mod rust;
mod thumb;
mod timing;

pub use board::{BOARDS, Board};
pub use device::{Case, CaseResult, Device, Features};
pub use elf::{Elf, Sizes};
pub use emulator::{Emulator, Run, TIME_LIMIT};
pub use firmware::{Firmware, Link};
pub use front_end::FrontEndCosts;
pub use plugin::Count;
pub use profile::{Profile, count_program};
pub use root::project_root;
pub use rust::{How, Rust, find_program};

/// What a user types when a tool is missing.
pub const SETUP: &str = "cargo xtask setup";
