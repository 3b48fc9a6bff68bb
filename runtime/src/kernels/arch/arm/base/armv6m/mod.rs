//! Armv6-M: eight registers for most instructions, products of 32 bits only, none that adds.

mod averages;
mod conv_2d;
mod depthwise_conv_2d;
mod elementwise;
mod fully_connected;
mod mat_mul;
mod windows;
mod winograd;

pub(super) use averages::averages;
pub(super) use conv_2d::{multiply, pack};
pub(super) use depthwise_conv_2d::{along_row, along_row_apart, at_taps};
pub(super) use elementwise::{look_up, products, sums};
pub(super) use fully_connected::multiply_vector;
pub(super) use mat_mul::multiply_columns;
pub(super) use windows::maxima;
pub(super) use winograd::{finish, tile_sums, transform};

/// Saves the registers that a function has to keep.
macro_rules! enter {
    () => {
        "
        push {{r4-r7, lr}}
        mov r4, r8
        mov r5, r9
        mov r6, r10
        mov r7, r11
        push {{r4-r7}}
        "
    };
}

/// Restores them and returns.
macro_rules! leave {
    () => {
        "
        pop {{r4-r7}}
        mov r8, r4
        mov r9, r5
        mov r10, r6
        mov r11, r7
        pop {{r4-r7, pc}}
        "
    };
}

/// Makes the two summands of `requantize` from the zero point in r1: in r0 2^29 and one half (2^15), in r1 the zero point
/// less 2^29 / 2^16. With the former the middle of the product is no longer negative.
macro_rules! summands {
    () => {
        "
        movs r0, #1
        lsls r0, r0, #13
        subs r1, r1, r0
        lsls r0, r0, #16
        movs r2, #1
        lsls r2, r2, #15
        adds r0, r0, r2
        "
    };
}

/// Halves of the doubled multiplier in r6: the lower in r5, the upper in r6.
macro_rules! halves {
    () => {
        "
        lsls r6, r6, #1
        uxth r5, r6
        lsrs r6, r6, #16
        "
    };
}

/// Requantizes the sum in r0, of at most 29 bits, by the halves in r5 and r6. Uses r1 and r2.
///
/// With `x = 2^16 x1 + x0` and `m = 2^16 m1 + m0` the upper word of `x * m + 2^31` is
/// `x1 m1 + (x1 m0 + x0 m1 + x0 m0 / 2^16 + 2^15) / 2^16`, each quotient rounded down.
macro_rules! requantize {
    ($half:literal, $zero_point:literal) => {
        concat!(
            "asrs r1, r0, #16\n",
            "uxth r0, r0\n",
            "mov r2, r5\n",
            "muls r2, r0, r2\n",
            "lsrs r2, r2, #16\n",
            "muls r0, r6, r0\n",
            "adds r2, r2, r0\n",
            "mov r0, r5\n",
            "muls r0, r1, r0\n",
            "adds r2, r2, r0\n",
            "add r2, ",
            $half,
            "\n",
            "lsrs r2, r2, #16\n",
            "muls r1, r6, r1\n",
            "adds r2, r2, r1\n",
            "add r2, ",
            $zero_point,
            "\n",
            // Saturation to int8.
            "sxtb r0, r2\n",
            "cmp r0, r2\n",
            "beq 99f\n",
            "asrs r0, r2, #31\n",
            "movs r1, #127\n",
            "eors r0, r1\n",
            "99:\n",
        )
    };
}

use {enter, halves, leave, requantize, summands};
