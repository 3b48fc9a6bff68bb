//! The model card: what the model does, how well, from what data, under which licence, how large.

use std::fmt::Write as _;
use teff_compiler::onnx::metadata;

use sha2::{Digest, Sha256};

use super::{Accuracy, Model};
use crate::anomaly::Figures;
use crate::engine::{Port, quant_text, shape_text};
use crate::golden;
use crate::model_file::{Facts, brief};
use crate::recipe::Recipe;
use crate::recipe::decision::Limit;

/// What the card is written from.
#[derive(Debug)]
pub struct Card<'a> {
    /// The model.
    pub model: &'a Model,
    /// What it says about itself.
    pub facts: &'a Facts,
    /// Its inputs and outputs.
    pub ports: [&'a [Port]; 2],
}

impl Card<'_> {
    /// The card as Markdown. It depends on the model alone.
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, to: &mut String) -> std::fmt::Result {
        let model = self.model;
        let report = &model.compiled.report;
        let is_anomaly = model.int8.as_ref().is_some_and(|quality| quality.anomaly().is_some());
        writeln!(to, "# {}\n", model.name)?;
        if let Some((recipe, _)) = &model.recipe {
            writeln!(to, "{}.\n", recipe.card.title.trim_end_matches('.'))?;
        }
        writeln!(
            to,
            "An int8 network for Teff. `model.onnx` is a standard ONNX file in QDQ form; `trainer compile model.onnx`"
        )?;
        writeln!(
            to,
            "makes the plan for a device from it. The sizes below are for the target `{}`.\n",
            report.target
        )?;
        writeln!(to, "## Accuracy\n")?;
        self.accuracy(to)?;
        writeln!(to, "## Cost\n")?;
        writeln!(to, "| | |\n|---|---|")?;
        for (what, number) in [
            ("multiply-accumulates of one inference", report.macs),
            ("weights and biases", report.parameters),
            ("bytes of weights, biases and tables", report.weights_bytes),
            ("bytes of flash for the plan", report.plan_bytes),
            ("bytes of RAM (arena)", report.arena_bytes),
            ("bytes of the largest live set", report.live_set_bytes),
            ("bytes of the ONNX file", model.onnx.len() as u64),
        ] {
            writeln!(to, "| {what} | {number} |")?;
        }
        writeln!(to, "\n## Input and output\n")?;
        for (title, ports) in [("Input", self.ports[0]), ("Output", self.ports[1])] {
            for port in ports {
                write!(to, "- {title} `{}`, shape {}", port.name, shape_text(&port.shape))?;
                match port.quant {
                    Some(quant) => {
                        writeln!(to, ", int8: {}", quant_text(quant.scale, quant.zero_point))?;
                    }
                    None => writeln!(to)?,
                }
            }
        }
        if let Some(line) = self.facts.metadata(metadata::FRONT_END) {
            writeln!(to, "- Front end: `{}`", brief(line))?;
        }
        if !self.facts.labels().is_empty() {
            let what = if is_anomaly { "Event" } else { "Classes" };
            writeln!(to, "- {what}: {}", self.facts.labels().join(", "))?;
        }
        if let Some(line) = self.facts.metadata(metadata::DECISION) {
            writeln!(to, "- Decision: `{line}`")?;
        }
        writeln!(to)?;
        self.provenance(to)?;
        writeln!(to, "## Files\n")?;
        writeln!(
            to,
            "- `{}`: generated inputs and the runtime's outputs for them, in quantized units;",
            golden::FILE
        )?;
        writeln!(
            to,
            "  `trainer verify model.onnx --board mps2-an386` compares a board with them bit for bit."
        )?;
        let hash: String = Sha256::digest(&model.onnx).iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(to, "- SHA-256 of `model.onnx`: `{hash}`")
    }

    fn accuracy(&self, to: &mut String) -> std::fmt::Result {
        let model = self.model;
        if model.float.is_none() && model.int8.is_none() {
            return writeln!(to, "Not measured: no labelled data was given.\n");
        }
        let networks = [("float", &model.float), ("int8, as on the device", &model.int8)];
        let accuracies: Vec<(&str, Accuracy)> = networks
            .iter()
            .filter_map(|(name, quality)| Some((*name, quality.as_ref()?.accuracy()?)))
            .collect();
        if !accuracies.is_empty() {
            writeln!(to, "| network | top-1 on the test split | test examples |\n|---|---|---|")?;
            for (name, Accuracy { top1, samples }) in accuracies {
                writeln!(to, "| {name} | {top1:.4} | {samples} |")?;
            }
        }
        let anomalies: Vec<(&str, &Figures)> = networks
            .iter()
            .filter_map(|(name, quality)| Some((*name, quality.as_ref()?.anomaly()?)))
            .collect();
        if !anomalies.is_empty() {
            self.anomaly(to, &anomalies)?;
        }
        writeln!(to)
    }

    /// Figures of a model that says how unusual the signal is.
    fn anomaly(&self, to: &mut String, networks: &[(&str, &Figures)]) -> std::fmt::Result {
        let share = |share: Option<f64>| share.map_or_else(|| "–".to_string(), |share| format!("{share:.4}"));
        writeln!(
            to,
            "How unusual a window of the test split is, as a smoothed score (`docs/decision.md`). *Detected* is the share of \
             windows\nthat are not normal whose score reaches the threshold, *false alarms* that of normal windows; AUC is the area \
             under the curve\nof one over the other for all thresholds.\n"
        )?;
        writeln!(
            to,
            "| network | threshold | AUC | detected | false alarms | test windows |\n|---|---|---|---|---|---|"
        )?;
        for (name, figures) in networks {
            writeln!(
                to,
                "| {name} | {:.3} | {} | {} | {} | {} |",
                figures.threshold,
                share(figures.auc),
                share(figures.detection_rate),
                share(figures.false_alarm_rate),
                figures.samples
            )?;
        }
        let Some((name, figures)) = networks.last() else { return Ok(()) };
        writeln!(to, "\nBy label, {name}; a recording counts where the device reports an event in it:\n")?;
        writeln!(
            to,
            "| label | windows | at or above the threshold | AUC | recordings | with an event | median score |\n\
             |---|---|---|---|---|---|---|"
        )?;
        for label in &figures.labels {
            writeln!(
                to,
                "| {}{} | {} | {} | {} | {} | {} | {} |",
                label.label,
                if label.normal { " (normal)" } else { "" },
                label.samples,
                share(label.above),
                share(label.auc),
                label.recordings,
                label.recordings_with_event,
                label.scores.map_or_else(|| "–".to_string(), |scores| format!("{:.3}", scores.median)),
            )?;
        }
        let (Some(found), Some((recipe, _))) = (&self.model.found, &self.model.recipe) else { return Ok(()) };
        match (found.scores, recipe.reconstruction().map(|reconstruction| reconstruction.limit)) {
            (Some(scores), Some(Limit::Quantile(millionths))) => writeln!(
                to,
                "\nThe threshold is the smallest that a share of {} of {scores} smoothed scores of normal validation windows \
                 stays below,\ncomputed with the integers of the device; the float network has one of its own.",
                f64::from(millionths) / 1e6
            ),
            _ => writeln!(to, "\nThe threshold is given by the recipe."),
        }
    }

    fn provenance(&self, to: &mut String) -> std::fmt::Result {
        let Some((recipe, _)) = &self.model.recipe else {
            if let Some(licence) = self.facts.metadata(metadata::LICENCE) {
                writeln!(to, "## Data and licence\n\n{licence}\n")?;
            }
            return Ok(());
        };
        let card = &recipe.card;
        writeln!(to, "## Data and licence\n")?;
        writeln!(to, "- Trained on: {}", card.data)?;
        writeln!(to, "- Licence of the data: {}", card.data_licence)?;
        writeln!(to, "- Licence of the weights: {} (see `LICENSE`)", card.licence)?;
        writeln!(to, "- Recipe: `recipe.toml`, seed {}\n", recipe.seed)
    }
}

/// The licence file of weights.
pub fn licence(recipe: &Recipe) -> String {
    let card = &recipe.card;
    format!(
        "The weights in model.onnx, the plans that are compiled from it, and the numbers in golden.npz that were computed \
         with\nthem are licensed under: {}\n\nThey were trained on: {}\nwhich is licensed under: {}\n{}",
        card.licence,
        card.data,
        card.data_licence,
        licence_link(&card.licence)
    )
}

/// Where the full text of a licence stands, for those of Creative Commons.
fn licence_link(licence: &str) -> String {
    let mut words = licence.split_ascii_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some("CC"), Some(kind), Some(version)) => format!(
            "\nFull text: https://creativecommons.org/licenses/{}/{version}/legalcode\n",
            kind.to_ascii_lowercase()
        ),
        _ => String::new(),
    }
}
