//! What happens to samples before they are cut into frames, and sums of powers: two samples of an axis at a time.
//!
//! Where a function says how many samples it took, the portable code takes the others.

use core::arch::{asm, naked_asm};

/// Samples of one axis that are filtered at once.
pub(crate) const BLOCK: usize = 32;

/// How many samples of an axis there are, when `samples` begins with one and has one for each of `axes`.
fn count(samples: &[i16], axes: usize) -> usize {
    samples.len().wrapping_add(axes).wrapping_sub(1).checked_div(axes).unwrap_or(0)
}

/// Subtracts the running mean, Q15, which moves by 1 / 2^`shift` of the difference; `shift` is 1 to 15. Tells how many samples it took.
pub(crate) fn remove_mean(samples: &mut [i16], axes: usize, mean: &mut i32, shift: u32) -> usize {
    let pairs = count(samples, axes) / 2;
    if pairs == 0 || !(1..=15).contains(&shift) {
        return 0;
    }
    // SAFETY: of every `axes` samples one is read and written, and twice `pairs` of them lie in the slice. The flag of saturation may
    // be set, which nobody reads.
    unsafe {
        asm!(
            "2:",
            "ldrsh {x}, [{at}]",
            "ldrsh {y}, [{at}, {stride}]",
            "rsb {x}, {mean}, {x}, lsl #15",
            "add {t}, {x}, #0x4000",
            "ssat {t}, #16, {t}, asr #15",
            "strh {t}, [{at}]",
            // The carry is the bit below the last.
            "asrs {x}, {x}, {shift}",
            "adc {mean}, {mean}, {x}",
            "rsb {y}, {mean}, {y}, lsl #15",
            "add {t}, {y}, #0x4000",
            "ssat {t}, #16, {t}, asr #15",
            "strh {t}, [{at}, {stride}]",
            "asrs {y}, {y}, {shift}",
            "adc {mean}, {mean}, {y}",
            "add {at}, {at}, {stride}, lsl #1",
            "subs {pairs}, {pairs}, #1",
            "bne 2b",
            at = inout(reg) samples.as_mut_ptr() => _,
            stride = in(reg) axes * 2,
            pairs = inout(reg) pairs => _,
            mean = inout(reg) *mean,
            shift = in(reg) shift,
            x = out(reg) _,
            y = out(reg) _,
            t = out(reg) _,
            options(nostack),
        );
    }
    2 * pairs
}

/// Subtracts `factor`, Q15, of the sample before from each sample. Tells how many samples it took.
pub(crate) fn emphasize(samples: &mut [i16], axes: usize, before: &mut i32, factor: i32) -> usize {
    let pairs = count(samples, axes) / 2;
    if pairs == 0 {
        return 0;
    }
    // SAFETY: as in `remove_mean`.
    unsafe {
        asm!(
            "2:",
            "ldrsh {x}, [{at}]",
            "add {t}, {half}, {x}, lsl #15",
            "mls {t}, {before}, {factor}, {t}",
            "ldrsh {before}, [{at}, {stride}]",
            "ssat {t}, #16, {t}, asr #15",
            "strh {t}, [{at}]",
            "add {t}, {half}, {before}, lsl #15",
            "mls {t}, {x}, {factor}, {t}",
            "ssat {t}, #16, {t}, asr #15",
            "strh {t}, [{at}, {stride}]",
            "add {at}, {at}, {stride}, lsl #1",
            "subs {pairs}, {pairs}, #1",
            "bne 2b",
            at = inout(reg) samples.as_mut_ptr() => _,
            stride = in(reg) axes * 2,
            pairs = inout(reg) pairs => _,
            before = inout(reg) *before,
            factor = in(reg) factor,
            half = in(reg) 0x4000,
            x = out(reg) _,
            t = out(reg) _,
            options(nostack),
        );
    }
    2 * pairs
}

