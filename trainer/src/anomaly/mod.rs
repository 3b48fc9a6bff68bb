//! Models that say how unusual a signal is: the scores of windows, the threshold, and how well it tells.
//!
//! Scores are those of the device, in 256ths of a squared step of the quantized input (`docs/decision.md`), and become
//! events by its code ([`teff_app::anomaly`]). Those of a network in floating point are brought to the same unit. A
//! *run* is windows of one recording that follow each other as on the device: at its beginning nothing was seen yet.

mod figures;
mod score;
mod threshold;

use std::path::Path;

use anyhow::{Result, bail};
use teff_app::decision::{Kind, Settings};
use teff_compiler::onnx::metadata;

pub use figures::{Figures, LabelFigures, Scores, agreeing};
pub use score::Comparison;
pub use threshold::{Found, find, line};

use crate::arrays::Array;
use crate::dataset::{DataSet, Example, Split};
use crate::engine::Engine;
use crate::error::InputError;
use crate::evaluation::Inputs;
use crate::model_file::Facts;
use crate::recipe::Data;
use crate::recipe::data::{Cut, WindowSettings};
use crate::recipe::decision::{Limit, Reconstruction};

/// The most inferences that are averaged here: a recipe's limit.
const MEMORY: usize = 64;

/// The name of what such a model reports.
pub const LABEL: &str = "anomaly";

/// The settings of a model's decision, where it is on how unusual the signal is.
///
/// # Errors
/// The line `teff.decision` is of such a model, but a device would refuse it.
pub fn settings(model: &Path, facts: &Facts) -> Result<Option<Settings>> {
    let line = facts.metadata(metadata::DECISION).unwrap_or("");
    match Settings::read(line) {
        Ok(settings) if settings.kind == Kind::Classes => Ok(None),
        Ok(settings) if usize::from(settings.smoothing) > MEMORY => bail!(InputError::new(
            model,
            format!("averages over {} inferences; here it can be {MEMORY}", settings.smoothing),
            "lower `smoothing` in `teff.decision`",
        )),
        Ok(settings) => Ok(Some(settings)),
        // Where classes are decided on, scores are looked at and not the line.
        Err(_) if !line.contains("kind=") => Ok(None),
        Err(error) => bail!(InputError::new(
            model,
            format!("has a line `teff.decision` (`{line}`) that devices refuse: {error}"),
            "export the model again, or correct the line",
        )),
    }
}

/// One window of a data set and its score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Index of its label.
    pub label: usize,
    /// Whether a run begins with it.
    pub begins: bool,
    /// In 256ths of a squared step.
    pub score: u32,
}

/// A model and how its scores are computed.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// The file, for messages.
    pub model: &'a Path,
    /// What the model says of itself.
    pub facts: &'a Facts,
    /// What its scores are.
    pub kind: Kind,
    /// The step of the quantized input, for a network that computes in floating point and has none.
    pub input_step: Option<f32>,
}

impl Subject<'_> {
    /// The scores of the windows of a split, in the order of the data set.
    ///
    /// # Errors
    /// The model does not fit the data or what its scores are, or gives what is no number.
    pub fn windows(
        &self,
        engine: &mut dyn Engine,
        data: &Data,
        set: &DataSet,
        split: Split,
        mut progress: impl FnMut(usize),
    ) -> Result<Vec<Window>> {
        let order = self.facts.input_order(0).unwrap_or(&[]);
        let comparison = Comparison::new(self, engine.inputs(), engine.outputs(), order)?;
        let mut inputs = Inputs::new(self.model, self.facts, engine.inputs())?;
        let examples: Vec<&Example> = set.of(split).collect();
        let mut windows = Vec::with_capacity(examples.len());
        for chunk in examples.chunks(engine.chunk()) {
            let arrays = chunk.iter().map(|example| Ok(vec![inputs.of(example)?]));
            let arrays = arrays.collect::<Result<Vec<Vec<Array>>>>()?;
            for ((example, given), outputs) in chunk.iter().zip(&arrays).zip(engine.run(&arrays)?) {
                let Some(score) = comparison.score(&given[0], &outputs[0]) else {
                    bail!(InputError::new(
                        self.model,
                        format!("gives something for {} that is no number", example.source),
                        "train it again with a lower `learning_rate`",
                    ));
                };
                let before = windows.len().checked_sub(1).map(|before| examples[before]);
                let begins = before.is_none_or(|before| !follows(before, example, data.window()));
                windows.push(Window { label: example.label, begins, score });
            }
            progress(chunk.len());
        }
        Ok(windows)
    }
}

