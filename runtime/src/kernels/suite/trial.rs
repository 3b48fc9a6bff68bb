//! Fixed buffers, and the comparison of one kernel call with the reference.

use core::ops::Range;

use super::outcome::{Case, Difference, Failure, Outcome};
use super::random::Random;
use super::spec::{Numbers, Values};
use crate::kernels::params::Packing;
use crate::quant::Requantize;
use crate::shape::{Layout, View};

/// Elements of an input.
pub(super) const INPUT_LEN: usize = 2048;
/// Elements of the weights, or of a second operand.
pub(super) const WEIGHTS_LEN: usize = 5184;
/// Elements of an output.
pub(super) const OUTPUT_LEN: usize = 1536;
/// Bytes of packed weights, which may have zeros between them.
const PACKED_LEN: usize = 8192;
/// Output channels.
pub(super) const CHANNELS: usize = 72;
/// Scratch bytes.
const SCRATCH_LEN: usize = 9216;

#[derive(Debug)]
#[repr(align(16))]
struct Scratch([i8; SCRATCH_LEN]);

#[derive(Debug)]
#[repr(align(16))]
struct Packed([i8; PACKED_LEN]);

/// The suite's memory: about 29 kB. Place it in a `static` where the stack is small.
#[derive(Debug)]
pub struct Buffers {
    pub(super) input: [i8; INPUT_LEN],
    pub(super) weights: [i8; WEIGHTS_LEN],
    pub(super) bias: [i32; CHANNELS],
    pub(super) multipliers: [i32; CHANNELS],
    pub(super) exponentials: [u32; 256],
    pub(super) expected: [i8; OUTPUT_LEN],
    pub(super) actual: [i8; OUTPUT_LEN],
    packed: Packed,
    scratch: Scratch,
}

impl Buffers {
    /// Zeros.
    pub const fn new() -> Self {
        Self {
            input: [0; INPUT_LEN],
            weights: [0; WEIGHTS_LEN],
            bias: [0; CHANNELS],
            multipliers: [0; CHANNELS],
            exponentials: [0; 256],
            expected: [0; OUTPUT_LEN],
            actual: [0; OUTPUT_LEN],
            packed: Packed([0; PACKED_LEN]),
            scratch: Scratch([0; SCRATCH_LEN]),
        }
    }
}

impl Default for Buffers {
    fn default() -> Self {
        Self::new()
    }
}

/// A case class in progress.
#[derive(Debug)]
pub struct Trial<'a> {
    pub(super) buffers: &'a mut Buffers,
    pub(super) random: Random,
    set: &'static str,
    class: &'static str,
    calls: u32,
    failure: Option<Failure>,
}

/// The parts of a case that every operator with weights has, filled at random.
pub(super) struct Operands<'b> {
    pub input: &'b [i8],
    pub weights: &'b [i8],
    pub bias: &'b [i32],
    pub requantize: Requantize<'b>,
}

/// All packings. A set that does not read one gets the case's plain weights again, so that every set is called equally
/// often.
pub(super) const PACKINGS: [Packing; 6] = Packing::ALL;

/// Where the kernel writes and what is expected there.
pub(super) struct Target<'b> {
    pub expected: &'b mut [i8],
    pub actual: &'b mut [i8],
    pub packed: &'b mut [i8],
    pub scratch: &'b mut [i8],
}

impl<'a> Trial<'a> {
    /// A trial of the kernel set named `set` in the class `class`.
    pub fn new(buffers: &'a mut Buffers, set: &'static str, class: &'static str, seed: u32) -> Self {
        Self { buffers, random: Random::new(seed), set, class, calls: 0, failure: None }
    }

    /// What came out.
    pub fn outcome(self) -> Outcome {
        match self.failure {
            Some(failure) => Outcome::Failed(failure),
            None => Outcome::Passed { calls: self.calls },
        }
    }

    /// Whether a case failed; further cases are not run then.
    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    pub(super) fn fail(&mut self, case: Case, rows: Range<usize>, difference: Difference) {
        if self.failure.is_none() {
            self.failure = Some(Failure { set: self.set, class: self.class, case, rows, difference });
        }
    }

    /// Counts `calls` and keeps the first difference, if any.
    pub(super) fn finish(&mut self, case: Case, calls: u32, failed: Option<(Range<usize>, Difference)>) {
        self.calls += calls;
        if let Some((rows, difference)) = failed {
            self.fail(case, rows, difference);
        }
    }

    /// Fills the first `len` elements of the input.
    pub(super) fn fill_input(&mut self, len: usize, values: Values) {
        for element in self.buffers.input.iter_mut().take(len) {
            *element = match values {
                Values::Random => self.random.value(),
                Values::Small => self.random.within(-2, 2) as i8,
                Values::Lowest => -128,
                Values::Highest => 127,
            };
        }
    }

