//! The `trainer` program as a user calls it: results as JSON, errors with exit code 2, nothing half-written.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use teff_compiler::graph::{Builder, Clamp, Conv2d, Graph, Tensor};
use teff_trainer::arrays::{self, Array, Named};
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

/// The message of a command that fails as it should.
fn failure(words: &[&str]) -> String {
    let output = trainer(words);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{words:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{words:?} writes a result");
    assert!(stderr.starts_with("error: ") && !stderr.contains("panicked"), "{words:?}: {stderr}");
    stderr
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A small float network: convolution, pooling, fully connected layer, softmax.
fn network() -> Graph {
    let mut builder = Builder::new("small");
    let mut seed = 1u32;
    let mut weights = |shape: &[usize]| {
        let numbers = (0..shape.iter().product()).map(|_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / (1 << 24) as f32 - 0.5
        });
        Tensor::f32(shape, numbers.collect()).unwrap()
    };
    let input = builder.input("samples", [1, 8, 6, 2]);
    let (filter, dense) = (weights(&[5, 3, 3, 2]), weights(&[3, 5]));
    let conv = Conv2d { activation: Clamp::RELU, ..Conv2d::default() };
    let x = builder.conv_2d("conv", input, filter, Some(vec![0.1; 5]), conv);
    let x = builder.global_average_pool("pool", x);
    let x = builder.fully_connected("dense", x, dense, Some(vec![0.0, 0.1, -0.1]));
    let x = builder.softmax("softmax", x);
    builder.output("scores", x);
    builder.finish().unwrap()
}

/// A folder with a float model and arrays for it.
struct Case {
    folder: TempDir,
    model: PathBuf,
    input: PathBuf,
}

impl Case {
    fn new() -> Case {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("small.onnx");
        std::fs::write(&model, teff_compiler::onnx::export(&network()).unwrap()).unwrap();
        let input = folder.path().join("x.npz");
        let numbers = (0..4 * 96).map(|i| ((i * 37 % 101) as f32 - 50.0) / 25.0).collect();
        let array = Array::f32(&[4, 2, 8, 6], numbers);
        arrays::write(&input, &[Named { name: "anything".to_string(), array }]).unwrap();
        Case { folder, model, input }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The files of the folder that `export` writes.
    fn exported(&self) -> PathBuf {
        let out = self.path("out");
        json(&["export", text(&self.model), "--calibrate", text(&self.input), "--out", text(&out)]);
        out
    }
}

#[test]
fn a_float_model_becomes_a_folder_that_everything_else_reads() {
    let case = Case::new();
    let out = case.exported();
    for file in ["model.onnx", "model.teff", "golden.npz", "README.md"] {
        assert!(out.join(file).is_file(), "{file}");
    }
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 4);
    let (onnx, plan) = (out.join("model.onnx"), out.join("model.teff"));

    let inspected = json(&["inspect", text(&onnx)]);
    let of_plan = json(&["inspect", text(&plan)]);
    for key in ["macs", "parameters", "arena_bytes", "live_set_bytes", "weights_bytes", "plan_bytes"] {
        assert!(inspected[key].as_u64().is_some_and(|number| number > 0), "{key}");
        assert_eq!(inspected[key], of_plan[key], "{key}");
    }
    // 6 x 4 places, 5 channels, 3 x 3 x 2 taps; then 3 x 5.
    assert_eq!(inspected["macs"], 24 * 5 * 18 + 15);
    assert_eq!(inspected["parameters"], 5 * 18 + 5 + 15 + 3);
    assert_eq!(inspected["layers"][0]["operator"], "conv_2d");

    let compiled = json(&["compile", text(&onnx), "--out", text(&case.path("again.teff"))]);
    assert_eq!(compiled["plan_bytes"], inspected["plan_bytes"]);
    assert_eq!(std::fs::read(case.path("again.teff")).unwrap(), std::fs::read(&plan).unwrap());

    // The float network and the integers agree, from either file.
    let mut results = Vec::new();
    for (model, engine) in [(&case.model, "float"), (&onnx, "teff"), (&plan, "teff"), (&onnx, "float")] {
        let y = case.path("y.npz");
        let words =
            ["run", text(model), "--input", text(&case.input), "--output", text(&y), "--engine", engine];
        let report = json(&[&words[..], &["--dequantize"]].concat());
        assert_eq!(report["outputs"][0]["name"], "scores");
        assert_eq!(report["outputs"][0]["shape"], serde_json::json!([4, 3]));
        assert_eq!(report["outputs"][0]["type"], "float32");
        results.push(arrays::read(&y).unwrap()[0].array.to_f32());
    }
    for other in &results[1..] {
        let far = results[0].iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(far < 0.03, "{far}");
    }
    assert_eq!(results[1], results[2]);

    let compared = json(&["compare", text(&onnx), "--input", text(&case.input), "--engines", "teff,float"]);
    assert!(compared["largest_lsb"].as_u64().unwrap() <= 1, "{compared}");
    assert_eq!(compared["layers"].as_array().unwrap().len(), 4);

    // The outputs of the golden file are what the runtime gives for its inputs.
    let golden = arrays::read(&out.join("golden.npz")).unwrap();
    assert_eq!((golden[0].name.as_str(), golden[1].name.as_str()), ("samples", "scores"));
    let y = case.path("y.npz");
    json(&["run", text(&plan), "--input", text(&out.join("golden.npz")), "--output", text(&y)]);
    assert_eq!(arrays::read(&y).unwrap()[0], golden[1]);
}

#[test]
fn the_committed_machine_model_is_evaluated_without_its_recipe() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/machine/model.onnx");
    let result = json(&["evaluate", text(&model), "--against", "float"]);
    assert!(result["top1"].as_f64().is_some_and(|top1| top1 > 0.95), "{result}");
    assert_eq!(result["engine"], "teff");
    let rows = result["confusion"].as_array().unwrap();
    let counts = rows.iter().flat_map(|row| row.as_array().unwrap()).map(|count| count.as_u64().unwrap());
    assert_eq!(result["samples"].as_u64(), Some(counts.sum()));
    assert_eq!(result["classes"].as_array().unwrap().len(), 5);
    assert!(result["against"]["agreement"].as_f64().is_some_and(|share| share >= 0.995), "{result}");
    let mistyped = failure(&["evaluate", text(&model), "--engine", "onnx"]);
    assert!(mistyped.contains("ort"), "{mistyped}");
}

