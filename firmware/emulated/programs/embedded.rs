//! Compares a session of the embedded model, for which only what it needs is linked, with one of the same plan opened at
//! run time, for which everything is: the same bits, at once and in slices.
#![no_std]
#![no_main]

use core::fmt::Write;

use cortex_m_rt::entry;
use panic_semihosting as _;
use teff::{Arena, Model, Progress, Session, StaticModel};
use teff_emulated::console::{self, Console};

teff::include_model!(Linked, concat!(env!("OUT_DIR"), "/model.teff"));

const INPUTS: u32 = 8;

#[entry]
fn main() -> ! {
    static mut ARENA: Arena<{ Linked::ARENA_BYTES }> = Arena::new();
    static mut OTHER: Arena<{ Linked::ARENA_BYTES }> = Arena::new();
    let mut out = Console::open();
    let opened = Model::new(Linked::PLAN.as_bytes()).and_then(|model| {
        Ok((Session::<Linked>::new(ARENA)?, Session::from_model(model, OTHER.as_mut_slice())?))
    });
    let (mut embedded, mut opened) = match opened {
        Ok(sessions) => sessions,
        Err(error) => {
            let _ = writeln!(out, "{error}");
            console::exit(false)
        }
    };
    let (n_inputs, n_outputs) = (opened.model().n_inputs(), opened.model().n_outputs());
    let (mut state, mut differing) = (1u32, 0);
    for number in 0..INPUTS {
        for i in 0..n_inputs {
            for (a, b) in embedded.input_mut(i).iter_mut().zip(opened.input_mut(i)) {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *a = (state >> 24) as i8;
                *b = *a;
            }
        }
        if number % 2 == 0 {
            embedded.invoke();
        } else {
            while embedded.step(1000 * number) == Progress::Pending {}
        }
        opened.invoke();
        let differs = (0..n_outputs).any(|i| embedded.output(i).values != opened.output(i).values);
        differing += u32::from(differs);
    }
    let _ = writeln!(out, "{INPUTS} inputs, outputs differ for {differing}");
    console::exit(differing == 0)
}
