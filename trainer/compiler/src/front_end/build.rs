//! Writes the blob: header and tables. The same settings give the same bytes on every machine, for every transcendental
//! function is `libm`'s.

use teff::dsp::{
    self, Compression, Conditioning, HEADER_BYTES, Level, MAGIC, PcenSettings, Settings, VERSION,
};
use teff::quant::Multiplier;

use super::config::{FrontEndConfig, Kind, Taper};
use super::filter_bank::FilterBank;
use super::resampling::Resampling;
use super::sections::sections;
use crate::{Error, Result};

/// The blob of a front end for a model whose input has this scale and zero point. Empty for [`Kind::None`].
///
/// # Errors
/// If the settings do not pass [`FrontEndConfig::check`], or the scale is not above 0 or far too small for the features.
pub fn build(config: &FrontEndConfig, input_scale: f32, input_zero_point: i8) -> Result<Vec<u8>> {
    write(config, input_scale, input_zero_point, false)
}

/// As [`build`]; a `wide` blob's window keeps the features themselves, for `FrontEnd::write_features`.
pub(super) fn write(
    config: &FrontEndConfig,
    input_scale: f32,
    input_zero_point: i8,
    wide: bool,
) -> Result<Vec<u8>> {
    config.check()?;
    let kind = match config.kind {
        Kind::None => return Ok(Vec::new()),
        Kind::Image => dsp::Kind::Image,
        Kind::RawWindow => dsp::Kind::RawWindow,
        Kind::MotionStats => dsp::Kind::MotionStats,
        Kind::LogMel => dsp::Kind::LogMel,
        Kind::Mfcc => dsp::Kind::Mfcc,
    };
    let image = config.kind == Kind::Image;
    let has_fft = config.has_spectrum();
    let bank = if has_fft { FilterBank::new(config) } else { FilterBank { edges: vec![], weights: vec![] } };
    let resampling = if image { None } else { Resampling::of(config) };
    let sections = if image { Vec::new() } else { sections(config) };
    let (entries, shift) = requantization(config, input_scale)?;
    let settings = Settings {
        kind,
        axes: if image { config.channels } else { config.axes } as u8,
        rate_millihertz: thousandths(config.rate_hz),
        frame_len: config.frame_len as u16,
        hop_len: if image { 1 } else { config.hop_len as u16 },
        fft_len: config.fft_len as u16,
        bands: config.bands as u16,
        coefficients: config.coefficients as u16,
        features: config.features_per_frame() as u16,
        window_frames: config.window as u16,
        stride_frames: config.stride as u16,
        first_bin: bank.edges.first().copied().unwrap_or(0),
        end_bin: bank.edges.last().copied().unwrap_or(0),
        peaks: config.peaks as u8,
        compression: config.compress,
        pcen: pcen(config),
        conditioning: conditioning(config, resampling.as_ref(), sections.len()),
        stats: config.stats.iter().fold(0, |bits, s| bits | s.bit()),
        level: if image { Level::None } else { config.level },
        magnitude: config.magnitude,
        wide,
        floor_log2: if has_fft { config.floor as i8 } else { 0 },
        range_log2: config.range as u8,
        shift,
        zero_point: input_zero_point,
        requantize_len: entries.len() as u16,
    };
    let mut blob = header(&settings);
    for (multiplier, offset) in entries {
        blob.extend(multiplier.to_le_bytes());
        blob.extend(offset.to_le_bytes());
    }
    blob.extend(sections.iter().flat_map(|section| section.words()).flat_map(i32::to_le_bytes));
    if let Some(resampling) = &resampling {
        extend_i16(&mut blob, resampling.factors());
    }
    if has_fft {
        extend_i16(&mut blob, taper(config.taper, config.frame_len));
        blob.extend(twiddles(config.fft_len).into_iter().flat_map(u32::to_le_bytes));
    }
    if config.bands > 0 {
        extend_i16(&mut blob, bank.edges.iter().map(|e| *e as i16));
        extend_i16(&mut blob, bank.weights.iter().map(|w| *w as i16));
        extend_i16(&mut blob, cosines(config.coefficients, config.bands));
    }
    debug_assert_eq!(blob.len(), settings.tables().end);
    Ok(blob)
}

fn thousandths(x: f64) -> u32 {
    libm::round(x * 1000.0) as u32
}

fn conditioning(config: &FrontEndConfig, resampling: Option<&Resampling>, sections: usize) -> Conditioning {
    Conditioning {
        input_rate_millihertz: thousandths(config.input_rate_hz),
        resample_up: resampling.map_or(0, |r| r.up as u16),
        resample_down: resampling.map_or(0, |r| r.down as u16),
        resample_taps: resampling.map_or(0, |r| r.taps as u16),
        sections: sections as u8,
        dc_shift: config.dc_shift as u8,
        pre_emphasis: libm::round(config.pre_emphasis * 32_768.0) as u16,
    }
}

fn pcen(config: &FrontEndConfig) -> PcenSettings {
    if config.compress != Compression::Pcen {
        return PcenSettings { smoothing: 0, gain: 0, bias: 0, root: 0 };
    }
    let fixed = |x: f64, bits: u32| libm::round(x * f64::from(1 << bits)) as u32;
    PcenSettings {
        smoothing: fixed(config.pcen_smoothing, 16) as u16,
        gain: fixed(config.pcen_gain, 15) as u16,
        bias: fixed(config.pcen_bias, 16),
        root: fixed(config.pcen_root, 15) as u16,
    }
}

