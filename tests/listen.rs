//! Spoken digits on the host: fed the recording that the board replays, in portions of any size, the
//! firmware's pipeline decides what the board decides.

use std::env;
use std::fs;
use std::path::PathBuf;

use teff::Session;
use teff_app::needs::Needs;
use teff_app::pipeline::{Pipeline, workspace_words};
use teff_app::sensor::Sensor;
use teff_app::sensor::microphone::{I2s, Slots};
use teff_app::sensor::simulated::SimulatedI2s;
use teff_tests::{Decided, plan, root};
use teff_trainer::dataset::{self, Samples};
use teff_trainer::recipe::Recipe;
use teff_trainer::test_data::find;

const RATE_HZ: u32 = 8_000;
/// Recordings of the official test, one of each speaker and two more.
const SPOKEN: [&str; 8] = [
    "3_jackson_0",
    "1_theo_0",
    "4_lucas_0",
    "7_george_0",
    "5_nicolas_0",
    "9_yweweler_0",
    "0_jackson_1",
    "6_lucas_1",
];
/// The digits that are spoken, in their order.
const SAID: [&str; 8] = ["three", "one", "four", "seven", "five", "nine", "zero", "six"];
/// Samples of silence before each and after the last one: 0.45 seconds.
const SILENCE: usize = 3_600;

fn recording_file() -> PathBuf {
    root().join("firmware/emulated/recordings/digits.wav")
}

/// A WAV file of one channel with 16 bits.
fn wav(samples: &[i16]) -> Vec<u8> {
    let len = samples.len() as u32 * 2;
    let mut bytes = Vec::new();
    bytes.extend(b"RIFF");
    bytes.extend((36 + len).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    for field in [16_u32, 0x1_0001, RATE_HZ, RATE_HZ * 2, 0x10_0002] {
        bytes.extend(field.to_le_bytes());
    }
    bytes.extend(b"data");
    bytes.extend(len.to_le_bytes());
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    bytes
}

fn recording() -> Vec<i16> {
    let bytes = fs::read(recording_file()).unwrap();
    bytes[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect()
}

/// `TEFF_OVERWRITE=1` writes the file anew.
#[test]
fn the_replayed_digits_are_real_recordings() {
    let test = "the_replayed_digits_are_real_recordings";
    let Some(folder) = find(test, "data/free-spoken-digits") else { return };
    let recipe_folder = root().join("models/digits");
    let recipe = Recipe::read(&recipe_folder.join("recipe.toml")).unwrap();
    let set = dataset::load(&recipe.data, recipe.seed, Some(&folder), &recipe_folder).unwrap();
    let mut samples = vec![0; SILENCE];
    for spoken in SPOKEN {
        let example = set.examples.iter().find(|example| example.source.contains(spoken)).unwrap();
        let Samples::I16(of_one) = &example.samples else { panic!("{spoken} is no sound") };
        samples.extend_from_slice(of_one);
        samples.resize(samples.len() + SILENCE, 0);
    }
    let expected = wav(&samples);
    if env::var_os("TEFF_OVERWRITE").is_some() {
        fs::write(recording_file(), &expected).unwrap();
    }
    let committed = fs::read(recording_file()).unwrap_or_default();
    assert!(committed == expected, "{} is not what is strung together now", recording_file().display());
}

#[test]
fn the_host_hears_what_the_boards_hear() {
    let heard = hears_the_same("digits", "firmware/emulated/programs/listen.out");
    assert_eq!(heard, SAID);
}

#[test]
fn the_host_hears_what_the_board_with_little_memory_hears() {
    let mut heard = hears_the_same("digits_small", "firmware/boards/microbit/listen.out");
    // Its one mistake: how "five" begins.
    assert_eq!(heard.remove(4), "two");
    assert_eq!(heard, SAID);
}

/// Compares every event and every score; returns what was heard.
fn hears_the_same(model: &str, snapshot: &str) -> Vec<String> {
    let file = plan(model);
    let expected = Decided::of_snapshot(snapshot);
    let recording = recording();
    for portion in [1, 7, 64, 333] {
        let mut arena = file.arena();
        let mut workspace = vec![0; workspace_words(file.as_bytes())];
        let session = Session::from_model(file.model(), arena.as_mut_slice()).unwrap();
        let needs = Needs::read(session.model()).unwrap();
        let ring = SimulatedI2s::new(&recording, 1024);
        let mut microphone = I2s::new(ring, Slots::Left, 0, RATE_HZ * 1000);
        needs.check(microphone.format()).unwrap();
        let mut pipeline = Pipeline::<_, 16, 16>::new(session, &mut workspace, microphone.format()).unwrap();
        let (mut samples, mut decided) = ([0; 400], Decided::default());
        while !microphone.source_mut().is_over() {
            microphone.source_mut().advance(portion);
            let count = microphone.read(&mut samples).unwrap();
            // Two windows at once would be one that is missed.
            for piece in samples[..count].chunks(101) {
                pipeline.push(piece);
                decided.work(&mut pipeline, RATE_HZ.into(), 1_000_000);
            }
        }
        assert_eq!(decided, expected, "in portions of {portion}");
        assert_eq!((pipeline.counts().instants as usize, pipeline.missed()), (recording.len(), 0));
    }
    let heard = expected.labels();
    println!("{model}: said {SAID:?}\nheard {heard:?}");
    heard
}
