//! The float evaluator against reference outputs of real models, where those are there.

mod support;

use std::path::Path;

use support::{Npz, models_dir};
use teff_compiler::evaluate::Evaluator;
use teff_compiler::onnx;

/// Largest difference, relative to the largest number of the reference.
fn worst(model: &Path, reference: &str) -> Result<f64, String> {
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
    let mut worst = 0f64;
    for (x, y) in x.chunks_exact(len_in).zip(y.chunks_exact(len_out)) {
        evaluator.run(&[&port_in.to_value(x)]).map_err(|e| e.to_string())?;
        let got = port_out.to_onnx(evaluator.output(0));
        for (a, b) in got.iter().zip(y) {
            worst = worst.max(f64::from((a - b).abs()) / f64::from(most));
        }
    }
    Ok(worst)
}

#[test]
fn float_models_agree_with_their_reference() {
    let Some(dir) = models_dir("float_models_agree_with_their_reference") else {
        return;
    };
    let names = [
        "ad01_float_keras",
        "ad01_float_tfl",
        "ic_float_keras",
        "ic_float_tfl",
        "kws_float_keras",
        "kws_float_tfl",
        "sww_float_keras",
        "vww_float_keras",
        "vww_float_tfl",
        "pt_cnn1d_dynamo",
        "pt_cnn1d_legacy",
        "pt_cnn_dynamo",
        "pt_cnn_legacy",
    ];
    let mut faults = Vec::new();
    for name in names {
        match worst(&dir.join(format!("{name}.onnx")), "y_ort") {
            Ok(worst) => {
                println!("{name}: {worst:.2e}");
                if worst > 1e-4 {
                    faults.push(format!("{name}: {worst:.2e}"));
                }
            }
            Err(error) => faults.push(format!("{name}: {error}")),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
