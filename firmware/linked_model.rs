//! For the build scripts of the boards: the plans that programs link, and words of the command line.

use std::path::Path;

/// Writes the plan of the model that TEFF_MODEL names, else of one in `models`, to a file.
#[cfg(feature = "model")]
pub fn write(name: &str, to: &Path) {
    use std::path::PathBuf;
    use std::{env, fs};
    use teff_compiler::{build, target};

    println!("cargo:rerun-if-env-changed=TEFF_MODEL");
    let model = env::var_os("TEFF_MODEL")
        .map_or_else(|| PathBuf::from(format!("../../../models/{name}/model.onnx")), PathBuf::from);
    println!("cargo:rerun-if-changed={}", model.display());
    // Named in the board's `.cargo/config.toml`.
    println!("cargo:rerun-if-env-changed=TEFF_TARGET");
    println!("cargo:rerun-if-env-changed=TEFF_RAM");
    let target = env::var("TEFF_TARGET").unwrap_or_else(|_| "generic".to_string());
    let written = if model.extension().is_some_and(|extension| extension == "teff") {
        fs::copy(&model, to).map(|_| ()).map_err(|error| format!("{}: {error}", model.display()))
    } else {
        // Plans of several models may have one name.
        let folder = to.with_extension("folder");
        fs::create_dir_all(&folder)
            .map_err(|error| format!("{}: {error}", folder.display()))
            .and_then(|()| target::parse_target(&target).map_err(|error| error.to_string()))
            .and_then(|target| {
                let options = options()?;
                let built = build::to_folder_with(&model, target, &options, &folder);
                built.map_err(|error| error.to_string())
            })
            .and_then(|(plan, _)| fs::rename(plan, to).map_err(|error| error.to_string()))
    };
    if let Err(why) = written {
        // Cargo shows it without a backtrace.
        println!("cargo::error={why}");
        std::process::exit(1);
    }
}

/// The budget of a board with little memory: bytes of the arena.
#[cfg(feature = "model")]
fn options() -> Result<teff_compiler::Options, String> {
    use teff_compiler::options::parse_bytes;

    let ram_bytes = match std::env::var("TEFF_RAM") {
        Err(_) => None,
        Ok(text) => Some(parse_bytes(&text).map_err(|error| format!("TEFF_RAM: {error}"))?),
    };
    Ok(teff_compiler::Options { ram_bytes, ..teff_compiler::Options::default() })
}

/// Programs that need no model are built without.
#[cfg(not(feature = "model"))]
pub fn write(_: &str, _: &Path) {}
