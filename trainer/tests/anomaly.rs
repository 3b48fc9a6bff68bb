//! Models of normal signals, as a user makes them: from a recipe to a threshold that the device reads.
#![cfg(feature = "train")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use teff_app::decision::{Kind, Settings};
use teff_trainer::model_file::Facts;
use teff_trainer::run::Run;
use teff_trainer::trace;
use tempfile::TempDir;

/// Two states of few machines, as files that the tests can change.
const RECIPE: &str = r#"
name = "usual"
seed = 5

[card]
title = "How unusual a machine is"
data = "simulated"
data_licence = "none needed"
licence = "MIT"

[data]
format = "machine"
path = "machine"
labels = ["healthy", "looseness"]
normal = ["healthy"]
machines = 16
seed = 1
seconds = 2

[data.window]
length = 256
stride = 256

[data.split]
rule = "share"
test = 0.3
by = "group"
validation = 0.3
validation_by = "group"

[front_end]
kind = "motion_stats"
bands = 16
standardize = true

[[network.layers]]
type = "dense"
units = 8
activation = "relu"

[[network.layers]]
type = "dense"

[train]
epochs = 6
batch = 32
optimiser = "adam"
learning_rate = 0.01
keep = "best"

[decision]
kind = "reconstruction"
quantile = 0.99
smoothing = 3
hysteresis = 0.2
refractory = 2
"#;

struct Place(TempDir);

impl Place {
    fn new(recipe: &str) -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        fs::write(place.path("recipe.toml"), recipe).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn train(&self, run: &str) -> Output {
        trainer(&["train", text(&self.path("recipe.toml")), "--out", text(&self.path(run)), "--json"])
    }

    /// Trains and exports; gives the model.
    fn model(&self, run: &str) -> PathBuf {
        succeeded(&self.train(run));
        let out = self.path(&format!("{run}-out"));
        succeeded(&trainer(&["export", text(&self.path(run)), "--out", text(&out), "--json"]));
        out.join("model.onnx")
    }

