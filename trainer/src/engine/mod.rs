//! Engines: what can run a model. One trait; each engine in a file of its own.
//!
//! | engine | runs | arithmetic |
//! |---|---|---|
//! | [`teff`] | `.teff`, quantized `.onnx` or `.tflite` (compiled in memory) | the runtime's: integers |
//! | [`exact`] | quantized `.onnx` or `.tflite` | integers; each operator's real result rounded once |
//! | [`float`] | `.onnx`, `.tflite` | 32-bit floating point, the compiler's own evaluator |
//! | [`ort`] | `.onnx`, and `.tflite` as the ONNX file that `trainer export` makes of it | ONNX Runtime's |
//! | [`tract`] | as `ort` | tract's |
//! | [`board`] | as `teff` | the runtime's, on an emulated board |
//!
//! An engine knows single inferences of fixed shapes. [`batch`] brings the arrays of a user to them: matched by name
//! or order, a leading axis of any length, numbers converted.

pub mod batch;
pub mod board;
pub mod exact;
#[cfg(any(feature = "ort", feature = "tract"))]
pub(crate) mod expose;
pub mod float;
#[cfg(feature = "ort")]
pub mod ort;
pub(crate) mod ports;
pub mod teff;
#[cfg(feature = "tract")]
pub mod tract;

use std::path::Path;

use anyhow::{Result, bail};

use crate::arrays::{Array, ElementType};
use crate::model_file;

pub use ::teff::quant::QuantParams as Quant;

/// Which engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Teff's runtime, in integers
    Teff,
    /// Exact arithmetic: what each operator should ideally give
    Exact,
    /// The compiler's evaluator, in floating point
    Float,
    /// ONNX Runtime
    Ort,
    /// tract
    Tract,
}

impl Kind {
    /// The word of the command line.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Teff => "teff",
            Kind::Exact => "exact",
            Kind::Float => "float",
            Kind::Ort => "ort",
            Kind::Tract => "tract",
        }
    }
}

/// How an engine is set up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// ONNX Runtime runs the graph as it is written. With its optimisations it computes much of a quantized network in
    /// floating point.
    pub as_written: bool,
}

/// What a model reads or gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Port {
    /// Name in the model.
    pub name: String,
    /// Sizes of the axes; `None` where any size will do.
    pub shape: Vec<Option<usize>>,
    /// Type of the numbers.
    pub element_type: ElementType,
    /// How real numbers become the int8 that the model computes with, where it does. A port of type uint8 has the
    /// int8 numbers plus 128.
    pub quant: Option<Quant>,
}

/// A loaded model.
pub trait Engine {
    /// What the model reads, in its order.
    fn inputs(&self) -> &[Port];

    /// What the model gives, in its order.
    fn outputs(&self) -> &[Port];

    /// How many examples are best given at once.
    fn chunk(&self) -> usize {
        64
    }

    /// Runs one inference per example. An example has one array per input, of the port's type and shape; the result
    /// has one array per output.
    fn run(&mut self, examples: &[Vec<Array>]) -> Result<Vec<Vec<Array>>>;
}

/// Loads a model.
///
/// # Errors
/// The engine is not built in, cannot read the model, or lacks an operator.
pub fn load(kind: Kind, model: &Path, options: &Options) -> Result<Box<dyn Engine>> {
    if kind != Kind::Teff && model_file::is_plan(model) {
        bail!(
            "{}: is a plan, which only `--engine teff` runs. Remedy: give the file that it was compiled from",
            model.display()
        );
    }
    #[cfg(not(feature = "ort"))]
    let _ = options;
    Ok(match kind {
        Kind::Teff => Box::new(teff::Teff::load(model)?),
        Kind::Exact => Box::new(exact::Exact::load(model)?),
        Kind::Float => Box::new(float::Float::load(model)?),
        #[cfg(feature = "ort")]
        Kind::Ort => Box::new(ort::Ort::load(model, options)?),
        #[cfg(feature = "tract")]
        Kind::Tract => Box::new(tract::Tract::load(model)?),
        #[allow(unreachable_patterns, reason = "reachable without the engines' features")]
        absent => bail!(
            "this `trainer` was built without the engine `{0}`. Remedy: build it with `--features {0}`",
            absent.name()
        ),
    })
}

/// What to do where an engine refuses a file.
#[cfg(any(feature = "ort", feature = "tract"))]
const WHAT_NOW: &str = "Remedy: fetch or export the file again if it is damaged; where `trainer inspect` reads it, use \
                        another engine";

/// How a quantized number becomes a real one, as people write it: `real = 0.5 × (q + 3)`.
pub fn quant_text(scale: f32, zero_point: i8) -> String {
    let (sign, size) =
        if zero_point < 0 { ('+', -i16::from(zero_point)) } else { ('−', i16::from(zero_point)) };
    format!("real = {scale} × (q {sign} {size})")
}

/// A shape as people write it: `[?, 3, 28]`.
pub fn shape_text(shape: &[Option<usize>]) -> String {
    let sizes: Vec<String> =
        shape.iter().map(|size| size.map_or_else(|| "?".to_string(), |size| size.to_string())).collect();
    format!("[{}]", sizes.join(", "))
}
