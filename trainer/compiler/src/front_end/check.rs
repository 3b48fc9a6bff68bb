//! What the values of a front end may be.

use teff::dsp::{
    Compression, Level, MAX_PEAKS, MAX_RESAMPLING_FACTORS, MAX_WINDOW_FEATURES, is_supported_len,
};

use super::config::{FrontEndConfig, Kind};
use super::filter_bank::FilterBank;
use super::keys::fault;
use super::resampling::Resampling;
use super::sections::{self, HIGHEST, LOWEST};
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
        self.check_resampling()?;
        self.check_filters()?;
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
        if self.peaks > MAX_PEAKS {
            return Err(
                fault("peaks", &format!("is {}", self.peaks)).remedy(format!("give 0 to {MAX_PEAKS}"))
            );
        }
        if self.bands > 256 {
            return Err(fault("bands", &format!("is {}", self.bands)).remedy("give 1 to 256"));
        }
        let features = self.features_per_frame();
        if features == 0 {
            return Err(fault("stats", "is empty and there are no bands and no peaks")
                .remedy("ask for statistics, bands or peaks"));
        }
        if self.window == 0 || self.window * features > MAX_WINDOW_FEATURES {
            let most = MAX_WINDOW_FEATURES / features;
            return Err(fault("window", &format!("is {} frames of {features} features", self.window))
                .remedy(format!("give 1 to {most} frames")));
        }
        if self.has_spectrum() { self.check_spectrum() } else { Ok(()) }
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
        if self.kind == Kind::Mfcc {
            at_most("coefficients", self.coefficients, self.bands)?;
        }
        if !(-32..=48).contains(&self.floor) {
            return Err(fault("floor", &format!("is {}", self.floor)).remedy("give -32 to 48"));
        }
        if self.compress == Compression::Pcen {
            self.check_normalization()?;
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
        let bank = FilterBank::new(self);
        if bank.is_empty() {
            return Err(fault(
                "high_hz",
                &format!(
                    "is {}: no bin of the spectrum lies between low_hz={} and it",
                    self.high_hz, self.low_hz
                ),
            )
            .remedy("give a wider band, or a longer fft_len"));
        }
        if let Some(band) = bank.empty_band() {
            return Err(fault(
                "bands",
                &format!("is {}: band {band} holds no bin of the spectrum", self.bands),
            )
            .remedy("give fewer bands, a longer fft_len, or a higher low_hz"));
        }
        Ok(())
    }

    fn check_resampling(&self) -> Result<()> {
        let wrong = |why: &str| fault("input_rate_hz", &format!("is {}{why}", self.input_rate_hz));
        if !(self.input_rate_hz >= 0.001 && self.input_rate_hz <= 4_000_000.0) {
            return Err(wrong("").remedy("give 0.001 to 4000000"));
        }
        let Some(resampling) = Resampling::of(self) else { return Ok(()) };
        let Resampling { up, down, taps } = resampling;
        if up > 4096 || down > 4096 || up * taps > MAX_RESAMPLING_FACTORS {
            return Err(wrong(&format!(
                ": {up} samples of rate_hz={} for {down} need a filter of {up} times {taps} factors",
                self.rate_hz
            ))
            .remedy(format!(
                "choose rates in a ratio of whole numbers up to 4096, and of at most {MAX_RESAMPLING_FACTORS} factors"
            )));
        }
        if !resampling.stays_in_range(&resampling.factors()) {
            return Err(wrong(": the filter for it leaves 32 bits").remedy("choose another rate"));
        }
        Ok(())
    }

    fn check_filters(&self) -> Result<()> {
        if self.dc_shift > 15 {
            return Err(
                fault("dc_shift", &format!("is {}", self.dc_shift)).remedy("give 1 to 15, or 0 for none")
            );
        }
        if !(0.0..=1.0).contains(&self.pre_emphasis) {
            return Err(fault("pre_emphasis", &format!("is {}", self.pre_emphasis)).remedy("give 0 to 1"));
        }
        if ![2, 4, 6, 8].contains(&self.filter_order) {
            return Err(
                fault("filter_order", &format!("is {}", self.filter_order)).remedy("give 2, 4, 6 or 8")
            );
        }
        let (least, most) = (LOWEST * self.rate_hz, HIGHEST * self.rate_hz);
        let cuts = [("high_pass_hz", self.high_pass_hz), ("low_pass_hz", self.low_pass_hz)];
        for (key, cut) in cuts {
            if cut != 0.0 && !(least..=most).contains(&cut) {
                return Err(fault(key, &format!("is {cut}"))
                    .remedy(format!("at rate_hz={} give {least} to {most}, or 0 for none", self.rate_hz)));
            }
        }
        if self.low_pass_hz > 0.0 && self.low_pass_hz <= self.high_pass_hz {
            return Err(fault(
                "low_pass_hz",
                &format!("is {}, not above high_pass_hz={}", self.low_pass_hz, self.high_pass_hz),
            )
            .remedy("the band that passes lies between the two"));
        }
        let lowest = cuts.iter().map(|(_, cut)| cut / self.rate_hz).filter(|cut| *cut > 0.0);
        let lowest = lowest.fold(0.5, f64::min);
        if !sections::stay_in_range(&sections::sections(self), lowest) {
            return Err(fault(
                "filter_order",
                &format!("is {}: the filters leave 32 bits", self.filter_order),
            )
            .remedy("give a lower order"));
        }
        Ok(())
    }

    fn check_normalization(&self) -> Result<()> {
        for (key, value, least, most) in [
            ("pcen_smoothing", self.pcen_smoothing, 0.001, 0.999),
            ("pcen_gain", self.pcen_gain, 0.0, 1.0),
            ("pcen_bias", self.pcen_bias, 0.0, 1000.0),
            ("pcen_root", self.pcen_root, 0.01, 1.0),
        ] {
            if !(least..=most).contains(&value) {
                return Err(fault(key, &format!("is {value}")).remedy(format!("give {least} to {most}")));
            }
        }
        if self.floor < 4 {
            return Err(
                fault("floor", &format!("is {} with compress=pcen", self.floor)).remedy("give 4 to 48")
            );
        }
        if self.range > 0 {
            return Err(fault("range", &format!("is {} with compress=pcen", self.range))
                .remedy("leave it out: it limits logarithms"));
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
