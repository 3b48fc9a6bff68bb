//! Fully connected layer: eight outputs at a time and those left over by two or four, the input expanded on the way.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::mem::{MaybeUninit, offset_of};
use core::ops::Range;
use core::ptr;

use super::clamp::clamp;
use crate::kernels::linked::{Linked, Variant};
use crate::kernels::packing::{BLOCK, FOUR, PART};
use crate::kernels::params::FullyConnected;

/// What [`multiply_block`] and [`multiply_pairs`] work on.
#[repr(C)]
#[derive(Clone, Copy)]
struct Block {
    input_end: *const i8,
    bias: *const i32,
    /// Where sums are put, if there is no output.
    multipliers: *const i32,
    zero_point: i32,
    /// Null where more inputs follow.
    output: *mut i8,
    input: *const i8,
    weights: *const i8,
    /// [`multiply_pairs`]: outputs of these pairs, of which the last may lack its second.
    outputs: usize,
    /// [`multiply_pairs`]: bytes from a pair's weights to those of the next.
    pair_bytes: usize,
}

pub(super) fn fully_connected<L: Linked>(
    op: &FullyConnected<'_>,
    input: &[i8],
    output: &mut [i8],
    outputs: Range<usize>,
) {
    let (k, r) = (op.inputs, &op.requantize);
    let fits = op.weights.len() as u64 >= op.outputs.next_multiple_of(2) as u64 * k as u64
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
        let unit = if o < whole { BLOCK } else { FOUR };
        let first = o & unit.wrapping_neg();
        let count = (op.outputs - first).min(unit);
        let end = outputs.end.min(first + count);
        let mut results = [0i8; BLOCK];
        let direct = end - o == count;
        let target = output.as_mut_ptr().wrapping_add(o - outputs.start);
        let mut block = Block {
            input_end: input.as_ptr().wrapping_add(k),
            bias: op.bias.as_ptr().wrapping_add(first),
            multipliers: r.multipliers.as_ptr().wrapping_add(first),
            zero_point: r.zero_point.into(),
            output: if direct { target } else { results.as_mut_ptr() },
            input: input.as_ptr(),
            weights: op.weights.as_ptr().wrapping_add(first * k),
            outputs: count,
            pair_bytes: 2 * k,
        };
        let mut sums = MaybeUninit::<[i32; BLOCK]>::uninit();
        if L::VARIANTS.has(Variant::InputsInParts) && k > PART {
            sum_first_parts::<L>(&mut block, k, sums.as_mut_ptr().cast());
        }
        multiply::<L>(&block);
        if !direct {
            let part = results.get(o - first..end - first).unwrap_or(&[]);
            let places = output.get_mut(o - outputs.start..).unwrap_or(&mut []);
            places.iter_mut().zip(part).for_each(|(place, q)| *place = *q);
        }
        o = end;
    }
    if L::VARIANTS.has(Variant::Clamp) {
        clamp(output.get_mut(..outputs.len()).unwrap_or(&mut []), r);
    }
}

/// Sums all parts of the `k` inputs but the last, which is left to do with these sums as biases.
#[inline(never)]
fn sum_first_parts<L: Linked>(block: &mut Block, k: usize, sums: *mut i32) {
    let mut left = k;
    while left > PART {
        let input_end = block.input.wrapping_add(PART);
        multiply::<L>(&Block { input_end, multipliers: sums, output: ptr::null_mut(), ..*block });
        block.bias = sums;
        block.input = input_end;
        block.weights = block.weights.wrapping_add(PART * if block.outputs == BLOCK { BLOCK } else { 2 });
        left -= PART;
    }
}

/// The products of a block, by the loop for as many outputs.
#[inline(always)]
fn multiply<L: Linked>(block: &Block) {
    let (blocks, fours) = (L::VARIANTS.has(Variant::OutputsInBlocks), L::VARIANTS.has(Variant::FourLeftOver));
    let parts = L::VARIANTS.has(Variant::InputsInParts);
    // SAFETY: the lengths that the caller checked: as many outputs with their weights, biases and multipliers as are said,
    // inputs in whole groups of four, and a place for each result or, without an output, for each sum.
    unsafe {
        match (block.outputs, parts) {
            (BLOCK, true) if blocks => multiply_block::<true>(block),
            (BLOCK, false) if blocks => multiply_block::<false>(block),
            (3.., true) if fours => multiply_pairs::<2, true>(block),
            (3.., false) if fours => multiply_pairs::<2, false>(block),
            (_, true) if L::VARIANTS.has(Variant::PairLeftOver) => multiply_pairs::<1, true>(block),
            (_, false) if L::VARIANTS.has(Variant::PairLeftOver) => multiply_pairs::<1, false>(block),
            _ => {}
        }
    }
}

