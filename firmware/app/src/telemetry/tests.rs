//! From a sensor with faults through the queue onto the line, and off it again: every instant came, or
//! the sender said that it lost it.

use std::vec::Vec;

use teff_link::{Account, Received, Receiver};

use super::*;
use crate::health::{Limits, Watched};
use crate::queue::Queue;
use crate::sensor::Sensor;
use crate::sensor::faulty::{Fault, Faulty, Kind};
use crate::sensor::recorded::Recorded;

const AXES: usize = 3;
const FORMAT: Format = Format {
    sensor: "ADXL345",
    rate_millihertz: 1_600_000,
    axes: AXES as u8,
    unit: "g",
    counts_per_thousand_units: 256_000,
    full_scale: 4096,
};

/// What a host got: all samples with the instant that each has, and the account.
struct Heard {
    samples: Vec<(u64, [i16; AXES])>,
    gaps: Vec<teff_link::Gap>,
    account: Account,
    hellos: usize,
    frames: usize,
}

fn hear(line: &[u8]) -> Heard {
    let mut receiver = Receiver::<MAX_FRAME_BYTES>::new();
    let mut heard =
        Heard { samples: Vec::new(), gaps: Vec::new(), account: Account::new(), hellos: 0, frames: 0 };
    let mut bytes = line;
    while let Some(received) = receiver.next(&mut bytes) {
        heard.account.note(&received);
        let Received::Frame(frame) = received else { panic!("{received:?}") };
        heard.frames += 1;
        match frame.message {
            Message::Hello(hello) => {
                assert_eq!((hello.board, hello.sensor, hello.axes), ("bench", "ADXL345", 3));
                heard.hellos += 1;
            }
            Message::Samples(samples) => {
                let values: Vec<i16> = samples.iter().collect();
                assert_eq!(values.len() % AXES, 0);
                let instants = values.as_chunks::<AXES>().0.iter();
                heard.samples.extend((samples.instant..).zip(instants.copied()));
            }
            Message::Gap(gap) => heard.gaps.push(gap),
            _ => {}
        }
    }
    heard
}

/// `instants` of a recording that counts up, polled 16 at a time; the task looks every `task_every` polls.
fn record(instants: usize, faults: &[Fault], task_every: usize) -> (Heard, u32) {
    let recording: Vec<i16> = (0..instants * AXES).map(|n| (n % 4000) as i16).collect();
    let sensor = Faulty::new(Recorded::new(FORMAT, &recording, 64), faults);
    let format = sensor.format();
    let mut watched = Watched::new(sensor, Limits { rate_block: 320, rate_slack: 16, ..Limits::default() });
    let mut queue = Queue::<AXES, 64>::new();
    let (mut intake, mut outlet) = queue.split();
    let mut recorder = Recorder::<AXES>::new("bench", format);
    let mut line = Vec::new();
    let (mut polls, mut before) = (0, 0);
    while watched.sensor_mut().instant() < instants as u64 {
        let mut buffer = [[0; AXES]; 16];
        watched.poll(&mut buffer, |gap, samples| intake.push_behind(gap, samples), |_| {});
        let now = watched.sensor_mut().instant();
        watched.elapsed((now - before) as u32);
        before = now;
        polls += 1;
        if polls % task_every != 0 {
            continue;
        }
        while let Some(instant) = outlet.pop() {
            recorder.take(&instant, outlet.overruns());
            while let Some(bytes) = recorder.next() {
                line.extend_from_slice(bytes);
            }
        }
    }
    while let Some(instant) = outlet.pop() {
        recorder.take(&instant, outlet.overruns());
        while let Some(bytes) = recorder.next() {
            line.extend_from_slice(bytes);
        }
    }
    recorder.end(outlet.overruns());
    while let Some(bytes) = recorder.next() {
        line.extend_from_slice(bytes);
    }
    (hear(&line), outlet.overruns())
}

/// Each sample is the one that the recording has at that instant.
fn assert_in_place(heard: &Heard) {
    for (instant, samples) in &heard.samples {
        let expected = [0, 1, 2].map(|axis| ((*instant as usize * AXES + axis) % 4000) as i16);
        assert_eq!(*samples, expected, "instant {instant}");
    }
}

