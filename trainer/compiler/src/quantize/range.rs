//! From what a value held to the range that its integers stand for.

use super::histogram::{Bin, Histogram};
use crate::error::{Error, Result};

/// How the range of a value is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// By what the choice does to the outputs, per value, among all the others: see [`super::quantize_with`].
    Auto,
    /// From the smallest to the largest number.
    MinMax,
    /// The range that leaves out the given share of the numbers at each end, in percent: 99.99
    /// leaves out the lowest and the highest hundredth of a percent.
    Percentile(f64),
    /// The range with the smallest expected square of the quantization error.
    MeanSquare,
    /// The range that changes the distribution of the numbers least, in the sense of Kullback and Leibler.
    Entropy,
}

impl Method {
    /// Name, as options and recipes write it.
    pub fn name(self) -> &'static str {
        match self {
            Method::Auto => "auto",
            Method::MinMax => "min-max",
            Method::Percentile(_) => "percentile",
            Method::MeanSquare => "mean-square",
            Method::Entropy => "entropy",
        }
    }

    /// Whether it needs more than the smallest and the largest number.
    pub(super) fn needs_bins(self) -> bool {
        self != Method::MinMax
    }

    /// # Errors
    /// The percentile is not between 50 and 100.
    pub(super) fn check(self) -> Result<()> {
        match self {
            Method::Percentile(p) if !(50.0..=100.0).contains(&p) => {
                Err(Error::model(format!("a percentile of {p} is not between 50 and 100"))
                    .remedy("use one such as 99.99"))
            }
            _ => Ok(()),
        }
    }
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Method::Percentile(p) => write!(f, "percentile {p}"),
            other => f.write_str(other.name()),
        }
    }
}

/// The range that a method chooses, or `None` where nothing was seen. It lies within what was seen. [`Method::Auto`]
/// compares ranges of the others and has none of its own; here it stands for [`Method::MinMax`].
pub fn range(histogram: &Histogram, method: Method) -> Option<(f32, f32)> {
    let extremes = histogram.extremes()?;
    Some(match method {
        Method::Auto | Method::MinMax => extremes,
        Method::Percentile(percentile) => percentile_range(histogram, extremes, percentile),
        Method::MeanSquare => mean_square(histogram, extremes),
        Method::Entropy => entropy(histogram, extremes),
    })
}

fn percentile_range(histogram: &Histogram, (least, most): (f32, f32), percentile: f64) -> (f32, f32) {
    let share = (1.0 - percentile / 100.0).clamp(0.0, 0.5);
    let left_out = libm::floor(share * histogram.count() as f64) as u64;
    let bins = histogram.equal_bins();
    let mut seen = 0;
    let low = bins.iter().find(|bin| {
        seen += bin.count;
        seen > left_out
    });
    seen = 0;
    let high = bins.iter().rev().find(|bin| {
        seen += bin.count;
        seen > left_out
    });
    let low = low.map_or(least, |bin| bin.low as f32).max(least);
    let high = high.map_or(most, |bin| bin.high as f32).min(most);
    (low.min(high), high)
}

/// The range `[l, h]` for which `E(l, h) = n·s²/12 + Σ_{x<l} (l - x)² + Σ_{x>h} (x - h)²` is least, where `s = (h - l) / 255` and
/// `n` counts the numbers in the range that are not zero: rounding to steps of `s` adds an error of variance `s²/12`
/// (Bennett, *Spectra of quantized signals*, Bell System Technical Journal 27, 1948), zero has none because it is met exactly,
/// and what lies outside is moved to the edge. Both edges are searched over sixteenths of a power of two, down to 1/64 of
/// what was seen.
fn mean_square(histogram: &Histogram, (least, most): (f32, f32)) -> (f32, f32) {
    const STEPS: i32 = 96;
    let bins = histogram.logarithmic_bins();
    // Σ count, Σ count · centre and Σ count · centre² of the bins before each.
    let mut sums = vec![[0.0f64; 3]];
    for bin in &bins {
        let (n, x) = (bin.count as f64, (bin.low + bin.high) / 2.0);
        let [n0, n1, n2] = sums[sums.len() - 1];
        sums.push([n0 + n, n1 + n * x, n2 + n * x * x]);
    }
    let total = sums[sums.len() - 1];
    // Σ (x - edge)² over what `part` sums up.
    let beyond = |part: [f64; 3], edge: f64| part[2] - 2.0 * edge * part[1] + edge * edge * part[0];
    let centre = |bin: &Bin| (bin.low + bin.high) / 2.0;
    let edges = |end: f32| -> Vec<f64> {
        let end = f64::from(end);
        if end == 0.0 {
            return vec![0.0];
        }
        (0..=STEPS).map(|i| end * libm::exp2(-f64::from(i) / 16.0)).collect()
    };
    let lows: Vec<(f64, f64, f64)> = edges(least.min(0.0))
        .into_iter()
        .map(|low| {
            let part = sums[bins.partition_point(|bin| centre(bin) < low)];
            (low, part[0], beyond(part, low))
        })
        .collect();
    let highs: Vec<(f64, f64, f64)> = edges(most.max(0.0))
        .into_iter()
        .map(|high| {
            let inside = sums[bins.partition_point(|bin| centre(bin) <= high)];
            let part = [total[0] - inside[0], total[1] - inside[1], total[2] - inside[2]];
            (high, part[0], beyond(part, high).max(0.0))
        })
        .collect();
    let mut best = (f64::INFINITY, (least, most));
    for &(low, below, low_error) in &lows {
        for &(high, above, high_error) in &highs {
            let step = (high - low) / 255.0;
            let inside = total[0] - below - above;
            let error = inside * step * step / 12.0 + low_error.max(0.0) + high_error;
            if error < best.0 {
                best = (error, ((low as f32).max(least), (high as f32).min(most)));
            }
        }
    }
    best.1
}

