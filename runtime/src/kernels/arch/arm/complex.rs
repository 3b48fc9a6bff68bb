//! The radix-4 pass of the front end's Fourier transform and the powers of its bins, by the multiplications of 16-bit pairs that the DSP extension has.
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

/// Powers of the two bins that the points `front` and `back` of the transform of interleaved samples make with the twiddle
/// `turn`, of twice the spectrum, its parts shifted right by `shift`, below 32, and rounded half up.
#[inline(always)]
pub(crate) fn powers(front: u32, back: u32, turn: u32, shift: u32) -> (u32, u32) {
    // As above.
    let rounding = (1 << (shift & 31)) >> 1 << 8 | shift;
    let (x, y);
    // SAFETY: arithmetic of registers.
    unsafe {
        asm!(
            // Sums and differences of both points: e of the even samples, o of the odd ones.
            "sxth {x}, {b}",
            "sxtah {er}, {x}, {a}",
            "rsb {oi}, {er}, {x}, lsl #1",
            "asr {x}, {a}, #16",
            "sub {ei}, {x}, {b}, asr #16",
            "add {a}, {x}, {b}, asr #16",
            // The odd ones turned.
            "sxth {b}, {t}",
            "asr {t}, {t}, #16",
            "mul {x}, {a}, {b}",
            "mul {a}, {a}, {t}",
            "mul {t}, {oi}, {t}",
            "mul {b}, {oi}, {b}",
            "asr {x}, {x}, #1",
            "sub {x}, {x}, {t}, asr #1",
            "asr {a}, {a}, #1",
            "add {a}, {a}, {b}, asr #1",
            "add {x}, {x}, #8192",
            "add {a}, {a}, #8192",
            "asr {a}, {a}, #14",
            // Both bins, with one half of what is shifted out.
            "add {er}, {er}, {rounding}, lsr #8",
            "add {a}, {a}, {rounding}, lsr #8",
            "add {b}, {er}, {x}, asr #14",
            "sub {x}, {er}, {x}, asr #14",
            "add {t}, {a}, {ei}",
            "sub {a}, {a}, {ei}",
            "asr {b}, {b}, {rounding}",
            "asr {x}, {x}, {rounding}",
            "asr {t}, {t}, {rounding}",
            "asr {a}, {a}, {rounding}",
            "mul {b}, {b}, {b}",
            "mul {x}, {x}, {x}",
            "mla {b}, {t}, {t}, {b}",
            "mla {x}, {a}, {a}, {x}",
            a = inout(reg) front => _,
            b = inout(reg) back => x,
            t = inout(reg) turn => _,
            rounding = in(reg) rounding,
            x = out(reg) y,
            er = out(reg) _,
            ei = out(reg) _,
            oi = out(reg) _,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    (x, y)
}
