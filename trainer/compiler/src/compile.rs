//! A model file's bytes to plan bytes.

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::lower::{Compiled, lower_with};
use crate::options::Options;
use crate::target::Target;
use crate::{passes, source};

/// Compiles a quantized model file, ONNX or TensorFlow Lite. The plan depends on the bytes and the target alone.
///
/// # Errors
/// The file is damaged or not quantized, or a node cannot run in integers; the error names the node, the reason and
/// the remedy.
pub fn compile(model: &[u8], target: Target) -> Result<Compiled> {
    compile_with(model, target, &Options::default())
}

/// As [`compile`], with wishes: the plan depends on them too.
///
/// # Errors
/// As [`compile`]; a budget is too small.
pub fn compile_with(model: &[u8], target: Target, options: &Options) -> Result<Compiled> {
    let graph = import_quantized(model)?;
    lower_with(&graph, target, options, Sha256::digest(model).into())
}

/// The graph of a quantized model file, simplified: what [`compile`] lowers.
///
/// # Errors
/// The file is damaged or not quantized.
pub fn import_quantized(model: &[u8]) -> Result<Graph> {
    let mut graph = source::import(model)?;
    passes::simplify(&mut graph);
    if !graph.has_integers() {
        // A model whose scales are found while it runs says so.
        if let Some(note) = graph.notes.iter().find(|note| note.contains("DynamicQuantizeLinear")) {
            return Err(Error::model(format!("plans run in integers with fixed scales: {note}")));
        }
        return Err(Error::model("the model is a float model, and plans run in integers")
            .remedy("quantize it with `trainer quantize` or `trainer export --calibrate`"));
    }
    Ok(graph)
}
