//! The passes of the Fourier transform, and the powers of its bins.
//!
//! A point is a word, its real part in the low half. Passes give the *extent* of what they wrote: the ones of `w ^ (w << 1)` of
//! every word `w`.

use core::arch::naked_asm;

/// Pairs: sum and difference, shifted right by `shift`, 0 or 1, and rounded half up. The length is a multiple of four.
pub(crate) fn radix_2(points: &mut [u32], shift: u32) -> u32 {
    let fours = points.as_chunks_mut::<4>().0.as_mut_ptr_range();
    if fours.is_empty() {
        return 0;
    }
    // SAFETY: `fours` are the whole groups of four of a slice, at least one.
    unsafe { if shift == 0 { pairs(fours.start, fours.end) } else { halved_pairs(fours.start, fours.end) } }
}

/// Quadruples: the butterfly of radix 4 without twiddles, shifted right by `shift` and rounded half up.
pub(crate) fn first_radix_4(points: &mut [u32], shift: u32) -> u32 {
    let fours = points.as_chunks_mut::<4>().0.as_mut_ptr_range();
    if fours.is_empty() {
        return 0;
    }
    // SAFETY: `fours` are the whole groups of four of a slice, at least one. The shift is below 32.
    unsafe { quadruples(fours.start, fours.end, shift & 31) }
}

/// Joins four transforms of `quarter` points into one, all over the block, and shifts right by `shift`. Three words of `turns` are
/// the twiddles of the second, the third and the fourth of them for a point. `shift` is at most 3.
pub(crate) fn radix_4(points: &mut [u32], turns: &[u32], quarter: usize, shift: u32) -> u32 {
    let (bytes, group) = (4 * quarter, 4 * quarter);
    // The loop counts the points of a quarter in ten bits.
    if !quarter.is_power_of_two() || quarter > 256 || turns.len() < 3 * quarter || points.len() < group {
        return 0;
    }
    let pass = match shift {
        0 => joined::<3>,
        1 => joined::<4>,
        2 => joined::<5>,
        _ => joined::<6>,
    };
    let whole = points.len() & !(group - 1);
    let points = points.get_mut(..whole).unwrap_or(&mut []).as_mut_ptr_range();
    // SAFETY: from `start` to `end` lie whole groups of four quarters, at least one; `turns` has a triple for each point of a
    // quarter.
    unsafe { pass(points.start, turns.as_ptr(), bytes, points.end) }
}

/// Powers of the bins that pairs of points make, the first of `front` with the last of `back` and so on, with the twiddles `turns`: of
/// twice the spectrum, its parts shifted right by `shift`, below 16, and rounded half up.
pub(crate) fn powers(front: &mut [u32], back: &mut [u32], turns: &[u32], shift: u32) {
    let pairs = front.len().min(back.len()).min(turns.len());
    if pairs > 0 {
        let behind = back.as_mut_ptr_range().end;
        // SAFETY: `pairs` points lie from the start of `front` and before the end of `back`, and as many twiddles from the start of
        // `turns`.
        unsafe {
            separated(front.as_mut_ptr(), behind, turns.as_ptr(), (pairs - 1) << 8 | (shift as usize & 15))
        }
    }
}

/// Reads and writes whole groups of four from `point` to `end`, at least one.
#[unsafe(naked)]
unsafe extern "C" fn pairs(point: *mut [u32; 4], end: *mut [u32; 4]) -> u32 {
    naked_asm!(
        processor!(),
        "push {{r4-r11}}",
        "mov r12, #0",
        "2:",
        "ldm r0, {{r4-r7}}",
        "sadd16 r8, r4, r5",
        "ssub16 r9, r4, r5",
        "sadd16 r10, r6, r7",
        "ssub16 r11, r6, r7",
        "stm r0!, {{r8-r11}}",
        "eor r8, r8, r8, lsl #1",
        "eor r9, r9, r9, lsl #1",
        "eor r10, r10, r10, lsl #1",
        "eor r11, r11, r11, lsl #1",
        "orr r12, r12, r8",
        "orr r12, r12, r9",
        "orr r12, r12, r10",
        "orr r12, r12, r11",
        "cmp r0, r1",
        "bne 2b",
        "mov r0, r12",
        "pop {{r4-r11}}",
        "bx lr",
    )
}

