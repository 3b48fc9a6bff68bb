//! Marks in a program's run: between [`begin`] and [`end`] the emulator's plugin counts instructions
//! (`trainer/board/counter`). It finds both by their names in the program's file.

use core::sync::atomic::{Ordering, compiler_fence};

/// Counting starts behind this call.
#[inline(never)]
pub fn begin() {
    compiler_fence(Ordering::SeqCst);
    cortex_m::asm::nop();
}

/// Counting stops here. Not the same instructions as [`begin`], or the two would become one.
#[inline(never)]
pub fn end() {
    compiler_fence(Ordering::SeqCst);
    cortex_m::asm::nop();
    cortex_m::asm::nop();
}
