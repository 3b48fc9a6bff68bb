//! The tasks of the real boards on the host: sampling, deciding and the line, fed the recording that the
//! emulated boards replay. What arrives at the other end of the line is what those decide.

use std::fs;
use std::path::Path;

use embassy_futures::poll_once;
use teff::{ModelFile, Session};
use teff_app::decision::Event;
use teff_app::health::{Limits, Watched};
use teff_app::needs::Needs;
use teff_app::pipeline::{Pipeline, workspace_words};
use teff_app::queue::Queue;
use teff_app::sensor::bus::complete;
use teff_app::sensor::recorded::Recorded;
use teff_app::sensor::{AsyncSensor, Format, Sensor};
use teff_compiler::{Target, compile};
use teff_device::deciding::Deciding;
use teff_device::outbox::{Outbox, Speaker};
use teff_device::sampling::Sampling;
use teff_link::{Account, MAX_FRAME_BYTES, Message, Received, Receiver};

const AXES: usize = 3;
const CHIP: Format = Format {
    sensor: "ADXL345",
    rate_millihertz: 1_600_000,
    axes: AXES as u8,
    unit: "g",
    counts_per_thousand_units: 256_000,
    full_scale: 4096,
};

/// A recording where an asynchronous sensor is asked for.
struct Asked<'a>(Recorded<'a>);

impl AsyncSensor for Asked<'_> {
    type Error = core::convert::Infallible;

    fn format(&self) -> Format {
        self.0.format()
    }

    async fn read(&mut self, samples: &mut [i16]) -> Result<usize, Self::Error> {
        self.0.read(samples)
    }

    fn gaps(&self) -> u32 {
        self.0.gaps()
    }
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn recording() -> Vec<i16> {
    let text = fs::read_to_string(root().join("firmware/emulated/recordings/machine.csv")).unwrap();
    text.lines().skip(1).flat_map(|line| line.split(',')).map(|count| count.parse().unwrap()).collect()
}

/// Time in milliseconds, label and score in per cent of each event on the emulated boards.
fn board_events() -> Vec<(u64, String, u16)> {
    let text = fs::read_to_string(root().join("firmware/emulated/programs/motion.out")).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(" ms  "));
    lines
        .map(|(milliseconds, event)| {
            let (label, percent) = event.split_once("  ").unwrap();
            let percent = percent.trim_end_matches(" %").parse().unwrap();
            (milliseconds.trim().parse().unwrap(), label.to_string(), percent)
        })
        .collect()
}

#[test]
fn what_the_line_brings_is_what_the_emulated_boards_decide() {
    let onnx = fs::read(root().join("models/machine/model.onnx")).unwrap();
    let file = ModelFile::from_bytes(&compile(&onnx, Target::Generic).unwrap().plan).unwrap();
    let (recording, expected) = (recording(), board_events());
    assert_eq!(expected.len(), 3);
    for portion in [1, 7, 16, 31] {
        let mut arena = file.arena();
        let mut workspace = vec![0; workspace_words(file.as_bytes())];
        let session = Session::from_model(file.model(), arena.as_mut_slice()).unwrap();
        let needs = Needs::read(session.model()).unwrap();
        let sensor = needs.fit_async(Asked(Recorded::new(CHIP, &recording, portion))).unwrap();
        let format = sensor.format();
        let pipeline = Pipeline::<_, 16, 16>::new(session, &mut workspace, format).unwrap();
        let mut sensor = Watched::new_async(sensor, Limits::default());
        let mut queue = Queue::<AXES, 64>::new();
        let (mut intake, mut outlet) = queue.split();
        let (sampling, outbox) = (Sampling::new(), Outbox::new());
        let (mut speaker, mut lit) = (Speaker::new(&outbox), 0);
        let lamp = |event: Option<&Event>, _: &str| -> Result<(), ()> {
            lit += usize::from(event.is_some());
            Ok(())
        };
        let mut deciding = Deciding::new(pipeline, teff_device::hello("test", format), lamp);
        while complete(sampling.poll(&mut sensor, &mut intake)) > 0 {
            while deciding.step(&mut outlet, &mut speaker) {}
        }
        let mut line = Vec::new();
        // It waits for more when all is sent.
        assert!(poll_once(outbox.transmit(&mut line)).is_pending());
        let (mut receiver, mut account) = (Receiver::<MAX_FRAME_BYTES>::new(), Account::new());
        let (mut rest, mut decided) = (&line[..], Vec::new());
        while let Some(received) = receiver.next(&mut rest) {
            account.note(&received);
            let Received::Frame(frame) = received else { panic!("{received:?}") };
            if let Message::Decision(decision) = frame.message {
                let milliseconds = decision.instant * 1000 / 1600;
                decided.push((milliseconds, decision.label.to_string(), decision.score * 100 / 256));
            }
        }
        assert_eq!(decided, expected, "in portions of {portion}");
        assert_eq!((outlet.overruns(), speaker.left_out(), account.missing_frames), (0, 0, 0));
        assert_eq!(lit, expected.len());
    }
}
