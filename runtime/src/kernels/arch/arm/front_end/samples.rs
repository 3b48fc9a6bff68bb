//! Passes over samples: what their largest is, sums and extremes, copying.

use core::arch::{asm, naked_asm};

/// The ones of `w ^ (w << 1)` of words of two samples each: the highest of either half says how many bits the samples of all words use.
pub(crate) fn extent(samples: &[i16]) -> u32 {
    // SAFETY: every bit pattern is a valid word.
    let (before, words, behind) = unsafe { samples.align_to::<u32>() };
    let alone = |x: i16| {
        let twice = u32::from(x as u16) * 0x0001_0001;
        twice ^ (twice << 1)
    };
    let mut extent = before.iter().chain(behind).fold(0, |extent, x| extent | alone(*x));
    let (fours, rest) = words.as_chunks::<4>();
    if !fours.is_empty() {
        let fours = fours.as_ptr_range();
        // SAFETY: from `start` to `end` there are whole groups of four words, at least one.
        extent |= unsafe { extent_of_fours(fours.start, fours.end) };
    }
    for word in rest {
        extent |= word ^ (word << 1);
    }
    extent
}

#[unsafe(naked)]
unsafe extern "C" fn extent_of_fours(words: *const [u32; 4], end: *const [u32; 4]) -> u32 {
    naked_asm!(
        processor!(),
        "push {{r4, r5}}",
        "mov r12, #0",
        "2:",
        "ldm r0!, {{r2-r5}}",
        "eor r2, r2, r2, lsl #1",
        "eor r3, r3, r3, lsl #1",
        "eor r4, r4, r4, lsl #1",
        "eor r5, r5, r5, lsl #1",
        "orr r12, r12, r2",
        "orr r12, r12, r3",
        "orr r12, r12, r4",
        "orr r12, r12, r5",
        "cmp r0, r1",
        "bne 2b",
        "mov r0, r12",
        "pop {{r4, r5}}",
        "bx lr",
    )
}

/// Adds the samples at the multiples of `axes`, two at a time, to `sum` and their squares to `squares`, and widens the range from
/// `least` to `most`, which have 16 bits. Tells how many samples that were: all of them or all but the last.
#[inline(always)]
pub(crate) fn add_pairs(
    samples: &[i16],
    axes: usize,
    (sum, squares): (&mut i32, &mut u64),
    (least, most): (&mut i32, &mut i32),
) -> usize {
    let all = samples.len().wrapping_add(axes).wrapping_sub(1).checked_div(axes);
    let pairs = all.unwrap_or(0) / 2;
    if pairs == 0 {
        return 0;
    }
    let (mut low, mut high) = (*squares as u32, (*squares >> 32) as u32);
    let both = |x: i32| u32::from(x as u16) * 0x0001_0001;
    let (mut lowest, mut highest) = (both(*least), both(*most));
    // SAFETY: of every `axes` samples one is read, and twice `pairs` of them lie in the slice. Nothing is written. The flag of
    // saturation may be set, which nobody reads.
    unsafe {
        asm!(
            "2:",
            "ldrh {y}, [{at}, {stride}]",
            "ldrh {x}, [{at}]",
            "add {at}, {at}, {stride}, lsl #1",
            "pkhbt {x}, {x}, {y}, lsl #16",
            "smlad {sum}, {x}, {ones}, {sum}",
            "smlald {low}, {high}, {x}, {x}",
            "ssub16 {y}, {highest}, {x}",
            "sel {highest}, {highest}, {x}",
            "ssub16 {y}, {x}, {lowest}",
            "sel {lowest}, {lowest}, {x}",
            "subs {pairs}, {pairs}, #1",
            "bne 2b",
            at = inout(reg) samples.as_ptr() => _,
            stride = in(reg) axes * 2,
            pairs = inout(reg) pairs => _,
            sum = inout(reg) *sum,
            low = inout(reg) low,
            high = inout(reg) high,
            lowest = inout(reg) lowest,
            highest = inout(reg) highest,
            ones = in(reg) 0x0001_0001_u32,
            x = out(reg) _,
            y = out(reg) _,
            options(readonly, nostack),
        );
    }
    *squares = u64::from(low) | u64::from(high) << 32;
    let halves = |word: u32| (i32::from(word as i16), (word as i32) >> 16);
    let ((a, b), (c, d)) = (halves(lowest), halves(highest));
    (*least, *most) = (a.min(b), c.max(d));
    2 * pairs
}

/// Copies `from` to `to`, which is as long.
pub(crate) fn copy(to: &mut [i16], from: &[i16]) {
    let len = to.len().min(from.len());
    let places = to.as_ptr().addr() | from.as_ptr().addr();
    let blocks = if places.is_multiple_of(4) { len & !15 } else { 0 };
    if blocks > 0 {
        // SAFETY: both slices begin on a word and have as many samples as `blocks`, a multiple of sixteen; a mutable slice overlaps no
        // other.
        unsafe { copy_blocks(to.as_mut_ptr(), from.as_ptr(), blocks) }
    }
    if let (Some(to), Some(from)) = (to.get_mut(blocks..len), from.get(blocks..len)) {
        to.copy_from_slice(from);
    }
}

/// Copies `len` samples, a multiple of sixteen and not zero, between places on words that do not overlap.
#[unsafe(naked)]
unsafe extern "C" fn copy_blocks(to: *mut i16, from: *const i16, len: usize) {
    naked_asm!(
        processor!(),
        "push {{r4-r10}}",
        "2:",
        "ldm r1!, {{r3-r10}}",
        "stm r0!, {{r3-r10}}",
        "subs r2, r2, #16",
        "bne 2b",
        "pop {{r4-r10}}",
        "bx lr",
    )
}