/// Multiplier (Q0.31) and offset per feature of a frame, or one pair where all are the same; and the common shift.
fn requantization(config: &FrontEndConfig, input_scale: f32) -> Result<(Vec<(i32, i32)>, u8)> {
    let scale = f64::from(input_scale);
    if !(scale > 0.0 && scale.is_finite()) {
        return Err(Error::model(format!("the scale of the model input is {input_scale}"))
            .remedy("a scale is a finite number above 0"));
    }
    let factors: Vec<f64> = config.feature_scales().iter().map(|unit| unit / scale).collect();
    let largest = factors.iter().copied().fold(0.0, f64::max);
    let shift = Multiplier::from_factor(largest).map(|m| m.shift).filter(|s| *s <= 15).ok_or_else(|| {
        Error::model(format!("one step of a feature is {largest} steps of the model input")).remedy(
            "the scale of the model input does not fit this front end: calibrate the model on its features",
        )
    })?;
    let mut entries = Vec::new();
    for (factor, offset) in factors.iter().zip(config.feature_offsets()) {
        let multiplier = Multiplier::with_shift(*factor, shift).map_or(0, |m| m.mantissa);
        entries.push((multiplier, offset));
    }
    if entries.windows(2).all(|pair| pair[0] == pair[1]) {
        entries.truncate(1);
    }
    Ok((entries, shift))
}

fn header(settings: &Settings) -> Vec<u8> {
    let mut h = vec![0; HEADER_BYTES];
    let mut put = |at: usize, bytes: &[u8]| h[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &MAGIC);
    put(4, &VERSION.to_le_bytes());
    put(6, &[settings.kind as u8, settings.axes]);
    put(8, &(settings.tables().end as u32).to_le_bytes());
    put(12, &settings.rate_millihertz.to_le_bytes());
    let lengths = [
        settings.frame_len,
        settings.hop_len,
        settings.fft_len,
        settings.bands,
        settings.coefficients,
        settings.features,
        settings.window_frames,
        settings.stride_frames,
        settings.first_bin,
        settings.end_bin,
        settings.stats,
    ];
    for (i, length) in lengths.iter().enumerate() {
        put(16 + 2 * i, &length.to_le_bytes());
    }
    put(38, &[settings.level as u8, u8::from(settings.magnitude) | u8::from(settings.wide) << 1]);
    put(40, &[settings.floor_log2 as u8, settings.shift, settings.zero_point as u8, settings.range_log2]);
    put(44, &settings.requantize_len.to_le_bytes());
    put(46, &[settings.peaks, settings.compression as u8]);
    put(48, &(settings.workspace_words() as u32).to_le_bytes());
    let c = &settings.conditioning;
    put(52, &c.input_rate_millihertz.to_le_bytes());
    put(56, &c.resample_up.to_le_bytes());
    put(58, &c.resample_down.to_le_bytes());
    put(60, &c.resample_taps.to_le_bytes());
    put(62, &[c.sections, c.dc_shift]);
    put(64, &c.pre_emphasis.to_le_bytes());
    put(66, &settings.pcen.smoothing.to_le_bytes());
    put(68, &settings.pcen.gain.to_le_bytes());
    put(70, &settings.pcen.root.to_le_bytes());
    put(72, &settings.pcen.bias.to_le_bytes());
    h
}

/// Appends the numbers and pads to four bytes.
fn extend_i16(blob: &mut Vec<u8>, numbers: impl IntoIterator<Item = i16>) {
    for number in numbers {
        blob.extend(number.to_le_bytes());
    }
    blob.resize(blob.len().next_multiple_of(4), 0);
}

fn to_q15(x: f64) -> i16 {
    libm::round(x * 32_768.0).clamp(-32_767.0, 32_767.0) as i16
}

/// First half, middle included, of the periodic window.
fn taper(taper: Taper, frame_len: usize) -> Vec<i16> {
    let (mean, swing) = match taper {
        Taper::Hann => (0.5, 0.5),
        Taper::Hamming => (0.54, 0.46),
    };
    let angle = 2.0 * std::f64::consts::PI / frame_len as f64;
    (0..=frame_len / 2).map(|n| to_q15(mean - swing * libm::cos(angle * n as f64))).collect()
}

/// The twiddles of a transform of `fft_len` real samples, in the order of `teff::dsp::twiddle_words`, for callers of
/// `teff::dsp::power_spectrum`.
pub fn twiddles(fft_len: usize) -> Vec<u32> {
    let turn = |part: usize, whole: usize| {
        let angle = 2.0 * std::f64::consts::PI * part as f64 / whole as f64;
        let (cosine, sine) = (to_q15(libm::cos(angle)), to_q15(-libm::sin(angle)));
        u32::from(cosine as u16) | u32::from(sine as u16) << 16
    };
    let points = fft_len / 2;
    let mut words = Vec::new();
    let mut quarter = dsp::first_quarter(points);
    while quarter < points {
        words.extend((0..quarter).flat_map(|k| [2 * k, k, 3 * k]).map(|part| turn(part, quarter * 4)));
        quarter *= 4;
    }
    words.extend((0..points / 2).map(|k| turn(k, fft_len)));
    words
}

/// Orthonormal cosine transform of type 2, row by row.
fn cosines(coefficients: usize, bands: usize) -> Vec<i16> {
    let n = bands as f64;
    let row = |i: usize| {
        let gain = if i == 0 { libm::sqrt(1.0 / n) } else { libm::sqrt(2.0 / n) };
        (0..bands)
            .map(move |b| to_q15(gain * libm::cos(std::f64::consts::PI * i as f64 * (b as f64 + 0.5) / n)))
    };
    (0..coefficients).flat_map(row).collect()
}
