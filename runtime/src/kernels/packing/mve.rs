//! [`Packing::Mve`]: for vectors of 16 weights.
//!
//! - Convolution, fully connected: as in [`Packing::Plain`].
//! - Depthwise: `[c / 16][taps][16]`, and behind them the channels left over, `[taps][c % 16]`.

use crate::kernels::params::{Conv2d, DepthwiseConv2d, FullyConnected, Packing};
use crate::shape::Layout;

/// Output channels that are requantized at once.
pub(crate) const CHANNELS: usize = 4;
/// Elements of a vector.
pub(crate) const LANES: usize = 16;

impl Conv2d<'_> {
    pub(super) const fn suits_mve(&self) -> bool {
        let window = &self.window;
        self.groups == 1
            && matches!((self.input.layout, self.output.layout), (Layout::Nhwc, Layout::Nhwc))
            && (window.dilation_h == 1 || window.filter_h == 1)
            && (window.dilation_w == 1 || window.filter_w == 1)
            && self.output.extent.c >= CHANNELS
            && self.requantize.shift == 0
    }

    pub(super) fn pack_mve(&self, packed: &mut [i8]) -> Option<()> {
        copy_plain(self.packing, self.suits_mve(), self.weights, packed)
    }
}

impl FullyConnected<'_> {
    pub(super) const fn suits_mve(&self) -> bool {
        self.outputs >= CHANNELS && self.requantize.shift == 0
    }

    pub(super) fn pack_mve(&self, packed: &mut [i8]) -> Option<()> {
        copy_plain(self.packing, self.suits_mve(), self.weights, packed)
    }
}

fn copy_plain(packing: Packing, suits: bool, weights: &[i8], packed: &mut [i8]) -> Option<()> {
    if packing != Packing::Plain || !suits || packed.len() != weights.len() {
        return None;
    }
    packed.iter_mut().zip(weights).for_each(|(to, from)| *to = *from);
    Some(())
}

impl DepthwiseConv2d<'_> {
    pub(super) const fn suits_mve(&self) -> bool {
        let window = &self.window;
        self.channels_divide()
            && matches!((self.input.layout, self.output.layout), (Layout::Nhwc, Layout::Nhwc))
            && (window.dilation_h == 1 || window.filter_h == 1)
            && (window.dilation_w == 1 || window.filter_w == 1)
            && self.requantize.shift == 0
    }

    pub(super) fn mve_place(&self, tap: usize, o: usize) -> usize {
        let taps = self.window.filter_h * self.window.filter_w;
        let (c, first) = (self.output.extent.c, o / LANES * LANES);
        first * taps + tap * (c - first).min(LANES) + o % LANES
    }

    pub(super) fn pack_mve(&self, packed: &mut [i8]) -> Option<()> {
        if self.packing != Packing::Plain || !self.suits_mve() || packed.len() != self.weights_len() {
            return None;
        }
        for tap in 0..self.window.filter_h * self.window.filter_w {
            for o in 0..self.output.extent.c {
                *packed.get_mut(self.mve_place(tap, o))? = self.weight(tap, o);
            }
        }
        Some(())
    }
}
