//! Features of real recordings: the bits of the emulated board are those that the trainer trains on.

use std::path::Path;

use teff::dsp::{FrontEnd, Settings};
use teff_board::{Board, Device};
use teff_compiler::front_end::{Extractor, FrontEndConfig, build};
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

/// Front ends of every length of the transform, with frames and hops of odd lengths, so that parts of the ring begin anywhere, and with
/// every number of axes, bands and statistics that takes another path.
const SHAPES: &[&str] = &[
    "kind=log_mel rate_hz=8000 frame_len=61 hop_len=31 fft_len=64 bands=7 window=2",
    "kind=log_mel rate_hz=8000 frame_len=100 hop_len=77 fft_len=128 bands=11 band_scale=linear window=2",
    "kind=log_mel rate_hz=8000 frame_len=255 hop_len=129 fft_len=256 bands=20 taper=hamming floor=-4 window=2",
    "kind=log_mel rate_hz=16000 frame_len=400 hop_len=161 fft_len=512 bands=40 pre_emphasis=0.97 window=2",
    "kind=log_mel rate_hz=16000 frame_len=513 hop_len=255 fft_len=1024 bands=33 low_hz=20 floor=30 window=2",
    "kind=log_mel rate_hz=16000 frame_len=2048 hop_len=999 fft_len=2048 bands=64 low_hz=0 window=2",
    "kind=log_mel rate_hz=16000 frame_len=320 hop_len=160 fft_len=512 bands=21 compress=pcen window=2",
    "kind=mfcc rate_hz=16000 frame_len=480 hop_len=163 fft_len=512 bands=23 coefficients=13 window=2",
    "kind=mfcc rate_hz=16000 frame_len=1024 hop_len=341 fft_len=1024 bands=41 coefficients=5 window=2",
    "kind=motion_stats rate_hz=400 axes=1 frame_len=64 bands=8 peaks=2 stats=mean,std,rms,min,max,crossings window=2",
    "kind=motion_stats rate_hz=400 axes=2 frame_len=127 hop_len=33 bands=9 stats=rms,skew,kurtosis window=2",
    "kind=motion_stats rate_hz=400 axes=3 frame_len=255 hop_len=61 bands=16 peaks=3 stats=mean,crossings magnitude=true window=2",
    "kind=motion_stats rate_hz=400 axes=5 frame_len=33 hop_len=7 bands=4 fft_len=128 stats=mean,min,max window=2",
    "kind=raw_window rate_hz=400 axes=3 decimate=3 window=16",
    "kind=raw_window rate_hz=400 input_rate_hz=900 axes=2 decimate=5 high_pass_hz=3 window=16",
    "kind=raw_window rate_hz=400 axes=1 decimate=7 low_pass_hz=40 filter_order=6 dc_shift=15 window=16",
    "kind=motion_stats rate_hz=400 axes=4 frame_len=37 hop_len=53 low_pass_hz=90 dc_shift=1 stats=rms,skew,kurtosis window=2",
    "kind=motion_stats rate_hz=400 axes=1 frame_len=99 hop_len=41 high_pass_hz=0.5 stats=min,skew,kurtosis window=2",
];

/// Quiet, loud, saturated and silent parts after one another.
fn parts(len: usize) -> Vec<i16> {
    let mut state = 12_345_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as i16
    };
    let part = |n: usize, noise: i16| match n * 9 / len {
        0 => noise >> 14,
        1 => noise >> 9,
        2 => 0,
        3 => noise >> 3,
        4 => noise,
        5 if n % 40 < 20 => 32_767,
        5 => -32_768,
        6 => (n as u16).wrapping_mul(7919) as i16,
        7 if n.is_multiple_of(501) => -32_768,
        7 => 0,
        _ => (noise >> 4) + 20_000,
    };
    (0..len).map(|n| part(n, random())).collect()
}

/// What has loops in assembly computes the bits of this host, whatever the sizes are.
#[test]
fn front_ends_of_every_shape() {
    let stream = parts(15_000);
    for board in Board::all_that_run("verify") {
        if let Err(error) = board.ready() {
            skip("front_ends_of_every_shape", &format!("{error:#}"));
            continue;
        }
        let device = Device::open(board).unwrap();
        for line in SHAPES {
            let blob = build(&FrontEndConfig::parse(line).unwrap(), INPUT.0, INPUT.1).unwrap();
            let mut workspace = vec![0; Settings::read(&blob).unwrap().workspace_words()];
            let mut front_end = FrontEnd::new(&blob, &mut workspace).unwrap();
            let (mut frames, mut rest) = (Vec::new(), &stream[..]);
            while front_end.push(&mut rest).is_some() {
                frames.extend_from_slice(front_end.frame());
            }
            assert!(!frames.is_empty(), "{line}");
            let found = device.features(&blob, std::slice::from_ref(&stream)).unwrap();
            assert!(found[0].frames == frames, "other features on {}: {line}", board.name);
        }
    }
}
