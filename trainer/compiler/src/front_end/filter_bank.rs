//! Triangular bands, equally wide on a frequency axis, as one weight per bin.

use super::config::{BandScale, FrontEndConfig};

/// The tables of a filter bank.
pub(super) struct FilterBank {
    /// `bands + 2` bins: where each segment between two corners begins, and the end of the last.
    pub(super) edges: Vec<u16>,
    /// Weight in Q16 of each bin from the first edge to the last: the share of the band that rises there.
    pub(super) weights: Vec<u16>,
}

impl FilterBank {
    /// The bank that `config` describes. Its frequencies have been checked. Without bands, the edges are the bins from
    /// the lowest to the highest frequency.
    ///
    /// Corner `j` lies at `low + j · (high - low) / (bands + 1)` on the axis; band `b` rises from corner `b` to corner
    /// `b + 1` and falls to corner `b + 2`, straight on that axis.
    pub(super) fn new(config: &FrontEndConfig) -> Self {
        let axis = |hz: f64| match config.band_scale {
            BandScale::Mel => 2595.0 * libm::log10(1.0 + hz / 700.0),
            BandScale::Linear => hz,
        };
        let (low, high) = (axis(config.low_hz), axis(config.high_hz));
        let corner = |j: usize| low + (high - low) * j as f64 / (config.bands + 1) as f64;
        let at_bin = |k: usize| axis(k as f64 * config.rate_hz / config.fft_len as f64);
        let half = config.fft_len / 2;
        let mut bin = 0;
        let edges: Vec<usize> = (0..config.bands + 2)
            .map(|j| {
                while bin < half && at_bin(bin) < corner(j) {
                    bin += 1;
                }
                bin
            })
            .collect();
        let mut weights = Vec::new();
        for (j, pair) in edges.windows(2).enumerate() {
            for k in pair[0]..pair[1] {
                let share = (at_bin(k) - corner(j)) / (corner(j + 1) - corner(j));
                weights.push(libm::round(share * 65_536.0).clamp(0.0, 65_535.0) as u16);
            }
        }
        FilterBank { edges: edges.into_iter().map(|e| e as u16).collect(), weights }
    }

    /// Whether no bin lies between the first and the last edge.
    pub(super) fn is_empty(&self) -> bool {
        self.edges.first() == self.edges.last()
    }

    /// The first band to which no bin gives anything.
    pub(super) fn empty_band(&self) -> Option<usize> {
        let first = usize::from(self.edges[0]);
        (0..self.edges.len() - 2).find(|b| {
            let segment =
                |j: usize| usize::from(self.edges[j]) - first..usize::from(self.edges[j + 1]) - first;
            let rises = self.weights[segment(*b)].iter().any(|w| *w > 0);
            let falls = !segment(b + 1).is_empty();
            !rises && !falls
        })
    }
}
