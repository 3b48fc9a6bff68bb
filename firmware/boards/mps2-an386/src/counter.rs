//! Counts instructions, in the emulator.
//!
//! With one virtual nanosecond per instruction (`-icount shift=0`) the board's 25 MHz timer ticks
//! once in 40 instructions. On hardware the same numbers would be 40 times the timer's ticks and
//! mean nothing of the kind.

use core::sync::atomic::{AtomicU32, Ordering};

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_rt::exception;

/// Instructions per tick of the timer.
pub const INSTRUCTIONS_PER_TICK: u64 = 40;

/// The timer counts down from here and begins anew, every 671 million instructions.
const RELOAD: u32 = 0x00ff_ffff;

static WRAPS: AtomicU32 = AtomicU32::new(0);

#[exception]
fn SysTick() {
    // The only writer.
    WRAPS.store(WRAPS.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

/// The running counter.
pub struct Counter(());

impl Counter {
    /// Starts the timer.
    pub fn start(mut timer: SYST) -> Counter {
        timer.set_clock_source(SystClkSource::Core);
        timer.set_reload(RELOAD);
        timer.clear_current();
        timer.enable_interrupt();
        timer.enable_counter();
        Counter(())
    }

    /// Instructions since the start, in steps of 40.
    pub fn now(&self) -> u64 {
        loop {
            let wraps = WRAPS.load(Ordering::Relaxed);
            let current = SYST::get_current();
            // A wrap between the two would make them disagree.
            if wraps == WRAPS.load(Ordering::Relaxed) {
                let ticks = (u64::from(wraps) << 24) + u64::from((RELOAD + 1 - current) & RELOAD);
                return ticks * INSTRUCTIONS_PER_TICK;
            }
        }
    }
}
