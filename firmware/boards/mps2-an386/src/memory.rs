//! The part of the memory map that no linker script hands out.
#![allow(unsafe_code)]

/// Where the emulator puts a job before the start: the board's 16 MB of PSRAM.
const JOB_ADDRESS: usize = 0x2100_0000;
const JOB_BYTES: usize = 16 << 20;

/// The memory in which the emulator puts a job; zeros when it put none.
pub fn job() -> &'static [u8] {
    let start = core::ptr::with_exposed_provenance(JOB_ADDRESS);
    // SAFETY: the board has memory in this whole range; `memory.x` gives none of it to the linker and
    // nothing on the board writes to it, so that it is constant while the program runs.
    unsafe { core::slice::from_raw_parts(start, JOB_BYTES) }
}
