//! Opening a model: a plan as it is, anything else compiled.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use teff::ModelFile;
use teff_compiler::{Target, compile};

/// Opens a plan (`.teff`), or compiles an ONNX or TensorFlow Lite file for this processor.
///
/// # Errors
/// The file cannot be read, compiled or checked; the error names it.
pub fn open(path: &Path) -> Result<ModelFile> {
    let shown = path.display();
    let bytes = fs::read(path).with_context(|| format!("cannot read the model {shown}"))?;
    let plan = if path.extension().is_some_and(|extension| extension == "teff") {
        bytes
    } else {
        compile(&bytes, Target::Generic).map_err(|error| error.in_file(path))?.plan
    };
    ModelFile::from_bytes(&plan).with_context(|| format!("the model {shown}"))
}
