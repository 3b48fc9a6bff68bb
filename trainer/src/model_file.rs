//! Model files that a user names: reading them, and what they say about themselves.

use std::collections::BTreeMap;
use std::path::Path;
use teff_compiler::onnx::{self, metadata};

use anyhow::Result;
use teff::Model;
use teff::plan::file::ModelFile;
use teff_compiler::graph::Graph;
use teff_compiler::{Compiled, Format, Options, Target};

use crate::engine::ports;
use crate::error::InputError;

/// The bytes of a file.
pub fn read(model: &Path) -> Result<Vec<u8>> {
    Ok(std::fs::read(model).map_err(|error| InputError::unreadable(model, &error))?)
}

/// The graph of a model file, ONNX or TensorFlow Lite.
pub fn import(model: &Path) -> Result<Graph> {
    let bytes = read(model)?;
    Ok(teff_compiler::import(&bytes).map_err(|error| error.in_file(model))?)
}

/// The model as an ONNX file: its own bytes, or those of the same network where the file is of another format.
pub fn as_onnx(model: &Path) -> Result<Vec<u8>> {
    let bytes = read(model)?;
    match Format::of(&bytes) {
        Format::Onnx => Ok(bytes),
        Format::Tflite => {
            let exported = teff_compiler::import(&bytes).and_then(|graph| onnx::export(&graph));
            Ok(exported.map_err(|error| error.in_file(model))?)
        }
    }
}

/// Compiles a quantized model file.
///
/// # Errors
/// The file is a float model, damaged, or has a node that cannot run in integers.
pub fn compile(model: &Path, target: Target) -> Result<Compiled> {
    compile_with(model, target, &Options::default())
}

/// As [`compile`], with wishes.
///
/// # Errors
/// As [`compile`]; a budget is too small.
pub fn compile_with(model: &Path, target: Target, options: &Options) -> Result<Compiled> {
    Ok(teff_compiler::compile_with(&read(model)?, target, options).map_err(|error| error.in_file(model))?)
}

/// Opens a plan.
pub fn open_plan(model: &Path) -> Result<ModelFile> {
    plan_from_bytes(model, &read(model)?)
}

/// Opens the bytes of a plan; `model` is for messages.
pub fn plan_from_bytes(model: &Path, plan: &[u8]) -> Result<ModelFile> {
    ModelFile::from_bytes(plan).map_err(|error| {
        InputError::new(
            model,
            format!("cannot be opened: {error}"),
            "compile it again with `trainer compile`",
        )
        .into()
    })
}

/// Whether the file is a compiled plan, by its name.
pub fn is_plan(model: &Path) -> bool {
    model.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("teff"))
}

/// What a model says about itself, whether it is a model file or a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    metadata: BTreeMap<String, String>,
    inputs: Vec<Input>,
}

#[derive(Debug, Clone, PartialEq)]
struct Input {
    shape: Vec<Option<usize>>,
    /// Index in the file's tensor of each element in the order `[h, w, c]`.
    order: Vec<usize>,
}

impl Facts {
    /// Reads them from a file.
    ///
    /// # Errors
    /// The file cannot be read or imported.
    pub fn read(model: &Path) -> Result<Facts> {
        if is_plan(model) {
            Ok(Facts::of_plan(&open_plan(model)?.model()).map_err(|problem| {
                InputError::new(model, problem, "compile it again with `trainer compile`")
            })?)
        } else {
            Ok(Facts::of_graph(&import(model)?))
        }
    }

    /// Those of a plan.
    ///
    /// # Errors
    /// What is wrong with its metadata.
    pub fn of_plan(plan: &Model<'_>) -> Result<Facts, String> {
        let metadata = plan.metadata().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let wires = ports::wires(plan, ports::Direction::In)?;
        let inputs =
            wires.into_iter().map(|wire| Input { shape: wire.port.shape, order: wire.nhwc }).collect();
        Ok(Facts { metadata, inputs })
    }

    /// Those of a graph.
    pub fn of_graph(graph: &Graph) -> Facts {
        let input = |port: &teff_compiler::graph::Port| Input {
            shape: port.shape.iter().map(|&size| Some(size)).collect(),
            order: port.order(),
        };
        Facts { metadata: graph.metadata.clone(), inputs: graph.inputs.iter().map(input).collect() }
    }

    /// The value of a metadata key.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// Names of the classes; empty where the model has none.
    pub fn labels(&self) -> Vec<String> {
        self.metadata(metadata::LABELS)
            .map(|text| text.lines().map(str::to_string).collect())
            .unwrap_or_default()
    }

    /// Shape of an input in the model file.
    pub fn input_shape(&self, index: usize) -> &[Option<usize>] {
        self.inputs.get(index).map_or(&[], |input| &input.shape)
    }

    /// For each number of an input in the order `[h, w, c]`, its index in the file's tensor.
    pub fn input_order(&self, index: usize) -> Option<&[usize]> {
        self.inputs.get(index).map(|input| input.order.as_slice())
    }
}

/// A metadata line for people: of a long list, how many numbers it has.
pub fn brief(line: &str) -> String {
    const MOST: usize = 8;
    let short = |pair: &str| match pair.split_once('=') {
        Some((key, list)) if list.split(',').count() > MOST => {
            format!("{key}=({} numbers)", list.split(',').count())
        }
        _ => pair.to_string(),
    };
    line.split(' ').map(short).collect::<Vec<String>>().join(" ")
}