/// Σ factors · samples in 32 bits, of as many as there are of both.
#[inline(never)]
pub(crate) fn product(factors: &[i16], samples: &[i16]) -> i32 {
    let len = factors.len().min(samples.len());
    let mut sum = 0_i32;
    if len >= 2 {
        // SAFETY: two numbers of each at a time are read, `len / 2` times. Nothing is written. The flag of saturation may be set, which
        // nobody reads.
        unsafe {
            asm!(
                "subs {pairs}, {pairs}, #4",
                "blo 3f",
                "2:",
                "ldr {x}, [{factor}], #4",
                "ldr {y}, [{sample}], #4",
                "smlad {sum}, {x}, {y}, {sum}",
                "ldr {x}, [{factor}], #4",
                "ldr {y}, [{sample}], #4",
                "smlad {sum}, {x}, {y}, {sum}",
                "ldr {x}, [{factor}], #4",
                "ldr {y}, [{sample}], #4",
                "smlad {sum}, {x}, {y}, {sum}",
                "ldr {x}, [{factor}], #4",
                "ldr {y}, [{sample}], #4",
                "smlad {sum}, {x}, {y}, {sum}",
                "subs {pairs}, {pairs}, #4",
                "bhs 2b",
                "3:",
                "adds {pairs}, {pairs}, #4",
                "beq 5f",
                "4:",
                "ldr {x}, [{factor}], #4",
                "ldr {y}, [{sample}], #4",
                "smlad {sum}, {x}, {y}, {sum}",
                "subs {pairs}, {pairs}, #1",
                "bne 4b",
                "5:",
                factor = inout(reg) factors.as_ptr() => _,
                sample = inout(reg) samples.as_ptr() => _,
                pairs = inout(reg) len / 2 => _,
                sum = inout(reg) sum,
                x = out(reg) _,
                y = out(reg) _,
                options(readonly, nostack),
            );
        }
    }
    if len & 1 != 0
        && let (Some(f), Some(x)) = (factors.get(len - 1), samples.get(len - 1))
    {
        sum = sum.wrapping_add(i32::from(*f) * i32::from(*x));
    }
    sum
}

/// What [`moments`] works with.
#[repr(C)]
pub(crate) struct Powers {
    /// Q12, less one half of what the shift drops.
    pub(crate) mean: i32,
    /// By this, at most 31, differences are shifted right.
    pub(crate) shift: u32,
    /// Sum of squares, of cubes, and of fourths of 6 bits fewer, low word first.
    pub(crate) sums: [u32; 6],
}

/// Adds powers of differences from the mean of samples with at most 14 bits. Tells how many samples it took.
pub(crate) fn moments(samples: &[i16], axes: usize, powers: &mut Powers) -> usize {
    let pairs = count(samples, axes) / 2;
    if pairs > 0 {
        // SAFETY: of every `axes` samples one is read, and twice `pairs`, at least two, of them lie in the slice.
        unsafe { moments_of_pairs(samples.as_ptr(), pairs, axes * 2, powers) }
    }
    2 * pairs
}

#[unsafe(naked)]
unsafe extern "C" fn moments_of_pairs(samples: *const i16, pairs: usize, stride: usize, powers: *mut Powers) {
    naked_asm!(
        processor!(),
        "push {{r3-r11, lr}}",
        "add r12, r3, #8",
        "ldm r3, {{r3, r4}}",
        "ldm r12, {{r8-r12, lr}}",
        "2:",
        "ldrsh r5, [r0]",
        "ldrsh r6, [r0, r2]",
        "add r0, r0, r2, lsl #1",
        "rsb r5, r3, r5, lsl #12",
        "asr r5, r5, r4",
        "mul r7, r5, r5",
        "smlal r8, r9, r5, r5",
        "smlal r10, r11, r5, r7",
        "add r7, r7, #32",
        "lsr r7, r7, #6",
        "umlal r12, lr, r7, r7",
        "rsb r6, r3, r6, lsl #12",
        "asr r6, r6, r4",
        "mul r7, r6, r6",
        "smlal r8, r9, r6, r6",
        "smlal r10, r11, r6, r7",
        "add r7, r7, #32",
        "lsr r7, r7, #6",
        "umlal r12, lr, r7, r7",
        "subs r1, r1, #1",
        "bne 2b",
        "pop {{r3}}",
        "add r3, r3, #8",
        "stm r3, {{r8-r12, lr}}",
        "pop {{r4-r11, pc}}",
    )
}

/// Writes samples with ten fractional bits, an even number.
pub(crate) fn load(samples: &[i16], axes: usize, signals: &mut [i32]) {
    let pairs = (count(samples, axes) / 2).min(signals.len() / 2);
    if pairs == 0 {
        return;
    }
    // SAFETY: of every `axes` samples one is read, and twice `pairs` of them lie in the slice; as many signals are written.
    unsafe {
        asm!(
            "2:",
            "ldrsh {x}, [{at}]",
            "ldrsh {y}, [{at}, {stride}]",
            "lsl {x}, {x}, #10",
            "lsl {y}, {y}, #10",
            "strd {x}, {y}, [{to}], #8",
            "add {at}, {at}, {stride}, lsl #1",
            "subs {pairs}, {pairs}, #1",
            "bne 2b",
            at = inout(reg) samples.as_ptr() => _,
            stride = in(reg) axes * 2,
            to = inout(reg) signals.as_mut_ptr() => _,
            pairs = inout(reg) pairs => _,
            x = out(reg) _,
            y = out(reg) _,
            options(nostack),
        );
    }
}

