//! Which stages a front end has, as bits: a program that knows its front end links these and no others.

use super::kinds::{Compression, Kind, Level, Stat};
use super::settings::Settings;

/// Averages of samples (`raw_window`).
pub const AVERAGE: u32 = 1 << 0;
/// Statistics of each axis.
pub const STATISTICS: u32 = 1 << 1;
/// Skew and kurtosis.
pub const MOMENTS: u32 = 1 << 2;
/// Power spectrum and filter bank.
pub const SPECTRUM: u32 = 1 << 3;
/// Peaks of the spectrum.
pub const PEAKS: u32 = 1 << 4;
/// Per-channel energy normalization.
pub const PCEN: u32 = 1 << 5;
/// Cosine transform.
pub const CEPSTRUM: u32 = 1 << 6;
/// Resampling.
pub const RESAMPLING: u32 = 1 << 7;
/// Removal of the running mean.
pub const DC_REMOVAL: u32 = 1 << 8;
/// Second-order sections.
pub const SECTIONS: u32 = 1 << 9;
/// Pre-emphasis.
pub const PRE_EMPHASIS: u32 = 1 << 10;
/// A window of features of 16 bits, for a level or for the trainer.
pub const WIDE_WINDOW: u32 = 1 << 11;
/// Bands of frames as they are (`log_mel`, `mfcc`).
pub const SOUND: u32 = 1 << 12;
/// Every stage.
pub const ALL: u32 = (1 << 13) - 1;

impl Settings {
    /// The stages that this front end needs, as bits of [`super::stages`].
    pub const fn stages(&self) -> u32 {
        let mut stages = match self.kind {
            Kind::Image => 0,
            Kind::RawWindow => AVERAGE,
            Kind::MotionStats => STATISTICS,
            Kind::LogMel => SOUND,
            Kind::Mfcc => SOUND | CEPSTRUM,
        };
        if self.stats & (Stat::Skew.bit() | Stat::Kurtosis.bit()) != 0 {
            stages |= MOMENTS;
        }
        if self.has_spectrum() {
            stages |= SPECTRUM;
        }
        if self.peaks > 0 {
            stages |= PEAKS;
        }
        if matches!(self.compression, Compression::Pcen) {
            stages |= PCEN;
        }
        let c = &self.conditioning;
        if c.resample_up != 0 {
            stages |= RESAMPLING;
        }
        if c.dc_shift != 0 {
            stages |= DC_REMOVAL;
        }
        if c.sections != 0 {
            stages |= SECTIONS;
        }
        if c.pre_emphasis != 0 {
            stages |= PRE_EMPHASIS;
        }
        if self.wide || !matches!(self.level, Level::None) {
            stages |= WIDE_WINDOW;
        }
        stages
    }
}
