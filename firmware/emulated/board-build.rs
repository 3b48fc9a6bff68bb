//! The build script of every emulated board: puts what a program needs where it is found. That is the
//! linker script, the plan of the model that is linked, and the recordings that are replayed. It runs in
//! the board's folder.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

#[path = "../linked_model.rs"]
mod linked_model;

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
    let recordings = Path::new("../../emulated/recordings");
    recording(&recordings.join("machine.csv"), &out.join("recording.rs"));
    sound(&recordings.join("digits.wav"), &out.join("sound.rs"));
    linked_model::write("machine", &out.join("model.teff"));
    // Named in the `.cargo/config.toml` of a board that is too small for the usual one.
    println!("cargo:rerun-if-env-changed=TEFF_LISTEN");
    let listen = env::var("TEFF_LISTEN").unwrap_or_else(|_| "digits".to_string());
    linked_model::write(&listen, &out.join("listen.teff"));
}

/// Writes a WAV file of one channel with 16 bits as an array of Rust, and its rate.
fn sound(from: &Path, to: &Path) {
    println!("cargo:rerun-if-changed={}", from.display());
    let bytes = fs::read(from).expect("the recording can be read");
    let field = |at: usize, len: usize| {
        bytes[at..at + len].iter().rev().fold(0_usize, |value, byte| value << 8 | usize::from(*byte))
    };
    let header = (&bytes[..4], &bytes[8..16], &bytes[36..40], field(20, 4), field(34, 2));
    assert_eq!(
        header,
        (&b"RIFF"[..], &b"WAVEfmt "[..], &b"data"[..], 0x1_0001, 16),
        "{} is no WAV file of one channel with 16 bits",
        from.display()
    );
    let samples = &bytes[44..44 + field(40, 4)];
    let values: Vec<String> =
        samples.chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]]).to_string()).collect();
    let array = format!(
        "const SOUND_HZ: u32 = {};\nstatic SOUND: [i16; {}] = [{}];\n",
        field(24, 4),
        values.len(),
        values.join(",")
    );
    fs::write(to, array).expect("OUT_DIR can be written");
}

/// Writes the recording as an array of Rust, an empty one for a board without it.
fn recording(from: &Path, to: &Path) {
    println!("cargo:rerun-if-changed={}", from.display());
    let text = if from.exists() {
        fs::read_to_string(from).expect("the recording can be read")
    } else {
        String::new()
    };
    let values: Vec<&str> = text.lines().skip(1).flat_map(|line| line.split(',')).collect();
    let array = format!("static RECORDING: [i16; {}] = [{}];\n", values.len(), values.join(","));
    fs::write(to, array).expect("OUT_DIR can be written");
}
