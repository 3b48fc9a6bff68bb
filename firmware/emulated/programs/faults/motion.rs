//! What goes wrong with the accelerometer of `motion_faults`, and when it counts as wrong. The host's test has the same.
//!
//! The recording is replayed three times: nine states of 3,200 instants, in each of which one thing goes wrong before
//! the state is decided on.

use teff_app::health::Limits;
use teff_app::sensor::faulty::{Fault, Kind};
use teff_app::sensor::simulated::{ChipFault, ChipFaultKind};

/// How often the recording is replayed.
pub const TIMES: usize = 3;

/// Measurements between two interrupts.
pub const INTERRUPT_EVERY: usize = 16;

/// When something counts as wrong: a tenth of a second of nothing is too much, and what is missing is looked for.
pub const LIMITS: Limits =
    Limits { silent_after: 10, stuck_after: 100, rate_block: 320, rate_slack: 15, ..Limits::DEFAULT };

/// Of the chip and its bus, at instants of the recording.
pub const CHIP: &[ChipFault] = &[
    // Tried again at once: nothing is lost.
    ChipFault { at: 170, kind: ChipFaultKind::NoAnswer(2) },
    // So long that the chip's buffer runs over.
    ChipFault { at: 3_400, kind: ChipFaultKind::NoAnswer(10) },
    ChipFault { at: 6_700, kind: ChipFaultKind::BrokenOff(3) },
    ChipFault { at: 9_700, kind: ChipFaultKind::PowerLost },
];

/// Of the sensor as a whole, at instants that it gave.
pub const SENSOR: &[Fault] = &[
    // So late that the chip's buffer runs over.
    Fault { at: 12_600, kind: Kind::Late(4) },
    Fault { at: 16_000, kind: Kind::Stuck(300) },
    Fault { at: 19_300, kind: Kind::Lost(50) },
    Fault { at: 22_400, kind: Kind::Saturated(512) },
];

/// Of the task: from the one instant of the recording on it is busy for so many, which is more than the queue holds.
pub const BUSY: &[(u64, u32)] = &[(25_900, 112)];
