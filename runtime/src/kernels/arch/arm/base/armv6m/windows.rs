//! Maxima of windows.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::mem::offset_of;

use super::{enter, leave};
use crate::kernels::arch::arm::base::windows::{CHANNELS, Windows};

/// The larger of a maximum and the element at the tap in r1.
macro_rules! take {
    ($maximum:literal, $offset:literal) => {
        concat!(
            "ldrb r2, [r1, #",
            $offset,
            "]\n",
            "sxtb r2, r2\n",
            "cmp r2, ",
            $maximum,
            "\n",
            "ble 99f\n",
            "mov ",
            $maximum,
            ", r2\n",
            "99:\n",
        )
    };
}

/// Stores the smaller of a maximum and the clamp in r2, at r1.
macro_rules! store {
    ($maximum:literal, $offset:literal) => {
        concat!(
            "cmp ",
            $maximum,
            ", r2\n",
            "ble 99f\n",
            "mov ",
            $maximum,
            ", r2\n",
            "99:\n",
            "strb ",
            $maximum,
            ", [r1, #",
            $offset,
            "]\n",
        )
    };
}

/// Maxima of windows; moves on in place. r8 counts rows, r9 is the first of the four channels.
///
/// # Safety
/// What the block leads to is there: each tap of each window, of all channels, and as many places for results.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn maxima(windows: &mut Windows) {
    naked_asm!(
        enter!(),
        "ldr r1, [r0, #{column_step}]",
        "mov r10, r1",
        "2:",
        "movs r1, #0",
        "mov r9, r1",
        "3:",
        "ldr r1, [r0, #{input}]",
        "ldr r3, [r0, #{rows}]",
        "ldr r4, [r0, #{output_min}]",
        "add r1, r9",
        "mov r8, r3",
        "mov r5, r4",
        "mov r6, r4",
        "mov r7, r4",
        "4:",
        "ldr r3, [r0, #{columns}]",
        "5:",
        take!("r4", "0"),
        take!("r5", "1"),
        take!("r6", "2"),
        take!("r7", "3"),
        "add r1, r10",
        "subs r3, r3, #1",
        "bne 5b",
        "ldr r2, [r0, #{gap}]",
        "adds r1, r1, r2",
        "mov r3, r8",
        "subs r3, r3, #1",
        "mov r8, r3",
        "bne 4b",
        "ldr r1, [r0, #{output}]",
        "ldr r2, [r0, #{output_max}]",
        "add r1, r9",
        store!("r4", "0"),
        store!("r5", "1"),
        store!("r6", "2"),
        store!("r7", "3"),
        "ldr r2, [r0, #{last}]",
        "mov r3, r9",
        "cmp r3, r2",
        "beq 6f",
        "adds r3, r3, #{channels_at_once}",
        "cmp r3, r2",
        "bls 7f",
        "mov r3, r2",
        "7:",
        "mov r9, r3",
        "b 3b",
        "6:",
        "ldr r1, [r0, #{input}]",
        "ldr r2, [r0, #{step}]",
        "adds r1, r1, r2",
        "str r1, [r0, #{input}]",
        "ldr r1, [r0, #{output}]",
        "ldr r2, [r0, #{channels}]",
        "adds r1, r1, r2",
        "str r1, [r0, #{output}]",
        "ldr r1, [r0, #{count}]",
        "subs r1, r1, #1",
        "str r1, [r0, #{count}]",
        "bne 2b",
        leave!(),
        input = const offset_of!(Windows, input),
        step = const offset_of!(Windows, step),
        output = const offset_of!(Windows, output),
        channels = const offset_of!(Windows, channels),
        last = const offset_of!(Windows, last),
        count = const offset_of!(Windows, count),
        rows = const offset_of!(Windows, rows),
        columns = const offset_of!(Windows, columns),
        gap = const offset_of!(Windows, gap),
        column_step = const offset_of!(Windows, column_step),
        output_min = const offset_of!(Windows, output_min),
        output_max = const offset_of!(Windows, output_max),
        channels_at_once = const CHANNELS,
    )
}
