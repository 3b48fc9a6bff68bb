//! The recipes of the repository are valid, and what is wrong in a recipe is named with its line and its cure.

use std::path::Path;

use teff_trainer::error::Place;
use teff_trainer::recipe::decision::Limit;
use teff_trainer::recipe::{Decision, Layer, Outputs, Recipe};

/// A whole recipe, which the tests damage; that of the digits, before it was tuned.
const WHOLE: &str = include_str!("recipe.toml");

fn text_of(name: &str) -> String {
    std::fs::read_to_string(Path::new("../models").join(name).join("recipe.toml")).unwrap()
}

#[test]
fn every_recipe_of_the_repository_is_valid() {
    let mut names = Vec::new();
    for folder in std::fs::read_dir("../models").unwrap() {
        let file = folder.unwrap().path().join("recipe.toml");
        if file.is_file() {
            let recipe = Recipe::read(&file).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(Some(recipe.name.as_ref()), file.parent().unwrap().file_name());
            assert!(matches!(recipe.network.layers.last(), Some(Layer::Dense { .. })));
            names.push(recipe.name);
        }
    }
    assert!(!names.is_empty());
}

/// The error of the whole recipe with one text in it replaced.
fn error_with(old: &str, new: &str) -> (usize, String) {
    assert!(WHOLE.contains(old), "{old}");
    let text = WHOLE.replacen(old, new, 1);
    let error = Recipe::parse(Path::new("digits/recipe.toml"), &text).unwrap_err();
    let Place::Line(line) = error.place else { panic!("{error} has no line") };
    let shown = error.to_string();
    assert!(shown.starts_with(&format!("digits/recipe.toml:{line}: ")), "{shown}");
    (line, shown)
}

/// The line, from 1, on which a text first stands in the whole recipe.
fn line_of(needle: &str) -> usize {
    1 + WHOLE.lines().position(|line| line.contains(needle)).unwrap()
}

#[test]
fn a_misspelt_key_is_named_with_its_line_and_the_nearest_valid_key() {
    for (valid, misspelt, table) in [
        ("optimiser = ", "optimizer = ", "[train]"),
        ("epochs = ", "epoch = ", "[train]"),
        ("weight_decay = ", "weightdecay = ", "[train]"),
        ("labels = ", "label = ", "[data]"),
        ("filters = ", "filter = ", "[[network.layers]] number 1"),
        ("validation = ", "validatoin = ", "[data.split]"),
        ("smoothing = 2", "smothing = 2", "[decision]"),
        ("seed = ", "sede = ", "the top level"),
        ("[quantize]", "[quantise]", "the top level"),
    ] {
        let (line, shown) = error_with(valid, misspelt);
        assert_eq!(line, line_of(valid), "{shown}");
        let key = |text: &str| text.trim_matches(['[', ']']).split(' ').next().unwrap().to_string();
        assert!(shown.contains(&format!("`{}` is not a key of {table}", key(misspelt))), "{shown}");
        assert!(shown.contains(&format!("write `{}`", key(valid))), "{shown}");
    }
}

#[test]
fn values_out_of_range_are_named_with_the_range() {
    for (old, new, expected) in [
        ("epochs = 40", "epochs = 0", "from 1 to 100000"),
        ("learning_rate = 0.003", "learning_rate = nan", "from 0.00000001 to 10"),
        ("learning_rate = 0.003", "learning_rate = -1", "from 0.00000001 to 10"),
        ("threshold = 0.7", "threshold = 7", "from 0 to 1"),
        ("hysteresis = 0.2", "hysteresis = 0.9", "from 0 to 0.7"),
        ("rate_hz = 8000", "rate_hz = 8", "from 1000 to 384000"),
        ("seed = 1", "seed = -1", "from 0 to"),
        ("validation = 0.1", "validation = 0.9", "from 0 to 0.5"),
        ("kernel = 5", "kernel = [5, 0]", "from 1 to 255"),
    ] {
        let (line, shown) = error_with(old, new);
        assert_eq!(line, line_of(old), "{shown}");
        assert!(shown.contains(expected), "{shown}");
    }
}

