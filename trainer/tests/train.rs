//! `trainer train`, as a user runs it.
#![cfg(feature = "train")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use teff_compiler::quantize::{Method, quantize};
use teff_trainer::dataset::{self, Split};
use teff_trainer::features::Features;
use teff_trainer::run::Run;
use teff_trainer::trace;
use tempfile::TempDir;

const RECIPE: &str = r#"
name = "states"
seed = 5

[card]
title = "States of a machine"
data = "simulated"
data_licence = "none needed"
licence = "MIT"

[data]
format = "machine"
path = "machine"
labels = ["healthy", "imbalance", "misalignment", "bearing_fault", "looseness"]
machines = 30
seed = 1
seconds = 1

[data.window]
length = 256
stride = 256

[data.split]
rule = "share"
test = 0.3
by = "group"
validation = 0.2
validation_by = "group"

[front_end]
kind = "motion_stats"
bands = 16
standardize = true

[augment]
gain_db = 1

[[network.layers]]
type = "dense"
units = 16
activation = "relu"

[[network.layers]]
type = "dropout"
rate = 0.1

[[network.layers]]
type = "dense"

[train]
epochs = 8
batch = 32
optimiser = "adam"
learning_rate = 0.01
schedule = "cosine"
keep = "best"
"#;

/// A folder with a recipe in it.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new(recipe: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("recipe.toml"), recipe).expect("a recipe");
        Self { folder }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, run: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
        command.arg("train").arg(self.path("recipe.toml")).arg("--out").arg(self.path(run)).args(more);
        command
    }

    fn train(&self, run: &str, more: &[&str]) -> Output {
        self.command(run, more).output().expect("the trainer starts")
    }

    fn fails(&self, more: &[&str], expected: &[&str]) {
        let output = self.train("run", more);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{text}");
        for word in expected {
            assert!(text.contains(word), "`{word}` is not in: {text}");
        }
        assert!(output.stdout.is_empty());
        assert!(!self.path("run/metrics.json").exists());
    }
}

fn succeeded(output: &Output) -> serde_json::Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// The int8 ONNX of a run.
fn onnx(run: &Path) -> Vec<u8> {
    let run = Run::open(run).expect("a finished run");
    let set = dataset::load(&run.recipe.data, run.recipe.seed, None, Path::new(".")).expect("data");
    let training = Features::new(&set, Split::Train, &run.front_end).expect("features");
    let graph = trace::trace(&run.recipe.name, &run.network, &run.weights).expect("a graph");
    let samples = (0..training.len().min(64)).map(|i| vec![training.plain(i)]);
    let quantized = quantize(&graph, samples, Method::MinMax).expect("a quantized graph");
    teff_compiler::onnx::export(&quantized).expect("ONNX")
}

#[test]
fn the_same_recipe_and_seed_give_the_same_onnx() {
    let place = Place::new(RECIPE);
    let summary = succeeded(&place.train("first", &["--json"]));
    for key in ["float_top1", "samples", "epochs", "seconds", "training_macs", "parameters", "macs"] {
        assert!(summary[key].is_number(), "{key} in {summary}");
    }
    assert!(summary["float_top1"].as_f64() > Some(0.8), "{summary}");
    assert_eq!(fs::read_to_string(place.path("first/metrics.jsonl")).expect("a log").lines().count(), 8);
    assert_eq!(fs::read_to_string(place.path("first/recipe.toml")).expect("a recipe"), RECIPE);
    succeeded(&place.train("second", &["--json"]));
    let first = onnx(&place.path("first"));
    assert_eq!(first, onnx(&place.path("second")));
    succeeded(&place.train("third", &["--json", "--seed", "6"]));
    assert_ne!(first, onnx(&place.path("third")));
}

#[test]
fn a_killed_run_goes_on_to_the_same_weights() {
    let place = Place::new(&RECIPE.replace("epochs = 8", "epochs = 200"));
    succeeded(&place.train("whole", &["--json"]));
    let mut child = place
        .command("parts", &[])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the trainer starts");
    let start = Instant::now();
    let is_under_way = || fs::read_dir(place.path("parts")).is_ok_and(|entries| entries.count() >= 4);
    while !is_under_way() && start.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().expect("the trainer is killed");
    child.wait().expect("the trainer ends");
    succeeded(&place.train("parts", &["--json"]));
    let weights = |run: &str| fs::read(place.path(run).join("weights.safetensors")).expect("weights");
    assert_eq!(weights("whole"), weights("parts"));
    assert_eq!(fs::read_to_string(place.path("parts/metrics.jsonl")).expect("a log").lines().count(), 200);
}

#[test]
fn a_run_folder_belongs_to_one_recipe() {
    let place = Place::new(RECIPE);
    succeeded(&place.train("run", &["--json"]));
    let weights = fs::read(place.path("run/weights.safetensors")).expect("weights");
    succeeded(&place.train("run", &["--json"]));
    assert_eq!(fs::read(place.path("run/weights.safetensors")).expect("weights"), weights);
    fs::write(place.path("recipe.toml"), RECIPE.replace("units = 16", "units = 12")).expect("a recipe");
    let refused = place.train("run", &[]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--fresh"));
    assert_eq!(fs::read(place.path("run/weights.safetensors")).expect("weights"), weights);
    succeeded(&place.train("run", &["--json", "--fresh"]));
    assert_ne!(fs::read(place.path("run/weights.safetensors")).expect("weights"), weights);
}

#[test]
fn faults_are_named() {
    Place::new(&RECIPE.replace("epochs", "epoches")).fails(&[], &["epoches", "`epochs`", "recipe.toml:"]);
    let pool = "type = \"max_pool\"\nkernel = 3\n\n[[network.layers]]\ntype = \"dropout\"";
    Place::new(&RECIPE.replace("type = \"dropout\"", pool)).fails(&[], &["recipe.toml"]);
    let pool = "type = \"max_pool\"\nkernel = 3\n\n[[network.layers]]\ntype = \"dense\"\nunits = 16";
    Place::new(&RECIPE.replace("type = \"dense\"\nunits = 16", pool)).fails(&[], &["max_pool_0", "kernel"]);
    Place::new(RECIPE).fails(&["--fold", "1"], &["--fold", "no folds"]);
    let wild = RECIPE
        .replace("optimiser = \"adam\"", "optimiser = \"sgd\"\nmomentum = 0.99")
        .replace("learning_rate = 0.01", "learning_rate = 10.0")
        .replace("epochs = 8", "epochs = 60");
    Place::new(&wild).fails(&[], &["diverged", "learning_rate"]);
    let nothing = tempfile::tempdir().expect("a folder");
    let output = Command::new(env!("CARGO_BIN_EXE_trainer"))
        .arg("train")
        .arg(nothing.path().join("recipe.toml"))
        .output()
        .expect("the trainer starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("recipe.toml"));
}

#[test]
fn a_damaged_checkpoint_is_named() {
    let place = Place::new(RECIPE);
    succeeded(&place.train("run", &["--json"]));
    let checkpoint = place.path("run/checkpoint-00008.safetensors");
    let bytes = fs::read(&checkpoint).expect("a checkpoint");
    fs::write(&checkpoint, &bytes[..bytes.len() / 2]).expect("a half checkpoint");
    let output = place.train("run", &[]);
    assert_eq!(output.status.code(), Some(2));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("checkpoint-00008") && text.contains("damaged"), "{text}");
    fs::remove_file(&checkpoint).expect("removed");
    succeeded(&place.train("run", &["--json"]));
}
