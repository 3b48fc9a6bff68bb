//! What a simulated sensor measures: the signal that the emulator laid into the memory of jobs.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | `TSIG` |
//! | 4 | axes: 3 for an accelerometer, 1 for a microphone |
//! | 4 | instants per 1000 seconds |
//! | 4 | instants |
//! | … | samples, `i16`, all axes of an instant side by side: 256 counts per g, or full scale 32,768 |
//!
//! Numbers are written low byte first.

use crate::Machine;
use crate::memory;

const MARK: [u8; 4] = *b"TSIG";
const HEADER_BYTES: usize = 16;

/// A signal.
#[derive(Clone, Copy, Debug)]
pub struct Signal {
    /// Samples of an instant.
    pub axes: usize,
    /// Instants per 1000 seconds.
    pub rate_millihertz: u32,
    /// The samples, all axes of an instant side by side.
    pub samples: &'static [i16],
}

impl Signal {
    /// The signal that the emulator was started with, if it was.
    pub fn given(machine: Machine) -> Option<Signal> {
        let (header, _) = memory::job(machine).split_at_checked(HEADER_BYTES)?;
        let [mark, axes, rate, instants] = header.as_chunks::<4>().0 else { return None };
        let number = |bytes: &[u8; 4]| u32::from_le_bytes(*bytes);
        let axes = number(axes) as usize;
        let len = (number(instants) as usize).checked_mul(axes)?;
        let samples = memory::job_samples(machine, HEADER_BYTES, len);
        (*mark == MARK && samples.len() == len).then_some(Signal {
            axes,
            rate_millihertz: number(rate),
            samples,
        })
    }
}
