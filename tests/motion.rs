//! The firmware's pipeline on the host: fed the recording that the board replays, in portions of any
//! size, it decides what the board decides.

use std::fs;
use std::path::Path;

use teff::{ModelFile, Session};
use teff_app::pipeline::{Pipeline, StartError, Step, workspace_words};
use teff_app::sensor::recorded::Recorded;
use teff_app::sensor::rescaled::Rescaled;
use teff_app::sensor::{Format, Sensor};
use teff_compiler::{Target, compile};

const AXES: usize = 3;
/// As the simulated chip of the board measures.
const CHIP: Format = Format {
    sensor: "ADXL345",
    rate_millihertz: 1_600_000,
    axes: AXES as u8,
    unit: "g",
    counts_per_thousand_units: 256_000,
    full_scale: 4096,
};
const MODEL_COUNTS_PER_THOUSAND_G: u32 = 512_000;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn model() -> ModelFile {
    let onnx = fs::read(root().join("models/machine/model.onnx")).unwrap();
    ModelFile::from_bytes(&compile(&onnx, Target::Generic).unwrap().plan).unwrap()
}

fn recording() -> Vec<i16> {
    let path = root().join("firmware/boards/mps2-an386/recordings/machine.csv");
    let text = fs::read_to_string(path).unwrap();
    text.lines().skip(1).flat_map(|line| line.split(',')).map(|count| count.parse().unwrap()).collect()
}

/// Label and score in per cent of each event on the board.
fn board_events() -> Vec<(String, u16)> {
    let path = root().join("firmware/boards/mps2-an386/src/bin/motion.out");
    let text = fs::read_to_string(path).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(" ms  "));
    lines
        .map(|(_, event)| {
            let (label, percent) = event.split_once("  ").unwrap();
            (label.to_string(), percent.trim_end_matches(" %").parse().unwrap())
        })
        .collect()
}

#[test]
fn the_host_decides_what_the_board_decides() {
    let (file, recording, expected) = (model(), recording(), board_events());
    assert_eq!(expected.len(), 3);
    for portion in [1, 7, 16, 31] {
        let mut arena = file.arena();
        let mut workspace = vec![0; workspace_words(file.as_bytes())];
        let recorded = Recorded::new(CHIP, &recording, portion);
        let mut sensor = Rescaled::new(recorded, MODEL_COUNTS_PER_THOUSAND_G).unwrap();
        let session = Session::from_model(file.model(), arena.as_mut_slice()).unwrap();
        let mut pipeline = Pipeline::<_, 16, 16>::new(session, &mut workspace, sensor.format()).unwrap();
        let mut samples = [0; AXES * 32];
        let mut events = Vec::new();
        while !sensor.sensor_mut().is_over() {
            let Ok(instants) = sensor.read(&mut samples);
            pipeline.push(&samples[..AXES * instants]);
            loop {
                match pipeline.step(1000) {
                    Step::Idle => break,
                    Step::Working => {}
                    Step::Inferred(None) => {}
                    Step::Inferred(Some(event)) => {
                        events.push((pipeline.label(event.class).to_string(), event.score * 100 / 256));
                    }
                }
            }
        }
        assert_eq!(events, expected, "in portions of {portion}");
        assert_eq!(pipeline.missed(), 0);
    }
}

#[test]
fn a_sensor_that_does_not_fit_the_model_is_refused_by_name() {
    let file = model();
    let start = |format: Format| {
        let mut arena = file.arena();
        let mut workspace = vec![0; workspace_words(file.as_bytes())];
        let session = Session::from_model(file.model(), arena.as_mut_slice()).unwrap();
        Pipeline::<_, 16, 16>::new(session, &mut workspace, format).err()
    };
    let fitting = Format { counts_per_thousand_units: MODEL_COUNTS_PER_THOUSAND_G, ..CHIP };
    assert_eq!(start(fitting), None);
    assert_eq!(start(CHIP), Some(StartError::Scale { needed: 512_000, given: 256_000 }));
    let slow = Format { rate_millihertz: 800_000, ..fitting };
    assert_eq!(start(slow), Some(StartError::Rate { needed: 1_600_000, given: 800_000 }));
    let flat = Format { axes: 2, ..fitting };
    assert_eq!(start(flat), Some(StartError::Axes { needed: 3, given: 2 }));
}
