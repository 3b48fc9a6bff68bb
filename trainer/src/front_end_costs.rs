//! What front ends of practical sizes cost on a board, beside the same computation in floating point.
//!
//! The samples are made here: voices that glide and change their loudness, with noise, so that quiet and loud frames are among
//! them. Both front ends of the board get the same samples, and what they compute is compared: the integers with the bits of this host, the
//! floating-point features with the integers, so that the costs are those of the same work.

use anyhow::{Context, Result, bail};
use serde::Serialize;
use teff::dsp::{CEPSTRUM_FRAC_BITS, FrontEnd, Kind, LOG_FRAC_BITS, Settings, Stat};
use teff_board::{Board, Count, FrontEndCosts, HopCosts};
use teff_compiler::front_end::{FrontEndConfig, build};

use crate::rng::Rng;

/// Name, and line of settings.
pub const FRONT_ENDS: &[(&str, &str)] = &[
    (
        "log-mel: 16 kHz, 30 ms every 20 ms, 512 points, 40 bands",
        "kind=log_mel rate_hz=16000 frame_len=480 hop_len=320 fft_len=512 bands=40 window=8",
    ),
    (
        "mfcc: the same and 10 coefficients",
        "kind=mfcc rate_hz=16000 frame_len=480 hop_len=320 fft_len=512 bands=40 coefficients=10 window=8",
    ),
    (
        "mfcc: the same and 13 coefficients",
        "kind=mfcc rate_hz=16000 frame_len=480 hop_len=320 fft_len=512 bands=40 coefficients=13 window=8",
    ),
    (
        "vibration: 3 axes, 256 points, 16 bands and rms each",
        "kind=motion_stats rate_hz=3200 axes=3 frame_len=256 bands=16 stats=rms lsb_per_unit=1000 window=8",
    ),
    (
        "statistics: 3 axes, 100 samples, mean, std, min, max, crossings",
        "kind=motion_stats rate_hz=100 axes=3 frame_len=100 stats=mean,std,min,max,crossings lsb_per_unit=1000 window=8",
    ),
];

/// Scale and zero point of the model input; most features stay inside of int8.
const INPUT: (f32, i8) = (0.25, -64);

/// The most that a logarithm may differ, in octaves of energy: what the 16-bit transform's noise does to the quietest band of a frame.
const LOG_TOLERANCE: f32 = 0.25;
/// The same for the root of the mean square of all differences of logarithms.
const LOG_RMS_TOLERANCE: f32 = 0.02;
/// The most that a cepstral coefficient may differ.
const CEPSTRUM_TOLERANCE: f32 = 0.25;
/// The most that a statistic may differ, in counts: it is rounded to one.
const COUNT_TOLERANCE: f32 = 1.0;
/// The most that the count of crossings may differ: the integer one is of the rounded mean, and samples within half a count of it change
/// sides.
const CROSSINGS_TOLERANCE: f32 = 4.0;
/// The most that the model input may differ, in its steps.
const INPUT_TOLERANCE: u32 = 2;

/// A front end on a board.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Which front end.
    pub name: &'static str,
    /// Its settings.
    pub line: &'static str,
    /// Frames that were counted.
    pub frames: usize,
    /// Instructions of the integer front end in a frame, mean of all.
    pub instructions: u64,
    /// Estimated cycles, where there are timings of the processor.
    pub cycles_estimated: Option<u64>,
    /// Instructions of the front end in floating point.
    pub float_instructions: u64,
    /// Its estimated cycles.
    pub float_cycles_estimated: Option<u64>,
    /// Instructions in floating point by those in integers.
    pub ratio: f64,
    /// Integer features that differ from this host's.
    pub differing_features: usize,
    /// Bytes of the model input that differ from this host's.
    pub differing_inputs: usize,
    /// Largest difference between integers and floating point: octaves, cepstral units, counts.
    pub largest_difference: f32,
    /// Root of the mean square of the differences.
    pub rms_difference: f32,
}

/// The front end of a model on a board, an instant at a time, as applications run it.
#[derive(Clone, Debug, Serialize)]
pub struct OfModel {
    /// Rate of the frames' samples, in thousandths of a hertz.
    pub rate_millihertz: u32,
    /// Instants of a hop.
    pub hop_len: u16,
    /// Hops between two windows that the model is to see.
    pub stride_frames: u16,
    /// Hops in a second.
    pub hops_per_second: f64,
    /// Windows that the model is to see in a second.
    pub windows_per_second: f64,
    /// Instructions of a hop, mean of all that were counted.
    pub instructions_per_hop: u64,
    /// Estimated cycles of a hop, where there are timings of the processor.
    pub cycles_estimated_per_hop: Option<u64>,
    /// The same with the timings of the Cortex-M0+, where the board is counted as a Cortex-M0.
    pub m0_plus_cycles_estimated_per_hop: Option<u64>,
    /// Instructions of writing a window into the model's input.
    pub instructions_of_input: u64,
    /// Its estimated cycles.
    pub cycles_estimated_of_input: Option<u64>,
    /// The same of the Cortex-M0+.
    pub m0_plus_cycles_estimated_of_input: Option<u64>,
}

