//! Features of data sets: shapes, standardization, random changes.

use std::path::Path;

use teff_trainer::dataset::{self, DataSet, Split};
use teff_trainer::features::{self, Features};
use teff_trainer::recipe::Recipe;
use teff_trainer::recipe::data::Format;
use teff_trainer::rng::Rng;
use teff_trainer::test_data;

/// The recipe of the simulated machine, with few and short recordings.
fn small_machine() -> (Recipe, DataSet) {
    let mut recipe = Recipe::read(Path::new("../models/machine/recipe.toml")).unwrap();
    let Format::Machine(settings) = &mut recipe.data.format else { unreachable!() };
    settings.machines = 10;
    let set = dataset::load(&recipe.data, recipe.seed, None, Path::new(".")).unwrap();
    (recipe, set)
}

#[test]
fn standardized_features_have_mean_0_and_deviation_1_in_training() {
    let (recipe, set) = small_machine();
    let config = features::front_end(&recipe, &set).unwrap();
    let train = Features::new(&set, Split::Train, &config).unwrap();
    let per_frame = config.features_per_frame();
    assert_eq!(train.shape(), [1, 1, per_frame]);
    assert_eq!(train.all().len(), train.len() * per_frame);
    assert_eq!(train.len(), set.counts(Split::Train).iter().sum::<usize>());
    let mut varying = 0;
    for n in 0..per_frame {
        let values: Vec<f32> = train.all().iter().skip(n).step_by(per_frame).copied().collect();
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let deviation =
            (values.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / values.len() as f32).sqrt();
        assert!(mean.abs() < 0.1, "feature {n}: mean {mean}");
        assert!(deviation < 1e-5 || (0.98..1.02).contains(&deviation), "feature {n}: deviation {deviation}");
        varying += usize::from(deviation > 0.5);
    }
    assert!(varying > per_frame / 2);
}

#[test]
fn varied_features_differ_by_generator_and_by_nothing_else() {
    let (recipe, set) = small_machine();
    let train = Features::new(&set, Split::Train, &recipe.front_end).unwrap();
    let varied = |seed| {
        let mut out = vec![0.0; train.plain(3).len()];
        train.varied(3, &recipe.augment, &mut Rng::new(seed), &mut out);
        out
    };
    assert_eq!(varied(1), varied(1));
    assert_ne!(varied(1), varied(2));
    let mut same = vec![0.0; train.plain(3).len()];
    train.varied(3, &Default::default(), &mut Rng::new(1), &mut same);
    assert_eq!(same, train.plain(3));
}

#[test]
fn without_changes_varied_sound_and_gestures_are_the_plain_ones() {
    let test = "without_changes_varied_sound_and_gestures_are_the_plain_ones";
    let Some(folder) = test_data::find(test, "data") else { return };
    for name in ["digits", "gesture"] {
        let recipe = Recipe::read(&Path::new("../models").join(name).join("recipe.toml")).unwrap();
        let mut set = dataset::load(&recipe.data, recipe.seed, Some(&folder), Path::new(".")).unwrap();
        set.examples.truncate(40);
        let train = Features::new(&set, Split::Train, &recipe.front_end).unwrap();
        for n in 0..train.len() {
            let mut same = vec![0.0; train.plain(n).len()];
            train.varied(n, &Default::default(), &mut Rng::new(1), &mut same);
            assert_eq!(same, train.plain(n), "{}", train.examples()[n].source);
        }
    }
}

#[test]
fn images_of_another_size_than_the_recipe_says_are_refused() {
    let test = "images_of_another_size_than_the_recipe_says_are_refused";
    let Some(folder) = test_data::find(test, "data/fashion-mnist") else { return };
    let recipe = Recipe::read(Path::new("../models/fashion/recipe.toml")).unwrap();
    let mut set = dataset::load(&recipe.data, recipe.seed, Some(&folder), Path::new(".")).unwrap();
    set.examples.truncate(10);
    assert_eq!(Features::new(&set, Split::Train, &recipe.front_end).unwrap().shape(), [28, 28, 1]);
    let mut other = recipe.front_end.clone();
    other.height = 32;
    let error = Features::new(&set, Split::Train, &other).unwrap_err().to_string();
    assert!(error.contains("28 x 28") && error.contains("`height`"), "{error}");
}
