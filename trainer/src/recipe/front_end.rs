//! The `[front_end]` table: how samples become the features that the network sees.
//!
//! Keys and values are those of the metadata line `teff.front_end`, which `docs/front-end.md` lists; the compiler's
//! [`FrontEndConfig`] checks them. What `[data]` already says is not repeated: `rate_hz`, `axes`, `lsb_per_unit`, and for
//! motion the `window`, which follows from `length` in `[data.window]`; one frame of `motion_stats` covers that length
//! where `frame_len` is not given. Where `rate_hz` is given and is another one than that of the data, samples are
//! resampled to it: the rate of the data becomes `input_rate_hz`.
//!
//! One key is the recipe's own: with `standardize = true`, `feature_mean` and `feature_std` are those of the training
//! examples.

use teff_compiler::front_end::FrontEndConfig;

use super::data::{Data, Format, WindowSettings};
use super::reader::Section;
use crate::dataset::machine;
use crate::error::{InputError, Result};

/// Keys that are set from `[data]`.
const FROM_DATA: [&str; 3] = ["input_rate_hz", "axes", "lsb_per_unit"];

/// The settings, and whether features are to be standardized.
pub(super) fn read(section: &Section, data: &Data) -> Result<(FrontEndConfig, bool)> {
    let standardize = section.boolean("standardize")?.unwrap_or(false);
    let kind = section.required("kind", section.text("kind")?)?;
    let mut pairs = section.pairs()?;
    pairs.retain(|(key, _)| key != "standardize");
    if let Some(key) = FROM_DATA.into_iter().find(|key| section.has(key)) {
        return Err(section.fault(key, "is what [data] says", "remove it"));
    }
    let (kinds, derived) = match &data.format {
        Format::Idx => (&["image"][..], Vec::new()),
        Format::Wav(wav) => (
            &["log_mel", "mfcc"][..],
            rate_keys(frame_rate(section, wav.rate_hz.into())?, wav.rate_hz.into()),
        ),
        Format::Recordings(recordings) => {
            let sensor = Sensor {
                rate_hz: f64::from(recordings.rate_hz),
                axes: recordings.axes,
                lsb_per_unit: f64::from(recordings.scale.lsb_per_unit),
            };
            (&["raw_window", "motion_stats"][..], sensor.keys(&kind, section, &recordings.window)?)
        }
        Format::Machine(settings) => {
            let sensor = Sensor { rate_hz: machine::RATE_HZ, axes: 3, lsb_per_unit: machine::LSB_PER_G };
            (&["raw_window", "motion_stats"][..], sensor.keys(&kind, section, &settings.window)?)
        }
    };
    if !kinds.contains(&kind.as_str()) {
        let problem = format!("is `{kind}`, which does not fit the `format` of [data]");
        return Err(section.fault("kind", problem, format!("valid are: {}", kinds.join(", "))));
    }
    pairs.retain(|(key, _)| key != "rate_hz" || derived.is_empty());
    pairs.extend(derived.into_iter().map(|(key, value)| (key.to_string(), value)));
    let config = FrontEndConfig::from_keys(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())))
        .map_err(|error| locate(&error, section))?;
    if let Some(window) = data.window() {
        let covered = config.window_samples();
        if covered > window.length {
            let problem = format!("covers {covered} samples, but windows of the data have {}", window.length);
            return Err(section.fault("window", problem, "lower it, or raise `length` in [data.window]"));
        }
    }
    if standardize && !(config.feature_mean.is_empty() && config.feature_std.is_empty()) {
        let problem = "stands beside `feature_mean` or `feature_std`, which it would compute";
        return Err(section.fault("standardize", problem, "leave one of them out"));
    }
    Ok((config, standardize))
}

/// The rate of frames: that of the data, unless `rate_hz` gives another one.
fn frame_rate(section: &Section, data_rate: f64) -> Result<f64> {
    match section.number("rate_hz", 0.001..=4_000_000.0)? {
        Some(rate) if rate == data_rate => Err(section.fault("rate_hz", "is what [data] says", "remove it")),
        rate => Ok(rate.unwrap_or(data_rate)),
    }
}

fn rate_keys(frame_rate: f64, data_rate: f64) -> Vec<(&'static str, String)> {
    vec![("rate_hz", frame_rate.to_string()), ("input_rate_hz", data_rate.to_string())]
}

/// What `[data]` says of a motion sensor.
struct Sensor {
    rate_hz: f64,
    axes: usize,
    lsb_per_unit: f64,
}

impl Sensor {
    fn keys(
        &self,
        kind: &str,
        section: &Section,
        window: &WindowSettings,
    ) -> Result<Vec<(&'static str, String)>> {
        let rate = frame_rate(section, self.rate_hz)?;
        let mut keys = rate_keys(rate, self.rate_hz);
        keys.push(("axes", self.axes.to_string()));
        keys.push(("lsb_per_unit", self.lsb_per_unit.to_string()));
        // Samples of a window of the data once they are resampled.
        let length = (window.length as f64 * rate / self.rate_hz) as usize;
        let frames = if kind == "motion_stats" {
            let frame_len = section.size("frame_len", 1..=length.max(1))?;
            if frame_len.is_none() {
                keys.push(("frame_len", length.to_string()));
            }
            let frame_len = frame_len.unwrap_or(length);
            let hop_len = section.size("hop_len", 1..=1 << 24)?.unwrap_or(frame_len).max(1);
            1 + length.saturating_sub(frame_len) / hop_len
        } else {
            length / section.size("decimate", 1..=length.max(1))?.unwrap_or(1)
        };
        if !section.has("window") {
            keys.push(("window", frames.to_string()));
        }
        Ok(keys)
    }
}

/// A fault that the compiler found, at the line of the key that it names first.
fn locate(error: &teff_compiler::Error, section: &Section) -> InputError {
    let key = match error.reason.split('`').nth(1).unwrap_or_default() {
        // The rate of the data does not stand here.
        "input_rate_hz" => "rate_hz",
        key => key,
    };
    let remedy = match error.remedy.as_str() {
        "" => "docs/front-end.md has the table of keys",
        remedy => remedy,
    };
    section.fault_at(key, &error.reason, remedy)
}
