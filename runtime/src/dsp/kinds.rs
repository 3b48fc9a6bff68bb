//! The choices that a front end is made of, and the Q formats of its features.

/// Fractional bits of a feature that is a base-2 logarithm (log-mel bands, band power of motion statistics).
pub const LOG_FRAC_BITS: u32 = 9;

/// Fractional bits of a cepstral coefficient.
pub const CEPSTRUM_FRAC_BITS: u32 = 6;

/// A pixel `p` becomes the feature `p << PIXEL_FRAC_BITS`.
pub const PIXEL_FRAC_BITS: u32 = 7;

/// Fractional bits of skew and kurtosis.
pub const MOMENT_FRAC_BITS: u32 = 8;

/// Fractional bits of the frequency of a spectral peak, in bins of the transform.
pub const PEAK_FRAC_BITS: u32 = 4;

/// Fractional bits of a band whose energy is normalized ([`Compression::Pcen`]).
pub const PCEN_FRAC_BITS: u32 = 9;

/// Most spectral peaks of an axis.
pub const MAX_PEAKS: usize = 8;

/// Most second-order sections of a front end.
pub const MAX_SECTIONS: usize = 16;

/// What a front end computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Kind {
    /// Pixels of 8 bits, quantized; no frames.
    Image = 1,
    /// A window of samples per axis, decimated by averaging.
    RawWindow = 2,
    /// Statistics and band powers per axis.
    MotionStats = 3,
    /// Logarithms of filter-bank energies.
    LogMel = 4,
    /// Cosine transform of logarithms of filter-bank energies.
    Mfcc = 5,
}

/// What is subtracted from the features of a window before they are quantized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Level {
    /// Nothing.
    None = 0,
    /// The mean of all features of the window.
    Mean = 1,
    /// For each feature its own mean over the frames of the window.
    FeatureMean = 2,
    /// The largest feature of the window.
    Peak = 3,
}

/// One statistic of an axis; the discriminant is its bit in the blob's `stats` field and gives the order of features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Stat {
    /// Mean, in counts.
    Mean = 0,
    /// Standard deviation, in counts.
    Std = 1,
    /// Root of the mean square, in counts.
    Rms = 2,
    /// Smallest sample.
    Min = 3,
    /// Largest sample.
    Max = 4,
    /// Number of changes of side of the mean.
    Crossings = 5,
    /// Third central moment by the cube of the deviation, with [`MOMENT_FRAC_BITS`] fractional bits.
    Skew = 6,
    /// Fourth central moment by the fourth power of the deviation (3 for normal noise), with [`MOMENT_FRAC_BITS`]
    /// fractional bits.
    Kurtosis = 7,
}

impl Stat {
    /// All statistics, in the order in which their features stand in a frame.
    pub const ALL: [Stat; 8] =
        [Stat::Mean, Stat::Std, Stat::Rms, Stat::Min, Stat::Max, Stat::Crossings, Stat::Skew, Stat::Kurtosis];

    /// The bit of this statistic in the `stats` field.
    pub const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// How the energy of a band becomes a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
pub enum Compression {
    /// Its base-2 logarithm.
    Log = 0,
    /// Per-channel energy normalization: the energy by its own past, and a root of that.
    Pcen = 1,
}
