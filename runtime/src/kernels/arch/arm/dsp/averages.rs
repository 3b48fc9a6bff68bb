//! Averages over windows whose channels lie side by side: sums of four channels in two registers.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::mem::offset_of;
use core::ops::Range;

use crate::kernels::arch::arm::averages::{self, Averages, CHANNELS};
use crate::kernels::linked::Linked;
use crate::kernels::params::AveragePool2d;

/// Averages over windows of at most 255 elements.
pub(super) fn average_pool_2d<L: Linked>(
    op: &AveragePool2d,
    input: &[i8],
    output: &mut [i8],
    rows: Range<usize>,
) {
    averages::average_pool_2d::<L>(op, input, output, rows, |block| {
        // SAFETY: what the block leads to is there.
        unsafe { averages_of_windows(block) }
    });
}

/// The average of each channel over all places, at most 255 of them.
pub(super) fn global_average<L: Linked>(op: &AveragePool2d, input: &[i8], output: &mut [i8]) {
    averages::global_average::<L>(op, input, output, |block| {
        // SAFETY: what the block leads to is there.
        unsafe { averages_of_windows(block) }
    });
}

/// Averages of windows, of each at most 255 elements; moves on in place. r4 and r5 hold sums of channels 0 and 2, and 1 and
/// 3, of the four that begin at channel r12.
#[unsafe(naked)]
unsafe extern "C" fn averages_of_windows(block: &mut Averages) {
    naked_asm!(
        processor!(),
        "push {{r4-r10, lr}}",
        "ldr lr, [r0, #{column_step}]",
        "2:",
        "movs r12, #0",
        "3:",
        "ldr r1, [r0, #{input}]",
        "ldr r3, [r0, #{rows}]",
        "movs r4, #0",
        "movs r5, #0",
        "add r1, r1, r12",
        "4:",
        "ldr r2, [r0, #{columns}]",
        "5:",
        "ldr r6, [r1]",
        "add r1, r1, lr",
        "subs r2, r2, #1",
        "sxtab16 r4, r4, r6",
        "sxtab16 r5, r5, r6, ror #8",
        "bne 5b",
        "ldr r2, [r0, #{gap}]",
        "add r1, r1, r2",
        "subs r3, r3, #1",
        "bne 4b",
        "ldr r1, [r0, #{output}]",
        "add r2, r0, #{start}",
        "ldm r2, {{r2, r3, r8, r9}}",
        "add r1, r1, r12",
        "sxtah r6, r2, r4",
        "sxtah r7, r2, r5",
        "sxtah r4, r2, r4, ror #16",
        "sxtah r5, r2, r5, ror #16",
        ".irp sum, r6, r7, r4, r5",
        "lsls \\sum, \\sum, r3",
        "smmlar \\sum, \\sum, r8, r9",
        "ssat \\sum, #8, \\sum",
        ".endr",
        "strb r6, [r1]",
        "strb r7, [r1, #1]",
        "strb r4, [r1, #2]",
        "strb r5, [r1, #3]",
        "ldr r2, [r0, #{last}]",
        "cmp r12, r2",
        "beq 6f",
        "add r12, r12, #{at_once}",
        "cmp r12, r2",
        "it hi",
        "movhi r12, r2",
        "b 3b",
        "6:",
        "ldrd r1, r2, [r0, #{input}]",
        "ldrd r3, r4, [r0, #{output}]",
        "ldr r5, [r0, #{count}]",
        "add r1, r1, r2",
        "add r3, r3, r4",
        "str r1, [r0, #{input}]",
        "str r3, [r0, #{output}]",
        "subs r5, r5, #1",
        "str r5, [r0, #{count}]",
        "bne 2b",
        "pop {{r4-r10, pc}}",
        input = const offset_of!(Averages, input),
        output = const offset_of!(Averages, output),
        last = const offset_of!(Averages, last),
        count = const offset_of!(Averages, count),
        rows = const offset_of!(Averages, rows),
        columns = const offset_of!(Averages, columns),
        gap = const offset_of!(Averages, gap),
        column_step = const offset_of!(Averages, column_step),
        start = const offset_of!(Averages, scale),
        at_once = const CHANNELS,
    )
}
