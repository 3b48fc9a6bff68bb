//! Where each weight lies in a packing, for the compiler, the check of a plan and the sets that read it slowly.
//! [`Packing::Base`] stands in `base`, [`Packing::Mve`] in `mve`, those of
//! Winograd's scheme in `winograd`.
//!
//! [`Packing::Dsp`] is made for the dual 16-bit multiplier of Armv7E-M. Its unit is the *pair word*: for two output
//! channels `a` and `b` and two inputs `k` and `l` the half words `256 * b[k] + a[k]` and `256 * b[l] + a[l]`. Multiplied
//! as it stands it gives `Σ (256 * b + a) * x`; its low bytes, sign-extended, give `Σ a * x`; the difference divided by
//! 256 is `Σ b * x`, exact while that sum is in [-2^23, 2^23). Inputs are taken in groups of four; a group is two pair
//! words, of inputs 0 and 2, then of inputs 1 and 3, as sign extension of every second byte delivers the inputs.
//!
//! - Convolution: `[ceil(c_out / 2)][filter_h][groups]`, where the groups of a filter row hold its `filter_w * c_in`
//!   inputs and zeros up to a multiple of four. A missing channel `b` is zero.
//! - Fully connected: whole blocks of eight outputs as `[block][group][2][4]` pair words (of the four pairs of
//!   outputs), the outputs left over as the channels of a convolution. The number of inputs is a multiple of four. Sums
//!   are taken apart every [`PART`] inputs, so that only those of a part have to fit.
//! - Depthwise: `[c / 4][taps / 2]` of eight bytes, the taps `s` and `t` of channels 0 to 3 of the block as
//!   `s0 s1 t0 t1 s2 s3 t2 t3`; behind the last two taps of a block the four bytes of an odd one.

pub(crate) mod base;
pub(crate) mod mve;
pub(crate) mod winograd;

use super::arch::arm;
use super::generic;
use super::params::{Conv2d, DepthwiseConv2d, FullyConnected, Packing};
use crate::quant::Requantize;
use crate::shape::Layout;

/// Place of input `i % 4` in the half words of a group.
const HALF_WORDS: [usize; 4] = [0, 2, 1, 3];
/// Outputs in a block of a fully connected layer.
pub(crate) const BLOCK: usize = 8;
/// Outputs left over that are taken at once, if there are at least three.
pub(crate) const FOUR: usize = 4;
/// Inputs of a fully connected layer that are summed at once: where there are more, the sums of a pair are taken apart
/// between such parts.
pub(crate) const PART: usize = 640;
/// Largest sum of magnitudes of one channel's weights: below 2^23 / 128.
const LARGEST_SUM: u32 = (1 << 23) / 128 - 1;

/// Inputs of a filter row with the zeros behind it.
#[inline(always)]
pub(crate) const fn padded_row(op: &Conv2d<'_>) -> usize {
    op.window.filter_w.saturating_mul(op.input.extent.c).next_multiple_of(4)
}

/// Whether multipliers are such that `smmlar` requantizes: below one half, without a shift.
const fn multiplies_in_one_step(requantize: &Requantize<'_>) -> bool {
    let mut i = 0;
    while i < requantize.multipliers.len() {
        if requantize.multipliers[i] < 0 || requantize.multipliers[i] >= 1 << 30 {
            return false;
        }
        i += 1;
    }
    requantize.shift == 0
}

/// Scratch bytes that a convolution needs in its packing, with any set that reads it.
pub const fn conv_2d_scratch_len(op: &Conv2d<'_>) -> usize {
    match op.packing {
        Packing::Plain => generic::conv_2d_scratch_len(op),
        Packing::Dsp | Packing::DspWinograd => arm::dsp::conv_2d_scratch_len(op),
        Packing::Base | Packing::BaseWinograd => arm::base::conv_2d_scratch_len(op),
        Packing::Mve => arm::mve::conv_2d_scratch_len(op),
    }
}

