//! The settings of a front end, and their form as one line.

use std::fmt;

use teff::dsp::{Compression, Level, MOMENT_FRAC_BITS, PCEN_FRAC_BITS, PEAK_FRAC_BITS, Stat};

use super::keys;
use super::resampling::Resampling;
use crate::Result;

/// What the front end computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: the caller gives the model input.
    None,
    /// Pixels of 8 bits; real = pixel / 255.
    Image,
    /// A window of samples per axis; real = sample / `lsb_per_unit`.
    RawWindow,
    /// Statistics and band powers per axis.
    MotionStats,
    /// Base-2 logarithms of filter-bank energies.
    LogMel,
    /// Cosine transform of base-2 logarithms of filter-bank energies.
    Mfcc,
}

/// Where a recording stands in a window that is longer, and what is kept of one that is too long for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// The recording begins where the window begins: zeros follow a short one, the end of a long one is left out.
    Start,
    /// In the middle: zeros on both sides of a short one, a long one loses as much at both ends.
    Centre,
    /// The recording ends where the window ends, as on a device that has just heard it: zeros stand before a short
    /// one, the beginning of a long one is left out.
    End,
}

/// The frequency axis on which the bands are equally wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BandScale {
    /// 2595 · log10(1 + f / 700).
    Mel,
    /// Hertz.
    Linear,
}

/// What a frame is tapered by before its Fourier transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taper {
    /// 0.5 - 0.5·cos(2πn / frame_len).
    Hann,
    /// 0.54 - 0.46·cos(2πn / frame_len).
    Hamming,
}

/// A front end: everything that both trainer and device need to know about it. Fields that its kind does not use keep
/// their defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct FrontEndConfig {
    /// What is computed.
    pub kind: Kind,
    /// Sample rate of frames.
    pub rate_hz: f64,
    /// Sample rate of the sensor or the recording; where it is another one, samples are resampled.
    pub input_rate_hz: f64,
    /// Axes of the sensor; 1 for audio.
    pub axes: usize,
    /// Counts of the sensor per physical unit (per g, for instance).
    pub lsb_per_unit: f64,
    /// The running mean that is subtracted has a time constant of 2 to this power samples; 0 for none.
    pub dc_shift: usize,
    /// Cut-off frequency of the high-pass filter; 0 for none.
    pub high_pass_hz: f64,
    /// Cut-off frequency of the low-pass filter; 0 for none.
    pub low_pass_hz: f64,
    /// Order of both, 2, 4, 6 or 8.
    pub filter_order: usize,
    /// Part of the sample before that is subtracted from each sample.
    pub pre_emphasis: f64,
    /// Samples (per axis) analysed together.
    pub frame_len: usize,
    /// Samples between the starts of two frames.
    pub hop_len: usize,
    /// Samples averaged into one, for `raw_window`.
    pub decimate: usize,
    /// Length of the Fourier transform, a power of two from 64 to 2048.
    pub fft_len: usize,
    /// What a frame is tapered by.
    pub taper: Taper,
    /// Bands of the filter bank; 0 for `motion_stats` without a spectrum.
    pub bands: usize,
    /// Axis on which the bands are equally wide.
    pub band_scale: BandScale,
    /// Lower edge of the first band.
    pub low_hz: f64,
    /// Upper edge of the last band.
    pub high_hz: f64,
    /// Base-2 logarithm of the energy that is added to each band: what silence looks like.
    pub floor: i32,
    /// How the energy of a band becomes a feature.
    pub compress: Compression,
    /// Of [`Compression::Pcen`]: weight of the newest energy in the smoothed one.
    pub pcen_smoothing: f64,
    /// Of [`Compression::Pcen`]: power of the smoothed energy that an energy is divided by.
    pub pcen_gain: f64,
    /// Of [`Compression::Pcen`]: what is added before the root.
    pub pcen_bias: f64,
    /// Of [`Compression::Pcen`]: the power that is taken at last.
    pub pcen_root: f64,
    /// Spectral peaks of each axis.
    pub peaks: usize,
    /// Cepstral coefficients that are kept.
    pub coefficients: usize,
    /// Statistics of each axis.
    pub stats: Vec<Stat>,
    /// Whether the vector magnitude counts as one more axis.
    pub magnitude: bool,
    /// Frames that the model sees.
    pub window: usize,
    /// Frames between two inferences.
    pub stride: usize,
    /// Where recordings shorter or longer than the window stand in it.
    pub align: Align,
    /// What is subtracted from a window.
    pub level: Level,
    /// With `level = peak`: bands further below the peak than this many octaves of energy are raised to it; 0 for no
    /// limit.
    pub range: usize,
    /// Rows of an image.
    pub height: usize,
    /// Columns of an image.
    pub width: usize,
    /// Channels of an image.
    pub channels: usize,
    /// Subtracted from each feature of a frame; empty for nothing.
    pub feature_mean: Vec<f64>,
    /// Each feature of a frame is divided by its entry; empty for nothing.
    pub feature_std: Vec<f64>,
}

