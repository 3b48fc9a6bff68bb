//! The part of the memory map that no linker script hands out.
#![allow(unsafe_code)]

use crate::Machine;

/// The memory in which the emulator puts a job; zeros when it put none.
pub fn job(machine: Machine) -> &'static [u8] {
    let (address, len) = machine.job();
    let start = core::ptr::with_exposed_provenance(address);
    // SAFETY: the machine that the program was built for has memory in this whole range; no board's
    // `memory.x` gives any of it to the linker and nothing on the board writes to it, so that it is
    // constant while the program runs.
    unsafe { core::slice::from_raw_parts(start, len) }
}
