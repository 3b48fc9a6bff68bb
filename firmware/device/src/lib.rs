//! What the real boards share: all but pins, peripherals, interrupts and the executor.
//!
//! ```text
//! interrupt executor: sensor ─> Watched ─> Sampling ─┐ queue
//!    thread executor:        ┌── deciding (listen, motion) or recording (record) <─┘
//!                            └─> Outbox ─> line to the host
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`accelerometer`] | the accelerometer that is wired to an I²C bus, found by its identity |
//! | [`sampling`] | from the sensor to the queue; what happened to the sensor |
//! | [`deciding`] | from the queue to decisions, in steps between which all else goes on |
//! | [`recording`] | from the queue to the line, for `trainer record` |
//! | [`lamp`] | a lamp that is lit by a low level |
//! | [`outbox`] | frames of `teff-link` on a line that may be slow or cut |
//!
//! The programs `listen`, `motion` and `record` stand in `programs/`: they are the same on each board.
//! A board's library has a type `Board` with what they need of it.
#![no_std]
#![deny(missing_docs)]

#[cfg(test)]
extern crate std;

pub mod accelerometer;
pub mod deciding;
pub mod lamp;
pub mod outbox;
pub mod recording;
pub mod sampling;

use teff_app::sensor::Format;
use teff_link::Hello;

/// How a board introduces itself and its sensor to the host.
pub fn hello(board: &'static str, format: Format) -> Hello<'static> {
    Hello {
        version: teff_link::VERSION,
        board,
        sensor: format.sensor,
        rate_millihertz: format.rate_millihertz,
        axes: format.axes,
        unit: format.unit,
        counts_per_thousand_units: format.counts_per_thousand_units,
        full_scale: format.full_scale,
    }
}

/// The board's name, which is its package's less `teff-`.
pub const fn board_name(package: &'static str) -> &'static str {
    match package.split_at_checked(5) {
        Some((_, name)) => name,
        None => package,
    }
}