/// The threshold `t` for which the distribution of the numbers within `[-t, t]`, those outside counted at its ends, and the
/// same distribution in 256 levels differ least: `Σ p·ln(p / q)`, the divergence of Kullback and Leibler (*On information and
/// sufficiency*, Annals of Mathematical Statistics 22, 1951). Each level spreads its numbers evenly over those of its
/// bins that have any. The procedure is known from Migacz, *8-bit inference with TensorRT* (2017), there for symmetric
/// ranges.
fn entropy(histogram: &Histogram, (least, most): (f32, f32)) -> (f32, f32) {
    const LEVELS: usize = 256;
    let (below, above) = histogram.sides();
    let width = histogram.width();
    let reach = |end: f32| if width > 0.0 { libm::ceil(f64::from(end.abs()) / width) as usize } else { 0 };
    let (reach_below, reach_above) = (reach(least.min(0.0)), reach(most.max(0.0)));
    let furthest = reach_below.max(reach_above).min(below.len());
    let mut best = (f64::INFINITY, furthest);
    // Zeros are met exactly whatever the range is, and would drown everything else after a ReLU.
    let count = |side: &[u64], i: usize| {
        let zeros = if i == 0 && std::ptr::eq(side.as_ptr(), above.as_ptr()) { histogram.zeros() } else { 0 };
        side[i].saturating_sub(zeros)
    };
    let first = (LEVELS / 2).min(furthest);
    for threshold in (first..=furthest).rev().step_by(8) {
        let (low, high) = (threshold.min(reach_below), threshold.min(reach_above));
        if low + high < LEVELS {
            continue;
        }
        let mut inside: Vec<f64> = Vec::with_capacity(low + high);
        inside.extend((0..low).rev().map(|i| count(below, i) as f64));
        inside.extend((0..high).map(|i| count(above, i) as f64));
        let outside =
            |side: &[u64], from: usize| (from..side.len()).map(|i| count(side, i)).sum::<u64>() as f64;
        let mut reference = inside.clone();
        if let Some(end) = reference.first_mut() {
            *end += outside(below, low);
        }
        if let Some(end) = reference.last_mut() {
            *end += outside(above, high);
        }
        let divergence = divergence(&reference, &inside, LEVELS);
        if divergence < best.0 {
            best = (divergence, threshold);
        }
    }
    let edge = (best.1 as f64 * width) as f32;
    (least.max(-edge), most.min(edge))
}

/// `Σ p·ln(p / q)` where `q` is `inside` in so many levels, each spread over its bins that are not empty. Bins that `q`
/// leaves empty count with a ten-thousandth of a number.
fn divergence(reference: &[f64], inside: &[f64], levels: usize) -> f64 {
    const LEAST: f64 = 1e-4;
    let bins = inside.len();
    let mut spread = vec![0.0; bins];
    for level in 0..levels {
        let (start, end) = (level * bins / levels, (level + 1) * bins / levels);
        let filled = inside[start..end].iter().filter(|x| **x > 0.0).count();
        let each = inside[start..end].iter().sum::<f64>() / filled.max(1) as f64;
        for (to, from) in spread[start..end].iter_mut().zip(&inside[start..end]) {
            *to = if *from > 0.0 { each } else { 0.0 };
        }
    }
    let (p_sum, q_sum) = (reference.iter().sum::<f64>(), spread.iter().sum::<f64>());
    if p_sum == 0.0 || q_sum == 0.0 {
        return f64::INFINITY;
    }
    let terms = reference.iter().zip(&spread).filter(|(p, _)| **p > 0.0);
    terms.map(|(p, q)| p / p_sum * libm::log(p / p_sum * q_sum / q.max(LEAST))).sum()
}
