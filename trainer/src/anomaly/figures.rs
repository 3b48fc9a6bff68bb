//! How well a threshold tells unusual signals from normal ones.

use serde::Serialize;
use teff_app::anomaly::Anomaly;
use teff_app::decision::Settings;

use super::{MEMORY, Window};
use crate::metrics::auc;
use crate::recipe::Data;

/// A window with the average over it and those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Smoothed {
    pub(super) label: usize,
    /// Which run it is of.
    pub(super) run: usize,
    /// Whether as many scores were seen as are averaged.
    pub(super) is_full: bool,
    /// The sum of the scores that are averaged.
    pub(super) sum: u64,
    /// Whether the average reaches the threshold.
    pub(super) is_above: bool,
    /// Whether the device reports an event.
    pub(super) is_event: bool,
}

/// What the device makes of the scores, each run for itself.
pub(super) fn smoothed(settings: Settings, windows: &[Window]) -> Vec<Smoothed> {
    let (mut all, mut seen, mut run) = (Vec::with_capacity(windows.len()), 0, 0);
    let Some(mut anomaly) = Anomaly::<MEMORY>::new(settings) else { return all };
    let fresh = anomaly.clone();
    for (n, window) in windows.iter().enumerate() {
        if window.begins && n > 0 {
            (anomaly, seen, run) = (fresh.clone(), 0, run + 1);
        }
        let is_event = anomaly.push(window.score).is_some();
        seen += 1;
        all.push(Smoothed {
            label: window.label,
            run,
            is_full: seen >= usize::from(settings.smoothing),
            sum: anomaly.sum(),
            is_above: anomaly.share() >= 256,
            is_event,
        });
    }
    all
}

/// Figures of a split. What has no examples to divide by is absent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// In squared steps of the input, or in steps of a score.
    pub threshold: f64,
    /// Inferences whose scores are averaged.
    pub smoothing: u16,
    /// Windows with that many before them in their recording, themselves included: those that are counted.
    pub samples: usize,
    /// Area under the curve of detections over false alarms, by the smoothed scores.
    pub auc: Option<f64>,
    /// Share of the windows that are not normal whose smoothed score reaches the threshold.
    pub detection_rate: Option<f64>,
    /// The same of normal windows.
    pub false_alarm_rate: Option<f64>,
    /// Of each label.
    pub labels: Vec<LabelFigures>,
}

/// Figures of the windows of one label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelFigures {
    /// The label.
    pub label: String,
    /// Whether it is that of normal signals.
    pub normal: bool,
    /// Windows that are counted.
    pub samples: usize,
    /// Share of them whose smoothed score reaches the threshold.
    pub above: Option<f64>,
    /// Recordings, or pieces of them without a gap.
    pub recordings: usize,
    /// Those in which the device reports an event.
    pub recordings_with_event: usize,
    /// Area under the curve against all normal windows; of a label that is not normal.
    pub auc: Option<f64>,
    /// The smoothed scores, in the unit of the threshold.
    pub scores: Option<Scores>,
}

/// How scores are spread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Scores {
    /// The smallest.
    pub least: f64,
    /// Half of them are above.
    pub median: f64,
    /// Their mean.
    pub mean: f64,
    /// The largest.
    pub largest: f64,
}

impl Figures {
    /// From the scores of the windows of a data set.
    pub fn new(settings: Settings, data: &Data, windows: &[Window]) -> Figures {
        let all = smoothed(settings, windows);
        let counted: Vec<&Smoothed> = all.iter().filter(|s| s.is_full).collect();
        let unit = 256.0 * f64::from(settings.smoothing);
        let scores = |chosen: &dyn Fn(usize) -> bool| -> Vec<f64> {
            counted.iter().filter(|s| chosen(s.label)).map(|s| s.sum as f64 / unit).collect()
        };
        let above = |chosen: &dyn Fn(usize) -> bool| -> Option<f64> {
            let of: Vec<bool> = counted.iter().filter(|s| chosen(s.label)).map(|s| s.is_above).collect();
            (!of.is_empty()).then(|| of.iter().filter(|above| **above).count() as f64 / of.len() as f64)
        };
        let normal = scores(&|label| data.is_normal(label));
        let labels = data.labels.iter().enumerate().map(|(label, name)| {
            let of_label = scores(&|other| other == label);
            let mut runs: Vec<usize> = all.iter().filter(|s| s.label == label).map(|s| s.run).collect();
            runs.dedup();
            let mut events: Vec<usize> =
                all.iter().filter(|s| s.label == label && s.is_event).map(|s| s.run).collect();
            events.dedup();
            LabelFigures {
                label: name.clone(),
                normal: data.is_normal(label),
                samples: of_label.len(),
                above: above(&|other| other == label),
                recordings: runs.len(),
                recordings_with_event: events.len(),
                auc: (!data.is_normal(label)).then(|| auc(&normal, &of_label)).flatten(),
                scores: Scores::of(of_label),
            }
        });
        Figures {
            threshold: f64::from(settings.threshold) / 256.0,
            smoothing: settings.smoothing,
            samples: counted.len(),
            auc: auc(&normal, &scores(&|label| !data.is_normal(label))),
            detection_rate: above(&|label| !data.is_normal(label)),
            false_alarm_rate: above(&|label| data.is_normal(label)),
            labels: labels.collect(),
        }
    }
}

