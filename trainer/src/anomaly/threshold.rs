//! From which smoothed score on there is an event.

use anyhow::{Result, bail};
use teff_app::decision::{Kind, MOST, Settings};

use super::Window;
use super::figures::smoothed;
use crate::recipe::decision::{Limit, Reconstruction};

/// A threshold and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// In 256ths of a squared step of the input.
    pub threshold: u32,
    /// How many smoothed scores of normal validation windows it was found with; nothing where it was given.
    pub scores: Option<usize>,
}

/// The threshold of a recipe: the one that it gives, or the smallest one that the wanted share of the smoothed scores of
/// normal windows stays below. Scores of the beginning of a run, where fewer than `smoothing` were seen, do not count.
///
/// # Errors
/// There is no smoothed score, or they are as large as scores can be.
pub fn find(reconstruction: &Reconstruction, normal: &[Window]) -> Result<Found> {
    let millionths = match reconstruction.limit {
        Limit::Threshold(threshold) => return Ok(Found { threshold, scores: None }),
        Limit::Quantile(millionths) => u64::from(millionths),
    };
    let smoothing = reconstruction.smoothing;
    let unlimited =
        Settings { kind: Kind::Reconstruction, smoothing, threshold: MOST, hysteresis: 0, refractory: 0 };
    let mut sums: Vec<u64> =
        smoothed(unlimited, normal).into_iter().filter(|s| s.is_full).map(|s| s.sum).collect();
    sums.sort_unstable();
    // So many have to stay below.
    let below = (sums.len() as u64 * millionths).div_ceil(1_000_000) as usize;
    let Some(largest) = below.checked_sub(1).and_then(|last| sums.get(last)) else {
        bail!(
            "no {smoothing} normal validation windows follow each other, so no threshold can be found. Remedy: lower \
             `smoothing` of [decision], or record for longer"
        );
    };
    // Below the next whole number of 256ths.
    let threshold = largest / u64::from(smoothing) + 1;
    if threshold > u64::from(MOST) {
        bail!(
            "normal windows have scores as large as scores can be, so no threshold tells others from them. Remedy: train \
             the network for longer"
        );
    }
    Ok(Found { threshold: threshold as u32, scores: Some(sums.len()) })
}

/// The line `teff.decision` with a threshold, in 256ths.
pub fn line(reconstruction: &Reconstruction, threshold: u32) -> String {
    let Reconstruction { smoothing, hysteresis_millionths, refractory, .. } = reconstruction;
    let hysteresis = u64::from(threshold) * u64::from(*hysteresis_millionths) / 1_000_000;
    format!(
        "kind=reconstruction smoothing={smoothing} threshold={} hysteresis={} refractory={refractory}",
        decimal(threshold),
        decimal(hysteresis as u32)
    )
}

/// The shortest decimal number that a device reads as so many 256ths: it rounds down.
fn decimal(in_256ths: u32) -> String {
    let (whole, rest) = (in_256ths / 256, in_256ths % 256);
    for (digits, scale) in [(0, 1), (1, 10), (2, 100), (3, 1000)] {
        let parts = (rest * scale).div_ceil(256);
        if parts < scale && parts * 256 / scale == rest {
            return match digits {
                0 => whole.to_string(),
                _ => format!("{whole}.{parts:0digits$}"),
            };
        }
    }
    // Thousandths are finer than 256ths.
    whole.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn by(limit: Limit, smoothing: u16) -> Reconstruction {
        Reconstruction { limit, smoothing, hysteresis_millionths: 100_000, refractory: 3 }
    }

    fn run(scores: &[u32]) -> Vec<Window> {
        let window = |(n, &score): (usize, &u32)| Window { label: 0, begins: n == 0, score };
        scores.iter().enumerate().map(window).collect()
    }

    fn threshold(millionths: u32, smoothing: u16, windows: &[Window]) -> Option<u32> {
        find(&by(Limit::Quantile(millionths), smoothing), windows).ok().map(|found| found.threshold)
    }

    #[test]
    fn devices_read_the_threshold_that_was_found() {
        for in_256ths in (1..70_000).chain([MOST - 1, MOST, MOST / 3]) {
            let line = line(&by(Limit::Threshold(1), 2), in_256ths);
            let settings = Settings::read(&line).unwrap();
            let hysteresis = u64::from(in_256ths) * 100_000 / 1_000_000;
            assert_eq!(
                (settings.threshold, u64::from(settings.hysteresis)),
                (in_256ths, hysteresis),
                "{line}"
            );
            assert_eq!(
                (settings.kind, settings.smoothing, settings.refractory),
                (Kind::Reconstruction, 2, 3)
            );
        }
        assert_eq!(decimal(256 * 7 + 128), "7.5");
    }

    #[test]
    fn the_share_stays_below() {
        let scores: Vec<u32> = (1..=1000).rev().map(|n| n * 10).collect();
        let windows = run(&scores);
        for (millionths, expected) in
            [(1_000_000, 10_001), (999_000, 9_991), (999_001, 10_001), (998_001, 9_991), (500_000, 5_001)]
        {
            let found = threshold(millionths, 1, &windows).unwrap();
            assert_eq!(found, expected, "{millionths}");
            let below = scores.iter().filter(|&&score| score < found).count();
            assert!(below as u64 * 1_000_000 >= u64::from(millionths) * 1000);
        }
    }

    #[test]
    fn the_device_has_no_event_on_what_was_to_stay_below() {
        let windows = run(&[7, 900, 13, 2, 901, 899, 1, 5, 4, 1000]);
        for smoothing in 1..=10 {
            let found = threshold(1_000_000, smoothing, &windows).unwrap();
            let settings = Settings {
                threshold: found,
                smoothing,
                hysteresis: 0,
                refractory: 0,
                kind: Kind::Reconstruction,
            };
            assert!(smoothed(settings, &windows).iter().all(|s| !s.is_full || !s.is_above), "{smoothing}");
            // One less, and there is one.
            let settings = Settings { threshold: found - 1, ..settings };
            assert!(smoothed(settings, &windows).iter().any(|s| s.is_full && s.is_above), "{smoothing}");
        }
    }

    #[test]
    fn few_windows_and_none() {
        assert_eq!(threshold(999_000, 1, &run(&[77])), Some(78));
        assert_eq!(threshold(1_000_000, 1, &run(&[0, 0, 0])), Some(1));
        assert_eq!(threshold(500_000, 1, &[]), None);
        assert_eq!(threshold(999_000, 4, &run(&[5, 5, 5])), None);
        // Two runs of three are no run of four.
        assert_eq!(threshold(999_000, 4, &[run(&[5, 5, 5]), run(&[5, 5, 5])].concat()), None);
        assert_eq!(threshold(999_000, 3, &[run(&[3, 3, 3]), run(&[6, 6, 6])].concat()), Some(7));
        assert_eq!(threshold(999_000, 1, &run(&[u32::MAX])), None);
        let given = find(&by(Limit::Threshold(5), 9), &[]).unwrap();
        assert_eq!(given, Found { threshold: 5, scores: None });
    }
}
