//! TensorFlow Lite files through every sub-command that takes a model.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use teff_trainer::arrays;
use tempfile::TempDir;

fn trainer(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trainer")).args(words).output().unwrap()
}

/// The object of a command that succeeds.
fn json(words: &[&str]) -> Value {
    let output = trainer(&[words, &["--json"]].concat());
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {stderr}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{words:?}: {error}"))
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// The folder of reference models, or a line that says that the test is skipped.
fn models(test: &str) -> Option<PathBuf> {
    let shared = std::env::var_os("TEFF_SHARED").map(PathBuf::from);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = shared.unwrap_or_else(|| root.join("../shared")).join("models");
    if !folder.is_dir() {
        println!(
            "SKIPPED {test}: no folder of reference models; set TEFF_SHARED to the folder that holds `models`"
        );
        return None;
    }
    Some(folder)
}

#[test]
fn an_int8_file_goes_through_all_commands() {
    let Some(models) = models("an_int8_file_goes_through_all_commands") else { return };
    let folder = TempDir::new().unwrap();
    let model = models.join("kws_ref_model.tflite");
    let input = models.join("kws_ref_model.npz");
    let shown = json(&["inspect", text(&model)]);
    assert_eq!(shown["quantized"], true);
    assert_eq!(shown["inputs"][0]["shape"], serde_json::json!([1, 49, 10, 1]));
    assert_eq!(shown["inputs"][0]["zero_point"], 83);

    let plan = folder.path().join("kws.teff");
    json(&["compile", text(&model), "--out", text(&plan)]);
    let exported = folder.path().join("exported");
    json(&["export", text(&model), "--out", text(&exported)]);
    let onnx = exported.join("model.onnx");

    let mut outputs = Vec::new();
    for (number, file) in [&model, &plan, &onnx].into_iter().enumerate() {
        let written = folder.path().join(format!("{number}.npz"));
        json(&["run", text(file), "--input", text(&input), "--output", text(&written)]);
        outputs.push(arrays::read(&written).unwrap().remove(0).array);
    }
    assert_eq!(outputs[0], outputs[1]);
    assert_eq!(outputs[0], outputs[2]);
    let reference =
        arrays::read(&input).unwrap().into_iter().find(|named| named.name == "y_xnnpack").unwrap();
    assert_eq!(outputs[0], reference.array);

    // A name that says nothing: the content does.
    let renamed = folder.path().join("model.bin");
    std::fs::copy(&model, &renamed).unwrap();
    assert_eq!(json(&["inspect", text(&renamed)])["macs"], shown["macs"]);
}

#[test]
fn a_float_file_is_run_and_quantized() {
    let Some(models) = models("a_float_file_is_run_and_quantized") else { return };
    let folder = TempDir::new().unwrap();
    let model = models.join("kws_ref_model_float32.tflite");
    let input = models.join("kws_float_tfl.npz");
    let shown = json(&["inspect", text(&model)]);
    assert_eq!(shown["quantized"], false);
    assert!(shown["notes"][0].as_str().unwrap().contains("8-bit integers while their activations are real"));
    json(&["run", text(&model), "--input", text(&input), "--engine", "float"]);
    let quantized = folder.path().join("q.onnx");
    let report = json(&["quantize", text(&model), "--calibrate", text(&input), "--out", text(&quantized)]);
    assert!(report["notes"].to_string().contains("8-bit integers while their activations are real"));
    json(&["run", text(&quantized), "--input", text(&input)]);

    let refused = trainer(&["run", text(&model), "--input", text(&input)]);
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr.contains("the model is a float model"), "{stderr}");
}
