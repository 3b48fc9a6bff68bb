//! How near the runtime's operators are to exact arithmetic, beside the rounding rules of the field: what
//! `docs/conformance.md` shows.

mod page;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use teff_compiler::Target;
use teff_compiler::evaluate::exact::{Exact, Rule};

use crate::arrays::{self, Named};
use crate::compare::operators::{APART, Operators};
use crate::compare::reference::{Values, input_values, real};
use crate::compare::{Examples, compare};
use crate::engine::teff::Teff;
use crate::engine::{Engine, Kind, batch};
use crate::error::InputError;
use crate::metrics::argmax;
use crate::model_file;

pub use page::{EXACT_BEGIN, EXACT_END, page};

/// Elements that differ, and by how much.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Differing {
    /// How many.
    pub elements: u64,
    /// Largest difference in units of the last bit.
    pub largest_lsb: u32,
}

impl Differing {
    fn add(&mut self, a: i8, b: i8) {
        self.elements += u64::from(a != b);
        self.largest_lsb = self.largest_lsb.max(u32::from(a.abs_diff(b)));
    }
}

/// One kind of operator, in one model or in all of them, each operator fed the exact integers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Operator {
    /// Elements compared.
    pub elements: u64,
    /// Elements whose real result lies in the middle between two integers.
    pub ties: u64,
    /// The runtime against exact arithmetic.
    pub teff: Differing,
    /// gemmlowp's double rounding against exact arithmetic.
    pub double: Differing,
    /// The single rounding of TensorFlow Lite against exact arithmetic.
    pub single: Differing,
    /// ONNX Runtime's 32-bit floating point against exact arithmetic.
    pub float: Differing,
}

impl Operator {
    fn merge(&mut self, other: &Operator) {
        self.elements += other.elements;
        self.ties += other.ties;
        let mine = [&mut self.teff, &mut self.double, &mut self.single, &mut self.float];
        for (mine, other) in mine.into_iter().zip([other.teff, other.double, other.single, other.float]) {
            mine.elements += other.elements;
            mine.largest_lsb = mine.largest_lsb.max(other.largest_lsb);
        }
    }
}

/// A network end to end, against recorded outputs of another engine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EndToEnd {
    /// Name of the array in the file beside the model.
    pub reference: String,
    /// Outputs compared.
    pub elements: u64,
    /// Outputs that differ, and the largest difference in steps of the output.
    pub differing: Differing,
    /// Examples with the same first place.
    pub same_first: u64,
    /// Examples.
    pub examples: u64,
}

/// An example in which all recorded outputs have one first place and the runtime has another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Flip {
    /// Number of the example, from 0.
    pub example: usize,
    /// First place of the runtime, from 0.
    pub ours: usize,
    /// First place of the recorded outputs.
    pub theirs: usize,
    /// How many steps of the output the score of `ours` lies above that of `theirs`, by engine: the runtime, exact
    /// arithmetic, each recorded output.
    pub ahead: Vec<(String, i64)>,
    /// Operators of the runtime whose result is not the exact one in this example, each fed exact integers: its name,
    /// elements that differ, and how many of them are ties.
    pub operators: Vec<(&'static str, u64, u64)>,
}

/// ONNX Runtime on the graph as it is written, each operator of the runtime fed its integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct OnnxRuntime {
    /// Elements compared.
    pub elements: u64,
    /// Elements in which the runtime differs.
    pub differing: Differing,
}

/// What was measured on one model.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelConformance {
    /// Name of the file.
    pub model: String,
    /// Kinds of operators, by name.
    pub operators: BTreeMap<&'static str, Operator>,
    /// Against recorded outputs.
    pub end_to_end: Vec<EndToEnd>,
    /// Examples in which all recorded outputs have the same first place and the runtime has another.
    pub flips: Vec<Flip>,
    /// Where ONNX Runtime is there and runs the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub onnx_runtime: Option<OnnxRuntime>,
}

/// Arrays that other engines' outputs are recorded under.
const REFERENCES: [&str; 8] = [
    "y_ref",
    "y_builtin",
    "y_xnnpack",
    "y_tflm",
    "y_ort_off",
    "y_ort_all",
    "y_tflite_ref",
    "y_onnx_reference",
];

