//! Bytes repeated several times each.
#![allow(unsafe_code)]

#[cfg(any(teff_mve, teff_dsp, teff_armv6m, teff_armv7m))]
use core::arch::naked_asm;

/// Writes each element of `from` `times` times, one after the other; nothing where `to` has no room for all.
pub(super) fn repeat(to: &mut [i8], from: &[i8], times: usize) {
    if times > 0 && !from.is_empty() && to.len() >= from.len() * times {
        // SAFETY: a byte or more to read, room for `times` of each, and a mutable slice overlaps no other.
        unsafe { repeat_bytes(to.as_mut_ptr(), from.as_ptr(), from.len(), times) }
    }
}

/// Repeats `count` bytes. Both numbers are 1 or more.
#[cfg(not(any(teff_mve, teff_dsp, teff_armv6m, teff_armv7m)))]
unsafe fn repeat_bytes(to: *mut i8, from: *const i8, count: usize, times: usize) {
    for i in 0..count * times {
        // SAFETY: the caller's.
        unsafe { *to.add(i) = *from.add(i / times) };
    }
}

/// Repeats `count` bytes. Both numbers are 1 or more. Two, three, four and eight times have loops of their own.
#[cfg(any(teff_dsp, teff_armv7m))]
#[unsafe(naked)]
unsafe extern "C" fn repeat_bytes(to: *mut i8, from: *const i8, count: usize, times: usize) {
    naked_asm!(
        "push {{r4-r7, lr}}",
        "mov r12, #0x01010101",
        "cmp r3, #8",
        "beq 80f",
        "cmp r3, #4",
        "bhi 10f",
        // Four bytes at a time, then those left over by the last loop.
        "subs r2, r2, #4",
        "blo 9f",
        "cmp r3, #3",
        "beq 30f",
        "bhi 40f",
        "cmp r3, #2",
        "bne 9f",
        // Twice.
        "mov r12, #0x00FF00FF",
        "20:",
        "ldr r4, [r1], #4",
        "and r5, r12, r4, lsr #8",
        "and r4, r4, r12",
        "orr r5, r5, r5, lsl #8",
        "orr r4, r4, r4, lsl #8",
        "lsrs r6, r4, #16",
        "bfi r4, r5, #16, #16",
        "bfi r5, r6, #0, #16",
        "str r4, [r0], #4",
        "str r5, [r0], #4",
        "subs r2, r2, #4",
        "bhs 20b",
        "mov r12, #0x01010101",
        "b 9f",
        // Three times.
        "30:",
        "ldrb r4, [r1], #1",
        "ldrb r5, [r1], #1",
        "ldrb r6, [r1], #1",
        "ldrb r7, [r1], #1",
        "mul r4, r4, r12",
        "mul r6, r6, r12",
        "bfi r4, r5, #24, #8",
        "mul r5, r5, r12",
        "bfi r5, r6, #16, #16",
        "mul r7, r7, r12",
        "bfi r7, r6, #0, #8",
        "str r4, [r0], #4",
        "str r5, [r0], #4",
        "str r7, [r0], #4",
        "subs r2, r2, #4",
        "bhs 30b",
        "b 9f",
        // Four times.
        "40:",
        "ldrb r4, [r1], #1",
        "ldrb r5, [r1], #1",
        "ldrb r6, [r1], #1",
        "ldrb r7, [r1], #1",
        "mul r4, r4, r12",
        "mul r5, r5, r12",
        "mul r6, r6, r12",
        "mul r7, r7, r12",
        "str r4, [r0], #4",
        "str r5, [r0], #4",
        "str r6, [r0], #4",
        "str r7, [r0], #4",
        "subs r2, r2, #4",
        "bhs 40b",
        "9:",
        "adds r2, r2, #4",
        "beq 19f",
        // Any number of times: words, then bytes.
        "10:",
        "ldrb r4, [r1], #1",
        "mul r4, r4, r12",
        "subs r5, r3, #4",
        "blo 12f",
        "11:",
        "str r4, [r0], #4",
        "subs r5, r5, #4",
        "bhs 11b",
        "12:",
        "adds r5, r5, #4",
        "beq 14f",
        "13:",
        "strb r4, [r0], #1",
        "subs r5, r5, #1",
        "bne 13b",
        "14:",
        "subs r2, r2, #1",
        "bne 10b",
        "19:",
        "pop {{r4-r7, pc}}",
        // Eight times.
        "80:",
        "ldrb r4, [r1], #1",
        "mul r4, r4, r12",
        "str r4, [r0], #4",
        "str r4, [r0], #4",
        "subs r2, r2, #1",
        "bne 80b",
        "pop {{r4-r7, pc}}",
    )
}

/// Repeats `count` bytes. Both numbers are 1 or more.
#[cfg(teff_armv6m)]
#[unsafe(naked)]
unsafe extern "C" fn repeat_bytes(to: *mut i8, from: *const i8, count: usize, times: usize) {
    naked_asm!(
        "push {{r4, r5, lr}}",
        "2:",
        "ldrb r4, [r1]",
        "adds r1, r1, #1",
        "mov r5, r3",
        "3:",
        "subs r5, r5, #1",
        "strb r4, [r0, r5]",
        "bne 3b",
        "adds r0, r0, r3",
        "subs r2, r2, #1",
        "bne 2b",
        "pop {{r4, r5, pc}}",
    )
}

/// Repeats `count` bytes. Both numbers are 1 or more.
///
/// Up to 13 times, a vector is gathered. Its first byte is repeat `r4` of an input, so that lane `i` is of the input
/// `(r4 + i) / times` from there on: less than 29 by a reciprocal in 256ths whose error is too small for a difference.
#[cfg(teff_mve)]
#[unsafe(naked)]
unsafe extern "C" fn repeat_bytes(to: *mut i8, from: *const i8, count: usize, times: usize) {
    naked_asm!(
        ".cpu cortex-m55",
        "push {{r4-r8, lr}}",
        "cmp r3, #13",
        "bhi 5f",
        "cmp r3, #1",
        "beq 5f",
        // The reciprocal; inputs in a vector, and the repeats behind them.
        "movs r5, #255",
        "udiv r5, r5, r3",
        "adds r5, r5, #1",
        "vdup.8 q2, r5",
        "movs r6, #16",
        "udiv r5, r6, r3",
        "mls r6, r5, r3, r6",
        "movs r4, #0",
        "mul r2, r2, r3",
        "wlstp.8 lr, r2, 4f",
        "2:",
        "mov r8, r4",
        "vidup.u8 q0, r8, #1",
        "vmulh.u8 q0, q0, q2",
        "vldrb.u8 q1, [r1, q0]",
        "vstrb.8 q1, [r0], #16",
        "adds r1, r1, r5",
        "adds r4, r4, r6",
        "cmp r4, r3",
        "itt hs",
        "subhs r4, r4, r3",
        "addhs r1, r1, #1",
        "letp lr, 2b",
        "4:",
        "pop {{r4-r8, pc}}",
        // More often: a vector of one input at a time.
        "5:",
        "ldrb r4, [r1], #1",
        "vdup.8 q0, r4",
        "adds r5, r0, r3",
        "wlstp.8 lr, r3, 7f",
        "6:",
        "vstrb.8 q0, [r0], #16",
        "letp lr, 6b",
        "7:",
        "mov r0, r5",
        "subs r2, r2, #1",
        "bne 5b",
        "pop {{r4-r8, pc}}",
    )
}
