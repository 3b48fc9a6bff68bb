//! Checks the instruction counter with loops of known length, one of them longer than the timer's
//! period.
#![no_std]
#![no_main]

use core::fmt::Write;

use cortex_m_rt::entry;
use panic_semihosting as _;
use teff_emulated::console::{self, Console};
use teff_emulated::counter::Counter;

#[entry]
fn main() -> ! {
    let mut out = Console::open();
    let mut success = false;
    if let Some(peripherals) = cortex_m::Peripherals::take() {
        let counter = Counter::start(peripherals.SYST, board::MACHINE);
        success = [20_000, 1_000_000, 20_000_000, 700_000_000].into_iter().all(|instructions| {
            let before = counter.now();
            // A loop of two instructions, run half as many times and once more.
            cortex_m::asm::delay(instructions / 2);
            let counted = counter.now() - before;
            let off = counted.abs_diff(instructions.into());
            // Reading the timer takes some, and it counts in steps of a tick.
            let verdict = if off <= 200 { "right" } else { "WRONG" };
            writeln!(out, "{instructions} instructions: counted {verdict}").is_ok() && off <= 200
        });
    }
    console::exit(success)
}