/// Scratch bytes that a depthwise convolution needs in its packing, with any set that reads it.
pub const fn depthwise_conv_2d_scratch_len(op: &DepthwiseConv2d<'_>) -> usize {
    match op.packing {
        Packing::Plain => 0,
        Packing::Dsp | Packing::DspWinograd => arm::dsp::depthwise_conv_2d_scratch_len(op),
        Packing::Base | Packing::BaseWinograd => arm::base::depthwise_conv_2d_scratch_len(op),
        Packing::Mve => arm::mve::depthwise_conv_2d_scratch_len(op),
    }
}

/// Whether the sums of all rows of `k` weights stay below 2^23.
fn sums_fit(weights: &[i8], k: usize) -> bool {
    sums_below(weights, k, LARGEST_SUM)
}

/// Whether the sums of magnitudes of all rows of `k` weights are at most `limit`.
fn sums_below(weights: &[i8], k: usize, limit: u32) -> bool {
    weights
        .chunks(k.max(1))
        .all(|row| row.iter().fold(0u32, |sum, w| sum.saturating_add(w.unsigned_abs().into())) <= limit)
}

/// Half word `index` of packed weights as the weights of channels `a` and `b`.
fn pair(weights: &[i8], index: usize) -> [i8; 2] {
    let byte = |at: usize| weights.get(at).copied().unwrap_or(0);
    let (low, high) = (byte(2 * index), byte(2 * index + 1));
    // Where `a` is negative it took one from the high byte.
    [low, high.wrapping_add(i8::from(low < 0))]
}

/// Puts weight `w` of channel `a` (`side` 0) or `b` into half word `index`.
fn put(packed: &mut [i8], index: usize, side: usize, w: i8) -> Option<()> {
    let mut channels = pair(packed, index);
    *channels.get_mut(side)? = w;
    let [a, b] = channels;
    let word = (256 * i16::from(b) + i16::from(a)).to_le_bytes();
    let place = packed.get_mut(2 * index..)?.first_chunk_mut::<2>()?;
    *place = word.map(|byte| byte as i8);
    Some(())
}

impl Conv2d<'_> {
    /// Bytes of the weights in this operator's packing.
    pub const fn weights_len(&self) -> usize {
        let c_out = self.output.extent.c;
        match self.packing {
            Packing::Plain | Packing::Mve => {
                let taps = self.window.filter_h.saturating_mul(self.window.filter_w);
                let groups = if self.groups == 0 { 1 } else { self.groups };
                taps.saturating_mul(self.input.extent.c / groups).saturating_mul(c_out)
            }
            Packing::Dsp => {
                let channel = self.window.filter_h.saturating_mul(padded_row(self));
                channel.saturating_mul(c_out.next_multiple_of(2))
            }
            Packing::Base => self.base_len(),
            Packing::DspWinograd | Packing::BaseWinograd => self.winograd_len(),
        }
    }

    /// Whether the weights can be in `packing`.
    pub const fn suits(&self, packing: Packing) -> bool {
        match packing {
            Packing::Plain => true,
            Packing::Dsp => self.suits_dsp(),
            Packing::Base => self.suits_base(),
            Packing::Mve => self.suits_mve(),
            Packing::DspWinograd => self.suits_dsp_winograd(),
            Packing::BaseWinograd => self.suits_base_winograd(),
        }
    }

    /// Whether geometry and multipliers allow [`Packing::Dsp`].
    const fn suits_dsp(&self) -> bool {
        self.groups == 1
            && matches!(self.input.layout, Layout::Nhwc)
            && (self.window.dilation_w == 1 || self.window.filter_w == 1)
            && multiplies_in_one_step(&self.requantize)
    }

    /// The weight of output channel `o` for filter tap (`ky`, `kx`) and input channel `i` of its group.
    pub(crate) fn weight(&self, o: usize, ky: usize, kx: usize, i: usize) -> i8 {
        match self.packing {
            Packing::Plain | Packing::Mve => {
                let group_in = self.input.extent.c / self.groups.max(1);
                let window = &self.window;
                let index = ((o * window.filter_h + ky) * window.filter_w + kx) * group_in + i;
                self.weights.get(index).copied().unwrap_or(0)
            }
            Packing::Dsp => pair(self.weights, self.half_word(o, ky, kx, i))[o % 2],
            Packing::Base => self.weights.get(self.base_place(o, ky, kx, i)).copied().unwrap_or(0),
            Packing::DspWinograd | Packing::BaseWinograd => self.winograd_weight(o, ky, kx, i),
        }
    }

    fn half_word(&self, o: usize, ky: usize, kx: usize, i: usize) -> usize {
        let row = padded_row(self);
        let input = kx * self.input.extent.c + i;
        ((o / 2) * self.window.filter_h + ky) * row + (input & !3) + HALF_WORDS[input & 3]
    }

    /// Packs the plain weights of this operator into `packed`, which has the length that the packed operator asks for.
    /// `None` where geometry, multipliers or sums do not allow it.
    pub fn pack(&self, packing: Packing, packed: &mut [i8]) -> Option<()> {
        match packing {
            Packing::Plain => None,
            Packing::Dsp => self.pack_dsp(packed),
            Packing::Base => self.pack_base(packed),
            Packing::Mve => self.pack_mve(packed),
            Packing::DspWinograd | Packing::BaseWinograd => self.pack_winograd(packing, packed),
        }
    }

    fn pack_dsp(&self, packed: &mut [i8]) -> Option<()> {
        let (window, extent) = (&self.window, self.input.extent);
        let target = Self { packing: Packing::Dsp, ..*self };
        let k = window.filter_h * window.filter_w * extent.c;
        let fits = packed.len() == target.weights_len() && sums_fit(self.weights, k);
        if self.packing != Packing::Plain || !self.suits_dsp() || !fits {
            return None;
        }
        packed.fill(0);
        for o in 0..self.output.extent.c {
            for ky in 0..window.filter_h {
                for kx in 0..window.filter_w {
                    for i in 0..extent.c {
                        put(packed, self.half_word(o, ky, kx, i), o % 2, self.weight(o, ky, kx, i))?;
                    }
                }
            }
        }
        Some(())
    }
}

