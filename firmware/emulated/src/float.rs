//! A front end in floating point: what the integer one is compared with.
//!
//! It computes the features of `teff::dsp` in `f32` as one would write it for speed: every table is made before, samples
//! become `f32` once, the transform is that of `microfft`, a bin has one weight for the two bands that share it, the logarithm is
//! a polynomial, and rounding to int8 is one addition. It streams: a hop costs its new samples and one frame.

pub mod conditioner;
pub mod pcen;
pub mod peaks;

use conditioner::Conditioner;
use microfft::Complex32;
use microfft::real::{rfft_64, rfft_128, rfft_256, rfft_512, rfft_1024, rfft_2048};
use pcen::Pcen;

/// Most axes.
pub const MAX_AXES: usize = 3;

/// What a frame is made into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Logarithms of bands.
    LogMel,
    /// Their cosine transform.
    Mfcc,
    /// Statistics, then bands, of each axis.
    MotionStats,
}

/// A statistic of one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stat {
    /// Mean.
    Mean,
    /// Standard deviation.
    Std,
    /// Root of the mean square.
    Rms,
    /// Least sample.
    Min,
    /// Largest sample.
    Max,
    /// Changes of side of the mean.
    Crossings,
    /// Third central moment by the cube of the deviation.
    Skew,
    /// Fourth central moment by the fourth power of the deviation.
    Kurtosis,
}

/// Settings and tables.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    /// What is computed.
    pub kind: Kind,
    /// Axes of the sensor, interleaved in the samples; at most [`MAX_AXES`].
    pub axes: usize,
    /// Samples of each axis in a frame.
    pub frame_len: usize,
    /// Length of the transform; 0 without one.
    pub fft_len: usize,
    /// Energy in squared counts that is added to each band.
    pub floor: f32,
    /// Factor of each sample of a frame.
    pub taper: &'a [f32],
    /// Bins where the segments between the corners of bands begin, and the end of the last.
    pub edges: &'a [u16],
    /// Share of each bin, from the first edge on, that goes to the band that rises there.
    pub weights: &'a [f32],
    /// Rows of the cosine transform.
    pub dct: &'a [f32],
    /// Statistics of each axis, in the order of the features.
    pub stats: &'a [Stat],
    /// Peaks of each axis's spectrum.
    pub peaks: usize,
    /// The first bin that may be one, and the one behind the last.
    pub bins: (usize, usize),
    /// Factor and addend from a feature to the model input, one pair per feature or one for all.
    pub quantize: &'a [[f32; 2]],
}

/// Memory of a front end.
#[derive(Debug)]
pub struct Memory<'a> {
    /// `frame_len` for each axis.
    pub ring: &'a mut [f32],
    /// `fft_len`.
    pub spectrum: &'a mut [f32],
    /// Bands of a frame, for the cosine transform.
    pub bands: &'a mut [f32],
    /// Features of a frame.
    pub features: &'a mut [f32],
    /// Features of all frames of a window, quantized.
    pub window: &'a mut [i8],
}

/// The front end at work.
#[derive(Debug)]
pub struct FrontEnd<'a> {
    tables: Tables<'a>,
    memory: Memory<'a>,
    conditioner: Conditioner<'a>,
    pcen: Option<Pcen<'a>>,
    /// Logarithm of the floor.
    least: f32,
    /// Where the next instant goes in each axis's ring.
    at: usize,
    /// Where the next frame goes in the window.
    window_at: usize,
}

impl<'a> FrontEnd<'a> {
    /// The memory has the lengths that its fields tell.
    pub fn new(
        tables: Tables<'a>,
        memory: Memory<'a>,
        conditioner: Conditioner<'a>,
        pcen: Option<Pcen<'a>>,
    ) -> Self {
        let least = log2(tables.floor);
        FrontEnd { tables, memory, conditioner, pcen, least, at: 0, window_at: 0 }
    }