#[test]
fn values_of_the_wrong_kind_are_named() {
    for (old, new, expected) in [
        ("epochs = 40", "epochs = \"40\"", "write a whole number"),
        ("batch_norm = true", "batch_norm = 1", "write `true` or `false`"),
        ("kernel = 5", "kernel = [5, 5, 5]", "`[vertical, horizontal]`"),
        ("schedule = \"cosine\"", "schedule = \"cosin\"", "write `cosine`"),
        ("type = \"depthwise\"", "type = \"depth_wise\"", "write `depthwise`"),
        ("rule = \"official\"", "rule = \"group\"", "write `groups`"),
        ("classes = [\"0\", ", "classes = [", "name one for each label"),
        ("\"two\"", "\"one\"", "a name of its own"),
        ("kind = \"log_mel\"", "kind = ", "is no valid TOML"),
        ("name = \"digits\"", "name = \"../digits\"", "letters, digits"),
    ] {
        let (line, shown) = error_with(old, new);
        assert_eq!(line, line_of(old), "{shown}");
        assert!(shown.contains(expected), "{shown}");
    }
}

#[test]
fn what_is_missing_is_named() {
    for (old, expected) in [
        ("seed = 1\n", "`seed` in the top level is missing"),
        ("batch = 64\n", "`batch` in [train] is missing"),
        ("layout = \"class_speaker_index\"\n", "`layout` in [data] is missing"),
        ("rule = \"official\"\n", "`rule` in [data.split] is missing"),
    ] {
        let (_, shown) = error_with(old, "");
        assert!(shown.contains(expected), "{shown}");
    }
    let (_, shown) = error_with("type = \"dense\"\n", "type = \"flatten\"\n");
    assert!(shown.contains("does not give the 10 scores"), "{shown}");
}

#[test]
fn a_key_of_another_choice_is_no_key() {
    let (_, shown) = error_with("optimiser = \"adam\"", "optimiser = \"adam\"\nmomentum = 0.9");
    assert!(shown.contains("`momentum` is not a key of [train]"), "{shown}");
}

#[test]
fn damaged_recipes_are_errors() {
    let text = text_of("digits");
    for len in (0..text.len()).step_by(17) {
        let _ = Recipe::parse(Path::new("x.toml"), &text[..len]);
        let flipped: Vec<u8> =
            text.bytes().enumerate().map(|(n, byte)| if n == len { byte ^ 4 } else { byte }).collect();
        let _ = Recipe::parse(Path::new("x.toml"), &String::from_utf8_lossy(&flipped));
    }
}

#[test]
fn faults_of_the_front_end_stand_at_their_keys() {
    for (old, new, expected) in [
        ("bands = 24", "band = 24", "`bands`"),
        ("frame_len = 256", "frame_len = 257", "above fft_len=256"),
        ("fft_len = 256", "fft_len = 300", "`fft_len`"),
        ("high_hz = 3800", "high_hz = 4800", "`high_hz`"),
        ("kind = \"log_mel\"", "kind = \"logmel\"", "valid are: log_mel, mfcc"),
        ("kind = \"log_mel\"", "kind = \"image\"", "does not fit the `format`"),
        ("window = 48", "window = 48\nrate_hz = 8000", "is what [data] says"),
        ("window = 48", "window = 48\ninput_rate_hz = 8000", "is what [data] says"),
        ("frame_len = 256", "frame_len = 256\nrate_hz = 7999", "ratio of whole numbers"),
        ("window = 48", "window = 48\ncompress = \"root\"", "log, pcen"),
        ("window = 48", "window = 48\npre_emphasis = 2", "`pre_emphasis`"),
        ("window = 48", "window = 48.5", "`window`"),
        ("window = 48", "window = 1979-05-27", "of type datetime"),
    ] {
        let (line, shown) = error_with(old, new);
        let expected_line = line_of(old) + usize::from(new.contains('\n'));
        assert_eq!(line, expected_line, "{shown}");
        assert!(shown.contains(expected), "{shown}");
    }
}

#[test]
fn the_front_end_takes_what_the_data_says() {
    let of = |name| Recipe::read(&Path::new("../models").join(name).join("recipe.toml")).unwrap().front_end;
    let (digits, machine, gesture) = (of("digits"), of("machine"), of("gesture"));
    assert_eq!((digits.rate_hz, digits.shape()), (8_000.0, Some([48, 24, 1])));
    assert_eq!((machine.rate_hz, machine.axes, machine.frame_len, machine.window), (1_600.0, 3, 512, 1));
    assert_eq!((gesture.rate_hz, gesture.lsb_per_unit, gesture.shape()), (25.0, 100.0, Some([128, 1, 3])));
    let text = text_of("gesture").replace("[front_end]", "[front_end]\nrate_hz = 12.5\nlow_pass_hz = 5");
    let slower = Recipe::parse(Path::new("../models/gesture/recipe.toml"), &text).unwrap().front_end;
    assert_eq!((slower.rate_hz, slower.input_rate_hz, slower.shape()), (12.5, 25.0, Some([64, 1, 3])));
    assert_eq!(slower.low_pass_hz, 5.0);
}