#[test]
fn the_same_export_gives_the_same_bytes() {
    let (a, b) = (Case::new(), Case::new());
    let (one, other) = (a.exported(), b.exported());
    for file in ["model.onnx", "model.teff", "golden.npz"] {
        assert_eq!(
            std::fs::read(one.join(file)).unwrap(),
            std::fs::read(other.join(file)).unwrap(),
            "{file}"
        );
    }
}

#[test]
fn quantize_writes_what_export_writes() {
    let case = Case::new();
    let q = case.path("q.onnx");
    json(&["quantize", text(&case.model), "--calibrate", text(&case.input), "--out", text(&q)]);
    let out = case.exported();
    assert_eq!(std::fs::read(&q).unwrap(), std::fs::read(out.join("model.onnx")).unwrap());
    // What is int8 already is kept.
    let again = case.path("again");
    json(&["export", text(&q), "--out", text(&again)]);
    assert_eq!(std::fs::read(&q).unwrap(), std::fs::read(again.join("model.onnx")).unwrap());
    assert!(
        failure(&["quantize", text(&q), "--calibrate", text(&case.input), "--out", text(&q)])
            .contains("already")
    );
}

#[test]
fn a_float_model_on_the_integer_engine_is_an_error_that_names_quantize() {
    let case = Case::new();
    let y = case.path("y.npz");
    let words = ["run", text(&case.model), "--input", text(&case.input), "--output", text(&y)];
    assert!(failure(&words).contains("trainer quantize"));
    assert!(failure(&["compile", text(&case.model), "--out", text(&y)]).contains("trainer quantize"));
    assert!(
        failure(&["export", text(&case.model), "--out", text(&case.path("out"))]).contains("--calibrate")
    );
    assert!(!y.exists() && !case.path("out").exists());
}

#[test]
fn damaged_files_are_named_and_leave_nothing() {
    let case = Case::new();
    let out = case.exported();
    let y = case.path("y.npz");
    for (name, source) in [("cut.onnx", "model.onnx"), ("cut.teff", "model.teff")] {
        let whole = std::fs::read(out.join(source)).unwrap();
        let cut = case.path(name);
        std::fs::write(&cut, &whole[..whole.len() - 40]).unwrap();
        let words = ["run", text(&cut), "--input", text(&case.input), "--output", text(&y)];
        assert!(failure(&words).contains(name));
        assert!(failure(&["inspect", text(&cut)]).contains(name));
    }
    let mut plan = std::fs::read(out.join("model.teff")).unwrap();
    plan[300] ^= 4;
    std::fs::write(case.path("flipped.teff"), &plan).unwrap();
    let message = failure(&["inspect", text(&case.path("flipped.teff"))]);
    assert!(message.contains("checksum") && message.contains("flipped.teff"), "{message}");

    let arrays_file = std::fs::read(&case.input).unwrap();
    std::fs::write(case.path("cut.npz"), &arrays_file[..arrays_file.len() / 2]).unwrap();
    let model = out.join("model.onnx");
    let message =
        failure(&["run", text(&model), "--input", text(&case.path("cut.npz")), "--output", text(&y)]);
    assert!(message.contains("cut.npz") && message.contains("Remedy"), "{message}");
    assert!(!y.exists());
}

#[test]
fn wrong_shapes_and_wrong_words_are_explained() {
    let case = Case::new();
    let model = case.exported().join("model.onnx");
    let wrong = case.path("wrong.npz");
    let array = Array::f32(&[4, 8, 6], vec![0.0; 192]);
    arrays::write(&wrong, &[Named { name: "samples".to_string(), array }]).unwrap();
    let message = failure(&["run", text(&model), "--input", text(&wrong)]);
    assert!(message.contains("[4, 8, 6]") && message.contains("[1, 2, 8, 6]"), "{message}");
    let array = Array::f32(&[1, 2, 8, 6], [vec![0.0; 95], vec![f32::NAN]].concat());
    arrays::write(&wrong, &[Named { name: "samples".to_string(), array }]).unwrap();
    let message = failure(&["run", text(&model), "--input", text(&wrong)]);
    assert!(message.contains("number 95 is not finite"), "{message}");
    let recipe = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/machine/recipe.toml");
    let words = [
        "export",
        text(&case.model),
        "--calibrate",
        text(&case.input),
        "--recipe",
        recipe,
        "--out",
        text(&wrong),
    ];
    assert!(failure(&words).contains("leave `--recipe` out"));
    assert!(failure(&["compile", text(&model), "--target", "cortex-m9"]).contains("cortex-m4"));
    assert!(failure(&["verify", text(&model), "--board", "nothing"]).contains("mps2-an386"));
    assert!(failure(&["evaluate", text(&model)]).contains("--recipe"));
    assert!(
        failure(&["run", text(&model), "--input", text(&case.path("absent.npz"))]).contains("absent.npz")
    );
    let plan = model.with_extension("teff");
    assert!(
        failure(&["run", text(&plan), "--input", text(&case.input), "--engine", "float"]).contains("plan")
    );
}
