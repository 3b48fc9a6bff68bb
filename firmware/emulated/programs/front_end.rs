//! Runs the front end that the job holds, in integers and in floating point, with marks around each frame of either; answers
//! with the features of both. Or runs it in integers only, an instant at a time, with marks around each hop.
#![no_std]
#![no_main]

use core::fmt::Write;
use core::slice::ChunksExact;

use cortex_m_rt::entry;
use panic_semihosting as _;
use teff::dsp::{Compression, FrontEnd, Kind, Settings, Stat};
use teff_emulated::console::{self, Console};
use teff_emulated::float::{self, conditioner, pcen};
use teff_emulated::{mark, memory};
use teff_verify::job::{Job, Question};
use teff_verify::write_hex;

/// For the integer front end.
const WORKSPACE_WORDS: usize = 16 << 10;
/// For tables and memory of the one in floating point, in numbers of 32 bits.
const FLOATS: usize = 32 << 10;
/// Bytes of a window.
const WINDOW: usize = 4 << 10;
/// Numbers of a table of 16 bits.
const SHORTS: usize = 4 << 10;

const NOT_WRITTEN: &str = "the answer could not be written";

/// Memory that this program has once.
struct Room {
    workspace: &'static mut [u32],
    floats: &'static mut [f32],
    window: &'static mut [i8],
    edges: &'static mut [u16],
    samples: &'static mut [i16],
}

#[entry]
fn main() -> ! {
    static mut WORKSPACE_OF_INTEGERS: [u32; WORKSPACE_WORDS] = [0; WORKSPACE_WORDS];
    static mut FLOATING: [f32; FLOATS] = [0.0; FLOATS];
    static mut QUANTIZED: [i8; WINDOW] = [0; WINDOW];
    static mut EDGES: [u16; SHORTS] = [0; SHORTS];
    static mut SAMPLES: [i16; WORKSPACE_WORDS] = [0; WORKSPACE_WORDS];
    cortex_m::interrupt::disable();
    let mut out = Console::open();
    let room = Room {
        workspace: WORKSPACE_OF_INTEGERS,
        floats: FLOATING,
        window: QUANTIZED,
        edges: EDGES,
        samples: SAMPLES,
    };
    let result = Job::read(memory::job(board::MACHINE)).and_then(|job| run(&job, room, &mut out));
    let success = match result {
        Ok(()) => writeln!(out, "done").is_ok(),
        Err(why) => {
            // Where even this line cannot be written there is nobody to tell.
            let _ = writeln!(out, "error {why}");
            false
        }
    };
    console::exit(success)
}

fn run(job: &Job<'_>, room: Room, out: &mut Console) -> Result<(), &'static str> {
    match job.question {
        Question::FrontEndCosts => costs(job, room, out),
        Question::Hops => hops(job, room, out),
        _ => Err("the program `front_end` answers no other question than its own"),
    }
}

/// Copies the samples of the job's case to where words of 16 bits can lie.
fn samples<'r>(job: &Job<'_>, room: &'r mut [i16]) -> Result<&'r [i16], &'static str> {
    let case = job.cases().next().ok_or("the job has no samples")?;
    let samples = room.get_mut(..case.len() / 2).ok_or("there are too many samples")?;
    for (to, pair) in samples.iter_mut().zip(case.as_chunks().0) {
        *to = i16::from_le_bytes(*pair);
    }
    Ok(samples)
}