/// Rounds what [`load`] wrote, and saturates it.
pub(crate) fn store(signals: &[i32], samples: &mut [i16], axes: usize) {
    let pairs = (count(samples, axes) / 2).min(signals.len() / 2);
    if pairs == 0 {
        return;
    }
    // SAFETY: as in `load`, the other way round. The flag of saturation may be set, which nobody reads.
    unsafe {
        asm!(
            "2:",
            "ldrd {x}, {y}, [{from}], #8",
            "add {x}, {x}, #512",
            "add {y}, {y}, #512",
            "ssat {x}, #16, {x}, asr #10",
            "ssat {y}, #16, {y}, asr #10",
            "strh {x}, [{at}]",
            "strh {y}, [{at}, {stride}]",
            "add {at}, {at}, {stride}, lsl #1",
            "subs {pairs}, {pairs}, #1",
            "bne 2b",
            at = inout(reg) samples.as_mut_ptr() => _,
            stride = in(reg) axes * 2,
            from = inout(reg) signals.as_ptr() => _,
            pairs = inout(reg) pairs => _,
            x = out(reg) _,
            y = out(reg) _,
            options(nostack),
        );
    }
}

/// Runs signals, a multiple of four of them, through a section: `g`, `middle` (2 or -2), `a1`, `a2`, the last two above the least
/// number, with the state that the portable code has.
pub(crate) fn section(signals: &mut [[i32; 4]], coefficients: &[i32; 4], state: &mut [u32; 6]) {
    if signals.is_empty() {
        return;
    }
    let signals = signals.as_mut_ptr_range();
    let run = if coefficients[1] > 0 { low_pass } else { high_pass };
    // SAFETY: from `start` to `end` there are whole groups of four signals, at least one.
    unsafe { run(signals.start, signals.end, coefficients, state) }
}

/// A function with the loop of a section, where the samples around the middle one are joined with twice that one by `$join`.
///
/// Registers hold the last two inputs and outputs and the last two remainders, each of which becomes the sum of the next step but one, and
/// change their roles from step to step.
macro_rules! section {
    ($name:ident, $join:literal) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            signals: *mut [i32; 4],
            end: *mut [i32; 4],
            coefficients: *const [i32; 4],
            state: *mut [u32; 6],
        ) {
            naked_asm!(
                processor!(),
                "push {{r3-r11, lr}}",
                "ldr r10, [r2]",
                "ldrd r11, r12, [r2, #8]",
                "ldm r3, {{r4-r9}}",
                "rsb r11, r11, #0",
                "rsb r12, r12, #0",
                "2:",
                "ldrd r2, r3, [r0]",
                "add r5, r5, r2",
                concat!($join, " r5, r5, r4, lsl #1"),
                "rsb r9, r9, r8, lsl #1",
                "asr lr, r9, #31",
                "smlal r9, lr, r5, r10",
                "smlal r9, lr, r6, r11",
                "smlal r9, lr, r7, r12",
                "lsl r7, lr, #2",
                "orr r7, r7, r9, lsr #30",
                "bic r9, r9, #0xc0000000",
                "add r4, r4, r3",
                concat!($join, " r4, r4, r2, lsl #1"),
                "rsb r8, r8, r9, lsl #1",
                "asr lr, r8, #31",
                "smlal r8, lr, r4, r10",
                "smlal r8, lr, r7, r11",
                "smlal r8, lr, r6, r12",
                "lsl r6, lr, #2",
                "orr r6, r6, r8, lsr #30",
                "bic r8, r8, #0xc0000000",
                "ldrd r5, r4, [r0, #8]",
                "strd r7, r6, [r0]",
                "add r2, r2, r5",
                concat!($join, " r2, r2, r3, lsl #1"),
                "rsb r9, r9, r8, lsl #1",
                "asr lr, r9, #31",
                "smlal r9, lr, r2, r10",
                "smlal r9, lr, r6, r11",
                "smlal r9, lr, r7, r12",
                "lsl r7, lr, #2",
                "orr r7, r7, r9, lsr #30",
                "bic r9, r9, #0xc0000000",
                "add r3, r3, r4",
                concat!($join, " r3, r3, r5, lsl #1"),
                "rsb r8, r8, r9, lsl #1",
                "asr lr, r8, #31",
                "smlal r8, lr, r3, r10",
                "smlal r8, lr, r7, r11",
                "smlal r8, lr, r6, r12",
                "lsl r6, lr, #2",
                "orr r6, r6, r8, lsr #30",
                "bic r8, r8, #0xc0000000",
                "strd r7, r6, [r0, #8]",
                "add r0, r0, #16",
                "cmp r0, r1",
                "bne 2b",
                "pop {{r3}}",
                "stm r3, {{r4-r9}}",
                "pop {{r4-r11, pc}}",
            )
        }
    };
}

section!(low_pass, "add");
section!(high_pass, "sub");
