//! Runs the embedded model on inputs that a host can make too, and prints the integers of its outputs, an inference a line.
#![no_std]
#![no_main]

use core::fmt::Write;

use board::Output;
use teff::{Arena, Session};

teff::include_model!(Linked, concat!(env!("OUT_DIR"), "/model.teff"));

const INPUTS: usize = 32;

board::program!(run);

fn run(out: &mut Output) -> bool {
    let mut arena = Arena::<{ Linked::ARENA_BYTES }>::new();
    let Ok(mut session) = Session::<Linked>::new(&mut arena) else { return false };
    let mut state = 1u32;
    let mut success = true;
    for _ in 0..INPUTS {
        for element in session.input_mut(0) {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *element = (state >> 24) as i8;
        }
        session.invoke();
        for value in session.output(0).values {
            success &= write!(out, "{value} ").is_ok();
        }
        success &= writeln!(out).is_ok();
    }
    success
}
