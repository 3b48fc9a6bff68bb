//! Fully connected layer: eight outputs at a time, the input expanded on the way.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::mem::offset_of;
use core::ops::Range;

use super::clamp::clamp;
use crate::kernels::linked::{Linked, Variant};
use crate::kernels::packing::BLOCK;
use crate::kernels::params::FullyConnected;

/// What [`multiply_block`] works on.
#[repr(C)]
struct Block {
    input_end: *const i8,
    bias: *const i32,
    multipliers: *const i32,
    zero_point: i32,
    output: *mut i8,
    input: *const i8,
    weights: *const i8,
}

pub(super) fn fully_connected<L: Linked>(
    op: &FullyConnected<'_>,
    input: &[i8],
    output: &mut [i8],
    outputs: Range<usize>,
) {
    let (k, r) = (op.inputs, &op.requantize);
    let fits = op.weights.len() >= op.weights_len()
        && op.weights.as_ptr().align_offset(4) == 0
        && outputs.end <= op.outputs
        && op.bias.len() >= op.outputs
        && r.multipliers.len() >= op.outputs
        && input.len() >= k
        && output.len() >= outputs.len();
    if !fits || k == 0 || !k.is_multiple_of(4) {
        return;
    }
    let whole = op.outputs / BLOCK * BLOCK;
    let mut o = outputs.start;
    while o < outputs.end {
        if o < whole {
            let first = o / BLOCK * BLOCK;
            let mut results = [0i8; BLOCK];
            let end = outputs.end.min(first + BLOCK);
            let direct = o == first && end == first + BLOCK;
            let target = output.as_mut_ptr().wrapping_add(o - outputs.start);
            let block = Block {
                input_end: input.as_ptr().wrapping_add(k),
                bias: op.bias.as_ptr().wrapping_add(first),
                multipliers: r.multipliers.as_ptr().wrapping_add(first),
                zero_point: r.zero_point.into(),
                output: if direct { target } else { results.as_mut_ptr() },
                input: input.as_ptr(),
                weights: op.weights.as_ptr().wrapping_add(first * k),
            };
            // SAFETY: the lengths checked above: a whole block of outputs with its weights, biases and multipliers,
            // `k` inputs, and eight places for results.
            unsafe { multiply_block(&block) };
            if !direct {
                let part = results.get(o - first..end - first).unwrap_or(&[]);
                let places = output.get_mut(o - outputs.start..).unwrap_or(&mut []);
                places.iter_mut().zip(part).for_each(|(place, q)| *place = *q);
            }
            o = end;
        } else if L::VARIANTS.has(Variant::OutputsLeftOver) {
            let weights = op.weights.as_ptr().wrapping_add(o / 2 * 2 * k);
            // SAFETY: `k` inputs, a multiple of four, and the words of a pair of outputs.
            let sums = unsafe { multiply_pair(input.as_ptr(), weights, input.as_ptr().wrapping_add(k)) };
            let (a, both) = (sums as i32, (sums >> 32) as i32);
            let sum = if o.is_multiple_of(2) { a } else { both.wrapping_sub(a) >> 8 };
            let bias = op.bias.get(o).copied().unwrap_or(0);
            if let Some(place) = output.get_mut(o - outputs.start) {
                *place = r.apply(sum.wrapping_add(bias), o);
            }
            o += 1;
        } else {
            break;
        }
    }
    if L::VARIANTS.has(Variant::Clamp) {
        clamp(output.get_mut(..outputs.len()).unwrap_or(&mut []), r);
    }
}

/// `Σ a * x` in the lower and `Σ (256 * b + a) * x` in the upper half, for one pair of outputs.
#[unsafe(naked)]
unsafe extern "C" fn multiply_pair(input: *const i8, weights: *const i8, input_end: *const i8) -> u64 {
    naked_asm!(
        processor!(),
        "push {{r4-r7, lr}}",
        "mov r12, r0",
        "mov r0, #0",
        "mov lr, #0",
        "2:",
        "ldr r4, [r12], #4",
        "ldrd r6, r7, [r1], #8",
        "sxtb16 r5, r4",
        "sxtb16 r4, r4, ror #8",
        "smlad lr, r6, r5, lr",
        "sxtb16 r6, r6",
        "smlad r0, r6, r5, r0",
        "smlad lr, r7, r4, lr",
        "sxtb16 r7, r7",
        "smlad r0, r7, r4, r0",
        "cmp r12, r2",
        "bne 2b",
        "mov r1, lr",
        "pop {{r4-r7, pc}}",
    )
}

