//! What `quantize` and `export` have in common: options that say how to quantize, and the report of what was done.

use std::io::{self, Write};

use anyhow::{Result, bail};
use clap::ValueEnum;
use indicatif::ProgressBar;
use serde::Serialize;
use teff_compiler::quantize::{Method, Progress, Report, Step};

use super::{progress, short};
use crate::export::Wishes;

/// How to quantize.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// How the ranges of activations are chosen [default: the recipe's way, or auto]
    #[arg(long, value_enum)]
    method: Option<Word>,
    /// With the method percentile: leave out this share of the numbers at both ends of each range: 99.99 leaves out one
    /// in ten thousand
    #[arg(long, value_name = "PERCENT")]
    percentile: Option<f64>,
    /// Do not even out channels between consecutive layers
    #[arg(long)]
    no_equalize: bool,
    /// Round each weight to the nearest
    #[arg(long)]
    no_round_weights: bool,
    /// Do not take mean errors off the biases
    #[arg(long)]
    no_correct_bias: bool,
    /// Calibrate on so many samples [default: the recipe's number, 512 of a data set, all of an array file]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    samples: Option<u32>,
}

/// Names of the methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Word {
    /// Per tensor, by what each choice does to the outputs
    Auto,
    /// From the smallest to the largest number
    MinMax,
    /// Without a share of the numbers at both ends
    Percentile,
    /// With the smallest expected square of the error
    MeanSquare,
    /// With the least change of the distribution
    Entropy,
}

impl Options {
    /// What was asked for.
    pub fn wishes(&self) -> Result<Wishes> {
        if let Some(percentile) = self.percentile
            && !(50.0..=100.0).contains(&percentile)
        {
            bail!("`--percentile` is {percentile}. Remedy: give a number between 50 and 100, such as 99.99");
        }
        let method = match (self.method, self.percentile) {
            (None | Some(Word::Percentile), Some(percentile)) => Some(Method::Percentile(percentile)),
            (Some(_), Some(_)) => {
                bail!("`--percentile` belongs to `--method percentile`. Remedy: leave one of the two out")
            }
            (Some(Word::Percentile), None) => {
                bail!("`--method percentile` has no share. Remedy: add `--percentile 99.99`")
            }
            (Some(Word::Auto), None) => Some(Method::Auto),
            (Some(Word::MinMax), None) => Some(Method::MinMax),
            (Some(Word::MeanSquare), None) => Some(Method::MeanSquare),
            (Some(Word::Entropy), None) => Some(Method::Entropy),
            (None, None) => None,
        };
        let off = |no: bool| no.then_some(Step::Off);
        Ok(Wishes {
            method,
            equalize: off(self.no_equalize),
            round_weights: off(self.no_round_weights),
            correct_bias: off(self.no_correct_bias),
            samples: self.samples.map(|samples| samples as usize),
        })
    }
}

/// The report in JSON.
#[derive(Debug, Serialize)]
pub struct Quantization {
    samples: usize,
    judged: usize,
    held_out: bool,
    plain_decibels: f64,
    decibels: f64,
    steps: Vec<StepRow>,
    tensors: Vec<TensorRow>,
}

#[derive(Debug, Serialize)]
struct StepRow {
    step: &'static str,
    kept: bool,
    before: f64,
    after: f64,
}

#[derive(Debug, Serialize)]
struct TensorRow {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<String>,
    seen: (f32, f32),
    range: (f32, f32),
    scale: f32,
    zero_point: i32,
}

impl Quantization {
    /// From the compiler's report.
    pub fn new(report: &Report) -> Quantization {
        // JSON has no infinity: what is exact has 999 decibels.
        let finite = |decibels: f64| decibels.clamp(-999.0, 999.0);
        let steps = report.gains.iter().map(|gain| StepRow {
            step: gain.step,
            kept: gain.kept,
            before: finite(gain.before),
            after: finite(gain.after),
        });
        let tensors = report.tensors.iter().map(|tensor| TensorRow {
            name: tensor.name.clone(),
            method: tensor.method.map(|method| method.to_string()),
            seen: tensor.seen,
            range: tensor.range,
            scale: tensor.scale,
            zero_point: tensor.zero_point,
        });
        Quantization {
            samples: report.samples,
            judged: report.judged,
            held_out: report.held_out,
            plain_decibels: finite(report.plain_decibels),
            decibels: finite(report.decibels),
            steps: steps.collect(),
            tensors: tensors.collect(),
        }
    }

    /// For people.
    pub fn write(&self, out: &mut dyn Write, verbose: bool) -> io::Result<()> {
        writeln!(
            out,
            "  signal to quantization noise at the outputs: {:.1} dB; {:.1} dB with min-max ranges and nothing else",
            self.decibels, self.plain_decibels
        )?;
        let judges =
            if self.held_out { "that ranges were not taken from" } else { "that ranges were taken from" };
        writeln!(out, "  {} samples; steps were judged on {} {judges}", self.samples, self.judged)?;
        for step in &self.steps {
            let kept = if step.kept { "kept" } else { "not kept" };
            writeln!(out, "  {:<14} {:>6.1} -> {:>6.1} dB  {kept}", step.step, step.before, step.after)?;
        }
        let mut methods: Vec<(&str, usize)> = Vec::new();
        for tensor in &self.tensors {
            let name = tensor.method.as_deref().unwrap_or("fixed by its function");
            match methods.iter_mut().find(|(known, _)| *known == name) {
                Some((_, count)) => *count += 1,
                None => methods.push((name, 1)),
            }
        }
        let methods: Vec<String> = methods.iter().map(|(name, count)| format!("{count} {name}")).collect();
        writeln!(out, "  ranges: {}", methods.join(", "))?;
        if self.samples < 32 {
            writeln!(out, "  few samples: 100 or more that are like those of use give better ranges")?;
        }
        if verbose {
            for tensor in &self.tensors {
                let method = tensor.method.as_deref().unwrap_or("fixed");
                let ((least, most), (low, high)) = (tensor.seen, tensor.range);
                writeln!(
                    out,
                    "  {:<40} {method:<18} seen {least:.4} to {most:.4}, held {low:.4} to {high:.4}",
                    short(&tensor.name)
                )?;
            }
        }
        Ok(())
    }
}

/// Shows on a bar how far a quantization is.
pub fn show(bar: &ProgressBar) -> impl FnMut(Progress) + use<> {
    let bar = bar.clone();
    move |Progress { stage, done, total }| {
        bar.set_length(total as u64);
        bar.set_position(done as u64);
        bar.set_message(stage);
    }
}

/// The bar.
pub fn bar() -> ProgressBar {
    progress::bar(1, "quantizing")
}
