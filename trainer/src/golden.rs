//! Golden vectors: generated inputs with the outputs that the runtime gave for them, in quantized units.
//!
//! The file is an `.npz` with one array per input and output of the model, under their names. No sample of a data set
//! is in it.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::arrays::{self, Array, Named};
use crate::engine::teff::Teff;
use crate::engine::{Engine, batch};
use crate::synthetic;

/// How many cases a golden file has.
pub const CASES: usize = 8;

/// Name of the file beside the model.
pub const FILE: &str = "golden.npz";

/// Generated inputs and the runtime's outputs for them.
pub fn make(engine: &mut Teff) -> Result<Vec<Named>> {
    let examples = synthetic::examples(engine.inputs(), CASES);
    let mut golden = Vec::new();
    for (index, port) in engine.inputs().iter().enumerate() {
        let column: Vec<&Array> = examples.iter().map(|example| &example[index]).collect();
        golden.push(Named { name: port.name.clone(), array: batch::stack(column)? });
    }
    golden.extend(batch::run(engine, &examples, |_| {})?);
    Ok(golden)
}

/// The golden file beside a model, where there is one.
pub fn beside(model: &Path) -> Option<PathBuf> {
    Some(model.with_file_name(FILE)).filter(|path| path.is_file())
}

/// Recorded inputs beside a model: its golden file, or the `.npz` of the model's own name.
pub fn recorded(model: &Path) -> Option<PathBuf> {
    beside(model).or_else(|| Some(model.with_extension("npz")).filter(|path| path.is_file()))
}

/// How many bytes of the outputs differ from those that a file of arrays has under the outputs' names; `None` where it
/// has none of them.
pub fn differing(outputs: &[Named], recorded: &[Named]) -> Option<usize> {
    let mut found = None;
    for output in outputs {
        let Some(expected) = recorded.iter().find(|named| named.name == output.name) else { continue };
        let differing = found.get_or_insert(0);
        *differing += arrays::differing_elements(&output.array, &expected.array);
    }
    found
}