/// The model files of a folder, by name: ONNX and TensorFlow Lite.
///
/// # Errors
/// The folder cannot be read, or holds none.
pub fn model_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|error| InputError::unreadable(folder, &error))?;
    let is_model = |path: &PathBuf| {
        path.extension().is_some_and(|e| e.eq_ignore_ascii_case("onnx") || e.eq_ignore_ascii_case("tflite"))
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_model).collect();
    files.sort();
    if files.is_empty() {
        return Err(
            InputError::new(folder, "holds no model", "name a folder with .onnx or .tflite files").into()
        );
    }
    Ok(files)
}

/// Measures a quantized model on the arrays beside it; nothing for other models, or where there are no arrays.
///
/// # Errors
/// The arrays do not fit the model.
pub fn measure(model: &Path, with_onnx_runtime: bool) -> Result<Option<ModelConformance>> {
    let file = model.with_extension("npz");
    let bytes = model_file::read(model)?;
    let compiled = teff_compiler::compile_with(&bytes, Target::Generic, &APART);
    let (Ok(compiled), true) = (compiled, file.is_file()) else { return Ok(None) };
    let graph = teff_compiler::compile::import_quantized(&bytes).map_err(|error| error.in_file(model))?;
    let mut exact = Exact::new(&graph).map_err(|error| error.in_file(model))?;
    let operators = Operators::new(model, &compiled, &graph)?;
    let mut engine = Teff::from_plan(&compiled.plan, model)?;
    let arrays = arrays::read(&file)?;
    let examples = batch::examples(engine.inputs(), &arrays, &file)?;

    let producers = graph.producers();
    let mut sums: BTreeMap<&'static str, Operator> = BTreeMap::new();
    let mut ideals = Vec::new();
    let mut differing = Vec::new();
    for example in &examples {
        let inputs = input_values(&graph, example)?;
        let given: Vec<&[i8]> = graph
            .inputs
            .iter()
            .filter_map(|port| inputs.get(&graph.value(port.value).name).map(Vec::as_slice))
            .collect();
        exact.run(&given)?;
        ideals.extend(graph.outputs.first().map(|port| port.to_onnx(exact.value(port.value))));
        let mut known = Values::new();
        for id in graph.value_ids().filter(|&id| !graph.value(id).is_constant()) {
            known.insert(graph.value(id).name.clone(), exact.value(id).to_vec());
        }
        let mut fault = None;
        let mut here = Vec::new();
        operators.alone(&known, |at, given| {
            let Some(value) = graph.find_value(&compiled.report.layers[at].output_name) else { return };
            let Some(node) = producers[value.index()] else { return };
            let operands: Vec<&[i8]> = graph.nodes[node].inputs.iter().map(|&id| exact.value(id)).collect();
            let outcomes = Rule::ALL.map(|rule| exact.run_node(node, &operands, rule));
            let [Ok(ideal), Ok(double), Ok(single), Ok(float)] = outcomes else {
                fault = Some(anyhow::anyhow!("`{}` cannot be computed exactly", graph.nodes[node].name));
                return;
            };
            let sum = sums.entry(graph.nodes[node].op.name()).or_default();
            sum.elements += ideal.integers.len() as u64;
            sum.ties += ideal.ties.iter().filter(|tie| **tie).count() as u64;
            let differs = |i: &usize| given[*i] != ideal.integers[*i];
            let differ = || (0..ideal.integers.len()).filter(differs);
            if differ().count() > 0 {
                let ties = differ().filter(|&i| ideal.ties[i]).count() as u64;
                here.push((graph.nodes[node].op.name(), differ().count() as u64, ties));
            }
            for (i, &q) in ideal.integers.iter().enumerate() {
                sum.teff.add(given[i], q);
                sum.double.add(double.integers[i], q);
                sum.single.add(single.integers[i], q);
                sum.float.add(float.integers[i], q);
            }
        })?;
        fault.map_or(Ok(()), Err)?;
        differing.push(here);
    }
    let (end_to_end, mut flips) = end_to_end(&mut engine, &examples, &arrays, &ideals)?;
    for flip in &mut flips {
        flip.operators.append(&mut differing[flip.example]);
    }
    let onnx_runtime = with_onnx_runtime.then(|| against_onnx_runtime(model, &arrays, &file)).flatten();
    let name = model.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Some(ModelConformance { model: name, operators: sums, end_to_end, flips, onnx_runtime }))
}

