//! Puts the linker script and the plan of the model where the program finds them.

use std::env;
use std::path::PathBuf;

fn main() {
    let folder = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    println!("cargo:rerun-if-changed=link.ld");
    println!("cargo:rustc-link-arg-bins=-T{folder}/link.ld");
    #[cfg(feature = "model")]
    {
        let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
        model(&out);
    }
}

/// Writes the plan of the model that TEFF_MODEL names, else of `models/machine`, as `model.teff`.
#[cfg(feature = "model")]
fn model(out: &std::path::Path) {
    use teff_compiler::{build, target};

    println!("cargo:rerun-if-env-changed=TEFF_MODEL");
    let model = env::var_os("TEFF_MODEL")
        .map_or_else(|| PathBuf::from("../../../models/machine/model.onnx"), PathBuf::from);
    println!("cargo:rerun-if-changed={}", model.display());
    // Named in `.cargo/config.toml`.
    println!("cargo:rerun-if-env-changed=TEFF_TARGET");
    let target = env::var("TEFF_TARGET").unwrap_or_else(|_| "generic".to_string());
    let to = out.join("model.teff");
    let written = if model.extension().is_some_and(|extension| extension == "teff") {
        std::fs::copy(&model, &to).map(|_| ()).map_err(|error| format!("{}: {error}", model.display()))
    } else {
        target::parse_target(&target)
            .and_then(|target| build::to_folder(&model, target, out))
            .map_err(|error| error.to_string())
            .and_then(|(plan, _)| std::fs::rename(plan, &to).map_err(|error| error.to_string()))
    };
    if let Err(why) = written {
        // Cargo shows it without a backtrace.
        println!("cargo::error={why}");
        std::process::exit(1);
    }
}
