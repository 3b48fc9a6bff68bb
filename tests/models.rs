//! The committed models: accuracy on their official test splits, agreement with ONNX Runtime, the same bits on the
//! emulated board.

use std::path::{Path, PathBuf};

use teff_board::Board;
use teff_trainer::anomaly::{self, Figures, Subject};
use teff_trainer::arrays;
use teff_trainer::compare::{Examples, compare};
use teff_trainer::dataset::{self, DataSet, Split};
use teff_trainer::engine::board::OnBoard;
use teff_trainer::engine::teff::Teff;
use teff_trainer::engine::{Engine, Kind, Options, batch, load};
use teff_trainer::evaluation::{self, Decided, Inputs};
use teff_trainer::golden;
use teff_trainer::model_file::Facts;
use teff_trainer::recipe::Recipe;
use teff_trainer::test_data::{find, skip};

fn folder(model: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").join(model)
}

/// The committed ONNX file.
fn onnx(model: &str) -> PathBuf {
    folder(model).join("model.onnx")
}

fn data_set(model: &str, data: Option<&Path>) -> DataSet {
    let recipe = Recipe::read(&folder(model).join("recipe.toml")).unwrap();
    dataset::load(&recipe.data, recipe.seed, data, &folder(model)).unwrap()
}

fn decide(path: &Path, engine: &mut dyn Engine, set: &DataSet) -> Vec<Decided> {
    let facts = Facts::read(path).unwrap();
    evaluation::evaluate(path, &facts, engine, set, Split::Test, |_| {}).unwrap()
}

/// Top-1 of the integers on the test split, and for how many examples ONNX Runtime decides the same.
fn check(test: &str, model: &str, data: Option<&str>, top1: f64) {
    let data = match data {
        Some(path) => match find(test, path) {
            Some(found) => Some(found),
            None => return,
        },
        None => None,
    };
    let path = onnx(model);
    let set = data_set(model, data.as_deref());
    let ours = decide(&path, &mut Teff::load(&path).unwrap(), &set);
    let right = evaluation::confusion(&ours, set.labels.len());
    println!("{model}: {:.4} of {}", right.top1(), right.samples());
    assert!(right.top1() >= top1, "{model}: {} of {} examples", right.right(), right.samples());

    if let Err(error) = teff_trainer::engine::ort::library() {
        return skip(test, &format!("agreement with ONNX Runtime: {error}"));
    }
    // Without its optimisations: on processors without VNNI the optimised kernels saturate.
    let mut engine = load(Kind::Ort, &path, &Options { as_written: true }).unwrap();
    let theirs = decide(&path, engine.as_mut(), &set);
    let same = ours.iter().zip(&theirs).filter(|(a, b)| a.decided == b.decided).count();
    println!("{model}: ONNX Runtime decides the same for {same} of {}", ours.len());
    assert!(same as f64 >= 0.995 * ours.len() as f64, "{model}: {same} of {}", ours.len());
}

#[test]
fn machine_is_as_accurate_as_its_card_says() {
    check("machine_is_as_accurate_as_its_card_says", "machine", None, 0.95);
}

/// The model of normal machines on machines that it has not seen: how well its score tells, what its threshold makes of
/// them, and that its threshold is the one that the recipe asks for.
#[test]
fn machine_anomaly_tells_as_well_as_its_card_says() {
    let test = "machine_anomaly_tells_as_well_as_its_card_says";
    let path = onnx("machine_anomaly");
    let recipe = Recipe::read(&folder("machine_anomaly").join("recipe.toml")).unwrap();
    let (data, set) = (&recipe.data, data_set("machine_anomaly", None));
    let facts = Facts::read(&path).unwrap();
    let settings = anomaly::settings(&path, &facts).unwrap().unwrap();
    let subject = Subject { model: &path, facts: &facts, kind: settings.kind, input_step: None };
    let windows =
        |engine: &mut dyn Engine, split| subject.windows(engine, data, &set, split, |_| {}).unwrap();
    let mut teff = Teff::load(&path).unwrap();
    let found =
        anomaly::find(recipe.reconstruction().unwrap(), &windows(&mut teff, Split::Validation)).unwrap();
    assert_eq!(found.threshold, settings.threshold);

    let ours = windows(&mut teff, Split::Test);
    let figures = Figures::new(settings, data, &ours);
    println!("machine_anomaly: {figures:?}");
    assert!(figures.auc >= Some(0.98), "{figures:?}");
    assert!(figures.detection_rate >= Some(0.85), "{figures:?}");
    assert!(figures.false_alarm_rate <= Some(0.02), "{figures:?}");

    if let Err(error) = teff_trainer::engine::ort::library() {
        return skip(test, &format!("agreement with ONNX Runtime: {error}"));
    }
    let mut engine = load(Kind::Ort, &path, &Options { as_written: true }).unwrap();
    let theirs = windows(engine.as_mut(), Split::Test);
    let same = anomaly::agreeing(settings, &ours, &theirs);
    println!("machine_anomaly: with ONNX Runtime {same} of {} are on the same side", ours.len());
    assert!(same as f64 >= 0.995 * ours.len() as f64, "{same} of {}", ours.len());
}

