//! Features of real recordings: the bits of the emulated board are those that the trainer trains on.

use std::path::Path;

use teff::dsp::{FrontEnd, Settings};
use teff_board::{Board, Device};
use teff_compiler::front_end::{Extractor, build};
use teff_trainer::dataset::{self, Samples};
use teff_trainer::front_end_costs;
use teff_trainer::recipe::Recipe;
use teff_trainer::test_data::{find, skip};

/// How many recordings are strung together to one stream.
const RECORDINGS: usize = 12;
/// Samples of all axes that a stream has at most.
const LONGEST: usize = 120_000;
/// A scale and a zero point that reach both ends of int8.
const INPUT: (f32, i8) = (0.03, -9);

fn device(test: &str) -> Option<Device> {
    let board = Board::find("mps2-an386").unwrap();
    match board.ready() {
        Ok(()) => Some(Device::open(board).unwrap()),
        Err(error) => {
            skip(test, &format!("{error:#}"));
            None
        }
    }
}

/// Streams recordings of the model's data set through its front end, on the board and here.
fn check(test: &str, model: &str, data: Option<&str>) {
    let folder = match data {
        Some(path) => match find(test, path) {
            Some(folder) => Some(folder),
            None => return,
        },
        None => None,
    };
    let Some(device) = device(test) else { return };
    let recipe_folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").join(model);
    let recipe = Recipe::read(&recipe_folder.join("recipe.toml")).unwrap();
    let set = dataset::load(&recipe.data, recipe.seed, folder.as_deref(), &recipe_folder).unwrap();
    let mut stream: Vec<i16> = Vec::new();
    for example in set.examples.iter().step_by((set.examples.len() / RECORDINGS).max(1)) {
        let Samples::I16(samples) = &example.samples else { panic!("{model} has no samples over time") };
        stream.extend_from_slice(samples);
    }
    stream.truncate(LONGEST / recipe.front_end.axes * recipe.front_end.axes);

    let blob = build(&recipe.front_end, INPUT.0, INPUT.1).unwrap();
    let mut workspace = vec![0; Settings::read(&blob).unwrap().workspace_words()];
    let mut front_end = FrontEnd::new(&blob, &mut workspace).unwrap();
    let (mut frames, mut rest) = (Vec::new(), &stream[..]);
    while front_end.push(&mut rest).is_some() {
        frames.extend_from_slice(front_end.frame());
    }
    let mut windows = Vec::new();
    let mut extractor = Extractor::for_model(&recipe.front_end, INPUT.0, INPUT.1).unwrap();
    extractor.stream(&stream, |_, quantized| windows.extend_from_slice(quantized)).unwrap();
    assert!(!frames.is_empty() && !windows.is_empty(), "{model}: the stream is too short");

    let found = device.features(&blob, std::slice::from_ref(&stream)).unwrap();
    assert_eq!(found[0].frames.len(), frames.len());
    assert_eq!(found[0].inputs.len(), windows.len());
    let differing_frames = found[0].frames.iter().zip(&frames).filter(|(a, b)| a != b).count();
    let differing_inputs = found[0].inputs.iter().zip(&windows).filter(|(a, b)| a != b).count();
    println!(
        "{model}: {} features of frames and {} of windows, {differing_frames} and {differing_inputs} differ, \
         {} instructions per instant",
        frames.len(),
        windows.len(),
        found[0].instructions / (stream.len() / recipe.front_end.axes) as u64
    );
    assert_eq!((differing_frames, differing_inputs), (0, 0));
}

#[test]
fn features_of_the_simulated_machine() {
    check("features_of_the_simulated_machine", "machine", None);
}

#[test]
fn features_of_spoken_digits() {
    check("features_of_spoken_digits", "digits", Some("data/free-spoken-digits"));
}

#[test]
fn features_of_gestures() {
    check("features_of_gestures", "gesture", Some("data/magic-wand"));
}

#[test]
fn features_of_activities() {
    check("features_of_activities", "activity", Some("data/har-smartphone-raw"));
}

/// On every board the integers are the bits of this host, and floating point computes the same features: what
/// `cargo xtask bench front-end` compares the costs of is the same work.
#[test]
fn front_ends_in_integers_and_in_floating_point() {
    for board in Board::all_that_run("front_end") {
        if let Err(error) = board.ready() {
            skip("front_ends_in_integers_and_in_floating_point", &format!("{error:#}"));
            continue;
        }
        for row in front_end_costs::measure(board).unwrap() {
            println!(
                "{} on {}: {} instructions, {} in floating point, which differs by {} at most, {} in the mean",
                row.name,
                board.name,
                row.instructions,
                row.float_instructions,
                row.largest_difference,
                row.rms_difference
            );
        }
    }
}
