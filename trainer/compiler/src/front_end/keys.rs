//! The keys of the line: which a kind has, how their values are read and written.

use teff::dsp::{Compression, Level, Stat};

use super::config::{Align, BandScale, FrontEndConfig, Kind, Taper};
use crate::{Error, Result};

const KINDS: [(&str, Kind); 6] = [
    ("none", Kind::None),
    ("image", Kind::Image),
    ("raw_window", Kind::RawWindow),
    ("motion_stats", Kind::MotionStats),
    ("log_mel", Kind::LogMel),
    ("mfcc", Kind::Mfcc),
];

const ALIGNS: [(&str, Align); 3] = [("start", Align::Start), ("centre", Align::Centre), ("end", Align::End)];

const BAND_SCALES: [(&str, BandScale); 2] = [("mel", BandScale::Mel), ("linear", BandScale::Linear)];

const TAPERS: [(&str, Taper); 2] = [("hann", Taper::Hann), ("hamming", Taper::Hamming)];

const COMPRESSIONS: [(&str, Compression); 2] = [("log", Compression::Log), ("pcen", Compression::Pcen)];

const LEVELS: [(&str, Level); 4] = [
    ("none", Level::None),
    ("mean", Level::Mean),
    ("feature_mean", Level::FeatureMean),
    ("peak", Level::Peak),
];

const STATS: [(&str, Stat); 8] = [
    ("mean", Stat::Mean),
    ("std", Stat::Std),
    ("rms", Stat::Rms),
    ("min", Stat::Min),
    ("max", Stat::Max),
    ("crossings", Stat::Crossings),
    ("skew", Stat::Skew),
    ("kurtosis", Stat::Kurtosis),
];

const FLAGS: [(&str, bool); 2] = [("false", false), ("true", true)];

/// Keys of a kind in the order in which they are printed; those in the first list must be given.
fn keys_of(kind: Kind) -> (&'static [&'static str], &'static [&'static str]) {
    match kind {
        Kind::None => (&[], &[]),
        Kind::Image => (&["height", "width"], &["channels", "feature_mean", "feature_std"]),
        Kind::RawWindow => (
            &["rate_hz", "axes", "window"],
            &[
                "lsb_per_unit",
                "input_rate_hz",
                "dc_shift",
                "high_pass_hz",
                "low_pass_hz",
                "filter_order",
                "decimate",
                "stride",
                "align",
                "level",
                "feature_mean",
                "feature_std",
            ],
        ),
        Kind::MotionStats => (
            &["rate_hz", "axes", "frame_len"],
            &[
                "lsb_per_unit",
                "input_rate_hz",
                "dc_shift",
                "high_pass_hz",
                "low_pass_hz",
                "filter_order",
                "hop_len",
                "stats",
                "magnitude",
                "bands",
                "peaks",
                "fft_len",
                "taper",
                "band_scale",
                "low_hz",
                "high_hz",
                "floor",
                "window",
                "stride",
                "align",
                "level",
                "feature_mean",
                "feature_std",
            ],
        ),
        Kind::LogMel => (
            &["rate_hz", "frame_len", "bands", "window"],
            &[
                "input_rate_hz",
                "dc_shift",
                "high_pass_hz",
                "low_pass_hz",
                "filter_order",
                "pre_emphasis",
                "hop_len",
                "fft_len",
                "taper",
                "band_scale",
                "low_hz",
                "high_hz",
                "floor",
                "compress",
                "pcen_smoothing",
                "pcen_gain",
                "pcen_bias",
                "pcen_root",
                "stride",
                "align",
                "level",
                "range",
                "feature_mean",
                "feature_std",
            ],
        ),
        Kind::Mfcc => (
            &["rate_hz", "frame_len", "bands", "coefficients", "window"],
            &[
                "input_rate_hz",
                "dc_shift",
                "high_pass_hz",
                "low_pass_hz",
                "filter_order",
                "pre_emphasis",
                "hop_len",
                "fft_len",
                "taper",
                "band_scale",
                "low_hz",
                "high_hz",
                "floor",
                "stride",
                "align",
                "level",
                "feature_mean",
                "feature_std",
            ],
        ),
    }
}

/// An error that names a key of the line.
pub(super) fn fault(key: &str, reason: &str) -> Error {
    Error::key("teff.front_end", format!("`{key}` {reason}"))
}

