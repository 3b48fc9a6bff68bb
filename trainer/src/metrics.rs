//! What a classifier got right: accuracy, confusion matrix, figures per class.

use serde::Serialize;

/// Counts of (true class, decided class).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confusion {
    counts: Vec<Vec<usize>>,
}

/// Figures of one class. What has no examples to divide by is absent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassFigures {
    /// Name of the class.
    pub label: String,
    /// Examples of the class.
    pub samples: usize,
    /// Share of the decisions for the class that are right.
    pub precision: Option<f64>,
    /// Share of the examples of the class that are found.
    pub recall: Option<f64>,
    /// Harmonic mean of both.
    pub f1: Option<f64>,
}

impl Confusion {
    /// No examples of so many classes.
    pub fn new(classes: usize) -> Confusion {
        Confusion { counts: vec![vec![0; classes]; classes] }
    }

    /// Counts one example. Both indices are below the number of classes.
    pub fn add(&mut self, truth: usize, decided: usize) {
        self.counts[truth][decided] += 1;
    }

    /// Rows are true classes, columns decisions.
    pub fn counts(&self) -> &[Vec<usize>] {
        &self.counts
    }

    /// How many examples were counted.
    pub fn samples(&self) -> usize {
        self.counts.iter().flatten().sum()
    }

    /// How many were decided right.
    pub fn right(&self) -> usize {
        (0..self.counts.len()).map(|class| self.counts[class][class]).sum()
    }

    /// Share of examples that were decided right; 0 without examples.
    pub fn top1(&self) -> f64 {
        self.right() as f64 / self.samples().max(1) as f64
    }

    /// Figures of each class.
    pub fn classes(&self, labels: &[String]) -> Vec<ClassFigures> {
        let share = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
        (0..self.counts.len())
            .map(|class| {
                let right = self.counts[class][class];
                let samples = self.counts[class].iter().sum();
                let decided: usize = self.counts.iter().map(|row| row[class]).sum();
                ClassFigures {
                    label: labels.get(class).cloned().unwrap_or_else(|| class.to_string()),
                    samples,
                    precision: share(right, decided),
                    recall: share(right, samples),
                    f1: share(2 * right, samples + decided),
                }
            })
            .collect()
    }
}

/// The area under the curve of detections over false alarms: how likely a score of the second kind is above one of the
/// first, equal ones counting half. Nothing where there is none of either, or one that is no number.
pub fn auc(normal: &[f64], others: &[f64]) -> Option<f64> {
    if normal.is_empty() || others.is_empty() || normal.iter().chain(others).any(|score| score.is_nan()) {
        return None;
    }
    let mut sorted = normal.to_vec();
    sorted.sort_by(f64::total_cmp);
    let below = |score: f64| {
        let (less, at_most) =
            (sorted.partition_point(|&n| n < score), sorted.partition_point(|&n| n <= score));
        (less + at_most) as f64 / 2.0
    };
    let sum: f64 = others.iter().map(|&score| below(score)).sum();
    Some(sum / (normal.len() as f64 * others.len() as f64))
}

/// Position of the largest score, the first of equal ones. Scores that are no numbers are never the largest.
pub fn argmax(scores: &[f64]) -> usize {
    let mut best = 0;
    for (i, score) in scores.iter().enumerate() {
        if *score > scores[best] || (scores[best].is_nan() && !score.is_nan()) {
            best = i;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_small_matrix() {
        let mut confusion = Confusion::new(3);
        for (truth, decided) in [(0, 0), (0, 0), (0, 1), (1, 1)] {
            confusion.add(truth, decided);
        }
        assert_eq!((confusion.samples(), confusion.right(), confusion.top1()), (4, 3, 0.75));
        let classes = confusion.classes(&["a".to_string(), "b".to_string()]);
        assert_eq!(classes[0].recall, Some(2.0 / 3.0));
        assert_eq!((classes[1].precision, classes[1].f1), (Some(0.5), Some(2.0 / 3.0)));
        assert_eq!((classes[2].label.as_str(), classes[2].precision, classes[2].f1), ("2", None, None));
    }

    #[test]
    fn the_area_under_the_curve_counts_pairs() {
        assert_eq!(auc(&[1.0, 2.0], &[3.0, 4.0]), Some(1.0));
        assert_eq!(auc(&[3.0, 4.0], &[1.0, 2.0]), Some(0.0));
        assert_eq!(auc(&[1.0, 3.0], &[2.0, 3.0]), Some((0.5 + 0.75) / 2.0));
        assert_eq!(auc(&[5.0; 7], &[5.0; 3]), Some(0.5));
        assert_eq!((auc(&[], &[1.0]), auc(&[1.0], &[]), auc(&[f64::NAN], &[1.0])), (None, None, None));
    }

    #[test]
    fn the_first_of_equal_scores_wins() {
        assert_eq!(argmax(&[0.1, 0.5, 0.5]), 1);
        assert_eq!(argmax(&[f64::NAN, 0.5, f64::NAN]), 1);
    }
}
