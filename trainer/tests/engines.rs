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

#[test]
fn the_evaluator_agrees_with_the_recorded_outputs() {
    let Some(folder) = test_data::find("the_evaluator_agrees_with_the_recorded_outputs", "models") else {
        return;
    };
    for (model, reference) in
        [("kws_float_keras", "y_ort"), ("pt_cnn_dynamo", "y_torch"), ("sww_float_keras", "y_ort")]
    {
        let difference = difference(&folder, model, Kind::Float, &Options::default(), reference, 0);
        assert!(difference < 1e-5, "{model}: {difference} from {reference}");
    }
}

#[test]
fn the_runtime_agrees_with_the_recorded_integers() {
    let Some(folder) = test_data::find("the_runtime_agrees_with_the_recorded_integers", "models") else {
        return;
    };
    // Units of the last bit. Differences of single operators are at most 1; a few add up along a network.
    for (model, most) in
        [("kws_qdq_tfl", 0.0), ("ad01_qdq_tfl", 1.0), ("sww_qdq_tfl", 1.0), ("vww_qdq_tfl", 2.0)]
    {
        let difference = difference(&folder, model, Kind::Teff, &Options::default(), "y_ort_off", 0);
        assert!(difference <= most, "{model}: {difference}");
    }
}

#[cfg(feature = "ort")]
#[test]
fn each_operator_is_within_one_unit_of_onnx_runtime() {
    use teff_trainer::compare::{Examples, compare};
    let test = "each_operator_is_within_one_unit_of_onnx_runtime";
    if let Err(error) = teff_trainer::engine::ort::library() {
        return test_data::skip(test, &error.to_string());
    }
    let Some(folder) = test_data::find(test, "models") else { return };
    for model in [
        "kws_qdq_tfl",
        "kws_ort_qdq",
        "ic_qdq_tfl",
        "ic_ort_qdq",
        "vww_qdq_tfl",
        "ad01_qdq_tfl",
        "sww_qdq_tfl",
    ] {
        let file = folder.join(format!("{model}.npz"));
        let arrays = arrays::read(&file).unwrap();
        let onnx = folder.join(format!("{model}.onnx"));
        let compared = compare(&onnx, Kind::Ort, None, &Examples { arrays: &arrays, file: &file }).unwrap();
        assert!(compared.not_compared.is_empty(), "{model}: {:?}", compared.not_compared);
        for layer in &compared.layers {
            println!("{model} {} {}: {:.6} differ", layer.index, layer.operator, layer.differing_share);
            assert!(layer.largest_lsb <= 1, "{model}: {layer:?}");
            assert!(layer.differing_share < 0.02, "{model}: {layer:?}");
        }
    }
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
    let as_written = Options { as_written: true };
    for (model, reference, output, options) in [
        ("kws_float_keras", "y_ort", 0, plain),
        ("pt_cnn_legacy", "y_ort", 0, plain),
        ("sk_mlp_digits_nozipmap", "y_prob_ort", 1, plain),
        ("sk_mlp_digits_nozipmap", "y_label_ort", 0, plain),
        ("kws_qdq_tfl", "y_ort_off", 0, as_written),
        ("ic_ort_qdq", "y_ort_off", 0, as_written),
        ("ic_ort_qdq", "y_ort_all", 0, plain),
    ] {
        if (model, reference) == ("ic_ort_qdq", "y_ort_all") && !adds_products_exactly() {
            test_data::skip(test, "ONNX Runtime's optimised integers: this processor has no VNNI");
            continue;
        }
        let difference = difference(&folder, model, Kind::Ort, &options, reference, output);
        assert!(difference < 1e-5, "{model}: {difference} from {reference}");
    }
}

/// Whether ONNX Runtime's optimised integer kernels are exact here: on x86-64 without VNNI they add two products in 16 bits,
/// which saturate.
#[cfg(feature = "ort")]
fn adds_products_exactly() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        std::arch::is_x86_feature_detected!("avx512vnni") || std::arch::is_x86_feature_detected!("avxvnni")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        true
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

#[cfg(feature = "tract")]
#[test]
fn operators_are_compared_with_tract() {
    use teff_trainer::compare::{Examples, compare};
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    for model in ["machine", "gesture"] {
        let file = models.join(model).join("golden.npz");
        let arrays = arrays::read(&file).unwrap();
        let onnx = models.join(model).join("model.onnx");
        let compared = compare(&onnx, Kind::Tract, None, &Examples { arrays: &arrays, file: &file }).unwrap();
        assert!(compared.not_compared.is_empty(), "{model}: {:?}", compared.not_compared);
        assert!(compared.largest_lsb <= 1, "{model}: {compared:?}");
    }
}
