//! From a float graph and samples to a quantized graph.
//!
//! ```text
//! float graph ─ equalize ─ observe ─> histograms ─ choose ─> a quantization per group of values
//!                                                               │
//!                                    quantized graph <─ walk: weights, biases
//! ```
//!
//! What each step does, with formulas and sources, stands in the files of the steps and in `docs/quantization.md`. Everything
//! is computed in a fixed order with the pure-Rust `libm`: the same graph and samples give the same integers everywhere,
//! whatever the number of threads.

mod calibrate;
mod criterion;
mod equalize;
mod feedback;
mod groups;
mod histogram;
mod layer;
mod parallel;
mod range;
mod report;
mod search;
mod settle;
mod sweep;
#[cfg(test)]
mod tests;

pub use calibrate::{Observed, Sample, observe};
pub use groups::activation_quant;
pub use histogram::Histogram;
pub use range::{Method, range};
pub use report::{Gain, Report, Tensor};
pub use settle::{Progress, quantize_with};

use crate::error::Result;
use crate::graph::Graph;

/// How a graph is quantized.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// How the ranges of activations are chosen.
    pub method: Method,
    /// Evens out channels between consecutive layers.
    pub equalize: Step,
    /// Rounds the weights of a channel for the smallest error of its sums, not each to the nearest.
    pub round_weights: Step,
    /// Takes the mean error of each channel off its bias.
    pub correct_bias: Step,
}

/// Whether a step is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Step {
    /// Where it lowers the error that is measured.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            method: Method::Auto,
            equalize: Step::Auto,
            round_weights: Step::Auto,
            correct_bias: Step::Auto,
        }
    }
}

impl Settings {
    /// Ranges by one method, weights to the nearest, and nothing else.
    pub fn plain(method: Method) -> Settings {
        Settings { method, equalize: Step::Off, round_weights: Step::Off, correct_bias: Step::Off }
    }
}

/// A quantized graph, and what was done to get it.
#[derive(Debug, Clone)]
pub struct Quantized {
    /// The graph.
    pub graph: Graph,
    /// What was done.
    pub report: Report,
}

/// Calibrates a float graph on samples and quantizes it by [`Settings::plain`]. Each sample holds one array per input, in
/// the order of the input's value, `[h, w, c]`. The graph is simplified first.
///
/// # Errors
/// When there is no sample, a sample does not fit, or the graph cannot be quantized.
pub fn quantize<'s>(
    graph: &Graph,
    samples: impl IntoIterator<Item = Vec<&'s [f32]>>,
    method: Method,
) -> Result<Graph> {
    let samples: Vec<Sample<'s>> = samples.into_iter().collect();
    settle::plain(graph, &samples, method)
}
