//! A classifier on a data set: samples through the model's own front end, its scores against the labels.

use std::path::Path;
use teff_compiler::onnx::metadata;

use anyhow::{Context, Result, bail};
use teff_compiler::front_end::{Extractor, FrontEndConfig};

use crate::arrays::{Array, ElementType};
use crate::dataset::{DataSet, Example, Samples, Split};
use crate::engine::{Engine, Port, batch};
use crate::error::InputError;
use crate::metrics::{Confusion, argmax};
use crate::model_file::Facts;
use crate::recipe::Data;

/// Computes a model's input from samples, as the device does.
#[derive(Debug)]
pub struct Inputs {
    extractor: Extractor,
    /// Index in the model's own layout of each feature.
    order: Vec<usize>,
    port: Port,
}

impl Inputs {
    /// For the first input of a model, which must be its only one.
    ///
    /// # Errors
    /// The model does not say what its front end is, or has an input of another size.
    pub fn new(model: &Path, facts: &Facts, inputs: &[Port]) -> Result<Inputs> {
        let [port] = inputs else {
            bail!(InputError::new(
                model,
                format!("has {} inputs; a front end computes one", inputs.len()),
                "evaluate its outputs with `trainer run`",
            ));
        };
        let line = facts.metadata(metadata::FRONT_END).ok_or_else(|| {
            InputError::new(
                model,
                "does not say how its input is computed from samples (no metadata key `teff.front_end`)",
                "export it with `trainer export`, or give the features to `trainer run`",
            )
        })?;
        let config = FrontEndConfig::parse(line).map_err(|error| error.in_file(model))?;
        let extractor = match port.quant {
            Some(quant) => Extractor::for_model(&config, quant.scale, quant.zero_point),
            None => Extractor::new(&config),
        }
        .map_err(|error| error.in_file(model))?;
        let order = facts.input_order(0).context("the model's input has no known layout")?.to_vec();
        let features: usize = extractor.shape().iter().product();
        if order.len() != features {
            bail!(InputError::new(
                model,
                format!("has an input of {} numbers, but its front end computes {features}", order.len()),
                "export the model again",
            ));
        }
        let port = Port { shape: facts.input_shape(0).to_vec(), ..port.clone() };
        Ok(Inputs { extractor, order, port })
    }

    /// The input for one example: what the device computes where the model takes int8, real features otherwise.
    pub fn of(&mut self, example: &Example) -> Result<Array> {
        let shape: Vec<usize> = self.port.shape.iter().map(|size| size.unwrap_or(1)).collect();
        let failed = || format!("{}: no features", example.source);
        if self.port.element_type == ElementType::I8 {
            let features = match &example.samples {
                Samples::U8(pixels) => self.extractor.quantized_pixels(pixels),
                Samples::I16(samples) => self.extractor.quantized(samples),
            };
            Ok(Array::i8(&shape, self.in_order(&features.with_context(failed)?)))
        } else {
            let features = match &example.samples {
                Samples::U8(pixels) => self.extractor.pixels(pixels),
                Samples::I16(samples) => self.extractor.features(samples),
            };
            let array = Array::f32(&shape, self.in_order(&features.with_context(failed)?));
            batch::convert(&self.port, &array).map_err(anyhow::Error::msg)
        }
    }

    fn in_order<T: Copy + Default>(&self, features: &[T]) -> Vec<T> {
        let mut numbers = vec![T::default(); features.len()];
        for (&feature, &index) in features.iter().zip(&self.order) {
            numbers[index] = feature;
        }
        numbers
    }
}

/// What came of one example.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decided {
    /// Its class.
    pub truth: usize,
    /// The class with the highest score.
    pub decided: usize,
}

/// Runs a model on the examples of one split.
///
/// # Errors
/// The model's labels are not those of the data set, or an example cannot be run.
pub fn evaluate(
    model: &Path,
    facts: &Facts,
    engine: &mut dyn Engine,
    set: &DataSet,
    split: Split,
    mut progress: impl FnMut(usize),
) -> Result<Vec<Decided>> {
    let labels = facts.labels();
    if !labels.is_empty() && labels != set.labels {
        bail!(InputError::new(
            model,
            format!("has the labels {}, the data set {}", labels.join(", "), set.labels.join(", ")),
            "give the data set that the model was trained for",
        ));
    }
    let scores = scores_output(model, engine, set.labels.len())?;
    let mut inputs = Inputs::new(model, facts, engine.inputs())?;
    let examples: Vec<&Example> = set.of(split).collect();
    let mut decided = Vec::with_capacity(examples.len());
    for chunk in examples.chunks(engine.chunk()) {
        let arrays =
            chunk.iter().map(|example| Ok(vec![inputs.of(example)?])).collect::<Result<Vec<Vec<Array>>>>()?;
        for (example, outputs) in chunk.iter().zip(engine.run(&arrays)?) {
            decided.push(Decided { truth: example.label, decided: argmax(&outputs[scores].to_f64()) });
        }
        progress(chunk.len());
    }
    Ok(decided)
}

/// Refuses data of which it is not said what is normal, with a model that says how unusual a signal is.
pub fn check_normal(model: &Path, data: &Data) -> Result<()> {
    if data.normal.is_empty() {
        bail!(InputError::new(
            model,
            "says how unusual a signal is, but its data set does not say which labels are normal",
            "name a recipe with `normal` in [data] by `--recipe`",
        ));
    }
    Ok(())
}

/// Counts what was decided.
pub fn confusion(decided: &[Decided], classes: usize) -> Confusion {
    let mut confusion = Confusion::new(classes);
    for example in decided {
        confusion.add(example.truth, example.decided);
    }
    confusion
}

/// The first output with one number per class.
fn scores_output(model: &Path, engine: &dyn Engine, classes: usize) -> Result<usize> {
    let len = |port: &Port| port.shape.iter().map(|size| size.unwrap_or(1)).product::<usize>();
    let found = engine.outputs().iter().position(|port| len(port) == classes);
    found.ok_or_else(|| {
        InputError::new(
            model,
            format!("has no output of {classes} numbers, one for each class of the data set"),
            "give the data set that the model was trained for",
        )
        .into()
    })
}
