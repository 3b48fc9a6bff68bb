//! The recording that the firmware replays is made by the trainer's simulation: two seconds each of
//! a healthy machine, of one with a bearing fault, and of an imbalance, as the replayed sensor counts.
//!
//! `TEFF_OVERWRITE=1` writes the file anew.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use teff_trainer::dataset::machine::{LSB_PER_G, ON_THE_BOARDS, simulate};
use teff_trainer::recipe::Recipe;
use teff_trainer::recipe::data::Format;

const STATES: [&str; 3] = ["healthy", "bearing_fault", "imbalance"];
const SECONDS: f64 = 2.0;
/// A machine that the recipe does not have: neither trained nor tested on.
const MACHINE: usize = ON_THE_BOARDS;
const SENSOR_LSB_PER_G: f64 = 256.0;

#[test]
fn the_replayed_recording_is_the_simulated_machine() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut recipe = Recipe::read(&root.join("models/machine/recipe.toml")).unwrap();
    let Format::Machine(settings) = &mut recipe.data.format else { panic!("no machine") };
    settings.seconds = SECONDS;
    settings.machines = MACHINE + 1;
    let settings = *settings;
    let recordings = simulate(&recipe.data, &settings);
    let mut text = "x,y,z\n".to_string();
    for state in STATES {
        let label = recipe.data.labels.iter().position(|label| label == state).unwrap();
        let recording = recordings
            .iter()
            .find(|recording| recording.label == label && recording.group == format!("m{MACHINE:03}"))
            .unwrap();
        for sample in recording.samples.as_chunks::<3>().0 {
            let [x, y, z] = sample.map(|count| (f64::from(count) * SENSOR_LSB_PER_G / LSB_PER_G).round());
            writeln!(text, "{x},{y},{z}").unwrap();
        }
    }
    let path = root.join("firmware/emulated/recordings/machine.csv");
    if env::var_os("TEFF_OVERWRITE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &text).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "{} is not what is simulated now", path.display());
}
