//! The model of normal machines in the program `motion` of the emulated M4: its events and the fingerprint of its outputs
//! are those of the same pipeline on the host.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use teff::{ModelFile, Session};
use teff_app::needs::Needs;
use teff_app::pipeline::{Pipeline, StartError, Step, input_bytes, reference_bytes, workspace_words};
use teff_app::sensor::recorded::Recorded;
use teff_app::sensor::{Format, Sensor};
use teff_board::{Board, Emulator, Firmware, Link};
use teff_compiler::{Target, compile};
use teff_trainer::test_data::skip;

const AXES: usize = 3;
const RATE_HZ: u64 = 1_600;
/// As the simulated chip of the board measures.
const CHIP: Format = Format {
    sensor: "ADXL345",
    rate_millihertz: 1_600_000,
    axes: AXES as u8,
    unit: "g",
    counts_per_thousand_units: 256_000,
    full_scale: 4096,
};
/// The recording: two seconds of a healthy machine, two with a bearing fault, two with imbalance.
const HEALTHY_MS: u64 = 2_000;

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn onnx(model: &str) -> PathBuf {
    root().join("models").join(model).join("model.onnx")
}

fn plan(model: &str) -> ModelFile {
    ModelFile::from_bytes(&compile(&fs::read(onnx(model)).unwrap(), Target::Generic).unwrap().plan).unwrap()
}

fn recording() -> Vec<i16> {
    let text = fs::read_to_string(root().join("firmware/emulated/recordings/machine.csv")).unwrap();
    text.lines().skip(1).flat_map(|line| line.split(',')).map(|count| count.parse().unwrap()).collect()
}

/// Time in milliseconds and score in per cent of the threshold of each event.
type Events = Vec<(u64, u64)>;

/// The events on the host, the fingerprint of all outputs, and the highest share of the threshold in the healthy part.
fn on_host() -> (Events, u32, u16) {
    let (file, recording) = (plan("machine_anomaly"), recording());
    let mut arena = file.arena();
    let mut workspace = vec![0; workspace_words(file.as_bytes())];
    let mut reference = vec![0; reference_bytes(file.as_bytes())];
    let session = Session::from_model(file.model(), arena.as_mut_slice()).unwrap();
    let needs = Needs::read(session.model()).unwrap();
    let mut sensor = needs.fit(Recorded::new(CHIP, &recording, 16)).unwrap();
    let mut pipeline =
        Pipeline::<_, 16, 16>::with_reference(session, &mut workspace, &mut reference, sensor.format())
            .unwrap();
    let (mut samples, mut events, mut fingerprint, mut highest) =
        ([0; AXES * 32], Vec::new(), 0x811c_9dc5_u32, 0);
    while !sensor.sensor_mut().is_over() {
        let Ok(instants) = sensor.read(&mut samples);
        pipeline.push(&samples[..AXES * instants]);
        loop {
            let step = pipeline.step(1000);
            let milliseconds = pipeline.heard() * 1000 / RATE_HZ;
            if let Step::Inferred(event) = step {
                let instant = pipeline.heard().to_le_bytes();
                for byte in instant.into_iter().chain(pipeline.scores()) {
                    fingerprint = (fingerprint ^ u32::from(byte)).wrapping_mul(0x0100_0193);
                }
                println!("{milliseconds:>6} ms  {:?} of 256", pipeline.share_of_threshold());
                if milliseconds <= HEALTHY_MS {
                    highest = highest.max(pipeline.share_of_threshold().unwrap());
                }
                if let Some(event) = event {
                    assert_eq!(pipeline.label(event.class), "anomaly");
                    events.push((milliseconds, u64::from(event.score) * 100 / 256));
                }
            }
            if step == Step::Idle {
                break;
            }
        }
    }
    (events, fingerprint, highest)
}

#[test]
fn the_healthy_part_is_quiet_and_a_fault_is_an_event() {
    let (events, _, highest) = on_host();
    assert!(!events.is_empty(), "no event");
    assert!(events.iter().all(|(milliseconds, _)| *milliseconds > HEALTHY_MS), "{events:?}");
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
    let mut events = Vec::new();
    for line in run.stdout.lines() {
        if let Some((milliseconds, event)) = line.split_once(" ms  ") {
            let percent = event.strip_prefix("anomaly  ").unwrap().trim_end_matches(" %");
            events.push((milliseconds.trim().parse().unwrap(), percent.parse().unwrap()));
        }
    }
    let (expected, fingerprint, _) = on_host();
    assert_eq!(events, expected);
    let said = format!("{fingerprint:08x} is the fingerprint");
    assert!(run.stdout.contains(&said), "{said}: {}", run.stdout);
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
