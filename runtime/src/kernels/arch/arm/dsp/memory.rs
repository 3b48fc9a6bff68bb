//! Filling and copying in loops of a few instructions, so that programs need not link the larger ones of the language.
#![allow(unsafe_code)]

use core::arch::naked_asm;

/// Fills `to` with `value`.
pub(super) fn fill(to: &mut [i8], value: i8) {
    // SAFETY: writes the bytes of the slice.
    unsafe { fill_words(to.as_mut_ptr(), to.len(), u32::from(value as u8) * 0x0101_0101) }
}

/// Copies as many elements as both slices have.
pub(super) fn copy(to: &mut [i8], from: &[i8]) {
    // SAFETY: both slices have that many bytes, and a mutable slice overlaps no other.
    unsafe { copy_bytes(to.as_mut_ptr(), from.as_ptr(), to.len().min(from.len())) }
}

/// Writes `pattern` again and again, `len` bytes from `to` on.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn fill_words(to: *mut i8, len: usize, pattern: u32) {
    naked_asm!(
        processor!(),
        "subs r1, r1, #4",
        "blo 3f",
        "2:",
        "str r2, [r0], #4",
        "subs r1, r1, #4",
        "bhs 2b",
        "3:",
        "adds r1, r1, #4",
        "beq 5f",
        "4:",
        "strb r2, [r0], #1",
        "subs r1, r1, #1",
        "bne 4b",
        "5:",
        "bx lr",
    )
}

/// Copies `len` bytes that do not overlap.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn copy_bytes(to: *mut i8, from: *const i8, len: usize) {
    naked_asm!(
        processor!(),
        "subs r2, r2, #4",
        "blo 3f",
        "2:",
        "ldr r3, [r1], #4",
        "str r3, [r0], #4",
        "subs r2, r2, #4",
        "bhs 2b",
        "3:",
        "adds r2, r2, #4",
        "beq 5f",
        "4:",
        "ldrb r3, [r1], #1",
        "strb r3, [r0], #1",
        "subs r2, r2, #1",
        "bne 4b",
        "5:",
        "bx lr",
    )
}
