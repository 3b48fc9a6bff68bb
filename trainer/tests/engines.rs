//! Engines against the reference outputs that stand beside the shared models.

use std::path::Path;

use teff_trainer::arrays::{self, Array};
use teff_trainer::engine::{Kind, Options, batch, load};
use teff_trainer::test_data;

/// Largest difference between an engine's output and the array `reference` in the file beside the model.
fn difference(
    folder: &Path,
    model: &str,
    kind: Kind,
    options: &Options,
    reference: &str,
    output: usize,
) -> f64 {
    let inputs = folder.join(format!("{model}.npz"));
    let arrays = arrays::read(&inputs).unwrap();
    let expected = &arrays.iter().find(|named| named.name == reference).unwrap().array;
    let mut engine = load(kind, &folder.join(format!("{model}.onnx")), options).unwrap();
    let examples = batch::examples(engine.inputs(), &arrays, &inputs).unwrap();
    let outputs = batch::run(engine.as_mut(), &examples, |_| {}).unwrap();
    largest_difference(&outputs[output].array, expected)
}

fn largest_difference(a: &Array, b: &Array) -> f64 {
    assert_eq!(a.len(), b.len(), "{:?} against {:?}", a.shape, b.shape);
    a.to_f64().iter().zip(b.to_f64()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[cfg(feature = "ort")]
#[test]
fn onnx_runtime_gives_the_recorded_outputs() {
    let test = "onnx_runtime_gives_the_recorded_outputs";
    if let Err(error) = teff_trainer::engine::ort::library() {
        return test_data::skip(test, &error.to_string());
    }
    let Some(folder) = test_data::find(test, "models") else { return };
    let plain = Options::default();
    let as_written = Options { as_written: true, ..plain };
    for (model, reference, output, options) in [
        ("kws_float_keras", "y_ort", 0, plain),
        ("pt_cnn_legacy", "y_ort", 0, plain),
        ("sk_mlp_digits_nozipmap", "y_prob_ort", 1, plain),
        ("sk_mlp_digits_nozipmap", "y_label_ort", 0, plain),
        ("kws_qdq_tfl", "y_ort_off", 0, as_written),
        ("ic_ort_qdq", "y_ort_off", 0, as_written),
        ("ic_ort_qdq", "y_ort_all", 0, plain),
    ] {
        let difference = difference(&folder, model, Kind::Ort, &options, reference, output);
        assert!(difference < 1e-5, "{model}: {difference} from {reference}");
    }
}

#[cfg(feature = "tract")]
#[test]
fn tract_agrees_with_the_recorded_outputs() {
    let Some(folder) = test_data::find("tract_agrees_with_the_recorded_outputs", "models") else { return };
    for (model, reference) in [("kws_float_keras", "y_ort"), ("pt_cnn_legacy", "y_ort")] {
        let difference = difference(&folder, model, Kind::Tract, &Options::default(), reference, 0);
        assert!(difference < 1e-5, "{model}: {difference} from {reference}");
    }
}
