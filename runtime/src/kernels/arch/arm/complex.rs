//! The radix-4 pass of the front end's Fourier transform, by the multiplications of 16-bit pairs that the DSP extension has.
//!
//! What the compiler makes of the portable pass (`dsp/rfft.rs`) has more values than registers. This order of instructions
//! has eight, and a fourth of it would be moves to the stack otherwise.
#![allow(unsafe_code)]

use core::arch::asm;

/// One butterfly for each point of four transforms of `Q` points, `turns` the twiddles of the second, third and fourth. The inputs
/// have `shift` bits too many, 3 of them fractional. Gives `extent` with, of each word `w` that was written, the ones of
/// `w ^ (w << 1)`.
///
/// The arithmetic is that of the portable pass, bit for bit. `Q` is at most 256, `shift` in [1, 31].
#[inline(always)]
pub(crate) fn butterflies<const Q: usize>(
    points: &mut [[u32; Q]; 4],
    turns: &[[u32; 3]; Q],
    shift: u32,
    mut extent: u32,
) -> u32 {
    const { assert!(Q <= 256, "the offset of a point does not fit in the instruction") };
    // A shift by a register reads its lowest byte; above it stands one half.
    let rounding = (1 << (shift & 31)) >> 1 << 8 | shift;
    let mut point = points.as_mut_ptr().cast::<u32>();
    let mut turn = turns.as_ptr();
    for _ in 0..Q {
        // SAFETY: in the k-th of the Q rounds `point` is the k-th of the first Q words of `points`, so that the words Q, 2Q and
        // 3Q behind it are also its own, and `turn` is the k-th of the Q triples of `turns`. Nothing else is read or written.
        // The flag of saturation may be set, which nobody reads.
        unsafe {
            asm!(
                "ldr {a}, [{point}, #{three}]",
                "ldr {b}, [{turn}, #8]",
                "smusd {d}, {a}, {b}",
                "smuadx {f}, {a}, {b}",
                "ldr {a}, [{point}, #{two}]",
                "ldr {b}, [{turn}, #4]",
                "smusd {g}, {a}, {b}",
                "smuadx {h}, {a}, {b}",
                "asr {d}, {d}, #12",
                "asr {f}, {f}, #12",
                // Difference of the third and the fourth in a and d, their sum in g and h.
                "rsb {a}, {d}, {g}, asr #12",
                "add {g}, {d}, {g}, asr #12",
                "rsb {d}, {f}, {h}, asr #12",
                "add {h}, {f}, {h}, asr #12",
                "ldr {u}, [{point}, #{one}]",
                "ldr {v}, [{turn}], #12",
                "smusd {b}, {u}, {v}",
                "smuadx {f}, {u}, {v}",
                "ldr {v}, [{point}]",
                "lsl {u}, {v}, #16",
                "asr {v}, {v}, #16",
                "asr {u}, {u}, #13",
                "lsl {v}, {v}, #3",
                "add {u}, {u}, {rounding}, lsr #8",
                "add {v}, {v}, {rounding}, lsr #8",
                // Sum of the first and the second in b and f, their difference in u and v.
                "add {b}, {u}, {b}, asr #12",
                "rsb {u}, {b}, {u}, lsl #1",
                "add {f}, {v}, {f}, asr #12",
                "rsb {v}, {f}, {v}, lsl #1",
                "add {b}, {b}, {g}",
                "sub {g}, {b}, {g}, lsl #1",
                "add {f}, {f}, {h}",
                "sub {h}, {f}, {h}, lsl #1",
                "add {u}, {u}, {d}",
                "sub {d}, {u}, {d}, lsl #1",
                "sub {v}, {v}, {a}",
                "add {a}, {v}, {a}, lsl #1",
                "asr {b}, {b}, {rounding}",
                "asr {f}, {f}, {rounding}",
                "asr {g}, {g}, {rounding}",
                "asr {h}, {h}, {rounding}",
                "asr {u}, {u}, {rounding}",
                "asr {v}, {v}, {rounding}",
                "asr {d}, {d}, {rounding}",
                "asr {a}, {a}, {rounding}",
                "pkhbt {b}, {b}, {f}, lsl #16",
                "pkhbt {u}, {u}, {v}, lsl #16",
                "pkhbt {g}, {g}, {h}, lsl #16",
                "pkhbt {d}, {d}, {a}, lsl #16",
                "str {u}, [{point}, #{one}]",
                "str {g}, [{point}, #{two}]",
                "str {d}, [{point}, #{three}]",
                "str {b}, [{point}], #4",
                "eor {b}, {b}, {b}, lsl #1",
                "eor {u}, {u}, {u}, lsl #1",
                "eor {g}, {g}, {g}, lsl #1",
                "eor {d}, {d}, {d}, lsl #1",
                "orr {extent}, {extent}, {b}",
                "orr {extent}, {extent}, {u}",
                "orr {extent}, {extent}, {g}",
                "orr {extent}, {extent}, {d}",
                point = inout(reg) point,
                turn = inout(reg) turn,
                extent = inout(reg) extent,
                rounding = in(reg) rounding,
                a = out(reg) _,
                b = out(reg) _,
                d = out(reg) _,
                f = out(reg) _,
                g = out(reg) _,
                h = out(reg) _,
                u = out(reg) _,
                v = out(reg) _,
                one = const 4 * Q,
                two = const 8 * Q,
                three = const 12 * Q,
                options(nostack),
            );
        }
    }
    extent
}
