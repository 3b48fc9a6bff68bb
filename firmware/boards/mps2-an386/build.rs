//! Puts the linker script, and the model that a program links, where they are found.

use std::env;
use std::fs;
use std::path::PathBuf;

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::copy("memory.x", out.join("memory.x")).expect("OUT_DIR can be written");
    println!("cargo:rerun-if-changed=memory.x");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    if env::var_os("CARGO_FEATURE_DEFMT").is_some() {
        println!("cargo:rustc-link-arg-bins=-Tdefmt.x");
    }
    if env::var_os("CARGO_FEATURE_MODEL").is_some() {
        println!("cargo:rerun-if-env-changed=TEFF_MODEL");
        let model = env::var("TEFF_MODEL").expect("TEFF_MODEL names the plan to link");
        println!("cargo:rerun-if-changed={model}");
        fs::copy(&model, out.join("model.teff")).expect("TEFF_MODEL can be read");
    }
}