    /// Takes the samples of a hop and computes a frame.
    pub fn hop(&mut self, samples: &[i16]) {
        self.at = self.conditioner.run(samples, self.memory.ring, self.tables.frame_len, self.at);
        let tables = &self.tables;
        let rings = self.memory.ring.chunks_exact(tables.frame_len);
        match tables.kind {
            Kind::MotionStats => {
                let mut frame = &mut *self.memory.features;
                let (n_stats, n_bands) = (tables.stats.len(), tables.edges.len().saturating_sub(2));
                for ring in rings {
                    let Some((stats, rest)) = frame.split_at_mut_checked(n_stats) else { return };
                    let Some((bands, rest)) = rest.split_at_mut_checked(n_bands) else { return };
                    let Some((peaks, rest)) = rest.split_at_mut_checked(2 * tables.peaks) else { return };
                    frame = rest;
                    let mean = statistics(ring.split_at(self.at), tables.stats, stats);
                    if tables.fft_len > 0 {
                        taper(ring.split_at(self.at), mean, tables.taper, self.memory.spectrum);
                        let spectrum = transform(self.memory.spectrum);
                        log_bands(tables, spectrum, bands);
                        if tables.peaks > 0 {
                            peaks::write(spectrum, tables.bins, self.least, peaks);
                        }
                    }
                }
            }
            Kind::LogMel | Kind::Mfcc => {
                for ring in rings {
                    taper(ring.split_at(self.at), 0.0, tables.taper, self.memory.spectrum);
                    let spectrum = transform(self.memory.spectrum);
                    if let Some(pcen) = &mut self.pcen {
                        energies(tables, spectrum, self.memory.features, |energy| energy);
                        pcen.normalize(self.memory.features, tables.floor);
                        continue;
                    }
                    if tables.kind == Kind::LogMel {
                        log_bands(tables, spectrum, self.memory.features);
                        continue;
                    }
                    log_bands(tables, spectrum, self.memory.bands);
                    let bands = &*self.memory.bands;
                    for (to, row) in self.memory.features.iter_mut().zip(tables.dct.chunks_exact(bands.len()))
                    {
                        *to = row.iter().zip(bands).fold(0.0, |sum, (t, b)| sum + t * b);
                    }
                }
            }
        }
        self.quantize();
    }

    /// Features of the newest frame: logarithms of energies to base 2, their cosine transform, or counts.
    pub fn frame(&self) -> &[f32] {
        self.memory.features
    }

    /// The window, oldest frame first.
    pub fn window(&self) -> impl Iterator<Item = i8> {
        let (newer, older) = self.memory.window.split_at(self.window_at);
        older.iter().chain(newer).copied()
    }

    fn quantize(&mut self) {
        let features = &*self.memory.features;
        let Some(slots) = self.memory.window.get_mut(self.window_at..self.window_at + features.len()) else {
            return;
        };
        match self.tables.quantize {
            [[factor, addend]] => {
                for (to, x) in slots.iter_mut().zip(features) {
                    *to = round(x * factor + addend);
                }
            }
            pairs => {
                for ((to, x), [factor, addend]) in slots.iter_mut().zip(features).zip(pairs) {
                    *to = round(x * factor + addend);
                }
            }
        }
        self.window_at += features.len();
        if self.window_at >= self.memory.window.len() {
            self.window_at = 0;
        }
    }
}

/// Nearest int8. The sum with 1.5 · 2^23 has the integer in its low bits; `x` is below 2^22.
fn round(x: f32) -> i8 {
    const MAGIC: f32 = 12_582_912.0;
    let bits = (x + MAGIC).to_bits() as i32 - MAGIC.to_bits() as i32;
    bits.clamp(-128, 127) as i8
}

/// A ring's samples, the newer ones first, less `mean`, tapered, and zeros behind them.
fn taper((newer, older): (&[f32], &[f32]), mean: f32, factors: &[f32], spectrum: &mut [f32]) {
    let (first, last) = factors.split_at(older.len());
    let (now, rest) = spectrum.split_at_mut(older.len());
    let (then, zeros) = rest.split_at_mut(newer.len());
    for (to, samples, factors) in [(now, older, first), (then, newer, last)] {
        if mean == 0.0 {
            to.iter_mut().zip(samples).zip(factors).for_each(|((to, x), h)| *to = x * h);
        } else {
            to.iter_mut().zip(samples).zip(factors).for_each(|((to, x), h)| *to = (x - mean) * h);
        }
    }
    zeros.fill(0.0);
}

/// The spectrum from 0 Hz to below half the rate, by `microfft`.
fn transform(samples: &mut [f32]) -> &[Complex32] {
    macro_rules! by_length {
        ($($n:literal => $rfft:ident),*) => {
            match samples.len() {
                $($n => match samples.first_chunk_mut::<$n>() {
                    Some(samples) => {
                        let spectrum = $rfft(samples);
                        // The value at half the rate stands there.
                        spectrum[0].im = 0.0;
                        spectrum
                    }
                    None => &[],
                },)*
                _ => &[],
            }
        };
    }
    by_length!(64 => rfft_64, 128 => rfft_128, 256 => rfft_256, 512 => rfft_512, 1024 => rfft_1024, 2048 => rfft_2048)
}

