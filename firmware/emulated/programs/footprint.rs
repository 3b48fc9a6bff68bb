//! A program that runs its model and nothing else: `cargo xtask size` subtracts `footprint_base`
//! from it to know what the engine takes.
#![no_std]
#![no_main]

use core::hint::black_box;

use cortex_m_rt::entry;
use teff::{Arena, Session};

teff::include_model!(Linked, concat!(env!("OUT_DIR"), "/model.teff"));

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[entry]
fn main() -> ! {
    static mut ARENA: Arena<{ Linked::ARENA_BYTES }> = Arena::new();
    let mut session = Session::<Linked>::new(ARENA);
    loop {
        if let Ok(session) = &mut session {
            // What fills an input is the application's.
            if let Some(first) = session.input_mut(0).first_mut() {
                *first = black_box(1);
            }
            session.invoke();
            black_box(session.output(0).argmax());
        }
    }
}
