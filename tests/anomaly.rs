//! The model of normal machines in the program `motion` of the emulated M4: its events and the fingerprint of its outputs
//! are those of the same pipeline on the host.

use std::time::Duration;

use teff::Session;
use teff_app::needs::Needs;
use teff_app::pipeline::{Pipeline, StartError, input_bytes, reference_bytes, workspace_words};
use teff_app::sensor::recorded::Recorded;
use teff_app::sensor::{Format, Sensor};
use teff_board::{Board, Emulator, Firmware, Link};
use teff_tests::{AXES, CHIP, Decided, machine_recording, onnx, plan};
use teff_trainer::test_data::skip;

const RATE_HZ: u64 = 1_600;
const HEALTHY_MS: u64 = 2_000;

/// What is decided on the host, and the highest share of the threshold in the healthy part.
fn on_host() -> (Decided, u16) {
    let (file, recording) = (plan("machine_anomaly"), machine_recording());
    let mut arena = file.arena();
    let mut workspace = vec![0; workspace_words(file.as_bytes())];
    let mut reference = vec![0; reference_bytes(file.as_bytes())];
    let session = Session::from_model(file.model(), arena.as_mut_slice()).unwrap();
    let needs = Needs::read(session.model()).unwrap();
    let mut sensor = needs.fit(Recorded::new(CHIP, &recording, 16)).unwrap();
    let mut pipeline =
        Pipeline::<_, 16, 16>::with_reference(session, &mut workspace, &mut reference, sensor.format())
            .unwrap();
    let (mut samples, mut decided, mut highest) = ([0; AXES * 32], Decided::default(), 0);
    while !sensor.sensor_mut().is_over() {
        // Less than a hop: one inference at most.
        let Ok(instants) = sensor.read(&mut samples);
        pipeline.push(&samples[..AXES * instants]);
        decided.work(&mut pipeline, RATE_HZ, 1000);
        if pipeline.heard() * 1000 / RATE_HZ <= HEALTHY_MS {
            highest = highest.max(pipeline.share_of_threshold().unwrap());
        }
    }
    assert!(decided.labels().iter().all(|label| label == "anomaly"), "{decided:?}");
    (decided, highest)
}

#[test]
fn the_healthy_part_is_quiet_and_a_fault_is_an_event() {
    let (Decided { events, .. }, highest) = on_host();
    assert!(!events.is_empty(), "no event");
    assert!(events.iter().all(|(milliseconds, ..)| *milliseconds > HEALTHY_MS), "{events:?}");
    assert!(highest < 256, "{highest}");
}

#[test]
fn the_emulated_board_decides_what_the_host_decides() {
    let test = "the_emulated_board_decides_what_the_host_decides";
    let board = Board::find("mps2-an386").unwrap();
    if let Err(error) = board.ready() {
        return skip(test, &format!("{error:#}"));
    }
    let link = Link::File(onnx("machine_anomaly"));
    let elf = Firmware { board, program: "motion", link }.build().unwrap();
    let run = Emulator::find(board).unwrap().run_fast(&elf, None, Duration::from_secs(120)).unwrap();
    println!("{}", run.stdout);
    assert!(run.success, "{}{}", run.stdout, run.stderr);
    assert_eq!(Decided::of_board(&run.stdout), on_host().0);
}

/// The memory for the input is there where it is compared, and nowhere else.
#[test]
fn only_such_a_model_keeps_its_input() {
    let file = plan("machine_anomaly");
    assert_eq!(reference_bytes(file.as_bytes()), input_bytes(file.as_bytes()));
    let classes = plan("machine");
    assert_eq!((reference_bytes(classes.as_bytes()), reference_bytes(&[])), (0, 0));
    let mut arena = file.arena();
    let mut workspace = vec![0; workspace_words(file.as_bytes())];
    let session = Session::from_model(file.model(), arena.as_mut_slice()).unwrap();
    let format = Format { counts_per_thousand_units: 512_000, ..CHIP };
    let refused = Pipeline::<_, 16, 16>::new(session, &mut workspace, format).err();
    assert_eq!(refused, Some(StartError::Reference { needed: input_bytes(file.as_bytes()), given: 0 }));
}
