//! What front ends of practical sizes cost on a board, beside the same computation in floating point.
//!
//! The samples are made here: voices that glide and change their loudness, with noise, so that quiet and loud frames are among
//! them. Both front ends of the board get the same samples, and what they compute is compared: the integers with the bits of this host, the
//! floating-point features with the integers, so that the costs are those of the same work.

use anyhow::{Context, Result, bail};
use serde::Serialize;
use teff::dsp::{
    CEPSTRUM_FRAC_BITS, Compression, FrontEnd, Kind, LOG_FRAC_BITS, MOMENT_FRAC_BITS, PCEN_FRAC_BITS,
    PEAK_FRAC_BITS, Settings, Stat,
};
use teff_board::{Board, Count, FrontEndCosts, HopCosts};
use teff_compiler::front_end::{FrontEndConfig, build};

use crate::rng::Rng;

/// A front end that is counted.
#[derive(Clone, Copy, Debug)]
pub struct Counted {
    /// What a table calls it.
    pub name: &'static str,
    /// Its settings.
    pub line: &'static str,
    /// The name of the one without the stage that it is counted for.
    pub without: Option<&'static str>,
}

const LOG_MEL: &str = "log-mel: 16 kHz, 30 ms every 20 ms, 512 points, 40 bands";
const VIBRATION: &str = "vibration: 3 axes, 256 points, 16 bands and rms each";
const STATISTICS: &str = "statistics: 3 axes, 100 samples, mean, std, min, max, crossings";
const LOUDNESS: &str = "loudness: 16 kHz, 320 samples, rms, min, max";

/// What is counted; one without a stage stands before those that have it.
pub const FRONT_ENDS: &[Counted] = &[
    Counted {
        name: LOG_MEL,
        line: "kind=log_mel rate_hz=16000 frame_len=480 hop_len=320 fft_len=512 bands=40 window=8",
        without: None,
    },
    Counted {
        name: "mfcc: the same and 10 coefficients",
        line: "kind=mfcc rate_hz=16000 frame_len=480 hop_len=320 fft_len=512 bands=40 coefficients=10 window=8",
        without: None,
    },
    Counted {
        name: "mfcc: the same and 13 coefficients",
        line: "kind=mfcc rate_hz=16000 frame_len=480 hop_len=320 fft_len=512 bands=40 coefficients=13 window=8",
        without: None,
    },
    Counted {
        name: "log-mel: with pre-emphasis",
        line: "kind=log_mel rate_hz=16000 frame_len=480 hop_len=320 fft_len=512 bands=40 window=8 pre_emphasis=0.97",
        without: Some(LOG_MEL),
    },
    Counted {
        name: "log-mel: PCEN instead of logarithms",
        line: "kind=log_mel rate_hz=16000 frame_len=480 hop_len=320 fft_len=512 bands=40 window=8 compress=pcen",
        without: Some(LOG_MEL),
    },
    Counted {
        name: VIBRATION,
        line: "kind=motion_stats rate_hz=3200 axes=3 frame_len=256 bands=16 stats=rms lsb_per_unit=1000 window=8",
        without: None,
    },
    Counted {
        name: "vibration: and the 3 largest peaks each",
        line: "kind=motion_stats rate_hz=3200 axes=3 frame_len=256 bands=16 stats=rms lsb_per_unit=1000 window=8 peaks=3",
        without: Some(VIBRATION),
    },
    Counted {
        name: STATISTICS,
        line: "kind=motion_stats rate_hz=100 axes=3 frame_len=100 stats=mean,std,min,max,crossings lsb_per_unit=1000 window=8",
        without: None,
    },
    Counted {
        name: "statistics: and skew and kurtosis",
        line: "kind=motion_stats rate_hz=100 axes=3 frame_len=100 stats=mean,std,min,max,crossings,skew,kurtosis lsb_per_unit=1000 window=8",
        without: Some(STATISTICS),
    },
    Counted {
        name: "statistics: resampled from 250 Hz",
        line: "kind=motion_stats rate_hz=100 input_rate_hz=250 axes=3 frame_len=100 stats=mean,std,min,max,crossings lsb_per_unit=1000 window=8",
        without: Some(STATISTICS),
    },
    Counted {
        name: "statistics: behind a high-pass of second order",
        line: "kind=motion_stats rate_hz=100 high_pass_hz=0.5 axes=3 frame_len=100 stats=mean,std,min,max,crossings lsb_per_unit=1000 window=8",
        without: Some(STATISTICS),
    },
    Counted {
        name: LOUDNESS,
        line: "kind=motion_stats rate_hz=16000 axes=1 frame_len=320 stats=rms,min,max lsb_per_unit=1000 window=8",
        without: None,
    },
    Counted {
        name: "loudness: resampled from 48 kHz",
        line: "kind=motion_stats rate_hz=16000 input_rate_hz=48000 axes=1 frame_len=320 stats=rms,min,max lsb_per_unit=1000 window=8",
        without: Some(LOUDNESS),
    },
    Counted {
        name: "loudness: resampled from 44.1 kHz",
        line: "kind=motion_stats rate_hz=16000 input_rate_hz=44100 axes=1 frame_len=320 stats=rms,min,max lsb_per_unit=1000 window=8",
        without: Some(LOUDNESS),
    },
    Counted {
        name: "loudness: without the running mean",
        line: "kind=motion_stats rate_hz=16000 dc_shift=8 axes=1 frame_len=320 stats=rms,min,max lsb_per_unit=1000 window=8",
        without: Some(LOUDNESS),
    },
    Counted {
        name: "loudness: behind a high-pass and a low-pass of fourth order",
        line: "kind=motion_stats rate_hz=16000 high_pass_hz=100 low_pass_hz=4000 filter_order=4 axes=1 frame_len=320 stats=rms,min,max lsb_per_unit=1000 window=8",
        without: Some(LOUDNESS),
    },
];