fn log_bands(tables: &Tables<'_>, spectrum: &[Complex32], bands: &mut [f32]) {
    energies(tables, spectrum, bands, |energy| log2(energy + tables.floor));
}

/// What `feature` makes of the energy of each band.
#[inline(always)]
fn energies(tables: &Tables<'_>, spectrum: &[Complex32], bands: &mut [f32], feature: impl Fn(f32) -> f32) {
    let mut edges = tables.edges.iter().map(|edge| usize::from(*edge));
    let mut at = edges.next().unwrap_or(0);
    let mut bins = spectrum.get(at..).unwrap_or(&[]);
    let mut weights = tables.weights;
    let (mut bands, mut risen) = (bands.iter_mut(), None);
    for edge in edges {
        let Some((now, later)) = bins.split_at_checked(edge - at) else { return };
        let Some((shares, more)) = weights.split_at_checked(edge - at) else { return };
        (bins, weights, at) = (later, more, edge);
        let (mut rising, mut total) = (0.0, 0.0);
        for (bin, share) in now.iter().zip(shares) {
            let power = bin.re * bin.re + bin.im * bin.im;
            rising += power * share;
            total += power;
        }
        if let Some(risen) = risen.replace(rising)
            && let Some(to) = bands.next()
        {
            *to = feature(risen + (total - rising));
        }
    }
}

/// Logarithm to base 2 of a positive number that is not denormal; 0.0001 off at most.
fn log2(x: f32) -> f32 {
    let bits = x.to_bits();
    let whole = (bits >> 23) as i32 - 127;
    let m = f32::from_bits(bits & 0x007f_ffff | 0x3f80_0000);
    // The polynomial of degree 4 with the least largest error over [1, 2].
    let fraction = -2.512_877_4 + (4.070_135 + (-2.120_697_8 + (0.645_143_7 - 0.081_614_49 * m) * m) * m) * m;
    whole as f32 + fraction
}

/// Square root of a number that is not negative, to 22 bits.
fn square_root(x: f32) -> f32 {
    // A library without floating-point hardware makes it from integers; with it two steps of Newton's method are fewer instructions.
    if cfg!(target_abi = "eabihf") && x > 0.0 {
        let guess = f32::from_bits((x.to_bits() + 0x3f80_0000) >> 1);
        let better = 0.5 * (guess + x / guess);
        0.5 * (better + x / better)
    } else {
        libm::sqrtf(x)
    }
}

/// Writes the statistics of a ring's samples, the newer ones first; returns the mean.
fn statistics((newer, older): (&[f32], &[f32]), stats: &[Stat], to: &mut [f32]) -> f32 {
    let (mut sum, mut squares, mut least, mut most) = (0.0_f32, 0.0_f32, f32::MAX, f32::MIN);
    for part in [older, newer] {
        for &x in part {
            sum += x;
            squares += x * x;
            if x < least {
                least = x;
            }
            if x > most {
                most = x;
            }
        }
    }
    let share = 1.0 / (older.len() + newer.len()) as f32;
    let (mean, mean_square) = (sum * share, squares * share);
    let shape = if stats.iter().any(|stat| matches!(stat, Stat::Skew | Stat::Kurtosis)) {
        moments((newer, older), mean)
    } else {
        [0.0; 2]
    };
    for (to, stat) in to.iter_mut().zip(stats) {
        *to = match stat {
            Stat::Mean => mean,
            Stat::Std => square_root((mean_square - mean * mean).max(0.0)),
            Stat::Rms => square_root(mean_square),
            Stat::Min => least,
            Stat::Max => most,
            Stat::Crossings => {
                let mut side = older.first().or(newer.first()).is_some_and(|x| *x < mean);
                let mut count = 0_u16;
                for part in [older, newer] {
                    for x in part {
                        count += u16::from((*x < mean) != side);
                        side = *x < mean;
                    }
                }
                f32::from(count)
            }
            Stat::Skew => shape[0],
            Stat::Kurtosis => shape[1],
        };
    }
    mean
}

/// Skew and kurtosis; 0 for a constant.
fn moments((newer, older): (&[f32], &[f32]), mean: f32) -> [f32; 2] {
    let (mut squares, mut cubes, mut fourths) = (0.0_f32, 0.0_f32, 0.0_f32);
    for part in [older, newer] {
        for x in part {
            let d = x - mean;
            let square = d * d;
            squares += square;
            cubes += square * d;
            fourths += square * square;
        }
    }
    if squares == 0.0 {
        return [0.0; 2];
    }
    let n = (older.len() + newer.len()) as f32;
    [cubes * square_root(n / squares) / squares, n * fourths / (squares * squares)]
}
