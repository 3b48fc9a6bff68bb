//! What goes wrong with the microphone of `listen_faults`, and when it counts as wrong. The host's test has the same.
//!
//! The recording is replayed twice: sixteen words, of which those are heard that no gap is near.

use teff_app::health::Limits;
use teff_app::sensor::faulty::{Fault, Kind};

/// How often the recording is replayed.
pub const TIMES: usize = 2;

/// Samples between two interrupts.
pub const INTERRUPT_EVERY: usize = 64;

/// When something counts as wrong: up to 7,200 samples between two words are equal, which is no stuck microphone.
pub const LIMITS: Limits = Limits {
    stuck_after: 8_000,
    saturation_block: 1_024,
    rate_block: 1_024,
    rate_slack: 63,
    ..Limits::DEFAULT
};

/// Of the microphone, at samples that it gave.
pub const SENSOR: &[Fault] = &[
    // Tried again at once: nothing is lost.
    Fault { at: 1_000, kind: Kind::Errors(2) },
    // So late that the ring runs over.
    Fault { at: 6_800, kind: Kind::Late(5) },
    Fault { at: 19_600, kind: Kind::Lost(200) },
    Fault { at: 39_000, kind: Kind::Saturated(2_500) },
    // Until it is started anew.
    Fault { at: 57_400, kind: Kind::Asleep },
    Fault { at: 71_000, kind: Kind::Stuck(10_000) },
    // Tried again and again, ever less often.
    Fault { at: 93_000, kind: Kind::Errors(12) },
];

/// Of the task: from the one sample of the recording on it is busy for so many, which is more than the queue holds.
pub const BUSY: &[(u64, u32)] = &[(109_300, 640)];