/// Scale and zero point of the model input; most features stay inside of int8.
const INPUT: (f32, i8) = (0.25, -64);

/// The most that a logarithm may differ, in octaves of energy: what the 16-bit transform's noise does to the quietest band of a frame.
const LOG_TOLERANCE: f32 = 0.25;
/// The same for the root of the mean square of all differences of logarithms.
const LOG_RMS_TOLERANCE: f32 = 0.02;
/// The most that a cepstral coefficient may differ.
const CEPSTRUM_TOLERANCE: f32 = 0.25;
/// The most that a normalized energy may differ.
const NORMALIZED_TOLERANCE: f32 = 0.05;
/// The most that skew and kurtosis may differ: half a step, and 0.002 of values below 8.
const MOMENT_TOLERANCE: f32 = 0.02;
/// The most that a peak may differ, its frequency in bins (a step is a sixteenth) and its height in octaves.
const PEAK_TOLERANCE: f32 = 0.1;
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
    /// What the stage takes that the row is counted for: the difference from the row without it.
    pub stage: Option<Stage>,
    /// Integer features that differ from this host's.
    pub differing_features: usize,
    /// Bytes of the model input that differ from this host's.
    pub differing_inputs: usize,
    /// Largest difference between integers and floating point: octaves, cepstral units, counts.
    pub largest_difference: f32,
    /// Root of the mean square of the differences.
    pub rms_difference: f32,
}

/// What a stage adds to a frame.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Stage {
    /// The row without it.
    pub without: &'static str,
    /// Instructions in integers.
    pub instructions: i64,
    /// Instructions in floating point.
    pub float_instructions: i64,
    /// Instructions in floating point by those in integers.
    pub ratio: f64,
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
    let mut rows: Vec<Row> = Vec::new();
    for counted in FRONT_ENDS {
        let mut row = measure_one(board, counted)
            .with_context(|| format!("`{}` on board {}", counted.name, board.name))?;
        row.stage = counted.without.and_then(|without| {
            let base = rows.iter().find(|row| row.name == without)?;
            let difference = |with: u64, without: u64| with as i64 - without as i64;
            let instructions = difference(row.instructions, base.instructions);
            let float_instructions = difference(row.float_instructions, base.float_instructions);
            let ratio = float_instructions as f64 / instructions.max(1) as f64;
            Some(Stage { without, instructions, float_instructions, ratio })
        });
        rows.push(row);
    }
    Ok(rows)
}

