//! Counts instructions, in the emulator.
//!
//! With one virtual nanosecond per instruction (`-icount shift=0`) the core's timer ticks once in 31
//! to 50 instructions, as its frequency says. On hardware the same numbers would be multiples of the
//! timer's ticks and mean nothing of the kind.

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;

use crate::Machine;

/// The timer counts down from here and begins anew, every 520 million instructions or more.
const RELOAD: u32 = 0x00ff_ffff;

static WRAPS: AtomicU32 = AtomicU32::new(0);

#[exception]
fn SysTick() {
    // The only writer.
    WRAPS.store(WRAPS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

/// The running counter.
pub struct Counter {
    timer_hz: u64,
}

impl Counter {
    /// Starts the timer.
    pub fn start(mut timer: SYST, machine: Machine) -> Counter {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(RELOAD);
        timer.clear_current();
        timer.enable_interrupt();
        timer.enable_counter();
        Counter { timer_hz: machine.timer_hz().into() }
    }

    /// Instructions since the start, in steps of a tick.
    pub fn now(&self) -> u64 {
        loop {
            let wraps = WRAPS.load(Ordering::Relaxed);
            let current = SYST::get_current();
            // A wrap between the two would make them disagree.
            if wraps == WRAPS.load(Ordering::Relaxed) {
                let ticks = (u64::from(wraps) << 24) + u64::from((RELOAD + 1 - current) & RELOAD);
                return ticks * 1_000_000_000 / self.timer_hz;
            }
        }
    }
}
