//! Where the tables of a blob stand, and how large the parts of a workspace are.

use super::kinds::{Compression, Kind};
use super::rfft;
use super::settings::{HEADER_BYTES, Settings};

/// Offsets of the tables in a blob, in bytes; `end` is the length of the blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableOffsets {
    /// Multiplier and offset per feature.
    pub requantize: usize,
    /// Second-order sections.
    pub sections: usize,
    /// Factors of the resampling filter, phase by phase.
    pub resampling: usize,
    /// Half of the window that tapers a frame.
    pub taper: usize,
    /// Twiddle factors.
    pub twiddles: usize,
    /// Bins where the segments of the filter bank begin.
    pub edges: usize,
    /// Weight of each bin.
    pub weights: usize,
    /// Cosine table.
    pub dct: usize,
    /// Length of the blob.
    pub end: usize,
}

const fn padded(bytes: usize) -> usize {
    (bytes + 3) & !3
}

const fn words_for(bytes: usize) -> usize {
    bytes.div_ceil(4)
}

impl Settings {
    /// Words of 32 bits that the sample ring takes.
    pub(super) const fn ring_words(&self) -> usize {
        if matches!(self.kind, Kind::Image) {
            0
        } else {
            words_for(self.frame_len as usize * self.axes as usize * 2)
        }
    }

    /// Words of 32 bits that the spectrum takes.
    pub(super) const fn spectrum_words(&self) -> usize {
        self.fft_len as usize / 2
    }

    /// Words of 32 bits that the features of the newest frame take, with the bands that a cosine transform reads.
    pub(super) const fn frame_words(&self) -> usize {
        let bands = if matches!(self.kind, Kind::Mfcc) { self.bands as usize } else { 0 };
        if matches!(self.kind, Kind::Image) { 0 } else { words_for((self.features as usize + bands) * 2) }
    }

    /// Words of 32 bits that the feature window takes.
    pub(super) const fn window_words(&self) -> usize {
        let bytes = if self.keeps_features() { 2 } else { 1 };
        if matches!(self.kind, Kind::Image) { 0 } else { words_for(self.window_features() * bytes) }
    }

    /// Words of 32 bits that the newest samples before resampling take: each twice.
    pub(super) const fn history_words(&self) -> usize {
        self.conditioning.resample_taps as usize * self.axes as usize
    }

    /// Words of 32 bits that the running means take.
    pub(super) const fn dc_words(&self) -> usize {
        if self.conditioning.dc_shift == 0 { 0 } else { self.axes as usize }
    }

    /// Words of 32 bits that the states of the second-order sections take.
    pub(super) const fn section_words(&self) -> usize {
        self.conditioning.sections as usize * self.axes as usize * super::biquad::STATE_WORDS
    }

    /// Words of 32 bits that the samples before the newest take.
    pub(super) const fn pre_emphasis_words(&self) -> usize {
        if self.conditioning.pre_emphasis == 0 { 0 } else { self.axes as usize }
    }

    /// Words of 32 bits that the smoothed energies take.
    pub(super) const fn smoothed_words(&self) -> usize {
        if matches!(self.compression, Compression::Pcen) { self.bands as usize * 2 } else { 0 }
    }

    /// Words of 32 bits that [`super::FrontEnd::new`] needs as its workspace.
    pub const fn workspace_words(&self) -> usize {
        self.ring_words()
            + self.spectrum_words()
            + self.frame_words()
            + self.window_words()
            + self.history_words()
            + self.dc_words()
            + self.section_words()
            + self.pre_emphasis_words()
            + self.smoothed_words()
    }

    /// The same in bytes.
    pub const fn workspace_bytes(&self) -> usize {
        self.workspace_words() * 4
    }

    /// Where the tables begin. They follow the header in this order, each padded to four bytes.
    pub const fn tables(&self) -> TableOffsets {
        let (c, has_fft) = (&self.conditioning, self.fft_len != 0);
        let requantize = HEADER_BYTES;
        let sections = requantize + self.requantize_len as usize * 8;
        let resampling = sections + c.sections as usize * 16;
        let taper = resampling + padded(c.resample_up as usize * c.resample_taps as usize * 2);
        let twiddles = taper + if has_fft { padded((self.frame_len as usize / 2 + 1) * 2) } else { 0 };
        let edges = twiddles + if has_fft { rfft::twiddle_words(self.fft_len) * 4 } else { 0 };
        let weights = edges + if self.bands > 0 { padded((self.bands as usize + 2) * 2) } else { 0 };
        let dct = weights + padded(self.weighted_bins() * 2);
        let end = dct + padded(self.coefficients as usize * self.bands as usize * 2);
        TableOffsets { requantize, sections, resampling, taper, twiddles, edges, weights, dct, end }
    }

    /// Bins that the filter bank has weights for.
    pub(super) const fn weighted_bins(&self) -> usize {
        if self.bands > 0 { (self.end_bin - self.first_bin) as usize } else { 0 }
    }
}