fn measure_one(board: &'static Board, counted: &Counted) -> Result<Row> {
    let Counted { name, line, .. } = *counted;
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
        stage: None,
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
    let (mut largest, mut squares, mut log_squares, mut n_logs) = (0.0_f32, 0.0_f32, 0.0_f32, 0);
    for (at, (q, x)) in costs.frames.iter().zip(&costs.float_frames).enumerate() {
        let feature = at % usize::from(settings.features);
        let what = Feature::of(settings, feature);
        let (frac_bits, tolerance) = what.unit();
        let integer = f32::from(*q) / (1_u32 << frac_bits) as f32;
        let difference = (integer - x).abs();
        if difference.is_nan() || difference > tolerance {
            bail!("feature {feature} is {integer} in integers and {x} in floating point");
        }
        if what == Feature::Logarithm {
            log_squares += difference * difference;
            n_logs += 1;
        }
        largest = largest.max(difference);
        squares += difference * difference;
    }
    let rms = |squares: f32, n: usize| (squares / n.max(1) as f32).sqrt();
    if rms(log_squares, n_logs) > LOG_RMS_TOLERANCE {
        bail!("logarithms in floating point differ by {} octaves in the mean", rms(log_squares, n_logs));
    }
    let off = costs.input.iter().zip(&costs.float_input).map(|(a, b)| u32::from(a.abs_diff(*b))).max();
    if off.is_some_and(|off| off > INPUT_TOLERANCE) {
        bail!("the model input in floating point differs by {} steps", off.unwrap_or(0));
    }
    Ok((largest, rms(squares, costs.frames.len())))
}

/// What a feature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feature {
    Logarithm,
    Cepstrum,
    Normalized,
    Count,
    Crossings,
    Moment,
    PeakFrequency,
    PeakHeight,
}

impl Feature {
    fn of(settings: &Settings, feature: usize) -> Feature {
        match settings.kind {
            Kind::Mfcc => Feature::Cepstrum,
            Kind::MotionStats => {
                let at = feature % settings.features_per_axis();
                let mut stats = Stat::ALL.into_iter().filter(|stat| settings.stats & stat.bit() != 0);
                let spectrum_at = settings.stats.count_ones() as usize;
                match stats.nth(at) {
                    Some(Stat::Crossings) => Feature::Crossings,
                    Some(Stat::Skew | Stat::Kurtosis) => Feature::Moment,
                    Some(_) => Feature::Count,
                    None => match at.checked_sub(spectrum_at + usize::from(settings.bands)) {
                        Some(of_peak) if of_peak.is_multiple_of(2) => Feature::PeakFrequency,
                        Some(_) => Feature::PeakHeight,
                        None => Feature::Logarithm,
                    },
                }
            }
            _ if settings.compression == Compression::Pcen => Feature::Normalized,
            _ => Feature::Logarithm,
        }
    }

    /// Fractional bits of the integer, and the most that it may differ.
    fn unit(self) -> (u32, f32) {
        match self {
            Feature::Logarithm => (LOG_FRAC_BITS, LOG_TOLERANCE),
            Feature::Cepstrum => (CEPSTRUM_FRAC_BITS, CEPSTRUM_TOLERANCE),
            Feature::Normalized => (PCEN_FRAC_BITS, NORMALIZED_TOLERANCE),
            Feature::Count => (0, COUNT_TOLERANCE),
            Feature::Crossings => (0, CROSSINGS_TOLERANCE),
            Feature::Moment => (MOMENT_FRAC_BITS, MOMENT_TOLERANCE),
            Feature::PeakFrequency => (PEAK_FRAC_BITS, PEAK_TOLERANCE),
            Feature::PeakHeight => (LOG_FRAC_BITS, PEAK_TOLERANCE),
        }
    }
}