fn default_config(kind: Kind) -> FrontEndConfig {
    FrontEndConfig {
        kind,
        rate_hz: 0.0,
        input_rate_hz: 0.0,
        axes: 1,
        lsb_per_unit: 1.0,
        dc_shift: 0,
        high_pass_hz: 0.0,
        low_pass_hz: 0.0,
        filter_order: 2,
        pre_emphasis: 0.0,
        frame_len: 1,
        hop_len: 0,
        decimate: 1,
        fft_len: 0,
        taper: Taper::Hann,
        bands: 0,
        band_scale: if kind == Kind::MotionStats { BandScale::Linear } else { BandScale::Mel },
        low_hz: if kind == Kind::MotionStats { 0.0 } else { 60.0 },
        high_hz: 0.0,
        floor: if kind == Kind::MotionStats { 4 } else { 12 },
        compress: Compression::Log,
        pcen_smoothing: 0.025,
        pcen_gain: 0.98,
        pcen_bias: 2.0,
        pcen_root: 0.5,
        peaks: 0,
        coefficients: 0,
        stats: Vec::new(),
        magnitude: false,
        window: 1,
        stride: 1,
        align: Align::Centre,
        level: Level::None,
        range: 0,
        height: 0,
        width: 0,
        channels: 1,
        feature_mean: Vec::new(),
        feature_std: Vec::new(),
    }
}

/// Reads the pairs, fills in what is not given, checks nothing but the form.
pub(super) fn read(pairs: Vec<(&str, &str)>) -> Result<FrontEndConfig> {
    let Some((_, kind)) = pairs.iter().find(|(key, _)| *key == "kind") else {
        return Err(fault("kind", "is missing").remedy(format!("kinds: {}", names(&KINDS))));
    };
    let kind = choice("kind", kind, &KINDS)?;
    let (required, optional) = keys_of(kind);
    let mut config = default_config(kind);
    if kind == Kind::MotionStats {
        config.stats = vec![Stat::Mean, Stat::Std, Stat::Min, Stat::Max, Stat::Crossings];
    }
    let mut seen: Vec<&str> = Vec::new();
    for (key, value) in &pairs {
        if seen.contains(key) {
            return Err(fault(key, "is given twice").remedy("leave one of them out"));
        }
        seen.push(key);
        if *key != "kind" && !required.contains(key) && !optional.contains(key) {
            return Err(unknown(key, kind));
        }
        set(&mut config, key, value)?;
    }
    if let Some(missing) = required.iter().find(|key| !seen.contains(key)) {
        return Err(fault(missing, &format!("is missing: kind={} needs it", name(kind, &KINDS))));
    }
    let filtered = config.high_pass_hz != 0.0 || config.low_pass_hz != 0.0;
    let normalized = config.compress == Compression::Pcen;
    for key in seen {
        let lacking = match key {
            "filter_order" if !filtered => "high_pass_hz or low_pass_hz",
            "pcen_smoothing" | "pcen_gain" | "pcen_bias" | "pcen_root" if !normalized => "compress=pcen",
            "taper" if kind == Kind::MotionStats && !config.has_spectrum() => "bands or peaks",
            _ => continue,
        };
        return Err(fault(key, "says nothing here").remedy(format!("give {lacking} too, or leave it out")));
    }
    fill_in(&mut config);
    Ok(config)
}

fn unknown(key: &str, kind: Kind) -> Error {
    let (required, optional) = keys_of(kind);
    let known: Vec<&str> = required.iter().chain(optional).copied().collect();
    let nearest =
        known.iter().min_by_key(|k| distance(k, key)).filter(|k| distance(k, key) <= 1 + key.len() / 3);
    let error = fault(key, &format!("is no key of kind={}", name(kind, &KINDS)));
    match nearest {
        Some(nearest) => error.remedy(format!("did you mean `{nearest}`?")),
        None => {
            error.remedy(format!("keys: {}", if known.is_empty() { "none".into() } else { known.join(", ") }))
        }
    }
}

/// Number of letters to insert, leave out or change.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

