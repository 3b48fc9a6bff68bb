//! Filling and copying, 16 bytes at a time.
#![allow(unsafe_code)]

use core::arch::naked_asm;

/// Fills `to` with `value`.
pub(super) fn fill(to: &mut [i8], value: i8) {
    // SAFETY: writes the bytes of the slice.
    unsafe { fill_bytes(to.as_mut_ptr(), to.len(), value) }
}

/// Copies as many elements as both slices have.
pub(super) fn copy(to: &mut [i8], from: &[i8]) {
    let len = to.len().min(from.len());
    // SAFETY: both slices have that many bytes, and a mutable slice overlaps no other.
    unsafe { copy_rows(to.as_mut_ptr(), from.as_ptr(), len, 1, 0, 0) }
}

#[unsafe(naked)]
unsafe extern "C" fn fill_bytes(to: *mut i8, len: usize, value: i8) {
    naked_asm!(
        processor!(),
        "push {{r4, lr}}",
        "vdup.8 q0, r2",
        "wlstp.8 lr, r1, 3f",
        "2:",
        "vstrb.8 q0, [r0], #16",
        "letp lr, 2b",
        "3:",
        "pop {{r4, pc}}",
    )
}

/// Copies `rows` (1 or more) runs of `len` bytes, `to_stride` and `from_stride` bytes apart. They do not overlap.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn copy_rows(
    to: *mut i8,
    from: *const i8,
    len: usize,
    rows: usize,
    to_stride: usize,
    from_stride: usize,
) {
    naked_asm!(
        processor!(),
        "push {{r4-r6, lr}}",
        "ldrd r4, r5, [sp, #16]",
        "2:",
        "mov r12, r0",
        "mov r6, r1",
        "wlstp.8 lr, r2, 4f",
        "3:",
        "vldrb.u8 q0, [r1], #16",
        "vstrb.8 q0, [r0], #16",
        "letp lr, 3b",
        "4:",
        "add r0, r12, r4",
        "add r1, r6, r5",
        "subs r3, r3, #1",
        "bne 2b",
        "pop {{r4-r6, pc}}",
    )
}
