//! Boards: building their firmware, running it in an emulator, and asking it questions.
//!
//! This is the one place that knows how firmware is built on the Rust at hand (`rust`), how an
//! emulated board is started (`emulator`, `live`), how a plan and its inputs reach it (`job`), and how a
//! program reaches a board's flash (`destination`, `flash`). Both `trainer verify` and `cargo xtask` stand on it. Nothing here installs anything: what is missing
//! is an error that names `cargo xtask setup`.

mod board;
mod destination;
mod device;
mod elf;
mod emulator;
mod firmware;
pub mod flash;
mod front_end;
pub mod job;
mod live;
pub mod memory_map;
pub mod numbers;
mod plugin;
mod profile;
mod root;
pub mod rpi3;
mod rust;
mod signal;
mod stack_bound;
mod thumb;
mod timing;
pub mod uf2;

pub use board::{BOARDS, Board, RISCV32_USER};
pub use destination::{Destination, M0_PLUS, Way};
pub use device::{Case, CaseResult, Device, Features};
pub use elf::{Elf, Sizes};
pub use emulator::{Emulator, Run, TIME_LIMIT};
pub use firmware::{Build, Firmware, Link, Recorded, board_folder};
pub use front_end::{FrontEndCosts, HopCosts};
pub use live::{Live, Time};
pub use plugin::Count;
pub use profile::{Profile, count_program, stack_bytes};
pub use root::project_root;
pub use rust::{How, Rust, find_program};
pub use signal::Signal;
pub use stack_bound::{StackBound, stack_bound};

/// What a user types when a tool is missing.
pub const SETUP: &str = "cargo xtask setup";
