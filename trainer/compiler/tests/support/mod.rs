//! Access to reference models and arrays.

#![allow(dead_code)]

use std::fs::File;
use std::path::{Path, PathBuf};

use ndarray::{ArrayD, OwnedRepr};
use ndarray_npy::NpzReader;

/// The folder of reference models, or a line that says that the test is skipped.
pub fn models_dir(test: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let dir = std::env::var_os("TEFF_SHARED")
        .map(PathBuf::from)
        .unwrap_or_else(|| root.join("../shared"))
        .join("models");
    if dir.is_dir() {
        return Some(dir);
    }
    println!("SKIPPED {test}: no folder of reference models (../shared/models)");
    None
}

/// Arrays of an npz file, as `f32`.
pub struct Npz(NpzReader<File>);

impl Npz {
    pub fn open(path: &Path) -> Result<Npz, String> {
        let file = File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
        NpzReader::new(file).map(Npz).map_err(|e| format!("{}: {e}", path.display()))
    }

    pub fn f32(&mut self, name: &str) -> Result<(Vec<usize>, Vec<f32>), String> {
        if let Ok(array) = self.0.by_name::<OwnedRepr<f32>, ndarray::IxDyn>(name) {
            return Ok(parts(array));
        }
        let array: ArrayD<i8> = self.0.by_name(name).map_err(|e| format!("{name}: {e}"))?;
        Ok(parts(array.mapv(f32::from)))
    }
}

fn parts(array: ArrayD<f32>) -> (Vec<usize>, Vec<f32>) {
    (array.shape().to_vec(), array.iter().copied().collect())
}
