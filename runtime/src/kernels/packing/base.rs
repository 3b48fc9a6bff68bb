//! [`Packing::Base`]: for multipliers of 32 bits that add one product at a time.
//!
//! - Convolution: the number of inputs per run in 32 bits, then `[ceil(c_out / 4)][k][4]` for `k = filter_h * filter_w *
//!   c_in` inputs. A missing channel is zero. The sums of a run have to fit 21 bits with their sign, the bias among
//!   those of the first: then three pixels share two accumulators.
//! - Fully connected: `[ceil(outputs / 4)][inputs][4]`, each weight with 128 added, as unsigned bytes. The sums have to
//!   fit 24 bits with their sign: then four outputs share three accumulators.
//! - Depthwise: `[c][taps]`.
//!
//! Every accumulator, its bias included, fits 29 bits.

use super::multiplies_in_one_step;
use crate::kernels::params::{Conv2d, DepthwiseConv2d, FullyConnected, Packing};
use crate::shape::Layout;

/// Output channels in a block.
pub(crate) const CHANNELS: usize = 4;
/// Bytes before the weights of a convolution.
pub(crate) const RUN_LEN: usize = 4;
/// Runs are whole multiples of this many inputs, but for the first.
pub(crate) const RUN_UNIT: usize = 8;
/// Largest magnitude of an input.
const LARGEST_INPUT: u32 = 128;
/// Magnitudes of the sums of a run stay below.
const RUN_LIMIT: u32 = 1 << 20;
/// Magnitudes of the sums of a fully connected layer stay below.
const SUM_LIMIT: u32 = 1 << 23;
/// Magnitudes of biases, and of all sums, stay below.
const HALF_LIMIT: u32 = 1 << 27;

/// A weight of a fully connected layer as it is stored, or back.
pub(crate) const fn biased(w: i8) -> i8 {
    w ^ i8::MIN
}

/// The largest magnitude that `Σ w * x` can take.
fn reach<'w>(weights: impl Iterator<Item = &'w i8>) -> u32 {
    weights.fold(0u32, |sum, w| sum.saturating_add(w.unsigned_abs().into())).saturating_mul(LARGEST_INPUT)
}

/// Whether accumulators fit 29 bits with their sign, where no sum is larger than `reach`.
pub(super) fn accumulators_fit(bias: &[i32], reach: u32) -> bool {
    reach < HALF_LIMIT && bias.iter().all(|bias| bias.unsigned_abs() < HALF_LIMIT)
}

/// Inputs of the first run of `k` where runs have `run` inputs: all later runs are whole.
pub(crate) fn first_run(k: usize, run: usize) -> usize {
    match k.checked_rem(run) {
        Some(0) => run.min(k),
        Some(rest) => rest,
        None => k,
    }
}

impl Conv2d<'_> {
    /// Products per output.
    pub(super) const fn base_k(&self) -> usize {
        let taps = self.window.filter_h.saturating_mul(self.window.filter_w);
        taps.saturating_mul(self.input.extent.c)
    }

    pub(super) const fn base_len(&self) -> usize {
        let channels = self.output.extent.c.next_multiple_of(CHANNELS);
        self.base_k().saturating_mul(channels).saturating_add(RUN_LEN)
    }

    pub(super) fn base_place(&self, o: usize, ky: usize, kx: usize, i: usize) -> usize {
        let input = (ky * self.window.filter_w + kx) * self.input.extent.c + i;
        RUN_LEN + (o / CHANNELS * self.base_k() + input) * CHANNELS + o % CHANNELS
    }

    pub(super) const fn suits_base(&self) -> bool {
        self.groups == 1
            && matches!((self.input.layout, self.output.layout), (Layout::Nhwc, Layout::Nhwc))
            && (self.window.dilation_w == 1 || self.window.filter_w == 1)
            && multiplies_in_one_step(&self.requantize)
    }

    /// The most inputs whose sums fit, of all channels.
    fn longest_run(&self) -> Option<usize> {
        let k = self.base_k().max(1);
        let fits = |run: &usize| {
            let first = first_run(k, *run);
            self.weights.chunks(k).zip(self.bias).all(|(row, bias)| {
                let (row, rest) = row.split_at_checked(first).unwrap_or((row, &[]));
                reach(row.iter()).saturating_add(bias.unsigned_abs()) < RUN_LIMIT
                    && rest.chunks(*run).all(|row| reach(row.iter()) < RUN_LIMIT)
            })
        };
        (1..=k.div_ceil(RUN_UNIT)).map(|runs| k.div_ceil(runs).next_multiple_of(RUN_UNIT)).find(fits)
    }

    pub(super) fn pack_base(&self, packed: &mut [i8]) -> Option<()> {
        let (window, c_in) = (&self.window, self.input.extent.c);
        let largest = self.weights.chunks(self.base_k().max(1)).map(|row| reach(row.iter())).max();
        let suits = self.suits_base()
            && packed.len() == self.base_len()
            && accumulators_fit(self.bias, largest.unwrap_or(0));
        if self.packing != Packing::Plain || !suits {
            return None;
        }
        let run = u32::try_from(self.longest_run()?).ok()?;
        packed.fill(0);
        *packed.first_chunk_mut::<RUN_LEN>()? = run.to_le_bytes().map(|byte| byte as i8);
        for o in 0..self.output.extent.c {
            for ky in 0..window.filter_h {
                for kx in 0..window.filter_w {
                    for i in 0..c_in {
                        *packed.get_mut(self.base_place(o, ky, kx, i))? = self.weight(o, ky, kx, i);
                    }
                }
            }
        }
        Some(())
    }
}

impl FullyConnected<'_> {
    pub(super) fn base_place(&self, o: usize, i: usize) -> usize {
        (o / CHANNELS * self.inputs + i) * CHANNELS + o % CHANNELS
    }

    pub(super) fn pack_base(&self, packed: &mut [i8]) -> Option<()> {
        let target = Self { packing: Packing::Base, ..*self };
        let fits = self.weights.chunks(self.inputs.max(1)).all(|row| reach(row.iter()) < SUM_LIMIT);
        let suits = self.suits(Packing::Base)
            && packed.len() == target.weights_len()
            && accumulators_fit(self.bias, SUM_LIMIT);
        if self.packing != Packing::Plain || !suits || !fits {
            return None;
        }
        packed.fill(biased(0));
        for o in 0..self.outputs {
            for i in 0..self.inputs {
                *packed.get_mut(self.base_place(o, i))? = biased(self.weight(o, i));
            }
        }
        Some(())
    }
}

impl DepthwiseConv2d<'_> {
    pub(super) const fn suits_base(&self) -> bool {
        self.channels_divide()
            && matches!((self.input.layout, self.output.layout), (Layout::Nhwc, Layout::Nhwc))
            && multiplies_in_one_step(&self.requantize)
    }

    pub(super) fn pack_base(&self, packed: &mut [i8]) -> Option<()> {
        let taps = self.window.filter_h * self.window.filter_w;
        let largest = u32::try_from(taps).map_or(u32::MAX, |taps| taps.saturating_mul(LARGEST_INPUT * 127));
        let suits =
            self.suits_base() && packed.len() == self.weights_len() && accumulators_fit(self.bias, largest);
        if self.packing != Packing::Plain || !suits {
            return None;
        }
        let target = Self { packing: Packing::Base, ..*self };
        for tap in 0..taps {
            for o in 0..self.output.extent.c {
                *packed.get_mut(target.weight_index(tap, o))? = self.weight(tap, o);
            }
        }
        Some(())
    }
}
