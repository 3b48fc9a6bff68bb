//! The `[front_end]` table: how samples become the features that the network sees.
//!
//! Nothing is computed here: features come from `teff::dsp` on host and device alike. What the data already says
//! (sample rate, axes, counts per unit, window length) is not repeated in the table.

use super::reader::Section;
use crate::error::Result;

/// The `[front_end]` table.
#[derive(Debug, Clone, PartialEq)]
pub enum FrontEnd {
    /// Pixels; real value = pixel / 255.
    Image,
    /// A window of sensor samples, as they are.
    RawWindow {
        /// Subtract each axis's mean over the window.
        remove_mean: bool,
    },
    /// Statistics and spectral bands of each axis over a window of sensor samples.
    MotionStats {
        /// Length of the transform; a power of two.
        fft_len: usize,
        /// Spectral bands per axis.
        bands: usize,
    },
    /// Logarithmic mel bands.
    LogMel(Mel),
    /// Mel-frequency cepstral coefficients.
    Mfcc {
        /// The mel bands that they are computed from.
        mel: Mel,
        /// How many are kept.
        coefficients: usize,
    },
}

/// Mel bands of framed sound.
#[derive(Debug, Clone, PartialEq)]
pub struct Mel {
    /// Samples analysed together.
    pub frame_len: usize,
    /// Samples between the starts of frames.
    pub hop_len: usize,
    /// Length of the transform; a power of two, at least `frame_len`.
    pub fft_len: usize,
    /// Number of bands.
    pub bands: usize,
    /// Lower edge of the lowest band.
    pub low_hz: f64,
    /// Upper edge of the highest band.
    pub high_hz: f64,
    /// Frames in the feature window that the network sees.
    pub frames: usize,
}

impl FrontEnd {
    pub(super) fn read(section: &Section) -> Result<Self> {
        let kind = section.word("kind", &["image", "raw_window", "motion_stats", "log_mel", "mfcc"])?;
        let front_end = match section.required("kind", kind)? {
            "image" => FrontEnd::Image,
            "raw_window" => {
                FrontEnd::RawWindow { remove_mean: section.boolean("remove_mean")?.unwrap_or(false) }
            }
            "motion_stats" => {
                let fft_len = fft_len(section)?;
                let bands = section.required("bands", section.size("bands", 1..=fft_len / 2)?)?;
                FrontEnd::MotionStats { fft_len, bands }
            }
            "log_mel" => FrontEnd::LogMel(Mel::read(section)?),
            _ => {
                let mel = Mel::read(section)?;
                let coefficients = section.size("coefficients", 1..=mel.bands)?;
                FrontEnd::Mfcc { coefficients: section.required("coefficients", coefficients)?, mel }
            }
        };
        section.finish()?;
        Ok(front_end)
    }
}

/// The length of the transform.
fn fft_len(section: &Section) -> Result<usize> {
    let fft_len = section.required("fft_len", section.size("fft_len", 32..=4096)?)?;
    if !fft_len.is_power_of_two() {
        let problem = format!("is {fft_len}, which is no power of two");
        return Err(section.fault("fft_len", problem, format!("write {}", fft_len.next_power_of_two())));
    }
    Ok(fft_len)
}

impl Mel {
    fn read(section: &Section) -> Result<Self> {
        let fft_len = fft_len(section)?;
        let frame_len = section.required("frame_len", section.size("frame_len", 16..=fft_len)?)?;
        let hop_len = section.required("hop_len", section.size("hop_len", 1..=4 * frame_len)?)?;
        let bands = section.required("bands", section.size("bands", 4..=128)?)?;
        let low_hz = section.required("low_hz", section.number("low_hz", 0.0..=100_000.0)?)?;
        let high_hz = section.required("high_hz", section.number("high_hz", low_hz + 1.0..=200_000.0)?)?;
        let frames = section.required("frames", section.size("frames", 1..=1_024)?)?;
        Ok(Self { frame_len, hop_len, fft_len, bands, low_hz, high_hz, frames })
    }

    /// How many samples the frames of a feature window cover.
    pub fn window_samples(&self) -> usize {
        (self.frames - 1) * self.hop_len + self.frame_len
    }
}
