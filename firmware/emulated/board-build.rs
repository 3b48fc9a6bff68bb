//! The build script of every board: puts what a program needs where it is found. That is the linker
//! script, the plan of the model that is linked, and, where the board has one, the recording that is
//! replayed. It runs in the board's folder.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

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
    recording(Path::new("recordings/machine.csv"), &out.join("recording.rs"));
    let heard = Path::new("recordings/digits.wav");
    if heard.exists() {
        sound(heard, &out.join("sound.rs"));
    }
    #[cfg(feature = "model")]
    {
        let (moved, listener) = (out.join("model.teff"), out.join("listen.teff"));
        let same = env::var_os("TEFF_MODEL").is_some();
        // The plan of `model.onnx` is `model.teff` first, whatever it is called then.
        if heard.exists() && !same {
            model("digits", &listener, &out);
        }
        model("machine", &moved, &out);
        if heard.exists() && same {
            fs::copy(moved, listener).expect("OUT_DIR can be written");
        }
    }
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

/// Writes the plan of the model that TEFF_MODEL names, else of one in `models`.
#[cfg(feature = "model")]
fn model(name: &str, to: &Path, out: &Path) {
    use teff_compiler::{build, target};

    println!("cargo:rerun-if-env-changed=TEFF_MODEL");
    let model = env::var_os("TEFF_MODEL")
        .map_or_else(|| PathBuf::from(format!("../../../models/{name}/model.onnx")), PathBuf::from);
    println!("cargo:rerun-if-changed={}", model.display());
    // Named in the board's `.cargo/config.toml`.
    println!("cargo:rerun-if-env-changed=TEFF_TARGET");
    let target = env::var("TEFF_TARGET").unwrap_or_else(|_| "generic".to_string());
    let written = if model.extension().is_some_and(|extension| extension == "teff") {
        fs::copy(&model, to).map(|_| ()).map_err(|error| format!("{}: {error}", model.display()))
    } else {
        target::parse_target(&target)
            .and_then(|target| build::to_folder(&model, target, out))
            .map_err(|error| error.to_string())
            .and_then(|(plan, _)| fs::rename(plan, to).map_err(|error| error.to_string()))
    };
    if let Err(why) = written {
        // Cargo shows it without a backtrace.
        println!("cargo::error={why}");
        std::process::exit(1);
    }
}