/// Values that follow from others where they are not given.
fn fill_in(config: &mut FrontEndConfig) {
    if config.input_rate_hz == 0.0 {
        config.input_rate_hz = config.rate_hz;
    }
    match config.kind {
        Kind::None | Kind::Image => {}
        Kind::RawWindow => {
            config.frame_len = config.decimate;
            config.hop_len = config.decimate;
        }
        Kind::MotionStats | Kind::LogMel | Kind::Mfcc => {
            if config.hop_len == 0 {
                let half = config.kind != Kind::MotionStats;
                config.hop_len = if half { config.frame_len.div_ceil(2) } else { config.frame_len };
            }
            if !config.has_spectrum() {
                config.fft_len = 0;
                config.low_hz = 0.0;
                config.high_hz = 0.0;
            } else {
                if config.fft_len == 0 {
                    config.fft_len = config.frame_len.max(64).next_power_of_two();
                }
                if config.high_hz == 0.0 {
                    config.high_hz = config.rate_hz / 2.0;
                }
            }
        }
    }
}

fn set(config: &mut FrontEndConfig, key: &str, value: &str) -> Result<()> {
    match key {
        "kind" => {}
        "rate_hz" => config.rate_hz = real(key, value)?,
        "input_rate_hz" => config.input_rate_hz = above_zero(key, value)?,
        "axes" => config.axes = count(key, value)?,
        "lsb_per_unit" => config.lsb_per_unit = real(key, value)?,
        "dc_shift" => config.dc_shift = whole(key, value)?,
        "high_pass_hz" => config.high_pass_hz = real(key, value)?,
        "low_pass_hz" => config.low_pass_hz = real(key, value)?,
        "filter_order" => config.filter_order = count(key, value)?,
        "pre_emphasis" => config.pre_emphasis = real(key, value)?,
        "frame_len" => config.frame_len = count(key, value)?,
        "hop_len" => config.hop_len = count(key, value)?,
        "decimate" => config.decimate = count(key, value)?,
        "fft_len" => config.fft_len = count(key, value)?,
        "bands" => config.bands = whole(key, value)?,
        "taper" => config.taper = choice(key, value, &TAPERS)?,
        "band_scale" => config.band_scale = choice(key, value, &BAND_SCALES)?,
        "low_hz" => config.low_hz = real(key, value)?,
        "high_hz" => config.high_hz = real(key, value)?,
        "floor" => config.floor = whole(key, value)?,
        "compress" => config.compress = choice(key, value, &COMPRESSIONS)?,
        "pcen_smoothing" => config.pcen_smoothing = real(key, value)?,
        "pcen_gain" => config.pcen_gain = real(key, value)?,
        "pcen_bias" => config.pcen_bias = real(key, value)?,
        "pcen_root" => config.pcen_root = real(key, value)?,
        "peaks" => config.peaks = whole(key, value)?,
        "coefficients" => config.coefficients = count(key, value)?,
        "stats" => config.stats = stats(key, value)?,
        "magnitude" => config.magnitude = choice(key, value, &FLAGS)?,
        "window" => config.window = count(key, value)?,
        "stride" => config.stride = count(key, value)?,
        "align" => config.align = choice(key, value, &ALIGNS)?,
        "level" => config.level = choice(key, value, &LEVELS)?,
        "range" => config.range = whole(key, value)?,
        "height" => config.height = count(key, value)?,
        "width" => config.width = count(key, value)?,
        "channels" => config.channels = count(key, value)?,
        "feature_mean" => config.feature_mean = reals(key, value)?,
        "feature_std" => config.feature_std = reals(key, value)?,
        _ => return Err(unknown(key, config.kind)),
    }
    Ok(())
}

