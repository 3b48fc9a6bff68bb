//! Layer by layer: what the runtime makes of a reference's own integers, and how far they are from the network in
//! floating point.
//!
//! Every operator of the plan is given the integers that the reference computed before it, so that differences do not
//! add up: each one is the operator's own. Beside it stands the chain, in which they do.

mod align;
pub(crate) mod operators;
mod real;
pub(crate) mod reference;
mod sums;

use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use teff_compiler::graph::Graph;
use teff_compiler::{Target, passes};

use crate::arrays::Named;
use crate::engine::teff::Teff;
use crate::engine::{Engine, Kind, batch};
use crate::metrics::argmax;
use crate::model_file;
use operators::{APART, Operators};
use real::{FloatModel, Real};
use reference::{Reference, input_values};
use sums::Sums;

/// How one layer differs from the reference and from floating point, over all examples.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerDifference {
    /// Position in the order of execution.
    pub index: usize,
    /// Name of the node in the model file.
    pub name: String,
    /// What is computed.
    pub operator: &'static str,
    /// Elements compared.
    pub elements: u64,
    /// Elements that differ from the reference's.
    pub differing: u64,
    /// Their share.
    pub differing_share: f64,
    /// Largest difference in units of the output's last bit.
    pub largest_lsb: u32,
    /// Signal-to-noise ratio against the reference's integers, in decibels; absent where nothing differs.
    pub snr_db: Option<f64>,
    /// The operator alone against floating point, on the reference's integers.
    pub own: FloatDifference,
    /// The runtime against floating point, both from the inputs on.
    pub chained: FloatDifference,
    /// The runtime against the float model, where one is given and this layer has a counterpart in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub float: Option<FloatLayer>,
    /// Decibels that the chain loses here: between the worst of its operands and its result.
    pub loss_db: Option<f64>,
}

/// How far integers are from real numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FloatDifference {
    /// Signal-to-quantization-noise ratio in decibels; absent where nothing differs, or all is zero.
    pub snr_db: Option<f64>,
    /// Largest difference of real numbers.
    pub largest: f64,
    /// The same in steps of the output.
    pub largest_steps: f64,
}

/// A layer's counterpart in the float model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FloatLayer {
    /// Name of the counterpart's result.
    pub name: String,
    /// Whether one factor per channel was taken out before comparing, as equalization puts in.
    pub rescaled: bool,
    /// How far apart they are.
    #[serde(flatten)]
    pub difference: FloatDifference,
}

/// How an output of the whole network differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OutputDifference {
    /// Name of the output.
    pub name: String,
    /// Largest difference of real numbers.
    pub largest_difference: f64,
    /// Share of examples whose largest number stands at the same place.
    pub top1_agreement: f64,
}

/// The whole comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Examples that were run.
    pub examples: usize,
    /// Largest difference of any operator, in units of its output's last bit.
    pub largest_lsb: u32,
    /// Operators in the order of execution.
    pub layers: Vec<LayerDifference>,
    /// Operators for which the reference shows no integers, by name of their node.
    pub not_compared: Vec<String>,
    /// The network end to end, against the reference.
    pub outputs: Vec<OutputDifference>,
    /// The network end to end, against the float model.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub float_outputs: Vec<OutputDifference>,
}

/// The arrays that a user gave, before they are brought to the model's inputs.
#[derive(Debug)]
pub struct Examples<'a> {
    /// The arrays.
    pub arrays: &'a [Named],
    /// Their file.
    pub file: &'a Path,
}