    fn fails(&self, expected: &str) {
        let output = self.train("run");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(expected), "`{expected}` is not in: {said}");
        assert!(!self.path("run/metrics.jsonl").exists(), "found only after training");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn trainer(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_trainer")).args(words).output().unwrap()
}

fn succeeded(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

fn settings(model: &Path) -> Settings {
    Settings::read(Facts::read(model).unwrap().metadata("teff.decision").unwrap()).unwrap()
}

#[test]
fn from_a_recipe_to_a_threshold() {
    let place = Place::new(RECIPE);
    let model = place.model("first");
    let summary: Value =
        serde_json::from_slice(&fs::read(place.path("first/metrics.json")).unwrap()).unwrap();
    assert!(summary["float_auc"].as_f64() > Some(0.8), "{summary}");
    assert!(summary["validation_loss"].as_f64() > Some(0.0) && summary["float_top1"].is_null(), "{summary}");
    let log = fs::read_to_string(place.path("first/metrics.jsonl")).unwrap();
    let losses: Vec<f64> = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["validation_loss"].as_f64().unwrap())
        .collect();
    assert!(losses.len() == 6 && losses[5] < losses[0], "{losses:?}");
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let kept = summary["kept_epoch"].as_u64().unwrap() as usize;
    assert!(losses[kept - 1] == best && (summary["validation_loss"].as_f64().unwrap() - best).abs() < 1e-9);

    // The same bytes again.
    assert_eq!(fs::read(&model).unwrap(), fs::read(place.model("second")).unwrap());

    let decision = settings(&model);
    assert_eq!((decision.kind, decision.smoothing, decision.refractory), (Kind::Reconstruction, 3, 2));
    assert_eq!(decision.hysteresis, decision.threshold / 5);
    assert_eq!(fs::read_to_string(model.with_file_name("labels.txt")).unwrap(), "anomaly\n");
    let card = fs::read_to_string(model.with_file_name("README.md")).unwrap();
    for word in
        ["| float |", "| int8, as on the device |", "healthy (normal)", "share of 0.99 of", "Event: anomaly"]
    {
        assert!(card.contains(word), "`{word}` is not in: {card}");
    }

    // As many normal validation windows as asked for stay below: none of so few is above.
    let of = |split: &str, more: &[&str]| {
        succeeded(&trainer(&[&["evaluate", text(&model), "--split", split, "--json"], more].concat()))
    };
    let validation = of("validation", &[]);
    assert_eq!(validation["false_alarm_rate"].as_f64(), Some(0.0), "{validation}");
    assert!(validation["auc"].is_null() && validation["detection_rate"].is_null(), "{validation}");
    let test = of("test", &["--against", "exact"]);
    assert!(test["auc"].as_f64() > Some(0.8) && test["detection_rate"].as_f64() > Some(0.5), "{test}");
    assert_eq!(test["threshold"].as_f64(), Some(f64::from(decision.threshold) / 256.0));
    assert!(test["against"]["agreement"].as_f64() > Some(0.95), "{test}");
    // 12 windows of a recording, of which the first two have fewer than three before them.
    let labels = test["labels"].as_array().unwrap();
    for label in labels {
        let recordings = label["recordings"].as_u64().unwrap();
        assert_eq!(label["samples"].as_u64(), Some(10 * recordings), "{test}");
    }
    assert!(labels[1]["recordings_with_event"].as_u64() >= Some(1), "{test}");
    assert!(of("test", &["--engine", "float"])["auc"].as_f64() > Some(0.8));
    let shown = trainer(&["evaluate", text(&model)]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("healthy (normal)"));

    // Other commands take the model as any other.
    let golden = model.with_file_name("golden.npz");
    let plan = model.with_extension("teff");
    for words in [
        vec!["inspect", text(&model)],
        vec!["inspect", text(&plan)],
        vec!["evaluate", text(&plan)],
        vec!["run", text(&model), "--input", text(&golden)],
        vec!["compare", text(&model), "--input", text(&golden)],
    ] {
        succeeded(&trainer(&words));
    }

    // A recipe of classes does not say what is normal.
    let classes = place.path("classes.toml");
    let of_classes = RECIPE.replace("normal = [\"healthy\"]\n", "");
    fs::write(&classes, &of_classes[..of_classes.find("[decision]").unwrap()]).unwrap();
    let output = trainer(&["evaluate", text(&model), "--recipe", text(&classes)]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.code() == Some(2) && said.contains("does not say which labels are normal"),
        "{said}"
    );

    // What is quantized is kept byte for byte, so its threshold is measured and not found.
    let again = place.path("again");
    let data = place.path("data");
    fs::create_dir(&data).unwrap();
    let words = ["export", text(&model), "--calibrate", text(&data), "--out", text(&again), "--json"];
    let exported = succeeded(&trainer(&words));
    assert_eq!(exported["int8_anomaly"]["auc"], test["auc"]);
    assert_eq!(fs::read(again.join("model.onnx")).unwrap(), fs::read(&model).unwrap());
}

/// A float network that was trained elsewhere gets the same threshold, with a recipe that says how.
#[test]
fn a_float_model_file_gets_its_threshold() {
    let place = Place::new(&RECIPE.replace("epochs = 6", "epochs = 2"));
    let of_run = place.model("run");
    let run = Run::open(&place.path("run")).unwrap();
    let graph = trace::trace("float", &run.network, &run.weights).unwrap();
    let float = place.path("float.onnx");
    fs::write(&float, teff_compiler::onnx::export(&graph).unwrap()).unwrap();
    let (out, data) = (place.path("out"), place.path("data"));
    fs::create_dir(&data).unwrap();
    let words = ["export", text(&float), "--calibrate", text(&data), "--out", text(&out), "--json"];
    let recipe = place.path("recipe.toml");
    let report = succeeded(&trainer(&[&words[..], &["--recipe", text(&recipe)]].concat()));
    assert_eq!(settings(&out.join("model.onnx")), settings(&of_run));
    assert!(report["float_anomaly"]["auc"].is_number() && report["int8_anomaly"]["auc"].is_number());
    let words = ["evaluate", text(&float), "--recipe", text(&recipe), "--engine", "float"];
    assert_eq!(trainer(&words).status.code(), Some(2), "a float model has no score in steps");
}

#[test]
fn a_threshold_that_is_given_is_kept() {
    let place = Place::new(
        &RECIPE.replace("quantile = 0.99", "threshold = 77.25").replace("epochs = 6", "epochs = 1"),
    );
    let model = place.model("run");
    assert_eq!(settings(&model).threshold, 77 * 256 + 64);
    assert!(fs::read_to_string(model.with_file_name("README.md")).unwrap().contains("given by the recipe"));
}

#[test]
fn what_the_threshold_needs_is_missed_before_training() {
    let without = RECIPE
        .replace("validation = 0.3\nvalidation_by = \"group\"\n", "")
        .replace("keep = \"best\"", "keep = \"last\"");
    Place::new(&without).fails("no normal example is set aside for validation");
    // 12 windows of a recording.
    Place::new(&RECIPE.replace("smoothing = 3", "smoothing = 13")).fails("more than 12 windows in a row");
    Place::new(&RECIPE.replace("seconds = 2", "seconds = 0.1")).fails("has no example to train on");
}

/// A recording with a dead axis, and one with a single window.
#[test]
fn a_feature_that_never_changes_is_no_anomaly() {
    let recipe = RECIPE
        .replace("format = \"machine\"", "format = \"recordings\"\nlayout = \"class_folders\"\ncolumns = [\"x\", \"y\"]\nrate_hz = 100\nunit = \"g\"\nlsb_per_unit = 256\nvalues_per_unit = 256")
        .replace("machines = 16\nseed = 1\nseconds = 2\n", "")
        .replace("length = 256\nstride = 256", "length = 32\nstride = 32")
        .replace("bands = 16", "bands = 4")
        .replace("test = 0.3\nby = \"group\"", "test = 0.3")
        .replace("validation_by = \"group\"\n", "")
        .replace("smoothing = 3", "smoothing = 1");
    let place = Place::new(&recipe);
    for (class, size) in [("healthy", 100), ("looseness", 900)] {
        let folder = place.path("machine").join(class);
        fs::create_dir_all(&folder).unwrap();
        for n in 0..10_usize {
            let mut csv = String::from("x,y\n");
            for at in 0..if n == 0 { 32 } else { 320 } {
                csv += &format!("{},7\n", (at * (n + 7) * 37 + at * at * n) % size);
            }
            fs::write(folder.join(format!("g{n}_0.csv")), csv).unwrap();
        }
    }
    let model = place.model("run");
    let test = succeeded(&trainer(&[
        "evaluate",
        text(&model),
        "--recipe",
        text(&place.path("recipe.toml")),
        "--json",
    ]));
    assert!(test["auc"].as_f64() > Some(0.9), "{test}");
}