/// Eight outputs, requantized and stored.
///
/// r4 to r7 sum `a * x` of the four pairs and r8 to r11 `(256 * b + a) * x`.
#[unsafe(naked)]
unsafe extern "C" fn multiply_block(block: *const Block) {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        "sub sp, sp, #20",
        "ldm r0!, {{r1-r5}}",
        "stm sp, {{r1-r5}}",
        "ldrd lr, r12, [r0]",
        "mov r4, #0",
        "mov r5, #0",
        "mov r6, #0",
        "mov r7, #0",
        "mov r8, #0",
        "mov r9, #0",
        "mov r10, #0",
        "mov r11, #0",
        "2:",
        "ldr r1, [lr], #4",
        "sxtb16 r0, r1",
        "sxtb16 r1, r1, ror #8",
        ".irp x, r0, r1",
        "ldrd r2, r3, [r12], #8",
        "smlad r8, r2, \\x, r8",
        "sxtb16 r2, r2",
        "smlad r4, r2, \\x, r4",
        "smlad r9, r3, \\x, r9",
        "sxtb16 r3, r3",
        "smlad r5, r3, \\x, r5",
        "ldrd r2, r3, [r12], #8",
        "smlad r10, r2, \\x, r10",
        "sxtb16 r2, r2",
        "smlad r6, r2, \\x, r6",
        "smlad r11, r3, \\x, r11",
        "sxtb16 r3, r3",
        "smlad r7, r3, \\x, r7",
        ".endr",
        "ldr r2, [sp, #{input_end}]",
        "cmp lr, r2",
        "bne 2b",
        "sub r8, r8, r4",
        "sub r9, r9, r5",
        "sub r10, r10, r6",
        "sub r11, r11, r7",
        "ldr r12, [sp, #{bias}]",
        "ldm r12!, {{r0-r3}}",
        "add r4, r4, r0",
        "add r8, r1, r8, asr #8",
        "add r5, r5, r2",
        "add r9, r3, r9, asr #8",
        "ldm r12!, {{r0-r3}}",
        "add r6, r6, r0",
        "add r10, r1, r10, asr #8",
        "add r7, r7, r2",
        "add r11, r3, r11, asr #8",
        "ldr r12, [sp, #{multipliers}]",
        "ldr lr, [sp, #{zero_point}]",
        "ldm r12!, {{r0-r3}}",
        "lsl r0, r0, #1",
        "lsl r1, r1, #1",
        "lsl r2, r2, #1",
        "lsl r3, r3, #1",
        "smmlar r4, r4, r0, lr",
        "smmlar r8, r8, r1, lr",
        "smmlar r5, r5, r2, lr",
        "smmlar r9, r9, r3, lr",
        "ldm r12!, {{r0-r3}}",
        "lsl r0, r0, #1",
        "lsl r1, r1, #1",
        "lsl r2, r2, #1",
        "lsl r3, r3, #1",
        "smmlar r6, r6, r0, lr",
        "smmlar r10, r10, r1, lr",
        "smmlar r7, r7, r2, lr",
        "smmlar r11, r11, r3, lr",
        "ssat r4, #8, r4",
        "ssat r5, #8, r5",
        "ssat r6, #8, r6",
        "ssat r7, #8, r7",
        "ssat r8, #8, r8",
        "ssat r9, #8, r9",
        "ssat r10, #8, r10",
        "ssat r11, #8, r11",
        "ldr r0, [sp, #{output}]",
        "strb r4, [r0]",
        "strb r8, [r0, #1]",
        "strb r5, [r0, #2]",
        "strb r9, [r0, #3]",
        "strb r6, [r0, #4]",
        "strb r10, [r0, #5]",
        "strb r7, [r0, #6]",
        "strb r11, [r0, #7]",
        "add sp, sp, #20",
        "pop {{r4-r11, pc}}",
        input_end = const offset_of!(Block, input_end),
        bias = const offset_of!(Block, bias),
        multipliers = const offset_of!(Block, multipliers),
        zero_point = const offset_of!(Block, zero_point),
        output = const offset_of!(Block, output),
    )
}
