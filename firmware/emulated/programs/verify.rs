//! Answers the questions of `trainer verify` and `trainer profile`; the plan and its inputs come
//! through memory.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use panic_semihosting as _;
use teff::Arena;
use teff_emulated::console::{self, Console};
use teff_emulated::counter::Counter;
use teff_emulated::mark;
use teff_emulated::memory::{self, PaintedStack};
use teff_verify::{Instruments, Memory, answer};

const ARENA_BYTES: usize = 3 << 20;
const WORKSPACE_WORDS: usize = 64 << 10;

/// The emulator's instruments.
struct Emulated {
    counter: Counter,
    stack: Option<PaintedStack>,
}

impl Instruments for Emulated {
    fn now(&mut self) -> u64 {
        self.counter.now()
    }

    fn keep_still(&mut self) {
        cortex_m::interrupt::disable();
    }

    fn begin(&mut self) {
        mark::begin();
    }

    fn end(&mut self) {
        mark::end();
    }

    fn paint_stack(&mut self) {
        self.stack = Some(memory::paint_stack());
    }

    fn stack_bytes(&mut self) -> usize {
        self.stack.map_or(0, PaintedStack::used_bytes)
    }
}

#[entry]
fn main() -> ! {
    static mut ARENA: Arena<ARENA_BYTES> = Arena::new();
    static mut WORKSPACE: [u32; WORKSPACE_WORDS] = [0; WORKSPACE_WORDS];
    let success = match cortex_m::Peripherals::take() {
        Some(peripherals) => {
            let counter = Counter::start(peripherals.SYST, board::MACHINE);
            let mut instruments = Emulated { counter, stack: None };
            let memory = Memory { arena: ARENA.as_mut_slice(), workspace: WORKSPACE };
            answer(memory::job(board::MACHINE), memory, &mut instruments, &mut Console::open())
        }
        None => false,
    };
    console::exit(success)
}
