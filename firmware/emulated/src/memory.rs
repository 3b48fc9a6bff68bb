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

/// The first `len` samples of a job, `at` bytes from its beginning; fewer where it is not as long.
pub fn job_samples(machine: Machine, at: usize, len: usize) -> &'static [i16] {
    let (_, room) = machine.job();
    let at = at.next_multiple_of(2).min(room);
    let (address, _) = machine.job();
    let start = core::ptr::with_exposed_provenance(address + at);
    // SAFETY: as in `job`; the range lies within that one, its address is even, and every pair of bytes
    // is a sample.
    unsafe { core::slice::from_raw_parts(start, len.min((room - at) / 2)) }
}

/// Registers of the first UART, in bytes from its address.
#[derive(Clone, Copy, Debug)]
pub(crate) enum UartRegister {
    Data = 0x0,
    State = 0x4,
    Control = 0x8,
    Divider = 0x10,
}

/// Reads a register of the first UART.
pub(crate) fn read_uart(machine: Machine, register: UartRegister) -> u32 {
    let address = core::ptr::with_exposed_provenance::<u32>(machine.uart() + register as usize);
    // SAFETY: a register of the machine that the program was built for, at an address that is a multiple of
    // four; no variable is there.
    unsafe { address.read_volatile() }
}

/// Writes a register of the first UART.
pub(crate) fn write_uart(machine: Machine, register: UartRegister, value: u32) {
    let address = core::ptr::with_exposed_provenance_mut::<u32>(machine.uart() + register as usize);
    // SAFETY: as in `read_uart`; none of these registers makes the device read or write memory.
    unsafe { address.write_volatile(value) };
}

/// How far below the painter's caller the stack is looked at.
const PAINTED_BYTES: usize = 64 << 10;
const PAINT: u32 = 0x5EED_F00D;

/// A part of the stack that was painted, to see later how much of it was used.
#[derive(Clone, Copy, Debug)]
pub struct PaintedStack {
    bottom: usize,
    top: usize,
}

/// Paints the free stack, 64 KB of it at most.
#[inline(never)]
pub fn paint_stack() -> PaintedStack {
    unsafe extern "C" {
        /// Where the linker's variables end.
        static __sheap: u32;
    }
    // What this function itself has on the stack lies within the margin.
    const MARGIN: usize = 64;
    let top = cortex_m::register::msp::read() as usize;
    let limit = (&raw const __sheap).addr().next_multiple_of(4);
    let bottom = limit.max(top.saturating_sub(PAINTED_BYTES));
    for address in (bottom..top - MARGIN).step_by(4) {
        // SAFETY: these words lie above all variables and below what is on the stack now, so that
        // nobody's value is in them; the range was made from the stack's own limits.
        unsafe { core::ptr::with_exposed_provenance_mut::<u32>(address).write_volatile(PAINT) };
    }
    PaintedStack { bottom, top }
}

impl PaintedStack {
    /// Bytes that were used below the place where the stack was painted.
    pub fn used_bytes(self) -> usize {
        let still_painted = |address: &usize| {
            // SAFETY: a word of the range that was painted; reading it changes nothing.
            let word = unsafe { core::ptr::with_exposed_provenance::<u32>(*address).read_volatile() };
            word == PAINT
        };
        let untouched = (self.bottom..self.top).step_by(4).take_while(still_painted).count();
        self.top - self.bottom - 4 * untouched
    }
}