/// As [`pairs`], halved. Halves that go up are complements of halves of complements, which go down.
#[unsafe(naked)]
unsafe extern "C" fn halved_pairs(point: *mut [u32; 4], end: *mut [u32; 4]) -> u32 {
    naked_asm!(
        processor!(),
        "push {{r4-r11}}",
        "mov r12, #0",
        "mov r3, #0",
        "2:",
        "ldm r0, {{r4-r7}}",
        "shsub16 r9, r5, r4",
        "shsub16 r11, r7, r6",
        "mvn r4, r4",
        "mvn r5, r5",
        "mvn r6, r6",
        "mvn r7, r7",
        "shadd16 r8, r4, r5",
        "shadd16 r10, r6, r7",
        "ssub16 r9, r3, r9",
        "ssub16 r11, r3, r11",
        "mvn r8, r8",
        "mvn r10, r10",
        "stm r0!, {{r8-r11}}",
        "eor r8, r8, r8, lsl #1",
        "eor r9, r9, r9, lsl #1",
        "eor r10, r10, r10, lsl #1",
        "eor r11, r11, r11, lsl #1",
        "orr r12, r12, r8",
        "orr r12, r12, r9",
        "orr r12, r12, r10",
        "orr r12, r12, r11",
        "cmp r0, r1",
        "bne 2b",
        "mov r0, r12",
        "pop {{r4-r11}}",
        "bx lr",
    )
}

/// Reads and writes whole groups of four from `point` to `end`, at least one.
#[unsafe(naked)]
unsafe extern "C" fn quadruples(point: *mut [u32; 4], end: *mut [u32; 4], shift: u32) -> u32 {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        "mov r12, #0",
        "mov r3, #1",
        "lsl r3, r3, r2",
        "lsr r3, r3, #1",
        "2:",
        "ldm r0, {{r4-r7}}",
        // Imaginary parts: sum and difference of the first two with one half, in r9 and r8, of the others in r11 and r10.
        "add r8, r3, r4, asr #16",
        "add r9, r8, r5, asr #16",
        "sub r8, r8, r5, asr #16",
        "asr r10, r6, #16",
        "add r11, r10, r7, asr #16",
        "sub r10, r10, r7, asr #16",
        // Real parts: in lr and r4, in r5 and r6.
        "sxtah r4, r3, r4",
        "sxtah lr, r4, r5",
        "rsb r4, lr, r4, lsl #1",
        "sxth r6, r6",
        "sxtah r5, r6, r7",
        "rsb r6, r5, r6, lsl #1",
        "add lr, lr, r5",
        "sub r5, lr, r5, lsl #1",
        "add r9, r9, r11",
        "sub r11, r9, r11, lsl #1",
        "add r4, r4, r10",
        "sub r10, r4, r10, lsl #1",
        "sub r8, r8, r6",
        "add r6, r8, r6, lsl #1",
        "asr lr, lr, r2",
        "asr r5, r5, r2",
        "asr r9, r9, r2",
        "asr r11, r11, r2",
        "asr r4, r4, r2",
        "asr r10, r10, r2",
        "asr r8, r8, r2",
        "asr r6, r6, r2",
        "pkhbt r7, lr, r9, lsl #16",
        "pkhbt r8, r4, r8, lsl #16",
        "pkhbt r9, r5, r11, lsl #16",
        "pkhbt r10, r10, r6, lsl #16",
        "stm r0!, {{r7-r10}}",
        "eor r7, r7, r7, lsl #1",
        "eor r8, r8, r8, lsl #1",
        "eor r9, r9, r9, lsl #1",
        "eor r10, r10, r10, lsl #1",
        "orr r12, r12, r7",
        "orr r12, r12, r8",
        "orr r12, r12, r9",
        "orr r12, r12, r10",
        "cmp r0, r1",
        "bne 2b",
        "mov r0, r12",
        "pop {{r4-r11, pc}}",
    )
}

