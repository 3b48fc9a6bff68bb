//! `footprint` without the model: start-up code and nothing else.
#![no_std]
#![no_main]

use core::hint::black_box;

use cortex_m_rt::entry;
// Its interrupt vectors.
use cortex_m as _;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[entry]
fn main() -> ! {
    loop {
        black_box(1);
    }
}
