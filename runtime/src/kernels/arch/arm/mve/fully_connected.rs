//! Fully connected layer: four outputs at a time.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::ops::Range;

use crate::kernels::arch::arm::clamp::clamp;
use crate::kernels::linked::{Linked, Variant};
use crate::kernels::packing::mve::CHANNELS;
use crate::kernels::params::FullyConnected;

/// What [`multiply`] works on.
#[repr(C)]
struct Outputs {
    input: *const i8,
    weights: *const i8,
    /// Groups of four outputs; 1 or more.
    groups: usize,
    bias: *const i32,
    multipliers: *const i32,
    zero_point: i32,
    output: *mut i8,
    inputs: usize,
    /// Inputs beyond the first 16.
    rest: usize,
}

/// Inputs that one vector has.
const VECTOR: usize = 16;

pub(super) fn fully_connected<L: Linked>(
    op: &FullyConnected<'_>,
    input: &[i8],
    output: &mut [i8],
    outputs: Range<usize>,
) {
    let (k, r) = (op.inputs, &op.requantize);
    let fits = op.outputs >= CHANNELS
        && k > 0
        && op.weights.len() >= op.weights_len()
        && op.bias.len() >= op.outputs
        && r.multipliers.len() >= op.outputs
        && input.len() >= k
        && outputs.start <= outputs.end
        && outputs.end <= op.outputs
        && output.len() >= outputs.len();
    if !fits {
        return;
    }
    let groups = outputs.len() / CHANNELS;
    let run = |first: usize, groups: usize, target: *mut i8| {
        let mut block = Outputs {
            input: input.as_ptr(),
            weights: op.weights.as_ptr().wrapping_add(first * k),
            groups,
            bias: op.bias.as_ptr().wrapping_add(first),
            multipliers: r.multipliers.as_ptr().wrapping_add(first),
            zero_point: r.zero_point.into(),
            output: target,
            inputs: k,
            rest: k.saturating_sub(VECTOR),
        };
        // SAFETY: by the lengths checked above, `k` inputs and weights, biases and multipliers of `groups` times four
        // outputs from `first` on; `target` has room for them.
        unsafe {
            if k < VECTOR {
                multiply_few(&mut block);
            } else {
                multiply(&mut block);
            }
        }
    };
    if groups > 0 {
        run(outputs.start, groups, output.as_mut_ptr());
    }
    let left = outputs.len() % CHANNELS;
    if left > 0 {
        // The last four outputs, of which the first may be none of these.
        let mut last = [0i8; CHANNELS];
        let first = outputs.end.saturating_sub(CHANNELS);
        run(first, 1, last.as_mut_ptr());
        let target = output.get_mut(groups * CHANNELS..).unwrap_or(&mut []);
        let results = last.iter().skip(outputs.end - left - first);
        target.iter_mut().zip(results).take(left).for_each(|(to, from)| *to = *from);
    }
    if L::VARIANTS.has(Variant::Clamp) {
        clamp(output.get_mut(..outputs.len()).unwrap_or(&mut []), r);
    }
}

/// Begins a function of [`Outputs`]: r12 is the block, r11 the number of inputs, r10 the weights, r8 groups.
macro_rules! enter {
    () => {
        "push {{r4-r11, lr}}
        mov r12, r0
        ldr r11, [r12, #28]
        ldrd r10, r8, [r12, #4]"
    };
}

/// The weights of the next four outputs, and the inputs.
macro_rules! next {
    () => {
        "mov r1, r10
        ldr r9, [r12]
        add r3, r1, r11
        add r5, r3, r11
        add r7, r5, r11
        add r10, r7, r11"
    };
}

/// Requantizes and stores four outputs; jumps back to label 2 for the next, if any.
macro_rules! finish {
    () => {
        "vmov q0[2], q0[0], r0, r4
        vmov q0[3], q0[1], r2, r6
        ldrd r1, r3, [r12, #12]
        vldrw.u32 q1, [r1], #16
        ldrd r5, r7, [r12, #20]
        vadd.i32 q0, q0, q1
        vldrw.u32 q2, [r3], #16
        vqrdmulh.s32 q0, q0, q2
        strd r1, r3, [r12, #12]
        vqadd.s32 q0, q0, r5
        vqmovnb.s32 q0, q0
        vqmovnb.s16 q0, q0
        vstrb.32 q0, [r7], #4
        str r7, [r12, #24]
        subs r8, r8, #1
        bne 2b
        pop {{r4-r11, pc}}"
    };
}

/// Products of 16 inputs or more with all outputs of a block.
#[unsafe(naked)]
unsafe extern "C" fn multiply(block: &mut Outputs) {
    naked_asm!(
        processor!(),
        enter!(),
        "2:",
        next!(),
        "vldrb.u8 q0, [r9], #16",
        "vldrb.u8 q1, [r1], #16",
        "vmlav.s8 r0, q0, q1",
        "vldrb.u8 q2, [r3], #16",
        "vmlav.s8 r2, q0, q2",
        "vldrb.u8 q3, [r5], #16",
        "ldr lr, [r12, #32]",
        "vmlav.s8 r4, q0, q3",
        "vldrb.u8 q1, [r7], #16",
        "vmlav.s8 r6, q0, q1",
        "wlstp.8 lr, lr, 4f",
        "3:",
        "vldrb.u8 q0, [r9], #16",
        "vldrb.u8 q1, [r1], #16",
        "vmlava.s8 r0, q0, q1",
        "vldrb.u8 q2, [r3], #16",
        "vmlava.s8 r2, q0, q2",
        "vldrb.u8 q3, [r5], #16",
        "vmlava.s8 r4, q0, q3",
        "vldrb.u8 q1, [r7], #16",
        "vmlava.s8 r6, q0, q1",
        "letp lr, 3b",
        "4:",
        finish!(),
    )
}

/// As [`multiply`], with fewer than 16 inputs.
#[unsafe(naked)]
unsafe extern "C" fn multiply_few(block: &mut Outputs) {
    naked_asm!(
        processor!(),
        enter!(),
        "vctp.8 r11",
        "ldr r9, [r12]",
        "vpst",
        "vldrbt.u8 q3, [r9]",
        "2:",
        next!(),
        "vpsttt",
        "vldrbt.u8 q0, [r1]",
        "vldrbt.u8 q1, [r3]",
        "vldrbt.u8 q2, [r5]",
        "vmlav.s8 r0, q0, q3",
        "vmlav.s8 r2, q1, q3",
        "vmlav.s8 r4, q2, q3",
        "vpst",
        "vldrbt.u8 q0, [r7]",
        "vmlav.s8 r6, q0, q3",
        finish!(),
    )
}
