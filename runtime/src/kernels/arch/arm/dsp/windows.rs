//! Maximum over windows whose channels lie side by side: four channels in a word, compared by `SSUB8` and chosen by `SEL`.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::mem::offset_of;
use core::ops::Range;

use crate::kernels::arch::arm::windows::for_each_run;
use crate::kernels::params::MaxPool2d;
use crate::quant::clamp_i8;

/// Channels at a time, where there are so many.
const BLOCK: usize = 16;
/// Channels at a time, where there are fewer.
const WORD: usize = 4;

/// What [`maxima_of_blocks`] and [`maxima_of_words`] work on.
#[repr(C)]
struct Windows {
    input: *const i8,
    step: usize,
    output: *mut i8,
    channels: usize,
    /// The first of the last channels that are taken at a time.
    last: usize,
    count: usize,
    rows: usize,
    columns: usize,
    gap: usize,
    column_step: usize,
    /// In each byte.
    output_min: u32,
    output_max: u32,
}

pub(super) fn max_pool_2d(op: &MaxPool2d, input: &[i8], output: &mut [i8], rows: Range<usize>) {
    let c = op.output.extent.c;
    let fits = c >= WORD
        && input.len() >= op.input.extent.len()
        && output.len() >= rows.len() * op.output.extent.row_len();
    if !fits {
        return;
    }
    let in_each_byte = |value: i8| u32::from_le_bytes([value as u8; 4]);
    for_each_run(&op.window, op.input, op.output, rows, |run| {
        if run.rows == 0 {
            let outputs = output.iter_mut().skip(run.output).take(run.count * c);
            return outputs.for_each(|q| *q = clamp_i8(i8::MIN.into(), op.output_min, op.output_max));
        }
        let at_once = if c >= BLOCK { BLOCK } else { WORD };
        let mut windows = Windows {
            input: input.as_ptr().wrapping_add(run.input),
            step: run.step,
            output: output.as_mut_ptr().wrapping_add(run.output),
            channels: c,
            last: c - at_once,
            count: run.count,
            rows: run.rows,
            columns: run.columns,
            gap: run.gap,
            column_step: run.column_step,
            output_min: in_each_byte(op.output_min),
            output_max: in_each_byte(op.output_max),
        };
        // SAFETY: taps lie inside the input and outputs inside the output, whose lengths were checked; a window has one
        // tap or more, and as many channels as are taken at a time.
        unsafe { if c >= BLOCK { maxima_of_blocks(&mut windows) } else { maxima_of_words(&mut windows) } }
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