/// Joins groups of four quarters of `bytes` bytes each, from `point` to `end`, at least one. A quarter has at most 256 points, and as many
/// triples are at `turn`. The sums have `SHIFT` bits too many, 3 of them fractional.
#[unsafe(naked)]
unsafe extern "C" fn joined<const SHIFT: u32>(
    point: *mut u32,
    turn: *const u32,
    bytes: usize,
    end: *mut u32,
) -> u32 {
    naked_asm!(
        processor!(),
        "push {{r3-r11, lr}}",
        "mov r12, #0",
        // Bits from 22 on are above all that is kept of a sum, so that they can count. Below stands one half.
        "mov lr, #{half}",
        "sub lr, lr, #0x400000",
        "2:",
        "add lr, lr, r2, lsl #20",
        "add r3, r0, r2, lsl #1",
        "3:",
        "ldm r1!, {{r4-r6}}",
        "ldr r7, [r3, r2]",
        "ldr r8, [r3]",
        "smusd r9, r7, r6",
        "smuadx r7, r7, r6",
        "smusd r10, r8, r5",
        "smuadx r8, r8, r5",
        "asr r9, r9, #12",
        "asr r7, r7, #12",
        // Difference of the third and the fourth in r5 and r6, their sum in r9 and r7.
        "rsb r5, r9, r10, asr #12",
        "add r9, r9, r10, asr #12",
        "rsb r6, r7, r8, asr #12",
        "add r7, r7, r8, asr #12",
        "ldr r8, [r0, r2]",
        "ldr r11, [r0]",
        "smusd r10, r8, r4",
        "smuadx r8, r8, r4",
        "sxth r4, r11",
        "asr r11, r11, #16",
        "add r4, lr, r4, lsl #3",
        "add r11, lr, r11, lsl #3",
        // Sum of the first and the second in r10 and r8, their difference in r4 and r11.
        "add r10, r4, r10, asr #12",
        "rsb r4, r10, r4, lsl #1",
        "add r8, r11, r8, asr #12",
        "rsb r11, r8, r11, lsl #1",
        "add r10, r10, r9",
        "sub r9, r10, r9, lsl #1",
        "add r8, r8, r7",
        "sub r7, r8, r7, lsl #1",
        "add r4, r4, r6",
        "sub r6, r4, r6, lsl #1",
        "sub r11, r11, r5",
        "add r5, r11, r5, lsl #1",
        "asr r10, r10, #{down}",
        "asr r9, r9, #{down}",
        "asr r4, r4, #{down}",
        "asr r6, r6, #{down}",
        "pkhbt r10, r10, r8, lsl #{up}",
        "pkhbt r9, r9, r7, lsl #{up}",
        "pkhbt r4, r4, r11, lsl #{up}",
        "pkhbt r6, r6, r5, lsl #{up}",
        "str r4, [r0, r2]",
        "str r10, [r0], #4",
        "str r6, [r3, r2]",
        "str r9, [r3], #4",
        "eor r10, r10, r10, lsl #1",
        "eor r9, r9, r9, lsl #1",
        "eor r4, r4, r4, lsl #1",
        "eor r6, r6, r6, lsl #1",
        "orr r12, r12, r10",
        "orr r12, r12, r9",
        "orr r12, r12, r4",
        "orr r12, r12, r6",
        "subs lr, lr, #0x400000",
        "bpl 3b",
        "add r0, r3, r2",
        "sub r1, r1, r2",
        "sub r1, r1, r2, lsl #1",
        "ldr r4, [sp]",
        "cmp r0, r4",
        "bne 2b",
        "mov r0, r12",
        "pop {{r3-r11, pc}}",
        half = const 1 << (SHIFT - 1),
        down = const SHIFT,
        up = const 16 - SHIFT,
    )
}

/// Reads and writes points from `front` up and from `back` down, and as many words of `turn`: one more than `more_and_shift` says
/// above its lowest byte, which is the shift.
#[unsafe(naked)]
unsafe extern "C" fn separated(front: *mut u32, back: *mut u32, turn: *const u32, more_and_shift: usize) {
    naked_asm!(
        processor!(),
        "push {{r4-r11}}",
        // One half of what the last shift drops above one half of what the turn drops.
        "mov r11, #8192",
        "and r12, r3, #15",
        "lsl r12, r11, r12",
        "bic r12, r12, r11",
        "add r12, r11, r12",
        "2:",
        "ldr r4, [r0]",
        "ldr r5, [r1, #-4]!",
        "ldr r6, [r2], #4",
        // Sums and differences of both points: of the even samples in r8 and r10, of the odd ones in r7 and r9.
        "sxth r7, r5",
        "sxtah r8, r7, r4",
        "rsb r9, r8, r7, lsl #1",
        "asr r7, r4, #16",
        "sub r10, r7, r5, asr #16",
        "add r7, r7, r5, asr #16",
        // The odd ones turned. A product loses its lowest bit before it is added.
        "lsl r7, r7, #15",
        "lsl r9, r9, #15",
        "smlawb r4, r7, r6, r11",
        "smulwt r5, r9, r6",
        "sub r4, r4, r5",
        "smlawt r5, r7, r6, r12",
        "smlawb r5, r9, r6, r5",
        // Both bins.
        "add r8, r8, r12, asr #14",
        "add r7, r8, r4, asr #14",
        "sub r8, r8, r4, asr #14",
        "add r9, r10, r5, asr #14",
        "rsb r10, r10, r5, asr #14",
        "asr r7, r7, r3",
        "asr r8, r8, r3",
        "asr r9, r9, r3",
        "asr r10, r10, r3",
        "mul r7, r7, r7",
        "mul r8, r8, r8",
        "mla r7, r9, r9, r7",
        "mla r8, r10, r10, r8",
        "str r7, [r0], #4",
        "str r8, [r1]",
        "subs r3, r3, #256",
        "bpl 2b",
        "pop {{r4-r11}}",
        "bx lr",
    )
}