/// Compares the runtime with a reference and with floating point: that of the model itself, without rounding, and that
/// of the float model which it came from, where that is given.
///
/// # Errors
/// The model is not quantized, the reference cannot show its integers, or the float model is another one.
pub fn compare(
    model: &Path,
    reference: Kind,
    float: Option<&Path>,
    examples: &Examples<'_>,
) -> Result<Comparison> {
    let bytes = match reference {
        // They read ONNX only.
        Kind::Ort | Kind::Tract => model_file::as_onnx(model)?,
        _ => model_file::read(model)?,
    };
    let in_file = |error: teff_compiler::Error| error.in_file(model);
    let compiled = teff_compiler::compile_with(&bytes, Target::Generic, &APART).map_err(in_file)?;
    let graph = teff_compiler::compile::import_quantized(&bytes).map_err(in_file)?;
    let mut engine = Teff::from_plan(&compiled.plan, model)?;
    let given = batch::examples(engine.inputs(), examples.arrays, examples.file)?;
    let mut reference = Reference::new(reference, &bytes, &graph, model)?;
    let operators = Operators::new(model, &compiled, &graph)?;

    let real_graph = real::without_rounding(&graph);
    let mut real = Real::new(&real_graph)?;
    let real_given = real::real_examples(&real_graph, engine.inputs(), examples.arrays, examples.file)?;
    let float_graph = float.map(import_simplified).transpose()?;
    let mut float_model = match (&float_graph, float) {
        (Some(float_graph), Some(file)) => {
            let given = real::real_examples(float_graph, engine.inputs(), examples.arrays, examples.file)?;
            Some((FloatModel::new(float_graph, &graph, file)?, given))
        }
        _ => None,
    };

    let mut sums = Sums::new(&graph, &compiled.report.layers);
    let mut ends = vec![End::default(); engine.outputs().len()];
    let mut float_ends = ends.clone();
    for (index, example) in given.iter().enumerate() {
        let known = reference.values(&graph, engine.inputs(), example)?;
        let mut fault = None;
        operators.alone(&known, |at, given| {
            let added = sums.add_alone(at, given, &known, &mut real);
            fault = fault.take().or(added.err());
        })?;
        fault.map_or(Ok(()), Err)?;

        real.run(&real_given[index])?;
        let float = match &mut float_model {
            Some((float, given)) => {
                float.run(&given[index])?;
                Some(&*float)
            }
            None => None,
        };
        let inputs = input_values(&graph, example)?;
        sums.add_inputs(&inputs, &real, float);
        operators.chained(&inputs, |at, given| sums.add_chained(at, given, &real, float))?;

        let ours = engine.run(std::slice::from_ref(example))?.remove(0);
        let theirs = reference.outputs(&graph)?;
        for (at, port) in graph.outputs.iter().enumerate() {
            let ours = reference::real(&ours[at], &engine.outputs()[at]);
            ends[at].add(&ours, &theirs[at]);
            if let Some((_, numbers)) = float.and_then(|float| float.find(port.value)) {
                let theirs: Vec<f64> = port.to_onnx(numbers).iter().map(|&x| f64::from(x)).collect();
                float_ends[at].add(&ours, &theirs);
            }
        }
    }
    let names: Vec<String> = engine.outputs().iter().map(|port| port.name.clone()).collect();
    let not_compared = sums.not_compared();
    let layers = sums.finish(float_model.as_ref().map(|(float, _)| float));
    let of = |ends: &[End]| -> Vec<OutputDifference> {
        let seen = names.iter().zip(ends).filter(|(_, end)| end.examples > 0);
        seen.map(|(name, end)| end.finish(name)).collect()
    };
    Ok(Comparison {
        examples: given.len(),
        largest_lsb: layers.iter().map(|layer| layer.largest_lsb).max().unwrap_or(0),
        not_compared,
        outputs: of(&ends),
        float_outputs: of(&float_ends),
        layers,
    })
}

/// The graph of a float model, simplified as a quantized one is.
fn import_simplified(file: &Path) -> Result<Graph> {
    let mut graph = model_file::import(file)?;
    passes::simplify(&mut graph);
    Ok(graph)
}

/// Differences of an output of the network so far.
#[derive(Debug, Clone, Default)]
struct End {
    largest: f64,
    agreeing: usize,
    examples: usize,
}

impl End {
    fn add(&mut self, ours: &[f64], theirs: &[f64]) {
        let differences = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs());
        self.largest = differences.fold(self.largest, f64::max);
        self.agreeing += usize::from(argmax(ours) == argmax(theirs));
        self.examples += 1;
    }

    fn finish(&self, name: &str) -> OutputDifference {
        OutputDifference {
            name: name.to_string(),
            largest_difference: self.largest,
            top1_agreement: self.agreeing as f64 / self.examples.max(1) as f64,
        }
    }
}
