//! Triangular filter bank over a power spectrum: mel or linear bands, whatever the table says.

use super::log::Features;
#[cfg(any(teff_dsp, teff_mve))]
use crate::kernels::arch::arm::front_end::bands::{log_bands, sums};

/// The bands of one filter bank, read in place.
///
/// Neighbouring triangles share their slope: between two edges a bin gives the share `w` of its power to the band that
/// rises there and the rest to the band that falls. So one weight per bin is enough, and one pass over the spectrum
/// yields the bands in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct FilterBank<'a> {
    /// `bands + 2` bins: where each segment begins, and the end of the last.
    pub(super) edges: &'a [u16],
    /// Weight in Q16 of each bin from the first edge to the last.
    pub(super) weights: &'a [u16],
}

impl FilterBank<'_> {
    /// Whether the edges ascend from `first_bin` to `end_bin`.
    pub(super) fn is_valid(&self, first_bin: u16, end_bin: u16) -> bool {
        let mut edges = self.edges.iter().copied();
        let Some(first) = edges.next() else { return false };
        let mut last = first;
        for edge in edges {
            if edge < last {
                return false;
            }
            last = edge;
        }
        first == first_bin && last == end_bin && self.weights.len() == usize::from(end_bin - first_bin)
    }

    /// Writes the logarithm of each band.
    #[cfg(not(any(teff_dsp, teff_mve)))]
    pub(super) fn log_features(&self, power: &[u32], features: Features, to: &mut [i16]) {
        let mut to = to.iter_mut();
        self.apply(power, |energy| {
            if let Some(to) = to.next() {
                *to = features.of(energy);
            }
        });
    }

    /// Writes the logarithm of each band.
    #[cfg(any(teff_dsp, teff_mve))]
    pub(super) fn log_features(&self, power: &[u32], features: Features, to: &mut [i16]) {
        let bins = power.get(self.edges.first().copied().unwrap_or(0).into()..).unwrap_or(&[]);
        log_bands(bins, self.weights, self.edges, features.logarithm(), to);
    }

    /// Calls `band` with the energy of each band in turn: Σ weight · power, 16 fractional bits.
    pub(super) fn apply(&self, power: &[u32], mut band: impl FnMut(u64)) {
        let mut edges = self.edges.iter().map(|e| usize::from(*e));
        let mut at = edges.next().unwrap_or(0);
        let mut bins = power.get(at..).unwrap_or(&[]);
        let mut weights = self.weights;
        let mut risen = None;
        for edge in edges {
            let len = edge.saturating_sub(at);
            at = edge;
            let (now, later) = bins.split_at(len.min(bins.len()));
            let (shares, more) = weights.split_at(len.min(weights.len()));
            (bins, weights) = (later, more);
            let (rising, total) = sums(now, shares);
            if let Some(risen) = risen.replace(rising) {
                band(total.wrapping_sub(rising).wrapping_add(risen));
            }
        }
    }
}

/// Σ weight · power and Σ 2^16 · power, of at most 1024 bins.
#[inline(always)]
#[cfg(not(any(teff_dsp, teff_mve)))]
fn sums(bins: &[u32], weights: &[u16]) -> (u64, u64) {
    let bins = bins.iter().zip(weights);
    if cfg!(teff_armv6m) {
        // A product there has 32 bits, which those of the halves of a power fit in.
        let (mut high, mut low, mut total_high, mut total_low) = (0_u64, 0_u64, 0_u32, 0_u32);
        bins.for_each(|(p, w)| {
            high += u64::from((p >> 16).wrapping_mul(u32::from(*w)));
            low += u64::from((p & 0xffff).wrapping_mul(u32::from(*w)));
            total_high = total_high.wrapping_add(p >> 16);
            total_low = total_low.wrapping_add(p & 0xffff);
        });
        ((high << 16) + low, (u64::from(total_high) << 32) + (u64::from(total_low) << 16))
    } else {
        let (mut rising, mut total) = (0_u64, 0_u64);
        bins.for_each(|(p, w)| {
            rising += u64::from(*p) * u64::from(*w);
            total += u64::from(*p);
        });
        (rising, total << 16)
    }
}