/// Counts the front end of a plan on `board`; `None` where it has none that takes samples.
///
/// # Errors
/// The board cannot be used, or what it computed is not what this host computes.
pub fn of_model(board: &'static Board, blob: &[u8]) -> Result<Option<OfModel>> {
    let Ok(settings) = Settings::read(blob) else { return Ok(None) };
    if settings.kind == Kind::Image {
        return Ok(None);
    }
    let samples = samples(&settings);
    let costs = HopCosts::count(board, blob, settings.features.into(), &samples)?;
    if on_host(blob, &settings, &samples)? != (costs.frames, costs.window) {
        bail!("features or model input of board {} are not the bits of this host", board.name);
    }
    let hop = mean(&costs.hops);
    let hops_per_second = f64::from(settings.rate_millihertz) / 1000.0 / f64::from(settings.hop_len.max(1));
    Ok(Some(OfModel {
        rate_millihertz: settings.rate_millihertz,
        hop_len: settings.hop_len,
        stride_frames: settings.stride_frames,
        hops_per_second,
        windows_per_second: hops_per_second / f64::from(settings.stride_frames.max(1)),
        instructions_per_hop: hop.instructions,
        cycles_estimated_per_hop: hop.cycles,
        m0_plus_cycles_estimated_per_hop: m0_plus_cycles(board, hop),
        instructions_of_input: costs.input.instructions,
        cycles_estimated_of_input: costs.input.cycles,
        m0_plus_cycles_estimated_of_input: m0_plus_cycles(board, costs.input),
    }))
}

/// Estimated cycles of a Cortex-M0+, on a board that is counted as a Cortex-M0.
pub fn m0_plus_cycles(board: &Board, count: Count) -> Option<u64> {
    if board.plan_target == "cortex-m0" { count.m0_plus_cycles() } else { None }
}

/// Counts every front end on `board`.
///
/// # Errors
/// The board cannot be used, or what it computed in integers or in floating point is not what this host computes.
pub fn measure(board: &'static Board) -> Result<Vec<Row>> {
    FRONT_ENDS
        .iter()
        .map(|(name, line)| {
            measure_one(board, name, line).with_context(|| format!("`{name}` on board {}", board.name))
        })
        .collect()
}

fn measure_one(board: &'static Board, name: &'static str, line: &'static str) -> Result<Row> {
    let config = FrontEndConfig::parse(line)?;
    let blob = build(&config, INPUT.0, INPUT.1)?;
    let settings = Settings::read(&blob).map_err(|error| anyhow::anyhow!("{error}"))?;
    let samples = samples(&settings);
    let costs = FrontEndCosts::count(board, &blob, &samples)?;
    let (frames, input) = on_host(&blob, &settings, &samples)?;
    if frames.len() != costs.frames.len() || input.len() != costs.input.len() {
        bail!("the board computed {} features, not {}", costs.frames.len(), frames.len());
    }
    let differing = (
        frames.iter().zip(&costs.frames).filter(|(a, b)| a != b).count(),
        input.iter().zip(&costs.input).filter(|(a, b)| a != b).count(),
    );
    if differing != (0, 0) {
        bail!("{} features and {} inputs are not the bits of this host", differing.0, differing.1);
    }
    let (largest, rms) = compare(&settings, &costs)?;
    let (integer, float) = (mean(&costs.integer), mean(&costs.float));
    Ok(Row {
        name,
        line,
        frames: costs.integer.len(),
        instructions: integer.instructions,
        cycles_estimated: integer.cycles,
        float_instructions: float.instructions,
        float_cycles_estimated: float.cycles,
        ratio: float.instructions as f64 / integer.instructions.max(1) as f64,
        differing_features: differing.0,
        differing_inputs: differing.1,
        largest_difference: largest,
        rms_difference: rms,
    })
}

/// The mean of some counts.
fn mean(counts: &[Count]) -> Count {
    let n = counts.len().max(1) as u64;
    let mut sum = Count::default();
    counts.iter().for_each(|count| sum += *count);
    Count {
        instructions: (sum.instructions + n / 2) / n,
        cycles: sum.cycles.map(|cycles| (cycles + n / 2) / n),
        jumps: (sum.jumps + n / 2) / n,
    }
}

