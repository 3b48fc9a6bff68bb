//! The loaders on the real data sets, with the counts that their authors state.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use teff_trainer::dataset::{self, DataSet, Samples, SignalKind, Split, recordings};
use teff_trainer::recipe::Recipe;
use teff_trainer::recipe::data::{Cut, Format, Rule};
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
    let speakers: BTreeSet<&str> = set.examples.iter().map(|e| e.group.as_str()).collect();
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
    let speakers = |test: bool| -> BTreeSet<&str> {
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

#[test]
fn smartphone_activities_have_the_counts_of_windows_stated_for_the_subject_split() {
    let test = "smartphone_activities_have_the_counts_of_windows_stated_for_the_subject_split";
    let Some((_, set)) = load(test, "activity") else { return };
    assert_eq!(train_side(&set).iter().sum::<usize>(), 7_415);
    assert_eq!(set.counts(Split::Test).iter().sum::<usize>(), 2_996);
    let subjects = |split| -> BTreeSet<&str> { set.of(split).map(|e| e.group.as_str()).collect() };
    assert_eq!(subjects(Split::Test), ["2", "4", "9", "10", "12", "13", "18", "20", "24"].into());
    assert_eq!(subjects(Split::Train).len() + subjects(Split::Validation).len(), 21);
    assert!(subjects(Split::Train).is_disjoint(&subjects(Split::Validation)));
    assert!(set.examples.iter().all(|e| e.samples.len() == 128 * 3));
    // A person at rest feels one g, which is 8,192 counts.
    let Samples::I16(lying) = &set.of(Split::Test).find(|e| e.label == 5).unwrap().samples else {
        unreachable!()
    };
    let squares: f64 = lying.iter().map(|&count| f64::from(count).powi(2)).sum();
    let g = (squares / 128.0).sqrt() / 8_192.0;
    assert!((0.9..1.1).contains(&g), "{g} g");
}

#[test]
fn magic_wand_recordings_have_their_counts_and_one_unit() {
    let test = "magic_wand_recordings_have_their_counts_and_one_unit";
    let Some(folder) = test_data::find(test, "data/magic-wand") else { return };
    let recipe = recipe("gesture");
    let Format::Recordings(settings) = &recipe.data.format else { unreachable!() };
    let (recordings, skipped) = recordings::read(&folder, &recipe.data, settings).unwrap();
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for recording in &recordings {
        *counts.entry((&recipe.data.labels[recording.label], &recording.group)).or_default() += 1;
    }
    let expected = [
        (("negative", "1"), 1),
        (("negative", "2"), 1),
        (("negative", "3"), 1),
        (("negative", "4"), 1),
        (("negative", "5"), 1),
        (("negative", "ccw_1"), 35),
        (("negative", "ccw_2"), 10),
        (("negative", "jiangyh"), 13),
        (("ring", "dengyl"), 21),
        (("ring", "hyw"), 40),
        (("ring", "jiangyh"), 22),
        (("slope", "dengyl"), 22),
        (("slope", "hyw"), 40),
        (("slope", "jiangyh"), 27),
        (("slope", "liucx"), 22),
        (("wing", "dengyl"), 20),
        (("wing", "hyw"), 40),
        (("wing", "jiangyh"), 21),
    ];
    assert_eq!(counts, expected.into());
    assert!(skipped.count > 700 && !skipped.reasons.is_empty(), "{skipped:?}");
    // Whatever unit a file is in, the median sample is gravity: 100 counts.
    for recording in &recordings {
        let mut squares: Vec<i32> = recording
            .samples
            .chunks(3)
            .map(|s| s.iter().map(|&c| i32::from(c) * i32::from(c)).sum())
            .collect();
        squares.sort_unstable();
        let median = f64::from(squares[squares.len() / 2]).sqrt();
        assert!((80.0..150.0).contains(&median), "{}: {median}", recording.source);
        assert!(recording.samples.iter().all(|count| count.unsigned_abs() <= 200));
    }
}

#[test]
fn in_training_the_length_of_a_gesture_says_nothing_about_its_class() {
    let test = "in_training_the_length_of_a_gesture_says_nothing_about_its_class";
    let Some((recipe, mut set)) = load(test, "gesture") else { return };
    println!("train {:?} test {:?}", set.counts(Split::Train), set.counts(Split::Test));
    // With noise far above the sensor's range, what is rest and what is the recording can be told apart.
    let Format::Recordings(mut settings) = recipe.data.format.clone() else { unreachable!() };
    settings.window.cut = Cut::Place { copies: 8, rest_noise: 10_000.0 };
    let folder = test_data::find(test, "data/magic-wand").unwrap();
    set = recordings::load(&folder, &recipe.data, &settings, recipe.seed).unwrap();
    let mut lens = vec![Vec::new(); 4];
    for example in set.of(Split::Train) {
        let Samples::I16(samples) = &example.samples else { unreachable!() };
        assert_eq!(samples.len(), 128 * 3);
        let recorded =
            samples.chunks(3).filter(|sample| sample.iter().all(|count| count.unsigned_abs() <= 200));
        lens[example.label].push(recorded.count());
    }
    let means: Vec<f64> = lens.iter().map(|l| l.iter().sum::<usize>() as f64 / l.len() as f64).collect();
    let spread =
        means.iter().cloned().fold(f64::MIN, f64::max) - means.iter().cloned().fold(f64::MAX, f64::min);
    // As recorded, the classes' mean lengths are 62 to 76 samples, and the long recordings have up to 2,395.
    assert!(spread < 3.0, "mean lengths {means:?}");
}

#[test]
fn every_fold_of_the_gestures_holds_its_person_out() {
    let test = "every_fold_of_the_gestures_holds_its_person_out";
    let Some(folder) = test_data::find(test, "data/magic-wand") else { return };
    for (fold, person) in ["dengyl", "hyw", "jiangyh"].into_iter().enumerate() {
        let mut data = recipe("gesture").data;
        let Rule::Folds { fold: chosen, folds } = &mut data.split.rule else { unreachable!() };
        *chosen = fold;
        let held_out: BTreeSet<String> = folds[fold].iter().cloned().collect();
        assert!(held_out.contains(person));
        let set = dataset::load(&data, 1, Some(&folder), Path::new(".")).unwrap();
        assert!(set.of(Split::Test).all(|e| held_out.contains(&e.group)));
        assert!(set.of(Split::Train).all(|e| !held_out.contains(&e.group)));
        assert!(set.of(Split::Train).any(|e| e.group == "liucx"));
        assert!(set.counts(Split::Test).iter().all(|&count| count >= 10), "{:?}", set.counts(Split::Test));
    }
}

#[test]
fn the_simulated_machine_is_the_same_from_files_and_straight() {
    let mut recipe = recipe("machine");
    let Format::Machine(settings) = &mut recipe.data.format else { unreachable!() };
    settings.machines = 5;
    settings.seconds = 0.7;
    let folder = tempfile::tempdir().unwrap();
    let straight = dataset::load(&recipe.data, 1, None, Path::new(".")).unwrap();
    let written = dataset::load(&recipe.data, 1, Some(folder.path()), Path::new(".")).unwrap();
    let read = dataset::load(&recipe.data, 1, Some(&folder.path().join("machine")), Path::new(".")).unwrap();
    assert_eq!(written, read);
    assert_eq!(straight.kind, written.kind);
    let without_source = |set: &DataSet| -> Vec<_> {
        set.examples.iter().map(|e| (e.samples.clone(), e.label, e.group.clone(), e.split)).collect()
    };
    assert_eq!(without_source(&straight), without_source(&written));
    assert!(folder.path().join("machine/README.md").is_file());
    assert!(!folder.path().join("machine.partial").exists());
    let Format::Machine(settings) = &mut recipe.data.format else { unreachable!() };
    settings.seed = 2;
    let stale = dataset::load(&recipe.data, 1, Some(folder.path()), Path::new(".")).unwrap_err();
    assert!(stale.to_string().contains("was simulated with other"), "{stale}");
}