/// Marks around each hop behind the first frame, and around writing the model input.
fn hops(job: &Job<'_>, room: Room, out: &mut Console) -> Result<(), &'static str> {
    let mut front_end =
        FrontEnd::new(job.body, room.workspace).map_err(|_| "the blob or its workspace is refused")?;
    let settings = *front_end.settings();
    let samples = samples(job, room.samples)?;
    let window = room.window.get_mut(..settings.window_features()).ok_or("the window is too large")?;
    let mut instants = samples.chunks_exact(usize::from(settings.axes).max(1));

    writeln!(out, "case 0").map_err(|_| NOT_WRITTEN)?;
    if !hop(&mut front_end, &mut instants) {
        return Err("there are too few samples");
    }
    while instants.len() > 0 {
        mark::begin();
        let complete = hop(&mut front_end, &mut instants);
        mark::end();
        if complete {
            let frame = front_end.frame().iter().flat_map(|value| value.to_le_bytes());
            write_hex(out, 0, frame).map_err(|_| NOT_WRITTEN)?;
        }
    }
    mark::begin();
    let written = front_end.write_input(window);
    mark::end();
    if !written {
        return Err("there are too few samples for a window");
    }
    write_hex(out, 1, window.iter().map(|q| *q as u8)).map_err(|_| NOT_WRITTEN)?;
    writeln!(out, "instructions 0").map_err(|_| NOT_WRITTEN)
}

/// Takes instants as an application's pipeline does, until a hop is complete; tells whether one is.
fn hop(front_end: &mut FrontEnd<'_>, instants: &mut ChunksExact<'_, i16>) -> bool {
    for mut samples in instants {
        let mut complete = false;
        while front_end.push(&mut samples).is_some() {
            complete = true;
        }
        if complete {
            return true;
        }
    }
    false
}

fn costs(job: &Job<'_>, room: Room, out: &mut Console) -> Result<(), &'static str> {
    let mut integer =
        FrontEnd::new(job.body, room.workspace).map_err(|_| "the blob or its workspace is refused")?;
    let settings = *integer.settings();
    let samples = samples(job, room.samples)?;
    let window = room.window.get_mut(..settings.window_features() * 2).ok_or("the window is too large")?;
    let (window, input) = window.split_at_mut(settings.window_features());
    let mut floats = Floats(room.floats);
    let mut stats = [Stat::Mean; Stat::ALL.len()].map(|_| float::Stat::Mean);
    let tables = tables(job.body, &settings, &mut floats, room.edges, &mut stats)?;
    let axes = usize::from(settings.axes);
    let memory = float::Memory {
        ring: floats.take(tables.frame_len * axes)?,
        spectrum: floats.take(tables.fft_len)?,
        bands: floats.take(settings.bands.into())?,
        features: floats.take(settings.features.into())?,
        window,
    };
    // The first instant of a stream comes from one of the sensor alone, so that later ones need more.
    let longest = usize::from(settings.frame_len.max(settings.hop_len));
    let most = inputs(&settings, longest + 1);
    let conditioner = conditioner(job.body, &settings, most, &mut floats)?;
    let pcen = if settings.compression == Compression::Pcen {
        Some(pcen::Pcen::new(normalization(&settings), floats.take(settings.bands.into())?))
    } else {
        None
    };
    let mut floating = float::FrontEnd::new(tables, memory, conditioner, pcen);

    writeln!(out, "case 0").map_err(|_| NOT_WRITTEN)?;
    let mut instants = tables.frame_len;
    let first = inputs(&settings, instants) * axes;
    let (mut now, mut rest) = samples.split_at_checked(first).ok_or("there are too few samples")?;
    let mut counted = false;
    loop {
        let mut pushed = now;
        if counted {
            mark::begin();
        }
        let hop = integer.push(&mut pushed);
        if counted {
            mark::end();
            mark::begin();
        }
        floating.hop(now);
        if counted {
            mark::end();
        }
        if hop.is_none() || !pushed.is_empty() {
            return Err("a hop is no frame");
        }
        if counted {
            let frame = integer.frame().iter().flat_map(|value| value.to_le_bytes());
            write_hex(out, 0, frame).map_err(|_| NOT_WRITTEN)?;
            let frame = floating.frame().iter().flat_map(|value| value.to_le_bytes());
            write_hex(out, 1, frame).map_err(|_| NOT_WRITTEN)?;
        }
        // The first frame has no part of another one behind it.
        counted = true;
        let before = inputs(&settings, instants);
        instants += usize::from(settings.hop_len);
        match rest.split_at_checked((inputs(&settings, instants) - before) * axes) {
            Some((hop, more)) => (now, rest) = (hop, more),
            None => break,
        }
    }
    if !integer.write_input(input) {
        return Err("there are too few samples for a window");
    }
    write_hex(out, 2, input.iter().map(|q| *q as u8)).map_err(|_| NOT_WRITTEN)?;
    write_hex(out, 3, floating.window().map(|q| q as u8)).map_err(|_| NOT_WRITTEN)?;
    writeln!(out, "instructions 0").map_err(|_| NOT_WRITTEN)
}

/// Instants of the sensor that so many instants, at least one, of frames come from.
fn inputs(settings: &Settings, instants: usize) -> usize {
    let (up, down) = (settings.conditioning.resample_up, settings.conditioning.resample_down);
    if up == 0 { instants } else { (instants - 1) * usize::from(down) / usize::from(up) + 1 }
}

/// The stages before frames, for `most` instants of the sensor at once.
fn conditioner(
    blob: &[u8],
    settings: &Settings,
    most: usize,
    floats: &mut Floats,
) -> Result<conditioner::Conditioner<'static>, &'static str> {
    let (c, at, axes) = (&settings.conditioning, settings.tables(), usize::from(settings.axes));
    let (up, taps) = (usize::from(c.resample_up), usize::from(c.resample_taps));
    let factor = |pair| f32::from(i16::from_le_bytes(pair)) / 16_384.0;
    let factors = floats.table(blob, at.resampling, up * taps, factor)?;
    let n = usize::from(c.sections);
    let sections = floats.take(5 * n)?.as_chunks_mut().0;
    let fields = blob.get(at.sections..).unwrap_or(&[]).as_chunks::<16>().0;
    for (section, bytes) in sections.iter_mut().zip(fields) {
        let mut words = bytes.as_chunks::<4>().0.iter().map(|word| i32::from_le_bytes(*word));
        let mut word = || words.next().unwrap_or(0) as f32;
        let (one, middle) = (1.0 / (1_u32 << 30) as f32, [word(), word()]);
        let [g, middle] = middle;
        *section = [g * one, g * one * middle, g * one, word() * one, word() * one];
    }
    let memory = conditioner::Memory {
        inputs: floats.take(if up > 0 { axes * (taps - 1 + most) } else { 0 })?,
        means: floats.take(axes)?,
        states: floats.take(2 * n * axes)?.as_chunks_mut().0,
        before: floats.take(axes)?,
    };
    let mean_part = if c.dc_shift > 0 { 1.0 / (1_u32 << c.dc_shift) as f32 } else { 0.0 };
    let pre_emphasis = f32::from(c.pre_emphasis) / 32_768.0;
    let resampling = conditioner::Resampling { up, down: c.resample_down.into(), taps, factors };
    let settings = conditioner::Settings { resampling, mean_part, sections, pre_emphasis };
    Ok(conditioner::Conditioner::new(settings, memory, axes))
}

/// Constants of the normalization of energies.
fn normalization(settings: &Settings) -> pcen::Settings {
    pcen::Settings {
        smoothing: f32::from(settings.pcen.smoothing) / 65_536.0,
        gain: f32::from(settings.pcen.gain) / 32_768.0,
        bias: settings.pcen.bias as f32 / 65_536.0,
        root: f32::from(settings.pcen.root) / 32_768.0,
    }
}

/// Cuts arrays off the memory of numbers in floating point.
struct Floats(&'static mut [f32]);

impl Floats {
    fn take(&mut self, len: usize) -> Result<&'static mut [f32], &'static str> {
        let rest = core::mem::take(&mut self.0);
        let (now, later) = rest.split_at_mut_checked(len).ok_or("the tables do not fit the board")?;
        self.0 = later;
        Ok(now)
    }

    /// Numbers of 16 bits from byte `at` of the blob, divided by `unit`.
    fn table(
        &mut self,
        blob: &[u8],
        at: usize,
        len: usize,
        value: impl Fn([u8; 2]) -> f32,
    ) -> Result<&'static [f32], &'static str> {
        let to = self.take(len)?;
        for (to, pair) in to.iter_mut().zip(blob.get(at..).unwrap_or(&[]).as_chunks().0) {
            *to = value(*pair);
        }
        Ok(to)
    }
}

/// The tables of the front end in floating point, from those of the blob.
fn tables<'a>(
    blob: &[u8],
    settings: &Settings,
    floats: &mut Floats,
    edges: &'static mut [u16],
    stats: &'a mut [float::Stat],
) -> Result<float::Tables<'a>, &'static str> {
    let at = settings.tables();
    let signed = |pair| f32::from(i16::from_le_bytes(pair)) / 32_768.0;
    let weight = |pair| f32::from(u16::from_le_bytes(pair)) / 65_536.0;
    let (frame_len, bands) = (usize::from(settings.frame_len), usize::from(settings.bands));
    let taper = floats.take(if settings.has_spectrum() { frame_len } else { 0 })?;
    for (n, to) in taper.iter_mut().enumerate() {
        let entry = at.taper + 2 * n.min(frame_len - n);
        *to = blob.get(entry..).and_then(|rest| rest.first_chunk()).map_or(0.0, |pair| signed(*pair));
    }
    let edges = edges.get_mut(..if bands > 0 { bands + 2 } else { 0 }).ok_or("there are too many bands")?;
    for (to, pair) in edges.iter_mut().zip(blob.get(at.edges..).unwrap_or(&[]).as_chunks().0) {
        *to = u16::from_le_bytes(*pair);
    }
    let mut n_stats = 0;
    for stat in Stat::ALL.into_iter().filter(|stat| settings.stats & stat.bit() != 0) {
        let same = match stat {
            Stat::Mean => float::Stat::Mean,
            Stat::Std => float::Stat::Std,
            Stat::Rms => float::Stat::Rms,
            Stat::Min => float::Stat::Min,
            Stat::Max => float::Stat::Max,
            Stat::Crossings => float::Stat::Crossings,
            Stat::Skew => float::Stat::Skew,
            Stat::Kurtosis => float::Stat::Kurtosis,
        };
        if let Some(to) = stats.get_mut(n_stats) {
            *to = same;
        }
        n_stats += 1;
    }
    let weighted = if bands > 0 { settings.end_bin - settings.first_bin } else { 0 }.into();
    let entries = usize::from(settings.requantize_len);
    let pairs = floats.take(2 * entries)?.as_chunks_mut().0;
    let entry_bytes = blob.get(at.requantize..).unwrap_or(&[]).as_chunks::<8>().0;
    for (entry, ([factor, addend], bytes)) in pairs.iter_mut().zip(entry_bytes).enumerate() {
        let [a, b, c, d, e, f, g, h] = *bytes;
        let multiplier = i32::from_le_bytes([a, b, c, d]) as f32 / 2_147_483_648.0;
        let offset = i32::from_le_bytes([e, f, g, h]) as f32;
        let step = multiplier * (1_u32 << settings.shift) as f32;
        // Features of the other front end are integers, with this many to a unit.
        let n = if entries == 1 { 0 } else { entry };
        *factor = step * units(settings, n);
        *addend = f32::from(settings.zero_point) - offset * step;
    }
    Ok(float::Tables {
        kind: match settings.kind {
            Kind::LogMel => float::Kind::LogMel,
            Kind::Mfcc => float::Kind::Mfcc,
            Kind::MotionStats => float::Kind::MotionStats,
            Kind::Image | Kind::RawWindow => return Err("this kind of front end is not compared"),
        },
        axes: settings.axes.into(),
        frame_len,
        fft_len: settings.fft_len.into(),
        floor: (0..settings.floor_log2).fold(1.0, |floor, _| 2.0 * floor),
        taper,
        edges,
        weights: floats.table(blob, at.weights, weighted, weight)?,
        dct: floats.table(blob, at.dct, usize::from(settings.coefficients) * bands, signed)?,
        stats: stats.get(..n_stats).unwrap_or(&[]),
        peaks: settings.peaks.into(),
        bins: (settings.first_bin.into(), settings.end_bin.into()),
        quantize: pairs,
    })
}

/// Steps of the integer feature in a unit of the other.
fn units(settings: &Settings, feature: usize) -> f32 {
    use teff::dsp::{CEPSTRUM_FRAC_BITS, LOG_FRAC_BITS, MOMENT_FRAC_BITS, PCEN_FRAC_BITS, PEAK_FRAC_BITS};
    let bits = match settings.kind {
        Kind::Mfcc => CEPSTRUM_FRAC_BITS,
        Kind::MotionStats => {
            let at = feature % settings.features_per_axis();
            let mut stats = Stat::ALL.into_iter().filter(|stat| settings.stats & stat.bit() != 0);
            let n_stats = settings.stats.count_ones() as usize;
            match stats.nth(at) {
                Some(Stat::Skew | Stat::Kurtosis) => MOMENT_FRAC_BITS,
                Some(_) => 0,
                None => match at.checked_sub(n_stats + usize::from(settings.bands)) {
                    Some(of_peak) if of_peak.is_multiple_of(2) => PEAK_FRAC_BITS,
                    _ => LOG_FRAC_BITS,
                },
            }
        }
        _ if settings.compression == Compression::Pcen => PCEN_FRAC_BITS,
        _ => LOG_FRAC_BITS,
    };
    (1 << bits) as f32
}
