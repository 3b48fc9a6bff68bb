//! Tapering: samples times factors, in pairs, which are the points of the transform, to their places in bit-reversed order.

use core::arch::naked_asm;

/// Where the points go.
pub(crate) struct Target<'s> {
    /// All points of the transform, a power of two.
    pub(crate) spectrum: &'s mut [u32],
    /// How many stand there.
    pub(crate) points: usize,
}

/// What the loops keep in registers.
#[repr(C)]
struct State {
    spectrum: *mut u32,
    /// The number of the next point, shifted so that its bits reversed are an offset in bytes.
    next: u32,
    /// One in the same place.
    step: u32,
    /// Right shift of a product, and above the lowest byte the number of points less one.
    down: u32,
    /// What is subtracted from both samples.
    mean: u32,
    /// The ones of `w ^ (w << 1)` of all points.
    extent: u32,
}

/// The samples of one axis among several.
#[derive(Clone, Copy)]
pub(crate) struct Strided<'f> {
    /// From the next sample of the axis on.
    pub(crate) samples: &'f [i16],
    pub(crate) axes: usize,
    /// Subtracted, with saturation to 16 bits.
    pub(crate) mean: i16,
}

impl Target<'_> {
    /// For `points` points more; `None` where they have no place.
    fn state(&mut self, points: usize, down: u32, mean: u32) -> Option<State> {
        let len = self.spectrum.len();
        let room = len.checked_sub(self.points)?;
        if !(4..=1 << 20).contains(&len) || !len.is_power_of_two() || !(1..=room).contains(&points) {
            return None;
        }
        let step = (1 << 30) >> len.trailing_zeros();
        Some(State {
            spectrum: self.spectrum.as_mut_ptr(),
            next: step * self.points as u32,
            step,
            down: ((points as u32 - 1) << 8) | (down & 31),
            mean,
            extent: 0,
        })
    }

    /// Loads samples times factors, shifted right by `down`, 1 to 15, and rounded half up; factors that fall are read from their end.
    /// As many as there are of both and have room. Returns the extent.
    #[inline(never)]
    pub(crate) fn load(
        &mut self,
        samples: &[[i16; 2]],
        factors: &[[i16; 2]],
        is_rising: bool,
        down: u32,
    ) -> u32 {
        let points = samples.len().min(factors.len());
        let Some(mut state) = self.state(points, down, 0) else { return 0 };
        // SAFETY: `points` pairs are read from the start of `samples`, and from the start or the end of `factors`. As many points have
        // room in the spectrum, whose length is a power of two, so that a number below it with its bits reversed is below it too.
        unsafe {
            if is_rising {
                rise(samples.as_ptr(), factors.as_ptr(), &mut state);
            } else {
                fall(samples.as_ptr(), factors.as_ptr_range().end, &mut state);
            }
        }
        self.points += points;
        state.extent
    }

    /// The same for the samples of an axis.
    #[inline(never)]
    pub(crate) fn load_strided(
        &mut self,
        axis: Strided<'_>,
        factors: &[[i16; 2]],
        is_rising: bool,
        down: u32,
    ) -> u32 {
        let samples = axis.samples.len().wrapping_add(axis.axes).wrapping_sub(1).checked_div(axis.axes);
        let points = (samples.unwrap_or(0) / 2).min(factors.len());
        let mean = u32::from(axis.mean as u16) * 0x0001_0001;
        let Some(mut state) = self.state(points, down, mean) else { return 0 };
        let bytes = axis.axes * 2;
        // SAFETY: as above; of every `axes` samples one is read, the first of them first, and twice `points` of them lie in the slice.
        unsafe {
            if is_rising {
                rise_strided(axis.samples.as_ptr(), factors.as_ptr(), &mut state, bytes);
            } else {
                fall_strided(axis.samples.as_ptr(), factors.as_ptr_range().end, &mut state, bytes);
            }
        }
        self.points += points;
        state.extent
    }
}

/// What is done with two samples in r4 and two factors in r5, the products being `$low` and `$high`, until the end of the loop.
macro_rules! point {
    ($low:literal, $high:literal) => {
        concat!(
            $low,
            " r6, r4, r5, lr\n",
            $high,
            " r7, r4, r5, lr\n",
            "asr r6, r6, r10\n",
            "asr r7, r7, r10\n",
            "pkhbt r6, r6, r7, lsl #16\n",
            "rbit r7, r8\n",
            "str r6, [r12, r7]\n",
            "add r8, r8, r9\n",
            "eor r6, r6, r6, lsl #1\n",
            "orr r11, r11, r6\n",
            "subs r10, r10, #256\n",
            "bpl 2b\n",
        )
    };
}

/// Before the loop: r12 is the spectrum, r8 the next point, r9 the step, r10 the shift and the count, r11 the extent, lr one half.
macro_rules! enter {
    () => {
        concat!(
            "ldrd r12, r8, [r2]\n",
            "ldrd r9, r10, [r2, #8]\n",
            "mov r11, #0\n",
            "mov lr, #1\n",
            "lsl lr, lr, r10\n",
            "lsr lr, lr, #1\n",
        )
    };
}

#[unsafe(naked)]
unsafe extern "C" fn rise(samples: *const [i16; 2], factors: *const [i16; 2], state: *mut State) {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        enter!(),
        "2:",
        "ldr r4, [r0], #4",
        "ldr r5, [r1], #4",
        point!("smlabb", "smlatt"),
        "str r11, [r2, #20]",
        "pop {{r4-r11, pc}}",
    )
}

#[unsafe(naked)]
unsafe extern "C" fn fall(samples: *const [i16; 2], behind: *const [i16; 2], state: *mut State) {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        enter!(),
        "2:",
        "ldr r4, [r0], #4",
        "ldr r5, [r1, #-4]!",
        point!("smlabt", "smlatb"),
        "str r11, [r2, #20]",
        "pop {{r4-r11, pc}}",
    )
}

#[unsafe(naked)]
unsafe extern "C" fn rise_strided(
    samples: *const i16,
    factors: *const [i16; 2],
    state: *mut State,
    stride: usize,
) {
    naked_asm!(
        processor!(),
        "push {{r2, r4-r11, lr}}",
        enter!(),
        "ldr r2, [r2, #16]",
        "2:",
        "ldrh r5, [r0, r3]",
        "ldrh r4, [r0]",
        "add r0, r0, r3, lsl #1",
        "pkhbt r4, r4, r5, lsl #16",
        "ldr r5, [r1], #4",
        "qsub16 r4, r4, r2",
        point!("smlabb", "smlatt"),
        "pop {{r2}}",
        "str r11, [r2, #20]",
        "pop {{r4-r11, pc}}",
    )
}

#[unsafe(naked)]
unsafe extern "C" fn fall_strided(
    samples: *const i16,
    behind: *const [i16; 2],
    state: *mut State,
    stride: usize,
) {
    naked_asm!(
        processor!(),
        "push {{r2, r4-r11, lr}}",
        enter!(),
        "ldr r2, [r2, #16]",
        "2:",
        "ldrh r5, [r0, r3]",
        "ldrh r4, [r0]",
        "add r0, r0, r3, lsl #1",
        "pkhbt r4, r4, r5, lsl #16",
        "ldr r5, [r1, #-4]!",
        "qsub16 r4, r4, r2",
        point!("smlabt", "smlatb"),
        "pop {{r2}}",
        "str r11, [r2, #20]",
        "pop {{r4-r11, pc}}",
    )
}
