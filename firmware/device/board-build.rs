//! The build script of every real board: puts what a program needs where it is found. That is the linker
//! script, the plan of the model that is linked, and what `record` records. It runs in the board's
//! folder.

use std::env;
use std::fs;
use std::path::PathBuf;

#[path = "../linked_model.rs"]
mod linked_model;

/// What `record` records where nobody says so, and its rates.
const RECORDED: [(&str, u32); 2] = [("motion", 1600), ("sound", 16_000)];

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::copy("memory.x", out.join("memory.x")).expect("OUT_DIR can be written");
    println!("cargo:rerun-if-changed=memory.x");
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    // The second stage of the RP2040's boot loader has a region of its own.
    let memory = fs::read_to_string("memory.x").expect("it was copied");
    if memory.contains("BOOT2") {
        println!("cargo:rustc-link-arg-bins=-Tlink-rp.x");
    }
    println!("cargo:rustc-link-arg-bins=-Tdefmt.x");
    linked_model::write("machine", &out.join("model.teff"));
    linked_model::write("digits", &out.join("listen.teff"));
    if let Err(why) = record(&out) {
        println!("cargo::error={why}");
        std::process::exit(1);
    }
}

/// Writes what `record` records, as TEFF_RECORD and TEFF_RATE_HZ say.
fn record(out: &std::path::Path) -> Result<(), String> {
    println!("cargo:rerun-if-env-changed=TEFF_RECORD");
    println!("cargo:rerun-if-env-changed=TEFF_RATE_HZ");
    println!("cargo:rustc-check-cfg=cfg(record_sound)");
    let what = env::var("TEFF_RECORD").unwrap_or_else(|_| "motion".to_string());
    let Some((_, usual)) = RECORDED.iter().find(|(name, _)| *name == what) else {
        return Err(format!("TEFF_RECORD is `{what}`: it may be `motion` or `sound`, or unset"));
    };
    let rate = match env::var("TEFF_RATE_HZ") {
        Err(_) => *usual,
        Ok(text) => text.parse().ok().filter(|rate| (1..=100_000).contains(rate)).ok_or_else(|| {
            format!("TEFF_RATE_HZ is `{text}`: it is a whole number of hertz from 1 to 100000, or unset")
        })?,
    };
    if what == "sound" {
        println!("cargo:rustc-cfg=record_sound");
    }
    let line = format!("const RATE_MILLIHERTZ: u32 = {rate}000;\n");
    fs::write(out.join("record.rs"), line).map_err(|error| error.to_string())
}