impl FullyConnected<'_> {
    /// Bytes of the weights in this operator's packing.
    pub const fn weights_len(&self) -> usize {
        let outputs = match self.packing {
            Packing::Plain | Packing::Mve => self.outputs,
            Packing::Dsp => self.outputs.next_multiple_of(2),
            Packing::Base => self.outputs.next_multiple_of(base::CHANNELS),
            Packing::DspWinograd | Packing::BaseWinograd => 0,
        };
        self.inputs.saturating_mul(outputs)
    }

    /// Whether the weights can be in `packing`.
    pub const fn suits(&self, packing: Packing) -> bool {
        match packing {
            Packing::Plain => true,
            Packing::Dsp => self.suits_dsp(),
            Packing::Base => multiplies_in_one_step(&self.requantize),
            Packing::Mve => self.suits_mve(),
            Packing::DspWinograd | Packing::BaseWinograd => false,
        }
    }

    /// Whether the number of inputs and the multipliers allow [`Packing::Dsp`].
    const fn suits_dsp(&self) -> bool {
        self.inputs.is_multiple_of(4) && multiplies_in_one_step(&self.requantize)
    }

    /// The weight of output `o` for input `i`.
    pub(crate) fn weight(&self, o: usize, i: usize) -> i8 {
        match self.packing {
            Packing::Plain | Packing::Mve => self.weights.get(o * self.inputs + i).copied().unwrap_or(0),
            Packing::Dsp => pair(self.weights, self.half_word(o, i))[o % 2],
            Packing::Base => base::biased(self.weights.get(self.base_place(o, i)).copied().unwrap_or(0)),
            Packing::DspWinograd | Packing::BaseWinograd => 0,
        }
    }

    fn half_word(&self, o: usize, i: usize) -> usize {
        let (slot, first) = (HALF_WORDS[i & 3], o / BLOCK * BLOCK);
        if first + BLOCK <= self.outputs {
            // A group: four pair words of inputs 0 and 2, four of inputs 1 and 3.
            let group = (first / 2) * self.inputs + (i / 4) * 16;
            group + (slot / 2) * 8 + (o % BLOCK / 2) * 2 + slot % 2
        } else {
            (o / 2) * self.inputs + (i & !3) + slot
        }
    }

    /// As [`Conv2d::pack`].
    pub fn pack(&self, packing: Packing, packed: &mut [i8]) -> Option<()> {
        match packing {
            Packing::Plain => None,
            Packing::Dsp => self.pack_dsp(packed),
            Packing::Base => self.pack_base(packed),
            Packing::Mve => self.pack_mve(packed),
            Packing::DspWinograd | Packing::BaseWinograd => None,
        }
    }

    fn pack_dsp(&self, packed: &mut [i8]) -> Option<()> {
        let target = Self { packing: Packing::Dsp, ..*self };
        let mut rows = self.weights.chunks(self.inputs.max(1));
        let fits = packed.len() == target.weights_len() && rows.all(|row| sums_fit(row, PART));
        if self.packing != Packing::Plain || !self.suits_dsp() || !fits {
            return None;
        }
        packed.fill(0);
        for o in 0..self.outputs {
            for i in 0..self.inputs {
                put(packed, self.half_word(o, i), o % 2, self.weight(o, i))?;
            }
        }
        Some(())
    }
}