#[test]
fn the_decision_is_written_as_one_line() {
    let decision = Recipe::read(Path::new("../models/digits/recipe.toml")).unwrap().decision.unwrap();
    let Decision::Classes(decision) = decision else { panic!("{decision:?}") };
    let line = decision.to_string();
    let keys: Vec<&str> = line.split(' ').map(|word| word.split_once('=').unwrap().0).collect();
    assert_eq!(keys, ["smoothing", "threshold", "hysteresis", "refractory"]);
}

#[test]
fn classes_that_are_never_decided_are_told_to_the_device() {
    let decision = |never: &str| {
        let text = text_of("gesture").replace("refractory = 2", &format!("refractory = 2\nnever = {never}"));
        let recipe = Recipe::parse(Path::new("r.toml"), &text).map_err(|error| error.to_string())?;
        match recipe.decision.unwrap() {
            Decision::Classes(classes) => Ok(classes.to_string()),
            other => Err(format!("{other:?}")),
        }
    };
    let line = decision("[\"negative\", \"slope\"]").unwrap();
    assert!(line.ends_with(" refractory=2 thresholds=0.8,-,0.8,-"), "{line}");
    let settings = teff_app::decision::Settings::read(&line).unwrap();
    let thresholds: Vec<_> = teff_app::decision::thresholds(&line).map(Result::unwrap).collect();
    assert_eq!(thresholds, [Some(settings.threshold), None, Some(settings.threshold), None]);
    for (never, expected) in [
        ("[]", "names no label"),
        ("[\"silence\"]", "has `silence`, which is no label"),
        ("[\"ring\", \"slope\", \"wing\", \"negative\"]", "names every label"),
    ] {
        let error = decision(never).unwrap_err();
        assert!(error.contains(expected) && error.contains("`never` in [decision]"), "{error}");
    }
    let error = anomaly_with("refractory = 4", "refractory = 4\nnever = [\"healthy\"]").unwrap_err();
    assert!(error.contains("`never` in [decision] is not for"), "{error}");
}

/// The recipe of the machine's anomalies with one text in it replaced.
fn anomaly_with(old: &str, new: &str) -> Result<Recipe, String> {
    let text = text_of("machine_anomaly");
    assert!(text.contains(old), "{old}");
    let changed = text.replacen(old, new, 1);
    Recipe::parse(Path::new("r.toml"), &changed).map_err(|error| error.to_string())
}

