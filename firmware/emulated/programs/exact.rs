//! Loops of known length between marks: what the emulator's plugin must count, to the instruction.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use panic_semihosting as _;
use teff_emulated::{console, mark};

#[entry]
fn main() -> ! {
    for loops in [1, 1_000, 100_000, 10_000_000] {
        mark::begin();
        // A loop of two instructions, run once more than is said.
        cortex_m::asm::delay(loops - 1);
        mark::end();
    }
    console::exit(true)
}