impl FrontEndConfig {
    /// Reads the value of the metadata key `teff.front_end`: `key=value` separated by spaces, `kind` among them.
    ///
    /// # Errors
    /// Names the key that is unknown, missing, given twice, without meaning for this kind, or out of range.
    pub fn parse(line: &str) -> Result<Self> {
        let mut pairs = Vec::new();
        for word in line.split_ascii_whitespace() {
            let Some(pair) = word.split_once('=') else {
                return Err(keys::fault(word, "has no value").remedy("write key=value, separated by spaces"));
            };
            pairs.push(pair);
        }
        Self::from_keys(pairs)
    }

    /// The same from keys and values that stand apart, as in a recipe. Lists are separated by commas.
    ///
    /// # Errors
    /// As [`Self::parse`].
    pub fn from_keys<'k>(pairs: impl IntoIterator<Item = (&'k str, &'k str)>) -> Result<Self> {
        let config = keys::read(pairs.into_iter().collect())?;
        config.check()?;
        Ok(config)
    }

    /// Axes that features are computed of.
    pub(super) fn analysed_axes(&self) -> usize {
        self.axes + usize::from(self.magnitude)
    }

    /// Features of one frame.
    pub fn features_per_frame(&self) -> usize {
        match self.kind {
            Kind::None => 0,
            Kind::Image => self.channels,
            Kind::RawWindow => self.axes,
            Kind::MotionStats => self.analysed_axes() * (self.stats.len() + self.bands + 2 * self.peaks),
            Kind::LogMel => self.bands,
            Kind::Mfcc => self.coefficients,
        }
    }

    /// Shape of the model input, [h, w, c]: time runs along h. `None` for [`Kind::None`].
    pub fn shape(&self) -> Option<[usize; 3]> {
        match self.kind {
            Kind::None => None,
            Kind::Image => Some([self.height, self.width, self.channels]),
            Kind::RawWindow | Kind::MotionStats => Some([self.window, 1, self.features_per_frame()]),
            Kind::LogMel | Kind::Mfcc => Some([self.window, self.features_per_frame(), 1]),
        }
    }

    /// Whether frames are transformed into spectra.
    pub(super) fn has_spectrum(&self) -> bool {
        self.bands > 0 || self.peaks > 0
    }

    /// Samples (per axis) from the beginning to the end of a window, at the rate of the input.
    pub fn window_samples(&self) -> usize {
        let samples = self.window.saturating_sub(1) * self.hop_len + self.frame_len;
        Resampling::of(self).map_or(samples, |r| r.inputs(samples.max(1)))
    }

    /// Seconds from the beginning to the end of a window.
    pub fn window_seconds(&self) -> f64 {
        self.window_samples() as f64 / self.input_rate_hz
    }

    /// Real value of one step of each feature of a frame, before mean and deviation are taken out.
    pub fn feature_units(&self) -> Vec<f64> {
        let log = 1.0 / f64::from(1 << teff::dsp::LOG_FRAC_BITS);
        match self.kind {
            Kind::None => Vec::new(),
            Kind::Image => vec![1.0 / f64::from(255 << teff::dsp::PIXEL_FRAC_BITS); self.channels],
            Kind::RawWindow => vec![1.0 / self.lsb_per_unit; self.axes],
            Kind::LogMel if self.compress == Compression::Pcen => {
                vec![1.0 / f64::from(1 << PCEN_FRAC_BITS); self.bands]
            }
            Kind::LogMel => vec![log; self.bands],
            Kind::Mfcc => vec![1.0 / f64::from(1 << teff::dsp::CEPSTRUM_FRAC_BITS); self.coefficients],
            Kind::MotionStats => {
                let crossing = 1.0 / (self.frame_len.saturating_sub(1)).max(1) as f64;
                let count = 1.0 / self.lsb_per_unit;
                let moment = 1.0 / f64::from(1 << MOMENT_FRAC_BITS);
                let stats = self.stats.iter().map(|s| match s {
                    Stat::Crossings => crossing,
                    Stat::Skew | Stat::Kurtosis => moment,
                    Stat::Mean | Stat::Std | Stat::Rms | Stat::Min | Stat::Max => count,
                });
                let bin = self.rate_hz / self.fft_len.max(1) as f64;
                let peaks = [bin / f64::from(1 << PEAK_FRAC_BITS), log].repeat(self.peaks);
                let axis: Vec<f64> = stats.chain(vec![log; self.bands]).chain(peaks).collect();
                axis.repeat(self.analysed_axes())
            }
        }
    }

    /// What is subtracted from each feature of a frame, in steps of the feature: the mean, rounded to a whole step.
    pub fn feature_offsets(&self) -> Vec<i32> {
        let means = self.feature_mean.iter().copied().chain(std::iter::repeat(0.0));
        self.feature_units().iter().zip(means).map(|(unit, mean)| libm::round(mean / unit) as i32).collect()
    }

    /// Real value of one step of each feature of a frame in the model input.
    pub fn feature_scales(&self) -> Vec<f64> {
        let deviations = self.feature_std.iter().copied().chain(std::iter::repeat(1.0));
        self.feature_units().iter().zip(deviations).map(|(unit, deviation)| unit / deviation).collect()
    }
}

/// The line that [`FrontEndConfig::parse`] reads.
impl fmt::Display for FrontEndConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&keys::write(self))
    }
}