#[test]
fn a_recipe_of_normal_signals_is_read() {
    let recipe = anomaly_with("", "").unwrap();
    let reconstruction = recipe.reconstruction().unwrap();
    assert_eq!(reconstruction.limit, Limit::Quantile(999_000));
    assert_eq!((reconstruction.smoothing, reconstruction.hysteresis_millionths), (4, 100_000));
    assert_eq!(recipe.outputs(recipe.front_end.shape().unwrap()), Outputs::Features(207));
    assert!(matches!(recipe.network.layers.last(), Some(Layer::Dense { units: 207 })));
    assert!(recipe.data.is_normal(0) && !recipe.data.is_normal(1) && !recipe.data.is_normal(9));
    let given = anomaly_with("quantile = 0.999", "threshold = 12.5").unwrap();
    assert_eq!(given.reconstruction().unwrap().limit, Limit::Threshold(3200));
    // The ends, and one label alone.
    for (old, new) in [
        ("quantile = 0.999", "quantile = 1"),
        ("quantile = 0.999", "quantile = 0.5"),
        ("quantile = 0.999", "threshold = 0.004"),
        ("quantile = 0.999", "threshold = 65536"),
        ("\"healthy\", \"imbalance\", \"misalignment\", \"bearing_fault\", \"looseness\"", "\"healthy\""),
        ("smoothing = 4", "smoothing = 64"),
    ] {
        anomaly_with(old, new).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn what_does_not_fit_a_model_of_normal_signals_is_refused() {
    for (old, new, expected) in [
        ("quantile = 0.999", "quantile = 0", "from 0.5 to 1"),
        ("quantile = 0.999", "quantile = 1.001", "from 0.5 to 1"),
        ("quantile = 0.999", "quantile = nan", "from 0.5 to 1"),
        ("quantile = 0.999", "quantile = 0.12345678", "from 0.5 to 1"),
        ("quantile = 0.999", "quantile = 0.99999991", "at most six decimals"),
        ("quantile = 0.999", "", "add `quantile = 0.999`"),
        ("quantile = 0.999", "quantile = 0.999\nthreshold = 5", "stands beside `threshold`"),
        ("quantile = 0.999", "threshold = 0", "from 0.004 to 65536"),
        ("quantile = 0.999", "threshold = inf", "from 0.004 to 65536"),
        ("hysteresis = 0.1", "hysteresis = 1", "from 0 to 0.95"),
        ("smoothing = 4", "smoothing = 0", "from 1 to 64"),
        (
            "stride = 512",
            "stride = 256",
            "windows of the data begin 256 samples apart, those of the device 512",
        ),
        ("stride = 512", "stride = 512\ncut = \"place\"", "windows that stand alone"),
        ("kind = \"reconstruction\"", "kind = \"score\"", "valid are: classes, reconstruction"),
        ("kind = \"reconstruction\"", "kind = \"recon\"", "valid are: classes, reconstruction"),
        ("kind = \"reconstruction\"", "", "`quantile` in [decision] is not for `kind = \"classes\"`"),
        (
            "kind = \"reconstruction\"\nquantile = 0.999",
            "threshold = 0.5",
            "`normal` in [data] is for models of normal",
        ),
        ("normal = [\"healthy\"]", "", "`normal` in [data] is missing"),
        ("normal = [\"healthy\"]", "normal = []", "names no label"),
        ("normal = [\"healthy\"]", "normal = [\"helthy\"]", "has `helthy`, which is no label"),
        ("normal = [\"healthy\"]", "normal = [\"healthy\", \"healthy\"]", "has `healthy` twice"),
        ("keep = \"best\"", "balance_classes = true", "`balance_classes` in [train] is not for"),
        ("keep = \"best\"", "label_smoothing = 0.1", "`label_smoothing` in [train] is not for"),
        ("gain_db = 1", "mixup = 0.2", "`mixup` in [augment] is not for"),
        ("gain_db = 1", "time_mask = 2", "`time_mask` in [augment] is not for"),
        (
            "type = \"dense\"\n\n[train]",
            "type = \"dense\"\nunits = 206\n\n[train]",
            "the 207 features of the input again",
        ),
        (
            "type = \"dense\"\n\n[train]",
            "type = \"flatten\"\n\n[train]",
            "the 207 features of the input again",
        ),
        (
            "type = \"dense\"\n\n[train]",
            "type = \"dense\"\nactivation = \"relu\"\n\n[train]",
            "stands at the last layer",
        ),
    ] {
        let error = anomaly_with(old, new).expect_err(new);
        assert!(error.contains(expected) && error.starts_with("r.toml:"), "{new}: {error}");
    }
    // Files of sound are single windows.
    let text = WHOLE.replace("labels = [", "normal = [\"one\"]\nlabels = [").replace(
        "[decision]\nsmoothing = 2\nthreshold = 0.7",
        "[decision]\nkind = \"reconstruction\"\nsmoothing = 2\nquantile = 0.99",
    );
    let error = Recipe::parse(Path::new("r.toml"), &text).unwrap_err().to_string();
    assert!(error.contains("examples of this `format` stand alone"), "{error}");
}

#[test]
fn every_key_of_a_recipe_stands_on_its_page() {
    let page = std::fs::read_to_string("../docs/recipes.md").unwrap();
    let front_end = std::fs::read_to_string("../docs/front-end.md").unwrap();
    for name in ["machine", "machine_anomaly", "digits", "digits_small", "fashion", "gesture", "activity"] {
        for line in text_of(name).lines() {
            let Some((key, _)) = line.split_once(" = ") else { continue };
            let stands =
                |page: &str| page.contains(&format!("`{key}`")) || page.contains(&format!("`{key} = "));
            assert!(stands(&page) || stands(&front_end), "`{key}` of {name}");
        }
    }
    // What the reader takes without any recipe of the repository using it.
    for folder in ["data.rs", "decision.rs", "network.rs", "training.rs"] {
        let source = std::fs::read_to_string(Path::new("src/recipe").join(folder)).unwrap();
        for reading in
            ["text(\"", "texts(\"", "size(\"", "number(\"", "integer(\"", "boolean(\"", "word(\"", "pair(\""]
        {
            for rest in source.split(reading).skip(1) {
                let key = rest.split('"').next().unwrap();
                assert!(page.contains(&format!("`{key}`")), "`{key}` is read in {folder}");
            }
        }
    }
}
