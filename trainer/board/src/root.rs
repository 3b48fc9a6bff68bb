//! Where the project's sources stand: building firmware needs them.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The folder that holds `firmware/`: `TEFF_ROOT` when set, else the folder this was built from,
/// else the nearest folder above the working directory that is a checkout.
pub fn project_root() -> Result<PathBuf> {
    if let Some(root) = env::var_os("TEFF_ROOT") {
        let root = PathBuf::from(root);
        if !is_root(&root) {
            bail!(
                "TEFF_ROOT is {}, which has no firmware/Cargo.toml: set it to a checkout of Teff",
                root.display()
            );
        }
        return Ok(root);
    }
    let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if is_root(&built_from) {
        return built_from.canonicalize().context("cannot resolve the project's folder");
    }
    let here = env::current_dir().context("cannot read the working directory")?;
    for folder in here.ancestors() {
        if is_root(folder) {
            return Ok(folder.to_path_buf());
        }
    }
    bail!(
        "the firmware's sources are needed and were not found above {}: work inside a checkout of \
         Teff, or set TEFF_ROOT to one",
        here.display()
    )
}

fn is_root(folder: &Path) -> bool {
    folder.join("firmware/Cargo.toml").is_file() && folder.join("runtime/Cargo.toml").is_file()
}