/// Inputs in r4 and r5 by the weights of a pair at `$weights`: `$a` sums `a * x`, `$both` `(256 * b + a) * x`.
macro_rules! pair {
    ($weights:literal, $a:literal, $both:literal) => {
        concat!(
            "ldrd r6, r7, [",
            $weights,
            "], #8\n",
            "smlad ",
            $both,
            ", r6, r5, ",
            $both,
            "\n",
            "sxtb16 r6, r6\n",
            "smlad ",
            $a,
            ", r6, r5, ",
            $a,
            "\n",
            "smlad ",
            $both,
            ", r7, r4, ",
            $both,
            "\n",
            "sxtb16 r7, r7\n",
            "smlad ",
            $a,
            ", r7, r4, ",
            $a,
        )
    };
}

/// One or two pairs of outputs: requantized and stored, or their sums.
///
/// r8 and r10 sum `a * x` and r9 and r11 `(256 * b + a) * x`.
#[unsafe(naked)]
unsafe extern "C" fn multiply_pairs<const PAIRS: usize, const PARTS: bool>(block: *const Block) {
    naked_asm!(
        processor!(),
        "push {{r0, r4-r11, lr}}",
        "sub sp, sp, #16",
        "ldr r3, [r0, #{input_end}]",
        "ldrd r12, r1, [r0, #{input}]",
        "mov r8, #0",
        "mov r9, #0",
        ".if {pairs} == 2",
        "ldr r2, [r0, #{pair_bytes}]",
        "add r2, r2, r1",
        "mov r10, #0",
        "mov r11, #0",
        ".endif",
        "2:",
        "ldr r4, [r12], #4",
        "sxtb16 r5, r4",
        "sxtb16 r4, r4, ror #8",
        pair!("r1", "r8", "r9"),
        ".if {pairs} == 2",
        pair!("r2", "r10", "r11"),
        ".endif",
        "cmp r12, r3",
        "bne 2b",
        "sub r9, r9, r8",
        "asr r9, r9, #8",
        "strd r8, r9, [sp]",
        ".if {pairs} == 2",
        "sub r11, r11, r10",
        "asr r11, r11, #8",
        "strd r10, r11, [sp, #8]",
        ".endif",
        "ldr r0, [sp, #16]",
        "ldrd r1, r2, [r0, #{bias}]",
        "ldrd r3, r4, [r0, #{zero_point}]",
        "ldr r0, [r0, #{outputs}]",
        "mov r5, sp",
        ".if {parts}",
        "cbz r4, 4f",
        ".endif",
        "3:",
        "ldr r6, [r5], #4",
        "ldr r7, [r1], #4",
        "add r6, r6, r7",
        "ldr r7, [r2], #4",
        "lsl r7, r7, #1",
        "smmlar r6, r6, r7, r3",
        "ssat r6, #8, r6",
        "strb r6, [r4], #1",
        "subs r0, r0, #1",
        "bne 3b",
        "5:",
        "add sp, sp, #20",
        "pop {{r4-r11, pc}}",
        ".if {parts}",
        "4:",
        "ldr r6, [r5], #4",
        "ldr r7, [r1], #4",
        "add r6, r6, r7",
        "str r6, [r2], #4",
        "subs r0, r0, #1",
        "bne 4b",
        "b 5b",
        ".endif",
        pairs = const PAIRS,
        parts = const PARTS as usize,
        input_end = const offset_of!(Block, input_end),
        bias = const offset_of!(Block, bias),
        zero_point = const offset_of!(Block, zero_point),
        input = const offset_of!(Block, input),
        outputs = const offset_of!(Block, outputs),
        pair_bytes = const offset_of!(Block, pair_bytes),
    )
}

/// Eight outputs: requantized and stored, or their sums.
///
/// r4 to r7 sum `a * x` of the four pairs and r8 to r11 `(256 * b + a) * x`.
#[unsafe(naked)]
unsafe extern "C" fn multiply_block<const PARTS: bool>(block: *const Block) {
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
        ".if {parts}",
        "ldr r0, [sp, #{output}]",
        "cmp r0, #0",
        "beq 4f",
        ".endif",
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
        "3:",
        "add sp, sp, #20",
        "pop {{r4-r11, pc}}",
        ".if {parts}",
        "4:",
        "strd r4, r8, [r12]",
        "strd r5, r9, [r12, #8]",
        "strd r6, r10, [r12, #16]",
        "strd r7, r11, [r12, #24]",
        "b 3b",
        ".endif",
        parts = const PARTS as usize,
        input_end = const offset_of!(Block, input_end),
        bias = const offset_of!(Block, bias),
        multipliers = const offset_of!(Block, multipliers),
        zero_point = const offset_of!(Block, zero_point),
        output = const offset_of!(Block, output),
    )
}