impl Scores {
    fn of(mut scores: Vec<f64>) -> Option<Scores> {
        scores.sort_by(f64::total_cmp);
        let (least, largest) = (*scores.first()?, *scores.last()?);
        let n = scores.len();
        let median = (scores[(n - 1) / 2] + scores[n / 2]) / 2.0;
        Some(Scores { least, median, mean: scores.iter().sum::<f64>() / n as f64, largest })
    }
}

/// How many windows of each of two engines are on the same side of the threshold.
pub fn agreeing(settings: Settings, windows: &[Window], others: &[Window]) -> usize {
    let (a, b) = (smoothed(settings, windows), smoothed(settings, others));
    a.iter().zip(&b).filter(|(a, b)| a.is_above == b.is_above).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::DataSource;
    use std::path::Path;
    use teff_app::decision::Kind;

    fn data() -> Data {
        let text = "seed = 1\n[data]\nformat = \"idx\"\npath = \"x\"\nlabels = [\"good\", \"bad\", \"odd\"]\nnormal = [\"good\"]\n\
                    [data.split]\nrule = \"official\"\n";
        DataSource::parse(Path::new("x"), text).unwrap().data
    }

    fn windows(runs: &[(usize, &[u32])]) -> Vec<Window> {
        let of = |(label, scores): &(usize, &[u32])| {
            let window =
                |(n, score): (usize, &u32)| Window { label: *label, begins: n == 0, score: score * 256 };
            scores.iter().enumerate().map(window).collect::<Vec<_>>()
        };
        runs.iter().flat_map(of).collect()
    }

    fn settings(smoothing: u16, threshold: u32) -> Settings {
        Settings {
            kind: Kind::Reconstruction,
            smoothing,
            threshold: threshold * 256,
            hysteresis: 0,
            refractory: 0,
        }
    }

    #[test]
    fn figures_count_what_the_device_reports() {
        let all = windows(&[(0, &[1, 2, 3]), (0, &[9, 9, 1]), (1, &[8, 8, 8]), (1, &[3, 1])]);
        let figures = Figures::new(settings(2, 8), &data(), &all);
        // (1.5, 2.5), (9, 5), (8, 8), (2).
        assert_eq!(figures.samples, 7);
        assert_eq!((figures.detection_rate, figures.false_alarm_rate), (Some(2.0 / 3.0), Some(0.25)));
        assert_eq!(figures.auc, Some((3.0 + 3.0 + 1.0) / 12.0));
        let [good, bad, odd] = &figures.labels[..] else { panic!() };
        assert_eq!((good.recordings, good.recordings_with_event, good.normal, good.auc), (2, 1, true, None));
        assert_eq!((bad.recordings, bad.recordings_with_event, bad.samples), (2, 1, 3));
        let expected = Scores { least: 2.0, median: 8.0, mean: 6.0, largest: 8.0 };
        assert_eq!((bad.above, bad.scores), (Some(2.0 / 3.0), Some(expected)));
        assert_eq!((odd.samples, odd.above, odd.auc, odd.scores), (0, None, None, None));
    }

    #[test]
    fn smoothing_longer_than_every_run_counts_nothing() {
        let figures = Figures::new(settings(4, 8), &data(), &windows(&[(0, &[1, 2, 3]), (1, &[9, 9])]));
        assert_eq!((figures.samples, figures.auc, figures.detection_rate), (0, None, None));
        assert_eq!(figures.labels[1].recordings, 1);
        let none = Figures::new(settings(4, 8), &data(), &[]);
        assert_eq!((none.samples, none.false_alarm_rate), (0, None));
    }

    #[test]
    fn a_run_does_not_hear_of_the_one_before() {
        let all = windows(&[(1, &[100, 100]), (0, &[0, 0])]);
        let of_good = smoothed(settings(2, 8), &all);
        assert_eq!(of_good[2].sum, 0);
        assert!(!of_good[2].is_above && of_good[0].is_event);
        assert_eq!(agreeing(settings(2, 8), &all, &windows(&[(1, &[100, 100]), (0, &[0, 99])])), 3);
    }
}
