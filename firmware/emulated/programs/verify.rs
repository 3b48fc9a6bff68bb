//! Answers the questions of `trainer verify`; the plan and its inputs come through memory.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use panic_semihosting as _;
use teff::Arena;
use teff_emulated::console::{self, Console};
use teff_emulated::counter::Counter;
use teff_emulated::memory;
use teff_verify::{Memory, answer};

const ARENA_BYTES: usize = 3 << 20;
const WORKSPACE_WORDS: usize = 64 << 10;

#[entry]
fn main() -> ! {
    static mut ARENA: Arena<ARENA_BYTES> = Arena::new();
    static mut WORKSPACE: [u32; WORKSPACE_WORDS] = [0; WORKSPACE_WORDS];
    let success = match cortex_m::Peripherals::take() {
        Some(peripherals) => {
            let counter = Counter::start(peripherals.SYST, board::MACHINE);
            let memory = Memory { arena: ARENA.as_mut_slice(), workspace: WORKSPACE };
            answer(memory::job(board::MACHINE), memory, || counter.now(), &mut Console::open())
        }
        None => false,
    };
    console::exit(success)
}
