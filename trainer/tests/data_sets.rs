//! The loaders on the real data sets, with the counts that their authors state.

use std::path::{Path, PathBuf};

use teff_trainer::dataset::{self, DataSet, Samples, SignalKind, Split};
use teff_trainer::recipe::Recipe;
use teff_trainer::test_data;

/// The folder of a model in the repository.
fn model_folder(name: &str) -> PathBuf {
    Path::new("..").join("models").join(name)
}

fn recipe(name: &str) -> Recipe {
    Recipe::read(&model_folder(name).join("recipe.toml")).unwrap_or_else(|error| panic!("{error}"))
}

/// The data of a recipe of the repository, or nothing when the shared data is not there.
fn load(test: &str, name: &str) -> Option<(Recipe, DataSet)> {
    let recipe = recipe(name);
    let folder = test_data::find(test, &format!("data/{}", recipe.data.path))?;
    let set = dataset::load(&recipe.data, recipe.seed, Some(&folder), &model_folder(name));
    Some((recipe, set.unwrap_or_else(|error| panic!("{error}"))))
}

/// Counts of each class over the training side, validation included.
fn train_side(set: &DataSet) -> Vec<usize> {
    set.counts(Split::Train).iter().zip(set.counts(Split::Validation)).map(|(t, v)| t + v).collect()
}

#[test]
fn fashion_mnist_has_its_official_counts() {
    let Some((_, set)) = load("fashion_mnist_has_its_official_counts", "fashion") else {
        return;
    };
    assert_eq!(set.kind, SignalKind::Image { h: 28, w: 28, c: 1 });
    assert_eq!(train_side(&set), [6_000; 10]);
    assert_eq!(set.counts(Split::Test), [1_000; 10]);
    assert_eq!(set.counts(Split::Validation), [300; 10]);
    assert!(set.examples.iter().all(|example| example.samples.len() == 28 * 28));
}

#[test]
fn spoken_digits_have_their_official_counts_from_the_archive() {
    let Some((_, set)) = load("spoken_digits_have_their_official_counts_from_the_archive", "digits") else {
        return;
    };
    assert_eq!(set.kind, SignalKind::Audio { rate_hz: 8_000 });
    assert_eq!(train_side(&set), [270; 10]);
    assert_eq!(set.counts(Split::Test), [30; 10]);
    let speakers: std::collections::BTreeSet<&str> = set.examples.iter().map(|e| e.group.as_str()).collect();
    assert_eq!(Vec::from_iter(speakers), ["george", "jackson", "lucas", "nicolas", "theo", "yweweler"]);
    let lens = set.examples.iter().map(|e| e.samples.len());
    assert!(lens.clone().min() > Some(1_100) && lens.max() < Some(18_300));
}

#[test]
fn the_parent_of_a_set_may_be_given_too() {
    let test = "the_parent_of_a_set_may_be_given_too";
    let Some((recipe, set)) = load(test, "digits") else {
        return;
    };
    let Some(parent) = test_data::find(test, "data") else {
        return;
    };
    assert_eq!(dataset::load(&recipe.data, recipe.seed, Some(&parent), Path::new(".")).unwrap(), set);
}

#[test]
fn speech_commands_layout_has_its_counts_and_disjoint_speakers() {
    let test = "speech_commands_layout_has_its_counts_and_disjoint_speakers";
    let Some(folder) = test_data::find(test, "data/speech-commands") else {
        return;
    };
    let text = std::fs::read_to_string(model_folder("digits").join("recipe.toml")).unwrap();
    let text = text
        .replace("free-spoken-digits.tar.gz", "speech-commands-6class.tar.gz")
        .replace("below = \"recordings\"\n", "")
        .replace("class_speaker_index", "split_class_folders")
        .replace("rate_hz = 8000", "rate_hz = 16000");
    let classes = text.find("classes = ").unwrap();
    let labels_end = text.find("\n\n[data.split]").unwrap();
    let labels = r#"labels = ["yes", "no", "up", "down", "_unknown_", "_silence_"]"#;
    let text = [&text[..classes], labels, &text[labels_end..]].concat();
    let recipe = Recipe::parse(Path::new("speech.toml"), &text).unwrap_or_else(|error| panic!("{error}"));
    let set = dataset::load(&recipe.data, 1, Some(&folder), Path::new("."))
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(train_side(&set), [216; 6]);
    assert_eq!(set.counts(Split::Test), [54; 6]);
    let speakers = |test: bool| -> std::collections::BTreeSet<&str> {
        set.examples
            .iter()
            .filter(|e| (e.split == Split::Test) == test && set.labels[e.label] != "_silence_")
            .map(|e| e.group.as_str())
            .collect()
    };
    assert_eq!(speakers(true).intersection(&speakers(false)).count(), 0);
    assert_eq!((speakers(false).len(), speakers(true).len()), (168, 45));
    assert!(set.examples.iter().all(|e| matches!(&e.samples, Samples::I16(s) if s.len() == 16_000)));
}
