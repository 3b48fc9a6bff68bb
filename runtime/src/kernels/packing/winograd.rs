//! [`Packing::DspWinograd`] and [`Packing::BaseWinograd`]: 3×3 filters with stride 1, transformed for output tiles of 2×2
//! pixels.
//!
//! An output tile is `Aᵀ [(G g Gᵀ) ⊙ (Bᵀ d B)] A` for a filter `g` and the 4×4 inputs `d` under the tile, with the
//! matrices of Winograd's F(2×2, 3×3); a column of `G` has the factors `1, (1, 1, 1) / 2, (1, -1, 1) / 2, 1`. Weights are
//! held as `(2 G) g (2 G)ᵀ`: 16 integers of at most `9 * 127`, so that a tile is four times the sums of the direct
//! convolution, exactly, and a shift by two gives these.
//!
//! The 16 places go column by column, in each the rows 1, 2, 0, 3, the last one negated: with sums `m`, rows 1 and 2 give
//! `m1 + m2` and `m1 - m2`, to which the sums of rows 0 and 3 are then added.
//!
//! - [`Packing::DspWinograd`]: `[c_out / 4][place][c_in / 4][half][4]` words for blocks of four output channels. A word
//!   holds inputs `h` and `h + 2` of a group of four, for half `h`.
//! - [`Packing::BaseWinograd`]: `[c_out / 2][place][c_in][2]` half words for pairs of output channels. Four times the sum of
//!   products has to fit 24 bits with its sign: then four tiles share three accumulators. The accumulator, its bias
//!   included, fits 29 bits.

use super::base::accumulators_fit;
use super::multiplies_in_one_step;
use crate::kernels::params::{Conv2d, Packing};
use crate::shape::Layout;

/// Transformed weights of a filter, and inputs of a tile.
const PLACES: usize = 16;
/// Output channels of a block of [`Packing::DspWinograd`].
const CHANNELS: usize = 4;
/// Input channels are a multiple of this.
const GROUP: usize = 16;
/// Output channels of a block of [`Packing::BaseWinograd`].
const PAIR: usize = 2;
/// Input channels are a multiple of this in [`Packing::BaseWinograd`].
const BASE_GROUP: usize = 8;
/// Where row `i` of a column stands.
const SLOTS: [usize; 4] = [2, 0, 1, 3];
/// Largest sum of magnitudes of one channel's weights: four times the sum of products stays below 2^31.
const LARGEST_SUM: u32 = (1 << 29) / 128 - 1;
/// The same of [`Packing::BaseWinograd`], below 2^23.
const BASE_LARGEST_SUM: u32 = (1 << 21) / 128 - 1;

/// A column of three filter rows times `2 G`.
fn transform([a, b, c]: [i32; 3]) -> [i32; 4] {
    [2 * a, a + b + c, a - b + c, 2 * c]
}

impl Conv2d<'_> {
    pub(super) const fn winograd_len(&self) -> usize {
        self.output.extent.c.saturating_mul(self.input.extent.c).saturating_mul(2 * PLACES)
    }

    pub(super) const fn suits_dsp_winograd(&self) -> bool {
        self.suits_winograd()
            && self.input.extent.c.is_multiple_of(GROUP)
            && self.output.extent.c.is_multiple_of(CHANNELS)
    }

    pub(super) const fn suits_base_winograd(&self) -> bool {
        self.suits_winograd()
            && matches!(self.output.layout, Layout::Nhwc)
            && self.input.extent.c.is_multiple_of(BASE_GROUP)
            && self.output.extent.c.is_multiple_of(PAIR)
    }

    /// Whether window, input and multipliers allow the scheme.
    const fn suits_winograd(&self) -> bool {
        let w = &self.window;
        w.filter_h == 3
            && w.filter_w == 3
            && w.stride_h == 1
            && w.stride_w == 1
            && w.dilation_h == 1
            && w.dilation_w == 1
            && self.groups == 1
            && matches!(self.input.layout, Layout::Nhwc)
            && multiplies_in_one_step(&self.requantize)
    }

    /// Half word of the transformed weight in row `row` and column `column`.
    fn winograd_half_word(&self, o: usize, (row, column): (usize, usize), i: usize) -> usize {
        let place = column * 4 + SLOTS[row];
        if self.packing == Packing::BaseWinograd {
            return ((o / PAIR * PLACES + place) * self.input.extent.c + i) * PAIR + o % PAIR;
        }
        let group = ((o / CHANNELS) * PLACES + place) * (self.input.extent.c / 4) + i / 4;
        ((group * 2 + i % 2) * CHANNELS + o % CHANNELS) * 2 + i % 4 / 2
    }

    fn transformed(&self, o: usize, (row, column): (usize, usize), i: usize) -> i32 {
        let half_word = self.winograd_half_word(o, (row, column), i);
        let bytes = self.weights.get(2 * half_word..).and_then(|rest| rest.first_chunk::<2>());
        let value = i16::from_le_bytes(bytes.map_or([0; 2], |bytes| bytes.map(|byte| byte as u8)));
        if row == 3 { -i32::from(value) } else { value.into() }
    }

    pub(super) fn winograd_weight(&self, o: usize, ky: usize, kx: usize, i: usize) -> i8 {
        // Twice a filter row is the first of the four, the second less the third, or the last.
        let terms = |k: usize| [[(0, 1), (0, 0)], [(1, 1), (2, -1)], [(3, 1), (0, 0)]][k.min(2)];
        let mut sum = 0;
        for (row, sign_y) in terms(ky) {
            for (column, sign_x) in terms(kx) {
                if sign_y * sign_x != 0 {
                    sum += sign_y * sign_x * self.transformed(o, (row, column), i);
                }
            }
        }
        (sum >> 2) as i8
    }

    pub(super) fn pack_winograd(&self, packing: Packing, packed: &mut [i8]) -> Option<()> {
        let target = Self { packing, ..*self };
        let base = packing == Packing::BaseWinograd;
        let largest = if base { BASE_LARGEST_SUM } else { LARGEST_SUM };
        let fits = packed.len() == target.weights_len()
            && super::sums_below(self.weights, 9 * self.input.extent.c, largest)
            && (!base || accumulators_fit(self.bias, largest * 128));
        if self.packing != Packing::Plain || !self.suits(packing) || !fits {
            return None;
        }
        for o in 0..self.output.extent.c {
            for i in 0..self.input.extent.c {
                let filter = [0, 1, 2].map(|ky| [0, 1, 2].map(|kx| i32::from(self.weight(o, ky, kx, i))));
                let rows = filter.map(transform);
                for column in 0..4 {
                    let values = transform(rows.map(|row| row[column]));
                    for (row, &value) in values.iter().enumerate() {
                        let value = i16::try_from(if row == 3 { -value } else { value }).ok()?;
                        let half_word = target.winograd_half_word(o, (row, column), i);
                        let place = packed.get_mut(2 * half_word..)?.first_chunk_mut::<2>()?;
                        *place = value.to_le_bytes().map(|byte| byte as i8);
                    }
                }
            }
        }
        Some(())
    }
}
