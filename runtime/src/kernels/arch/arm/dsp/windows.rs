//! Maximum over windows whose channels lie side by side: four channels in a word, compared by `SSUB8` and chosen by `SEL`.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::mem::offset_of;
use core::ops::Range;

use crate::kernels::arch::arm::windows::{self, Windows};
use crate::kernels::params::MaxPool2d;

/// Channels at a time, where there are so many.
const BLOCK: usize = 16;
/// Channels at a time, where there are fewer.
const WORD: usize = 4;

pub(super) fn max_pool_2d(op: &MaxPool2d, input: &[i8], output: &mut [i8], rows: Range<usize>) {
    let at_once = if op.output.extent.c >= BLOCK { BLOCK } else { WORD };
    let in_each_byte = |value: i8| i32::from_le_bytes([value as u8; 4]);
    windows::max_pool_2d(op, input, output, rows, at_once, in_each_byte, |windows| {
        // SAFETY: what the block leads to is there.
        unsafe { if at_once == BLOCK { maxima_of_blocks(windows) } else { maxima_of_words(windows) } }
    });
}

/// Declares maxima of windows; moves on in place. r4 to r7 hold the channels that are taken at a time, the last of them
/// together with some that are done.
macro_rules! maxima {
    (
        $(#[$doc:meta])* $name:ident, $at_once:ident,
        begin: $($begin:literal),*; tap: $($tap:literal),*; finish: $($finish:literal),*
    ) => {
        $(#[$doc])*
        #[unsafe(naked)]
        unsafe extern "C" fn $name(windows: &mut Windows) {
            naked_asm!(
                processor!(),
                "push {{r4-r11, lr}}",
                "ldr lr, [r0, #{column_step}]",
                "2:",
                "movs r12, #0",
                "3:",
                "ldr r1, [r0, #{input}]",
                "ldr r3, [r0, #{rows}]",
                "ldr r4, [r0, #{output_min}]",
                "add r1, r1, r12",
                $($begin,)*
                "4:",
                "ldr r2, [r0, #{columns}]",
                "5:",
                $($tap,)*
                "add r1, r1, lr",
                "subs r2, r2, #1",
                "bne 5b",
                "ldr r2, [r0, #{gap}]",
                "add r1, r1, r2",
                "subs r3, r3, #1",
                "bne 4b",
                "ldr r8, [r0, #{output_max}]",
                "ldr r1, [r0, #{output}]",
                "add r1, r1, r12",
                $($finish,)*
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
                "pop {{r4-r11, pc}}",
                input = const offset_of!(Windows, input),
                output = const offset_of!(Windows, output),
                last = const offset_of!(Windows, last),
                count = const offset_of!(Windows, count),
                rows = const offset_of!(Windows, rows),
                columns = const offset_of!(Windows, columns),
                gap = const offset_of!(Windows, gap),
                column_step = const offset_of!(Windows, column_step),
                output_min = const offset_of!(Windows, output_min),
                output_max = const offset_of!(Windows, output_max),
                at_once = const $at_once,
            )
        }
    };
}

maxima!(
    /// 16 channels at a time.
    maxima_of_blocks, BLOCK,
    begin:
        "mov r5, r4",
        "mov r6, r4",
        "mov r7, r4";
    tap:
        "ldr r8, [r1]",
        "ldr r9, [r1, #4]",
        "ldr r10, [r1, #8]",
        "ssub8 r11, r4, r8",
        "sel r4, r4, r8",
        "ldr r11, [r1, #12]",
        "ssub8 r8, r5, r9",
        "sel r5, r5, r9",
        "ssub8 r8, r6, r10",
        "sel r6, r6, r10",
        "ssub8 r8, r7, r11",
        "sel r7, r7, r11";
    finish:
        "ssub8 r9, r8, r4",
        "sel r4, r4, r8",
        "ssub8 r9, r8, r5",
        "sel r5, r5, r8",
        "ssub8 r9, r8, r6",
        "sel r6, r6, r8",
        "ssub8 r9, r8, r7",
        "sel r7, r7, r8",
        "str r4, [r1]",
        "str r5, [r1, #4]",
        "str r6, [r1, #8]",
        "str r7, [r1, #12]"
);

maxima!(
    /// Four channels at a time.
    maxima_of_words, WORD,
    begin: ;
    tap:
        "ldr r8, [r1]",
        "ssub8 r9, r4, r8",
        "sel r4, r4, r8";
    finish:
        "ssub8 r9, r8, r4",
        "sel r4, r4, r8",
        "str r4, [r1]"
);
