//! What the values of a front end may be.

use teff::dsp::{Level, MAX_WINDOW_FEATURES, is_supported_len};

use super::config::{FrontEndConfig, Kind};
use super::filter_bank::FilterBank;
use super::keys::fault;
use crate::Result;

impl FrontEndConfig {
    /// Checks every value against its range and against the others.
    ///
    /// # Errors
    /// Names the key, what is wrong with its value and what would be right.
    pub fn check(&self) -> Result<()> {
        match self.kind {
            Kind::None => return Ok(()),
            Kind::Image => {
                at_most("channels", self.channels, 16)?;
                at_most("height", self.height, 4096)?;
                at_most("width", self.width, 4096)?;
            }
            Kind::RawWindow | Kind::MotionStats | Kind::LogMel | Kind::Mfcc => self.check_signal()?,
        }
        self.check_standardization()
    }

    fn check_signal(&self) -> Result<()> {
        if !(self.rate_hz >= 0.001 && self.rate_hz <= 4_000_000.0) {
            return Err(fault("rate_hz", &format!("is {}", self.rate_hz)).remedy("give 0.001 to 4000000"));
        }
        if !(self.lsb_per_unit > 0.0 && self.lsb_per_unit.is_finite()) {
            return Err(
                fault("lsb_per_unit", &format!("is {}", self.lsb_per_unit)).remedy("give a number above 0")
            );
        }
        let audio = matches!(self.kind, Kind::LogMel | Kind::Mfcc);
        if audio {
            at_most("bands", self.bands, 256)?;
        }
        at_most("axes", self.axes, if audio { 1 } else { 15 })?;
        let length = if self.kind == Kind::RawWindow { "decimate" } else { "frame_len" };
        at_most(length, self.frame_len, 8192)?;
        at_most("hop_len", self.hop_len, 65_535)?;
        at_most("stride", self.stride, 65_535)?;
        let features = self.features_per_frame();
        if features == 0 {
            return Err(
                fault("stats", "is empty and there are no bands").remedy("ask for statistics or for bands")
            );
        }
        if self.window == 0 || self.window * features > MAX_WINDOW_FEATURES {
            let most = MAX_WINDOW_FEATURES / features;
            return Err(fault("window", &format!("is {} frames of {features} features", self.window))
                .remedy(format!("give 1 to {most} frames")));
        }
        if self.bands > 0 { self.check_spectrum() } else { Ok(()) }
    }

    fn check_spectrum(&self) -> Result<()> {
        if !u16::try_from(self.fft_len).is_ok_and(is_supported_len) {
            return Err(fault("fft_len", &format!("is {}", self.fft_len))
                .remedy("give 64, 128, 256, 512, 1024 or 2048"));
        }
        if self.frame_len > self.fft_len {
            return Err(fault(
                "frame_len",
                &format!("is {}, above fft_len={}", self.frame_len, self.fft_len),
            )
            .remedy("a frame is at most as long as its Fourier transform: shorten it or raise fft_len"));
        }
        at_most("bands", self.bands, 256)?;
        if self.kind == Kind::Mfcc {
            at_most("coefficients", self.coefficients, self.bands)?;
        }
        if !(-32..=48).contains(&self.floor) {
            return Err(fault("floor", &format!("is {}", self.floor)).remedy("give -32 to 48"));
        }
        if self.range > 64 || (self.range > 0 && self.level != Level::Peak) {
            return Err(fault("range", &format!("is {}", self.range))
                .remedy("give 1 to 64 with level=peak, or leave it out"));
        }
        let half = self.rate_hz / 2.0;
        if !(self.high_hz > 0.0 && self.high_hz <= half) {
            return Err(fault("high_hz", &format!("is {}", self.high_hz))
                .remedy(format!("give a number above 0, at most half the sample rate, {half}")));
        }
        if !(self.low_hz >= 0.0 && self.low_hz < self.high_hz) {
            return Err(fault("low_hz", &format!("is {}", self.low_hz))
                .remedy(format!("give a number from 0 to below high_hz={}", self.high_hz)));
        }
        if let Some(band) = FilterBank::new(self).empty_band() {
            return Err(fault(
                "bands",
                &format!("is {}: band {band} holds no bin of the spectrum", self.bands),
            )
            .remedy("give fewer bands, a longer fft_len, or a higher low_hz"));
        }
        Ok(())
    }

    fn check_standardization(&self) -> Result<()> {
        let features = self.features_per_frame();
        for (key, list) in [("feature_mean", &self.feature_mean), ("feature_std", &self.feature_std)] {
            if !list.is_empty() && list.len() != features {
                return Err(fault(key, &format!("has {} entries", list.len()))
                    .remedy(format!("give one for each of the {features} features of a frame, or none")));
            }
        }
        if let Some(at) = self.feature_std.iter().position(|d| !(*d > 0.0 && d.is_finite())) {
            return Err(fault("feature_std", &format!("has {} at place {at}", self.feature_std[at]))
                .remedy("give numbers above 0"));
        }
        let units = self.feature_units();
        if let Some(at) = self
            .feature_mean
            .iter()
            .zip(&units)
            .position(|(m, unit)| !(-65_536.0..=65_536.0).contains(&(*m / unit)))
        {
            return Err(fault("feature_mean", &format!("has {} at place {at}", self.feature_mean[at]))
                .remedy(format!("this feature is between -{0} and {0}", 32_768.0 * units[at])));
        }
        Ok(())
    }
}

fn at_most(key: &str, value: usize, most: usize) -> Result<()> {
    if value == 0 || value > most {
        return Err(fault(key, &format!("is {value}")).remedy(format!("give 1 to {most}")));
    }
    Ok(())
}
