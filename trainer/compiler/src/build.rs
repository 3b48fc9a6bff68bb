//! For the build script of a firmware package: compiles a model into `OUT_DIR`.
//!
//! ```no_run
//! // In `main` of build.rs:
//! teff_compiler::build::run("../../models/digits/digits.onnx", teff_compiler::Target::CortexM4);
//! ```
//!
//! The firmware then embeds the plan:
//!
//! ```text
//! teff::include_model!(Digits, concat!(env!("OUT_DIR"), "/digits.teff"));
//! ```

use std::path::{Path, PathBuf};

use crate::compile::compile_with;
use crate::error::{Error, Result};
use crate::lower::Report;
use crate::options::Options;
use crate::target::Target;

/// Compiles a model file to `<its name>.teff` in the folder that Cargo gives build scripts, tells
/// Cargo to do so again when the file changes, and stops the build with a readable message where
/// it cannot.
pub fn run(model: impl AsRef<Path>, target: Target) -> Report {
    let model = model.as_ref();
    println!("cargo::rerun-if-changed={}", model.display());
    let built = match std::env::var_os("OUT_DIR") {
        Some(out_dir) => to_folder(model, target, Path::new(&out_dir)),
        None => Err(Error::model("OUT_DIR is not set")
            .remedy("call this from a build script, or use `trainer compile`")),
    };
    match built {
        Ok((_, report)) => report,
        Err(error) => {
            println!("cargo::error={error}");
            std::process::exit(1);
        }
    }
}

/// Compiles a model file to `<its name>.teff` in a folder. The file appears whole or not at all.
///
/// # Errors
/// The file cannot be read or compiled, or the plan not be written; the error names the file.
pub fn to_folder(model: &Path, target: Target, folder: &Path) -> Result<(PathBuf, Report)> {
    to_folder_with(model, target, &Options::default(), folder)
}

/// What [`to_folder`] does, with budgets.
///
/// # Errors
/// As of [`to_folder`], or the model does not fit a budget.
pub fn to_folder_with(
    model: &Path,
    target: Target,
    options: &Options,
    folder: &Path,
) -> Result<(PathBuf, Report)> {
    let bytes = std::fs::read(model)
        .map_err(|e| Error::model(format!("cannot be read: {e}")).remedy("check the path").in_file(model))?;
    let compiled = compile_with(&bytes, target, options).map_err(|e| e.in_file(model))?;
    let name = model.file_stem().ok_or_else(|| Error::model("has no name").in_file(model))?;
    let plan = folder.join(name).with_extension("teff");
    let unfinished = folder.join(name).with_extension("teff.part");
    std::fs::write(&unfinished, &compiled.plan).and_then(|()| std::fs::rename(&unfinished, &plan)).map_err(
        |e| {
            Error::model(format!("cannot be written: {e}"))
                .remedy("check free space and permissions")
                .in_file(&plan)
        },
    )?;
    Ok((plan, compiled.report))
}