/// Enough samples to fill the window, and one frame more.
fn samples(settings: &Settings) -> Vec<i16> {
    let axes = usize::from(settings.axes);
    let frames = usize::from(settings.window_frames);
    let instants = usize::from(settings.frame_len) + frames * usize::from(settings.hop_len);
    let (up, down) = (settings.conditioning.resample_up, settings.conditioning.resample_down);
    let taps = usize::from(settings.conditioning.resample_taps);
    // So many go into a resampling.
    let instants = if up > 0 { (instants * usize::from(down)).div_ceil(up.into()) + taps } else { instants };
    let mut rng = Rng::for_purpose(0, "front end costs");
    let mut phases = [0.0_f64; 3];
    let mut samples = Vec::with_capacity(instants * axes);
    for t in 0..instants {
        let part = t as f64 / instants as f64;
        let loudness = 40.0 * libm::pow(400.0, libm::sin(part * 9.0).abs());
        for (voice, phase) in phases.iter_mut().enumerate() {
            *phase += (0.02 + 0.07 * voice as f64) * (1.0 + 0.5 * part) * std::f64::consts::TAU;
        }
        for axis in 0..axes {
            let tones: f64 = phases.iter().map(|phase| libm::sin(*phase + axis as f64)).sum();
            let x = loudness * (0.3 * tones + 0.1 * rng.normal()) + 500.0 * axis as f64;
            samples.push(libm::round(x).clamp(-32_768.0, 32_767.0) as i16);
        }
    }
    samples
}

/// All features but those of the first frame, and the model input of the newest window.
fn on_host(blob: &[u8], settings: &Settings, samples: &[i16]) -> Result<(Vec<i16>, Vec<i8>)> {
    let mut workspace = vec![0; settings.workspace_words()];
    let mut front_end = FrontEnd::new(blob, &mut workspace).map_err(|error| anyhow::anyhow!("{error}"))?;
    let (mut frames, mut rest) = (Vec::new(), samples);
    while front_end.push(&mut rest).is_some() {
        frames.extend_from_slice(front_end.frame());
    }
    let mut input = vec![0; settings.window_features()];
    if !front_end.write_input(&mut input) {
        bail!("the samples fill no window");
    }
    Ok((frames.split_off(usize::from(settings.features)), input))
}

/// Compares features in floating point with those in integers: the largest difference and the root of the mean square.
fn compare(settings: &Settings, costs: &FrontEndCosts) -> Result<(f32, f32)> {
    if costs.float_frames.len() != costs.frames.len() || costs.float_input.len() != costs.input.len() {
        bail!("integers and floating point have not the same number of features");
    }
    let n_stats = settings.stats.count_ones() as usize;
    let (mut largest, mut squares, mut log_squares, mut n_logs) = (0.0_f32, 0.0_f32, 0.0_f32, 0);
    for (at, (q, x)) in costs.frames.iter().zip(&costs.float_frames).enumerate() {
        let feature = at % usize::from(settings.features);
        let is_stat = settings.kind == Kind::MotionStats && feature % settings.features_per_axis() < n_stats;
        let is_crossings = is_stat
            && settings.stats & Stat::Crossings.bit() != 0
            && feature % settings.features_per_axis()
                == (settings.stats & (Stat::Crossings.bit() - 1)).count_ones() as usize;
        let (unit, tolerance) = match settings.kind {
            _ if is_crossings => (1.0, CROSSINGS_TOLERANCE),
            Kind::Mfcc => ((1 << CEPSTRUM_FRAC_BITS) as f32, CEPSTRUM_TOLERANCE),
            _ if is_stat => (1.0, COUNT_TOLERANCE),
            _ => ((1 << LOG_FRAC_BITS) as f32, LOG_TOLERANCE),
        };
        let difference = (f32::from(*q) / unit - x).abs();
        if difference.is_nan() || difference > tolerance {
            bail!("feature {feature} is {} in integers and {x} in floating point", f32::from(*q) / unit);
        }
        if !is_stat {
            log_squares += difference * difference;
            n_logs += 1;
        }
        largest = largest.max(difference);
        squares += difference * difference;
    }
    let rms = |squares: f32, n: usize| (squares / n.max(1) as f32).sqrt();
    if settings.kind != Kind::Mfcc && rms(log_squares, n_logs) > LOG_RMS_TOLERANCE {
        bail!("logarithms in floating point differ by {} octaves in the mean", rms(log_squares, n_logs));
    }
    let off = costs.input.iter().zip(&costs.float_input).map(|(a, b)| u32::from(a.abs_diff(*b))).max();
    if off.is_some_and(|off| off > INPUT_TOLERANCE) {
        bail!("the model input in floating point differs by {} steps", off.unwrap_or(0));
    }
    Ok((largest, rms(squares, costs.frames.len())))
}