/// The runtime's outputs against those that are recorded, and where its first place is another than theirs although they
/// all agree. `ideals` are the outputs of exact arithmetic.
fn end_to_end(
    engine: &mut Teff,
    examples: &[Vec<arrays::Array>],
    arrays: &[Named],
    ideals: &[Vec<i8>],
) -> Result<(Vec<EndToEnd>, Vec<Flip>)> {
    let port = engine.outputs().first().context("the model has no output")?.clone();
    let results = engine.run(examples)?;
    let ours: Vec<Vec<f64>> =
        results.iter().filter_map(|outputs| outputs.first()).map(|output| real(output, &port)).collect();
    let scale = f64::from(port.quant.map_or(1.0, |quant| quant.scale));
    let mut ends = Vec::new();
    // For each example the recorded outputs, by name.
    let mut recorded: Vec<Vec<(&str, Vec<f64>)>> = vec![Vec::new(); ours.len()];
    for reference in REFERENCES {
        let Some(Named { array, .. }) = arrays.iter().find(|named| named.name == reference) else { continue };
        let numbers = real(array, &port);
        let len = ours.first().map_or(0, Vec::len);
        if len == 0 || numbers.len() != len * ours.len() {
            continue;
        }
        let mut end = EndToEnd {
            reference: reference.to_string(),
            elements: numbers.len() as u64,
            differing: Differing::default(),
            same_first: 0,
            examples: ours.len() as u64,
        };
        for (at, (ours, theirs)) in ours.iter().zip(numbers.chunks_exact(len)).enumerate() {
            for (a, b) in ours.iter().zip(theirs) {
                let steps = libm::round((a - b).abs() / scale) as u32;
                end.differing.elements += u64::from(steps > 0);
                end.differing.largest_lsb = end.differing.largest_lsb.max(steps);
            }
            end.same_first += u64::from(argmax(ours) == argmax(theirs));
            recorded[at].push((reference, theirs.to_vec()));
        }
        ends.push(end);
    }
    let mut flips = Vec::new();
    for (example, (values, recorded)) in ours.iter().zip(&recorded).enumerate() {
        let Some(theirs) = recorded.first().map(|(_, theirs)| argmax(theirs)) else { continue };
        let ours = argmax(values);
        if ours == theirs || recorded.iter().any(|(_, other)| argmax(other) != theirs) {
            continue;
        }
        let ahead = |values: &[f64]| libm::round((values[ours] - values[theirs]) / scale) as i64;
        let mut all = vec![("Teff".to_string(), ahead(values))];
        let ideal =
            ideals.get(example).and_then(|ideal| ideal.get(ours).copied().zip(ideal.get(theirs).copied()));
        all.extend(ideal.map(|(ours, theirs)| ("exact".to_string(), i64::from(ours) - i64::from(theirs))));
        all.extend(recorded.iter().map(|(name, values)| (name.to_string(), ahead(values))));
        flips.push(Flip { example, ours, theirs, ahead: all, operators: Vec::new() });
    }
    Ok((ends, flips))
}

fn against_onnx_runtime(model: &Path, arrays: &[Named], file: &Path) -> Option<OnnxRuntime> {
    let compared = compare(model, Kind::Ort, None, &Examples { arrays, file }).ok()?;
    let mut result = OnnxRuntime { elements: 0, differing: Differing::default() };
    for layer in &compared.layers {
        result.elements += layer.elements;
        result.differing.elements += layer.differing;
        result.differing.largest_lsb = result.differing.largest_lsb.max(layer.largest_lsb);
    }
    Some(result)
}

/// All models of a folder together, by kind of operator.
pub fn total(models: &[ModelConformance]) -> BTreeMap<&'static str, Operator> {
    let mut total: BTreeMap<&'static str, Operator> = BTreeMap::new();
    for (kind, operator) in models.iter().flat_map(|model| &model.operators) {
        total.entry(kind).or_default().merge(operator);
    }
    total
}
