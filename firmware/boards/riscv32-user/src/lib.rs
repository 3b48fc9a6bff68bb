//! A program of Linux on RISC-V with neither a library nor a loader: its start, text to the standard output, its end.
//!
//! What runs here is what runs on a microcontroller with the same instructions (RV32IMC, as the ESP32-C3's): the portable
//! kernels, sessions and plans. Memory map, interrupts and peripherals are not there.
#![no_std]
// The start of a program and two calls of the system.
#![allow(unsafe_code)]

use core::arch::{asm, naked_asm};
use core::fmt::{self, Write};
use core::panic::PanicInfo;

/// Numbers of system calls of Linux on RISC-V.
const WRITE: usize = 64;
const EXIT: usize = 93;

/// Makes a function from [`Output`] to whether it was successful the program.
#[macro_export]
macro_rules! program {
    ($main:path) => {
        // SAFETY: no other function of a program has this name.
        #[unsafe(export_name = "teff_program")]
        extern "Rust" fn program(out: &mut $crate::Output) -> bool {
            $main(out)
        }
    };
}

unsafe extern "Rust" {
    /// What [`program!`] names.
    safe fn teff_program(out: &mut Output) -> bool;
}

/// Where the program begins, with the stack that the system gives it.
#[unsafe(naked)]
#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    naked_asm!("andi sp, sp, -16", "call {begin}", begin = sym begin)
}

extern "C" fn begin() -> ! {
    let mut out = Output { line: heapless::String::new() };
    let success = teff_program(&mut out) && out.flush().is_ok();
    exit(if success { 0 } else { 1 })
}

/// The standard output, line by line.
pub struct Output {
    line: heapless::String<256>,
}

impl Output {
    fn flush(&mut self) -> fmt::Result {
        let written = write(self.line.as_bytes());
        self.line.clear();
        if written { Ok(()) } else { Err(fmt::Error) }
    }
}

impl Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if self.line.push(c).is_err() {
                self.flush()?;
                self.line.push(c).map_err(|_| fmt::Error)?;
            }
            if c == '\n' {
                self.flush()?;
            }
        }
        Ok(())
    }
}

/// Writes all bytes to the standard output, or says that it cannot.
fn write(mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        let written: isize;
        // SAFETY: the system reads `bytes.len()` bytes from where they are, and changes nothing but the result.
        unsafe {
            asm!(
                "ecall",
                in("a7") WRITE,
                inlateout("a0") 1_isize => written,
                in("a1") bytes.as_ptr(),
                in("a2") bytes.len(),
                options(nostack),
            );
        }
        let Some(rest) = usize::try_from(written).ok().filter(|&n| n > 0).and_then(|n| bytes.get(n..)) else {
            return false;
        };
        bytes = rest;
    }
    true
}

fn exit(code: usize) -> ! {
    // SAFETY: ends the program.
    unsafe { asm!("ecall", in("a7") EXIT, in("a0") code, options(noreturn, nostack)) }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let mut out = Output { line: heapless::String::new() };
    let _ = writeln!(out, "{info}");
    exit(101)
}
