//! Triangular filter bank over a power spectrum: mel or linear bands, whatever the table says.

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

    /// Calls `band` with the energy of each band in turn: Σ weight · power, 16 fractional bits.
    pub(super) fn apply(&self, power: &[u32], mut band: impl FnMut(u64)) {
        let mut edges = self.edges.iter().map(|e| usize::from(*e));
        let mut at = edges.next().unwrap_or(0);
        let mut bins = power.get(at..).unwrap_or(&[]).iter().zip(self.weights);
        let mut risen = None;
        for edge in edges {
            let (mut rising, mut falling) = (0_u64, 0_u64);
            while at < edge {
                at += 1;
                let Some((p, w)) = bins.next() else { break };
                let share = u64::from(*p) * u64::from(*w);
                rising += share;
                falling += (u64::from(*p) << 16) - share;
            }
            if let Some(risen) = risen.replace(rising) {
                band(falling + risen);
            }
        }
    }
}