/// Whether a window is the one after another in the same recording.
fn follows(before: &Example, example: &Example, window: Option<&WindowSettings>) -> bool {
    let place = |example: &Example| -> Option<(String, usize)> {
        let (recording, start) = example.source.rsplit_once('+')?;
        Some((recording.to_string(), start.parse().ok()?))
    };
    let Some(window) = window.filter(|window| window.cut == Cut::Slide) else { return false };
    match (place(before), place(example)) {
        (Some((a, from)), Some((b, to))) => {
            a == b && before.label == example.label && from.checked_add(window.stride) == Some(to)
        }
        _ => false,
    }
}

/// Refuses a data set with which no threshold can be found.
pub fn check(reconstruction: &Reconstruction, data: &Data, set: &DataSet) -> Result<()> {
    if let Limit::Threshold(_) = reconstruction.limit {
        return Ok(());
    }
    let examples: Vec<&Example> = set.of(Split::Validation).filter(|e| data.is_normal(e.label)).collect();
    if examples.is_empty() {
        bail!(
            "no normal example is set aside for validation, with which the threshold of `quantile` is found. Remedy: set \
             `validation` or `validation_groups` in [data.split], or give `threshold` in [decision]"
        );
    }
    let (mut longest, mut run) = (0, 0);
    for (n, example) in examples.iter().enumerate() {
        let goes_on = n > 0 && follows(examples[n - 1], example, data.window());
        run = if goes_on { run + 1 } else { 1 };
        longest = longest.max(run);
    }
    if longest < usize::from(reconstruction.smoothing) {
        bail!(
            "`smoothing` of [decision] is {}, but no recording of normal signals for validation has more than {longest} \
             windows in a row. Remedy: lower `smoothing`, or record for longer",
            reconstruction.smoothing
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::Samples;

    #[test]
    fn a_run_ends_with_its_recording() {
        let example = |source: &str, label| Example {
            samples: Samples::I16(Vec::new()),
            label,
            group: "g".into(),
            split: Split::Test,
            source: source.into(),
        };
        let slide = WindowSettings { length: 8, stride: 4, cut: Cut::Slide };
        let place = WindowSettings { cut: Cut::Place { copies: 1, rest_noise: 0.0 }, ..slide };
        let first = example("a+b.csv+4", 0);
        for (next, window, expected) in [
            ("a+b.csv+8", Some(&slide), true),
            ("a+b.csv+12", Some(&slide), false),
            ("a+b.csv+4", Some(&slide), false),
            ("c.csv+8", Some(&slide), false),
            ("a+b.csv", Some(&slide), false),
            ("a+b.csv+8", Some(&place), false),
            ("a+b.csv+8", None, false),
        ] {
            assert_eq!(follows(&first, &example(next, 0), window), expected, "{next} {window:?}");
        }
        assert!(!follows(&first, &example("a+b.csv+8", 1), Some(&slide)));
    }

    #[test]
    fn a_line_of_classes_is_not_looked_at() {
        let facts = |line: &str| {
            let mut graph = teff_compiler::graph::Builder::new("x");
            let x = graph.input("x", [1, 1, 1, 2]);
            let y = graph.softmax("s", x);
            graph.output("y", y);
            let mut graph = graph.finish().unwrap();
            graph.metadata.insert(metadata::DECISION.to_string(), line.to_string());
            settings(Path::new("m.onnx"), &Facts::of_graph(&graph))
        };
        assert_eq!(facts("smoothing=2 threshold=0.7").unwrap(), None);
        assert_eq!(facts("nonsense").unwrap(), None);
        assert_eq!(facts("kind=score threshold=3 smoothing=1").unwrap().map(|s| s.threshold), Some(768));
        assert!(facts("kind=reconstruction").unwrap_err().to_string().contains("no threshold"));
        assert!(facts("kind=score threshold=3 smoothing=65").unwrap_err().to_string().contains("64"));
    }
}