#[test]
fn digits_is_as_accurate_as_its_card_says() {
    check("digits_is_as_accurate_as_its_card_says", "digits", Some("data/free-spoken-digits"), 0.98);
}

#[test]
fn digits_small_is_as_accurate_as_its_card_says() {
    let test = "digits_small_is_as_accurate_as_its_card_says";
    check(test, "digits_small", Some("data/free-spoken-digits"), 0.97);
}

#[test]
fn fashion_is_as_accurate_as_its_card_says() {
    check("fashion_is_as_accurate_as_its_card_says", "fashion", Some("data/fashion-mnist"), 0.91);
}

#[test]
fn gesture_is_as_accurate_as_its_card_says() {
    check("gesture_is_as_accurate_as_its_card_says", "gesture", Some("data/magic-wand"), 0.85);
}

/// Golden inputs give the golden outputs, on the host and on the emulated board.
#[test]
fn golden_vectors_are_the_same_bits_everywhere() {
    let test = "golden_vectors_are_the_same_bits_everywhere";
    let board = Board::find("mps2-an386").unwrap();
    let emulated = board.ready();
    if let Err(error) = &emulated {
        skip(test, &format!("{error:#}"));
    }
    for model in ["machine", "machine_anomaly", "digits", "digits_small", "fashion", "gesture"] {
        let path = onnx(model);
        let file = golden::beside(&path).unwrap();
        let golden = arrays::read(&file).unwrap();
        let mut engine = OnBoard::load(&path, board).unwrap();
        let examples = batch::examples(engine.inputs(), &golden, &file).unwrap();
        let host = batch::run(engine.host(), &examples, |_| {}).unwrap();
        assert_eq!(golden::differing(&host, &golden), Some(0), "{model} on the host");
        if emulated.is_ok() {
            let on_board = batch::run(&mut engine, &examples, |_| {}).unwrap();
            assert_eq!(golden::differing(&on_board, &golden), Some(0), "{model} on {}", board.name);
        }
    }
}

/// Every operator of a committed model, given ONNX Runtime's own integers: on the golden inputs, and on examples of the
/// test split where the data is there.
fn check_operators(test: &str, model: &str, data: Option<&str>) {
    if let Err(error) = teff_trainer::engine::ort::library() {
        return skip(test, &error.to_string());
    }
    let path = onnx(model);
    let file = golden::beside(&path).unwrap();
    let mut given = arrays::read(&file).unwrap();
    let data = data.and_then(|path| find(test, path));
    if data.is_some() || model.starts_with("machine") {
        let set = data_set(model, data.as_deref());
        let engine = Teff::load(&path).unwrap();
        let mut inputs = Inputs::new(&path, &Facts::read(&path).unwrap(), engine.inputs()).unwrap();
        let examples: Vec<_> = set.of(Split::Test).collect();
        for example in examples.iter().step_by(examples.len().div_ceil(60)) {
            let mut array = inputs.of(example).unwrap();
            array.shape[0] = 1;
            assert!(given[0].array.append(&array));
            given[0].array.shape[0] += 1;
        }
    }
    let compared = compare(&path, Kind::Ort, None, &Examples { arrays: &given[..1], file: &file }).unwrap();
    assert!(compared.not_compared.is_empty(), "{model}: {:?}", compared.not_compared);
    for layer in &compared.layers {
        println!("{model} {} {}: {:.6} differ", layer.index, layer.operator, layer.differing_share);
        assert!(layer.largest_lsb <= 1, "{model}: {layer:?}");
    }
}

#[test]
fn machine_operators_are_within_one_unit_of_onnx_runtime() {
    check_operators("machine_operators_are_within_one_unit_of_onnx_runtime", "machine", None);
}

#[test]
fn machine_anomaly_operators_are_within_one_unit_of_onnx_runtime() {
    let test = "machine_anomaly_operators_are_within_one_unit_of_onnx_runtime";
    check_operators(test, "machine_anomaly", None);
}

#[test]
fn digits_operators_are_within_one_unit_of_onnx_runtime() {
    let test = "digits_operators_are_within_one_unit_of_onnx_runtime";
    check_operators(test, "digits", Some("data/free-spoken-digits"));
}

#[test]
fn fashion_operators_are_within_one_unit_of_onnx_runtime() {
    check_operators(
        "fashion_operators_are_within_one_unit_of_onnx_runtime",
        "fashion",
        Some("data/fashion-mnist"),
    );
}

#[test]
fn gesture_operators_are_within_one_unit_of_onnx_runtime() {
    check_operators(
        "gesture_operators_are_within_one_unit_of_onnx_runtime",
        "gesture",
        Some("data/magic-wand"),
    );
}