impl DepthwiseConv2d<'_> {
    /// Bytes of the weights, the same in every packing.
    pub const fn weights_len(&self) -> usize {
        let taps = self.window.filter_h.saturating_mul(self.window.filter_w);
        taps.saturating_mul(self.output.extent.c)
    }

    /// Whether the weights can be in `packing`.
    pub const fn suits(&self, packing: Packing) -> bool {
        match packing {
            Packing::Plain => true,
            Packing::Dsp => self.suits_dsp(),
            Packing::Base => self.suits_base(),
            Packing::Mve => self.suits_mve(),
            Packing::DspWinograd | Packing::BaseWinograd => false,
        }
    }

    /// Whether each input channel has equally many output channels.
    const fn channels_divide(&self) -> bool {
        self.input.extent.c > 0 && self.output.extent.c.is_multiple_of(self.input.extent.c)
    }

    /// Whether geometry and multipliers allow [`Packing::Dsp`].
    const fn suits_dsp(&self) -> bool {
        self.channels_divide()
            && self.output.extent.c.is_multiple_of(4)
            && matches!((self.input.layout, self.output.layout), (Layout::Nhwc, Layout::Nhwc))
            && multiplies_in_one_step(&self.requantize)
    }

    /// The weight of output channel `o` for tap `ky * filter_w + kx`.
    pub(crate) fn weight(&self, tap: usize, o: usize) -> i8 {
        self.weights.get(self.weight_index(tap, o)).copied().unwrap_or(0)
    }

    fn weight_index(&self, tap: usize, o: usize) -> usize {
        match self.packing {
            Packing::Plain => tap * self.output.extent.c + o,
            Packing::Dsp => self.place(tap, o),
            Packing::Base => o * self.window.filter_h * self.window.filter_w + tap,
            Packing::Mve => self.mve_place(tap, o),
            // No operator of this kind has it.
            Packing::DspWinograd | Packing::BaseWinograd => usize::MAX,
        }
    }

    fn place(&self, tap: usize, o: usize) -> usize {
        let taps = self.window.filter_h * self.window.filter_w;
        let (block, c) = (o / 4 * 4 * taps, o % 4);
        if tap == taps - 1 && taps % 2 == 1 {
            block + tap * 4 + c
        } else {
            block + tap / 2 * 8 + c / 2 * 4 + tap % 2 * 2 + c % 2
        }
    }

    /// As [`Conv2d::pack`].
    pub fn pack(&self, packing: Packing, packed: &mut [i8]) -> Option<()> {
        match packing {
            Packing::Plain => None,
            Packing::Dsp => self.pack_dsp(packed),
            Packing::Base => self.pack_base(packed),
            Packing::Mve => self.pack_mve(packed),
            Packing::DspWinograd | Packing::BaseWinograd => None,
        }
    }

    fn pack_dsp(&self, packed: &mut [i8]) -> Option<()> {
        if self.packing != Packing::Plain || !self.suits_dsp() || packed.len() != self.weights_len() {
            return None;
        }
        for tap in 0..self.window.filter_h * self.window.filter_w {
            for o in 0..self.output.extent.c {
                *packed.get_mut(self.place(tap, o))? = self.weight(tap, o);
            }
        }
        Some(())
    }
}
