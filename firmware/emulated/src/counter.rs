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

/// As far as the timer counts: it begins anew every 520 million instructions or more.
const LONGEST: u32 = 0x00ff_ffff;

static WRAPS: AtomicU32 = AtomicU32::new(0);

#[exception]
fn SysTick() {
    // The only writer.
    WRAPS.store(WRAPS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

/// The running timer. It begins anew, and wakes a processor that waits, every `RELOAD` + 1 ticks.
pub struct Timer<const RELOAD: u32> {
    timer_hz: u64,
}

/// Counts and disturbs nothing.
pub type Counter = Timer<LONGEST>;

/// Wakes a waiting processor a thousand times a second, about: the timers of these boards have 20 to 32 MHz.
pub type Clock = Timer<24_999>;

impl<const RELOAD: u32> Timer<RELOAD> {
    /// Starts the timer.
    pub fn start(mut timer: SYST, machine: Machine) -> Self {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(RELOAD);
        timer.clear_current();
        timer.enable_interrupt();
        timer.enable_counter();
        Timer { timer_hz: machine.timer_hz().into() }
    }

    /// Instructions since the start, in steps of a tick; or nanoseconds of the emulator's time, which is the
    /// same with one virtual nanosecond per instruction.
    pub fn now(&self) -> u64 {
        loop {
            let wraps = WRAPS.load(Ordering::Relaxed);
            let current = SYST::get_current();
            // A wrap between the two would make them disagree.
            if wraps == WRAPS.load(Ordering::Relaxed) {
                let period = RELOAD + 1;
                // The timer shows 0 for a tick before it wraps.
                let ticks = u64::from(wraps) * u64::from(period) + u64::from((period - current) % period);
                return ticks * 1_000_000_000 / self.timer_hz;
            }
        }
    }
}