    /// Fills weights, biases and multipliers of a case with `k` products per output and splits the buffers, or
    /// reports that the case does not fit them. Multipliers are such that they suit `packing`.
    pub(super) fn prepare(
        &mut self,
        case: Case,
        weights_len: usize,
        k: usize,
        numbers: &Numbers,
        packing: Packing,
    ) -> Option<(Operands<'_>, Target<'_>)> {
        let (input_len, output_len, channels) =
            (case.input.extent.len(), case.output.extent.len(), case.output.extent.c);
        if input_len > INPUT_LEN
            || weights_len > WEIGHTS_LEN
            || output_len > OUTPUT_LEN
            || channels > CHANNELS
        {
            self.fail(case, 0..0, Difference::Buffers);
            return None;
        }
        self.fill_input(input_len, numbers.values);
        for weight in self.buffers.weights.iter_mut().take(weights_len) {
            *weight = match numbers.values {
                Values::Random => self.random.weight(),
                Values::Small => self.random.within(-2, 2) as i8,
                Values::Lowest | Values::Highest => 127,
            };
        }
        let root = k.isqrt() as i32 + 1;
        for (bias, multiplier) in
            self.buffers.bias.iter_mut().zip(&mut self.buffers.multipliers).take(channels)
        {
            (*bias, *multiplier) = match numbers.values {
                Values::Small => (self.random.within(-9, 9), self.random.within(1 << 29, i32::MAX)),
                _ => {
                    // The deviation of a sum of k products is about 5500 sqrt(k): most outputs fall inside the range.
                    let usual = 40_000_000 / root;
                    let multiplier = match self.random.within(0, 15) {
                        0 => i32::MAX,
                        1 => 0,
                        2 => self.random.within(0, i32::MAX - 1),
                        _ => self.random.within(usual / 4, usual),
                    };
                    (self.random.within(-9000 * root, 9000 * root), multiplier)
                }
            };
            if !matches!(packing, Packing::Plain | Packing::Mve) {
                *multiplier &= (1 << 30) - 1;
            }
        }
        for byte in &mut self.buffers.scratch.0 {
            *byte = 0x5A;
        }
        let buffers = &mut *self.buffers;
        let operands = Operands {
            input: buffers.input.get(..input_len)?,
            weights: buffers.weights.get(..weights_len)?,
            bias: buffers.bias.get(..channels)?,
            requantize: Requantize {
                multipliers: buffers.multipliers.get(..channels)?,
                shift: numbers.shift,
                zero_point: numbers.output_zero_point,
                output_min: numbers.output_min,
                output_max: numbers.output_max,
            },
        };
        let target = Target {
            expected: buffers.expected.get_mut(..output_len)?,
            actual: buffers.actual.get_mut(..output_len)?,
            packed: &mut buffers.packed.0,
            scratch: &mut buffers.scratch.0,
        };
        Some((operands, target))
    }
}

impl Target<'_> {
    /// Limits the scratch to the first `len` bytes.
    pub fn limit_scratch(&mut self, len: usize) -> Result<(), Difference> {
        let scratch = core::mem::take(&mut self.scratch);
        match scratch.get_mut(..len) {
            Some(scratch) => self.scratch = scratch,
            None => return Err(Difference::Scratch { needed: len }),
        }
        Ok(())
    }

    /// Lets `compute` write the rows `rows` of `output` and gives the first element that differs.
    pub fn compare(
        &mut self,
        output: View,
        rows: Range<usize>,
        compute: impl FnOnce(&mut [i8], &mut [i8]),
        acc: impl FnOnce(usize, usize, usize) -> Option<i32>,
    ) -> Option<Difference> {
        let row_len = output.extent.row_len();
        let expected = self.expected.get(rows.start * row_len..rows.end * row_len)?;
        let actual = self.actual.get_mut(..expected.len())?;
        for (actual, expected) in actual.iter_mut().zip(expected) {
            *actual = !expected; // an element that stays unwritten differs
        }
        compute(actual, self.scratch);
        let (index, (&got, &expected)) =
            actual.iter().zip(expected).enumerate().find(|(_, (a, e))| a != e)?;
        let (y, x, c) = position(output, rows.start * row_len + index);
        Some(Difference::Element { y, x, c, got, expected, acc: acc(y, x, c) })
    }
}

/// Position of the element at `index`.
pub(super) fn position(view: View, index: usize) -> (usize, usize, usize) {
    let row_len = view.extent.row_len().max(1);
    let (y, rest) = (index / row_len, index % row_len);
    match view.layout {
        Layout::Nhwc => (y, rest / view.extent.c.max(1), rest % view.extent.c.max(1)),
        Layout::Planar => (y, rest % view.extent.w.max(1), rest / view.extent.w.max(1)),
    }
}

/// The ranges of `count` rows that a case is computed in: all of them, or the whole and one split.
pub(super) fn row_ranges(
    count: usize,
    every: bool,
    random: &mut Random,
) -> impl Iterator<Item = Range<usize>> {
    let split = random.within(0, count as i32) as usize;
    let all = (0..count).flat_map(move |start| (start + 1..=count).map(move |end| start..end));
    let few = [0..count, 0..split, split..count].into_iter();
    let every_count = if every { usize::MAX } else { 0 };
    few.chain(all.take(every_count))
}
