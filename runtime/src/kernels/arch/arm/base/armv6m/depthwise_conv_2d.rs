//! Windows along a row, and windows whose taps lie anywhere.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::mem::offset_of;

use super::{enter, halves, leave, requantize, summands};
use crate::kernels::arch::arm::base::depthwise_conv_2d::Pixels;

/// Bytes of [`Pixels`], behind which the functions keep the two summands of `requantize`.
const PIXELS_LEN: usize = size_of::<Pixels>();

/// Copies the block at r0 to the stack, with the two summands behind it, and takes to r7 the weights, to r3 the number of
/// channels.
macro_rules! begin {
    () => {
        concat!(
            enter!(),
            "
            sub sp, sp, #{frame}
            mov r1, sp
            .rept 2
            ldm r0!, {{r2-r6}}
            stm r1!, {{r2-r6}}
            .endr
            ldr r2, [r0]
            str r2, [r1]
            ldr r1, [sp, #{zero_point}]
            ",
            summands!(),
            "
            str r0, [sp, #{half}]
            str r1, [sp, #{zero_point}]
            ldr r7, [sp, #{weights}]
            ldr r3, [sp, #{channels}]
            "
        )
    };
}

/// Weights of a filter row in r4 to r6, and r2 so that r2 + r3 is its first column.
macro_rules! row {
    ($row:literal) => {
        concat!(
            "ldr r2, [sp, #{rows} + ",
            $row,
            "]\n",
            "add r2, r11\n",
            "movs r1, #0\n",
            "ldrsb r4, [r7, r1]\n",
            "movs r1, #1\n",
            "ldrsb r5, [r7, r1]\n",
            "movs r1, #2\n",
            "ldrsb r6, [r7, r1]\n",
            "adds r7, r7, #3\n",
        )
    };
}

/// Takes the next column to r0.
macro_rules! column {
    () => {
        "
        ldrsb r0, [r2, r3]
        adds r2, r2, r3
        "
    };
}

/// `$acc += $weight * r0`.
macro_rules! add {
    ($acc:literal, $weight:literal) => {
        concat!("mov r1, ", $weight, "\nmuls r1, r0, r1\nadd ", $acc, ", r1\n")
    };
}

/// As `add`, the last with this column.
macro_rules! add_last {
    ($acc:literal, $weight:literal) => {
        concat!("muls r0, ", $weight, ", r0\nadd ", $acc, ", r0\n")
    };
}

/// A filter row for three windows one column apart.
macro_rules! three {
    ($row:literal) => {
        concat!(
            row!($row),
            column!(),
            add_last!("r8", "r4"),
            column!(),
            add!("r8", "r5"),
            add_last!("r9", "r4"),
            column!(),
            add!("r8", "r6"),
            add!("r9", "r5"),
            add_last!("r10", "r4"),
            column!(),
            add!("r9", "r6"),
            add_last!("r10", "r5"),
            column!(),
            add_last!("r10", "r6"),
        )
    };
}

/// A filter row for two windows two columns apart.
macro_rules! two {
    ($row:literal) => {
        concat!(
            row!($row),
            column!(),
            add_last!("r8", "r4"),
            column!(),
            add_last!("r8", "r5"),
            column!(),
            add!("r8", "r6"),
            add_last!("r9", "r4"),
            column!(),
            add_last!("r9", "r5"),
            column!(),
            add_last!("r9", "r6"),
        )
    };
}

/// The bias of the channel in r0.
macro_rules! bias {
    () => {
        "
        ldr r1, [sp, #{bias}]
        ldm r1!, {{r0}}
        str r1, [sp, #{bias}]
        "
    };
}

/// What `requantize` needs: the multiplier of the channel, and in r4 and r7 the two summands. The weights go to r12.
macro_rules! multiplier {
    () => {
        concat!(
            "
            mov r12, r7
            ldr r0, [sp, #{multipliers}]
            ldm r0!, {{r6}}
            str r0, [sp, #{multipliers}]
            ",
            halves!(),
            "
            ldr r4, [sp, #{half}]
            ldr r7, [sp, #{zero_point}]
            "
        )
    };
}

/// On to the next channel, until none is left.
macro_rules! next {
    () => {
        "
        ldr r1, [sp, #{output}]
        adds r1, r1, #1
        str r1, [sp, #{output}]
        mov r7, r12
        movs r0, #1
        add r11, r0
        mov r0, r11
        cmp r0, #0
        beq 3f
        b 2b
        3:
        add sp, sp, #{frame}
        "
    };
}

/// Three pixels whose windows of 3×3 are one column apart, all channels.
///
/// r11 is the channel less the number of channels.
///
/// # Safety
/// What the pixels lead to is there: inputs of each tap, weights, biases, multipliers and places for all channels.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn along_row(pixels: &Pixels) {
    naked_asm!(
        begin!(),
        "rsbs r0, r3, #0",
        "mov r11, r0",
        "2:",
        bias!(),
        "mov r8, r0",
        "mov r9, r0",
        "mov r10, r0",
        three!("0"),
        three!("4"),
        three!("8"),
        multiplier!(),
        "mov r0, r8",
        requantize!("r4", "r7"),
        "ldr r1, [sp, #{output}]",
        "strb r0, [r1]",
        "mov r0, r9",
        requantize!("r4", "r7"),
        "ldr r1, [sp, #{output}]",
        "strb r0, [r1, r3]",
        "mov r0, r10",
        requantize!("r4", "r7"),
        "ldr r1, [sp, #{output}]",
        "adds r1, r1, r3",
        "strb r0, [r1, r3]",
        next!(),
        leave!(),
        frame = const PIXELS_LEN + 4,
        weights = const offset_of!(Pixels, weights),
        bias = const offset_of!(Pixels, bias),
        multipliers = const offset_of!(Pixels, multipliers),
        zero_point = const offset_of!(Pixels, zero_point),
        output = const offset_of!(Pixels, output),
        channels = const offset_of!(Pixels, channels),
        rows = const offset_of!(Pixels, rows),
        half = const PIXELS_LEN,
    )
}

/// Two pixels whose windows of 3×3 are two columns apart, all channels.
///
/// # Safety
/// What the pixels lead to is there: inputs of each tap, weights, biases, multipliers and places for all channels.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn along_row_apart(pixels: &Pixels) {
    naked_asm!(
        begin!(),
        "rsbs r0, r3, #0",
        "mov r11, r0",
        "2:",
        bias!(),
        "mov r8, r0",
        "mov r9, r0",
        two!("0"),
        two!("4"),
        two!("8"),
        multiplier!(),
        "mov r0, r8",
        requantize!("r4", "r7"),
        "ldr r1, [sp, #{output}]",
        "strb r0, [r1]",
        "mov r0, r9",
        requantize!("r4", "r7"),
        "ldr r1, [sp, #{output}]",
        "strb r0, [r1, r3]",
        next!(),
        leave!(),
        frame = const PIXELS_LEN + 4,
        weights = const offset_of!(Pixels, weights),
        bias = const offset_of!(Pixels, bias),
        multipliers = const offset_of!(Pixels, multipliers),
        zero_point = const offset_of!(Pixels, zero_point),
        output = const offset_of!(Pixels, output),
        channels = const offset_of!(Pixels, channels),
        rows = const offset_of!(Pixels, rows),
        half = const PIXELS_LEN,
    )
}

/// One pixel, all channels.
///
/// r11 is the channel less the number of channels, r3 the channel.
///
/// # Safety
/// What the pixels lead to is there: inputs of each tap, weights, biases, multipliers and places for all channels.
#[unsafe(naked)]
pub(crate) unsafe extern "C" fn at_taps(pixels: &Pixels) {
    naked_asm!(
        begin!(),
        "rsbs r0, r3, #0",
        "mov r11, r0",
        "movs r3, #0",
        "2:",
        bias!(),
        "ldr r4, [sp, #{taps}]",
        "ldr r5, [sp, #{count}]",
        "adds r7, r7, r5",
        "rsbs r6, r5, #0",
        "4:",
        "ldm r4!, {{r1}}",
        "ldrsb r1, [r1, r3]",
        "ldrsb r2, [r7, r6]",
        "muls r1, r2, r1",
        "adds r0, r0, r1",
        "adds r6, r6, #1",
        "bne 4b",
        "mov r8, r0",
        multiplier!(),
        "mov r0, r8",
        requantize!("r4", "r7"),
        "ldr r1, [sp, #{output}]",
        "strb r0, [r1]",
        "adds r3, r3, #1",
        next!(),
        leave!(),
        frame = const PIXELS_LEN + 4,
        weights = const offset_of!(Pixels, weights),
        bias = const offset_of!(Pixels, bias),
        multipliers = const offset_of!(Pixels, multipliers),
        zero_point = const offset_of!(Pixels, zero_point),
        output = const offset_of!(Pixels, output),
        channels = const offset_of!(Pixels, channels),
        taps = const offset_of!(Pixels, taps),
        count = const offset_of!(Pixels, count),
        half = const PIXELS_LEN,
    )
}