#[test]
fn a_recording_arrives_whole() {
    let (heard, overruns) = record(4800, &[], 1);
    assert_eq!((heard.samples.len(), heard.gaps.len(), overruns), (4800, 0, 0));
    assert_in_place(&heard);
    assert!(heard.account.ended);
    assert_eq!(heard.account.instants, 4800);
    // At the start and after each second.
    assert_eq!(heard.hellos, 4);
    assert_eq!(heard.frames, 4 + 4800 / 80 + 1);
}

#[test]
fn what_a_full_queue_lost_is_told_to_the_instant() {
    let (heard, overruns) = record(4800, &[], 5);
    // 80 instants for 63 places.
    assert_eq!(overruns, 17 * 60);
    assert_in_place(&heard);
    assert!(heard.gaps.iter().all(|gap| gap.cause == Cause::Queue), "{:?}", heard.gaps);
    assert_eq!(heard.account.lost_by_sender, u64::from(overruns));
    assert_eq!(heard.samples.len() as u64 + heard.account.lost_by_sender, 4800);
    assert_eq!((heard.account.lost_on_line, heard.account.missing_frames), (0, 0));
    assert!(heard.account.ended);
}

#[test]
fn what_the_sensor_lost_is_told_with_its_cause() {
    let faults = [Fault { at: 1700, kind: Kind::Gap(40) }, Fault { at: 3205, kind: Kind::Lost(50) }];
    let (heard, overruns) = record(6400, &faults, 1);
    assert_eq!(overruns, 0);
    let told: Vec<_> = heard.gaps.iter().map(|gap| (gap.lost, gap.cause)).collect();
    assert_eq!(told, [(None, Cause::Sensor), (Some(50), Cause::Sensor)]);
    assert_eq!((heard.account.gaps_of_unknown_length, heard.account.lost_by_sender), (1, 50));
    assert_eq!(heard.samples.len(), 6400 - 40 - 50);
}

#[test]
fn losses_of_queue_and_sensor_in_one_gap_are_told_apart() {
    let mut recorder = Recorder::<AXES>::new("bench", FORMAT);
    let mut line = Vec::new();
    for (gap, overruns) in [(Gap::None, 3), (Gap::Lost(10), 3), (Gap::Lost(4), 7)] {
        recorder.take(&Instant { samples: [0; AXES], gap }, overruns);
        while let Some(bytes) = recorder.next() {
            line.extend_from_slice(bytes);
        }
    }
    recorder.end(9);
    while let Some(bytes) = recorder.next() {
        line.extend_from_slice(bytes);
    }
    let heard = hear(&line);
    let gap = |instant, lost, cause| teff_link::Gap { instant, lost: Some(lost), cause };
    let expected = [
        gap(1, 3, Cause::Queue),
        gap(4, 7, Cause::Sensor),
        gap(12, 4, Cause::Queue),
        gap(17, 2, Cause::Queue),
    ];
    assert_eq!(heard.gaps, expected);
    assert_eq!((heard.account.lost_by_sender, heard.account.lost_on_line), (16, 0));
}

#[test]
fn a_slow_sensor_does_not_wait_for_a_full_frame() {
    let mut recorder = Recorder::<1>::new("bench", Format { rate_millihertz: 500, axes: 1, ..FORMAT });
    let mut frames = 0;
    for sample in 0..4 {
        recorder.take(&Instant { samples: [sample], gap: Gap::None }, 0);
        while recorder.next().is_some() {
            frames += 1;
        }
    }
    // A hello before each, as there is less than one in a second.
    assert_eq!(frames, 8 + 1);
}

#[test]
fn long_texts_are_cut_between_characters() {
    let mut telemetry = Telemetry::new();
    let text = "ü".repeat(400);
    let mut bytes = telemetry.log(Level::Info, &text);
    let mut receiver = Receiver::<MAX_FRAME_BYTES>::new();
    let Some(Received::Frame(frame)) = receiver.next(&mut bytes) else { panic!() };
    assert_eq!(frame.message, Message::Log(Log { level: Level::Info, text: &"ü".repeat(200) }));
    assert_eq!(cut("aü", 2), "a");
    assert_eq!(cut("", 2), "");
}
