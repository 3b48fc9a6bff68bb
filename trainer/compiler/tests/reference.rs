//! What becomes of every reference model: float ones are evaluated and compared with their reference, quantized ones
//! compile (their numbers are compared in `quantized.rs`), and the others are refused for a reason.

mod support;

use std::path::Path;

use support::{Npz, models_dir};
use teff_compiler::evaluate::Evaluator;
use teff_compiler::{Place, Target, compile, onnx};

/// Largest difference, relative to the largest number of the reference, and how many answers differ.
fn worst(model: &Path, reference: &str) -> Result<(f64, usize), String> {
    let bytes = std::fs::read(model).map_err(|e| e.to_string())?;
    let graph = onnx::import(&bytes).map_err(|e| e.to_string())?;
    let mut npz = Npz::open(&model.with_extension("npz"))?;
    let (x_shape, x) = npz.f32("x")?;
    let (y_shape, y) = npz.f32(reference)?;
    let cases = x_shape[0];
    let (port_in, port_out) = (&graph.inputs[0], &graph.outputs[0]);
    let len_in: usize = port_in.shape.iter().product();
    let len_out: usize = port_out.shape.iter().product();
    if cases * len_in != x.len() || cases * len_out != y.len() {
        return Err(format!("shapes {x_shape:?} and {y_shape:?} do not fit the model"));
    }
    let mut evaluator = Evaluator::new(&graph).map_err(|e| e.to_string())?;
    let most = y.iter().fold(0f32, |a, b| a.max(b.abs()));
    let best = |y: &[f32]| (0..y.len()).max_by(|&a, &b| y[a].total_cmp(&y[b]));
    let (mut worst, mut flips) = (0f64, 0);
    for (x, y) in x.chunks_exact(len_in).zip(y.chunks_exact(len_out)) {
        evaluator.run(&[&port_in.to_value(x)]).map_err(|e| e.to_string())?;
        let got = port_out.to_onnx(evaluator.output(0));
        flips += usize::from(best(&got) != best(y));
        for (a, b) in got.iter().zip(y) {
            worst = worst.max(f64::from((a - b).abs()) / f64::from(most));
        }
    }
    Ok((worst, flips))
}

/// What becomes of a model.
enum Expected {
    /// It is a float model; its outputs are within this share of the reference's.
    Float(&'static str, f64),
    /// It is quantized and compiles.
    Quantized,
    /// The error says all this.
    Refused(&'static [&'static str]),
}

use Expected::{Float, Quantized, Refused};

/// Recurrent layers, and what transformers are made of.
const RECURRENT: &[&str] = &["recurrent layers are not supported yet"];
const ATTENTION: &[&str] = &["layer normalization and attention", "not supported yet"];

const MODELS: [(&str, Expected); 40] = [
    ("ad01_float_keras", Float("y_ort", 1e-4)),
    ("ad01_float_tfl", Float("y_ort", 1e-4)),
    ("ad01_qdq_tfl", Quantized),
    ("ic_float_keras", Float("y_ort", 1e-4)),
    ("ic_float_tfl", Float("y_ort", 1e-4)),
    // The references of dynamic files round activations to scales of their own for each input.
    ("ic_ort_dyn", Float("y_ort_off", 0.05)),
    ("ic_ort_qdq", Quantized),
    ("ic_ort_qop", Quantized),
    ("ic_qdq_tfl", Quantized),
    ("kws_float_keras", Float("y_ort", 1e-4)),
    ("kws_float_tfl", Float("y_ort", 1e-4)),
    ("kws_ort_dyn", Float("y_ort_off", 0.1)),
    ("kws_ort_qdq", Quantized),
    ("kws_ort_qop", Quantized),
    ("kws_qdq_tfl", Quantized),
    ("pt_cnn1d_dynamo", Float("y_ort", 1e-4)),
    ("pt_cnn1d_legacy", Float("y_ort", 1e-4)),
    ("pt_cnn_dynamo", Float("y_ort", 1e-4)),
    ("pt_cnn_legacy", Float("y_ort", 1e-4)),
    ("pt_cnn_ort_dyn", Float("y_ort_off", 0.01)),
    ("pt_cnn_ort_qdq", Quantized),
    ("pt_cnn_ort_qop", Quantized),
    ("pt_gru_dynamo", Refused(RECURRENT)),
    ("pt_gru_legacy", Refused(RECURRENT)),
    ("pt_lstm_dynamo", Refused(RECURRENT)),
    ("pt_lstm_legacy", Refused(RECURRENT)),
    ("pt_transformer_dynamo", Refused(ATTENTION)),
    ("pt_transformer_legacy", Refused(ATTENTION)),
    ("pt_transformer_ort_dyn", Refused(ATTENTION)),
    ("pt_transformer_ort_qdq", Refused(ATTENTION)),
    ("pt_transformer_ort_qop", Refused(ATTENTION)),
    ("sk_forest_digits", Refused(&["(TreeEnsembleClassifier)", "decision trees"])),
    ("sk_logreg_digits", Float("y_prob_ort", 1e-4)),
    ("sk_mlp_digits", Float("y_prob_ort", 1e-4)),
    ("sk_mlp_digits_nozipmap", Float("y_prob_ort", 1e-4)),
    ("sww_float_keras", Float("y_ort", 1e-4)),
    ("sww_qdq_tfl", Quantized),
    ("vww_float_keras", Float("y_ort", 1e-4)),
    ("vww_float_tfl", Float("y_ort", 1e-4)),
    ("vww_qdq_tfl", Quantized),
];

fn check(dir: &Path, name: &str, expected: &Expected) -> Result<String, String> {
    let path = dir.join(format!("{name}.onnx"));
    let bytes = std::fs::read(&path).map_err(|e| e.to_string())?;
    match expected {
        Float(reference, limit) => {
            let (worst, flips) = worst(&path, reference)?;
            if worst > *limit || flips > 0 {
                return Err(format!("{worst:.2e} of {reference}, {flips} other answers"));
            }
            let refused = compile(&bytes, Target::Generic).map(|_| ()).unwrap_err().to_string();
            match refused.contains("trainer quantize") {
                true => Ok(format!("float, {worst:.2e}")),
                false => Err(refused),
            }
        }
        Quantized => {
            compile(&bytes, Target::Generic).map_err(|e| e.to_string())?;
            Ok("quantized".into())
        }
        Refused(parts) => match onnx::import(&bytes) {
            Ok(_) => Err("it is imported".into()),
            Err(error) => {
                let text = error.to_string();
                let named = matches!(error.place, Place::Node { .. }) && !error.remedy.is_empty();
                match named && parts.iter().all(|part| text.contains(part)) {
                    true => Ok(text),
                    false => Err(text),
                }
            }
        },
    }
}

#[test]
fn every_reference_model_becomes_what_it_should() {
    let Some(dir) = models_dir("every_reference_model_becomes_what_it_should") else { return };
    let mut faults = Vec::new();
    for (name, expected) in &MODELS {
        match check(&dir, name, expected) {
            Ok(text) => println!("{name}: {text}"),
            Err(text) => faults.push(format!("{name}: {text}")),
        }
    }
    for entry in std::fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if path.extension().is_some_and(|e| e == "onnx") && !MODELS.iter().any(|m| m.0 == name) {
            faults.push(format!("{name}: it is not in the table"));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