/// The line. Every key of the kind is printed, defaults too, so that a later change of a default changes no model.
pub(super) fn write(config: &FrontEndConfig) -> String {
    let mut line = format!("kind={}", name(config.kind, &KINDS));
    let (required, optional) = keys_of(config.kind);
    for key in required.iter().chain(optional) {
        let value = match *key {
            "rate_hz" => config.rate_hz.to_string(),
            "input_rate_hz" => config.input_rate_hz.to_string(),
            "dc_shift" => config.dc_shift.to_string(),
            "high_pass_hz" => config.high_pass_hz.to_string(),
            "low_pass_hz" => config.low_pass_hz.to_string(),
            // No meaning without a filter.
            "filter_order" if config.high_pass_hz == 0.0 && config.low_pass_hz == 0.0 => continue,
            "filter_order" => config.filter_order.to_string(),
            "pre_emphasis" => config.pre_emphasis.to_string(),
            "axes" => config.axes.to_string(),
            "lsb_per_unit" => config.lsb_per_unit.to_string(),
            "frame_len" => config.frame_len.to_string(),
            "hop_len" => config.hop_len.to_string(),
            "decimate" => config.decimate.to_string(),
            "bands" => config.bands.to_string(),
            "peaks" => config.peaks.to_string(),
            "compress" => name(config.compress, &COMPRESSIONS).into(),
            "pcen_smoothing" | "pcen_gain" | "pcen_bias" | "pcen_root"
                if config.compress != Compression::Pcen =>
            {
                continue;
            }
            "pcen_smoothing" => config.pcen_smoothing.to_string(),
            "pcen_gain" => config.pcen_gain.to_string(),
            "pcen_bias" => config.pcen_bias.to_string(),
            "pcen_root" => config.pcen_root.to_string(),
            "coefficients" => config.coefficients.to_string(),
            "stats" => config.stats.iter().map(|s| name(*s, &STATS)).collect::<Vec<_>>().join(","),
            "magnitude" => config.magnitude.to_string(),
            "window" => config.window.to_string(),
            "stride" => config.stride.to_string(),
            "align" => name(config.align, &ALIGNS).into(),
            "level" => name(config.level, &LEVELS).into(),
            "range" => config.range.to_string(),
            "height" => config.height.to_string(),
            "width" => config.width.to_string(),
            "channels" => config.channels.to_string(),
            "feature_mean" => join(&config.feature_mean),
            "feature_std" => join(&config.feature_std),
            // What follows has no meaning without a spectrum.
            _ if !config.has_spectrum() => continue,
            "fft_len" => config.fft_len.to_string(),
            "taper" => name(config.taper, &TAPERS).into(),
            "band_scale" => name(config.band_scale, &BAND_SCALES).into(),
            "low_hz" => config.low_hz.to_string(),
            "high_hz" => config.high_hz.to_string(),
            "floor" => config.floor.to_string(),
            _ => continue,
        };
        if !value.is_empty() || *key == "stats" {
            line.push_str(&format!(" {key}={value}"));
        }
    }
    line
}

fn join(values: &[f64]) -> String {
    values.iter().map(f64::to_string).collect::<Vec<_>>().join(",")
}

fn names<T>(choices: &[(&str, T)]) -> String {
    choices.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

fn name<T: PartialEq>(value: T, choices: &[(&'static str, T)]) -> &'static str {
    choices.iter().find(|(_, v)| *v == value).map_or("", |(name, _)| name)
}

fn choice<T: Copy>(key: &str, value: &str, choices: &[(&str, T)]) -> Result<T> {
    match choices.iter().find(|(name, _)| *name == value) {
        Some((_, choice)) => Ok(*choice),
        None => {
            Err(fault(key, &format!("is `{value}`")).remedy(format!("choose one of: {}", names(choices))))
        }
    }
}

fn count(key: &str, value: &str) -> Result<usize> {
    match value.parse::<usize>() {
        Ok(n) if (1..=1 << 24).contains(&n) => Ok(n),
        _ => Err(fault(key, &format!("is `{value}`")).remedy("give a whole number from 1 to 16777216")),
    }
}

fn whole<T: std::str::FromStr>(key: &str, value: &str) -> Result<T> {
    value.parse().map_err(|_| {
        fault(key, &format!("is `{value}`")).remedy("give a whole number in the range of this key")
    })
}

fn real(key: &str, value: &str) -> Result<f64> {
    match value.parse::<f64>() {
        Ok(x) if x.is_finite() => Ok(x),
        _ => Err(fault(key, &format!("is `{value}`")).remedy("give a finite number")),
    }
}

fn above_zero(key: &str, value: &str) -> Result<f64> {
    match real(key, value)? {
        x if x > 0.0 => Ok(x),
        _ => Err(fault(key, &format!("is `{value}`")).remedy("give a number above 0")),
    }
}

fn reals(key: &str, value: &str) -> Result<Vec<f64>> {
    if value.is_empty() {
        return Ok(Vec::new());
    }
    value.split(',').map(|x| real(key, x)).collect()
}

/// Statistics in the order of their features, whatever the order in the list.
fn stats(key: &str, value: &str) -> Result<Vec<Stat>> {
    let mut stats = Vec::new();
    for word in value.split(',').filter(|w| !w.is_empty()) {
        let stat = choice(key, word, &STATS)?;
        if stats.contains(&stat) {
            return Err(fault(key, &format!("has `{word}` twice")));
        }
        stats.push(stat);
    }
    stats.sort_by_key(|s| s.bit());
    Ok(stats)
}
