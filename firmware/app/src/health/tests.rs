//! Faults of every kind, and the exact counts that they must lead to.

use std::vec::Vec;

use super::*;
use crate::queue::{Instant, Queue};
use crate::sensor::adxl345::{ADDRESS, Adxl345, Setup};
use crate::sensor::bus::OnI2c;
use crate::sensor::faulty::{Fault, Faulty, Kind};
use crate::sensor::recorded::Recorded;
use crate::sensor::simulated::SimulatedAdxl345;

const FORMAT: Format = Format {
    sensor: "recording",
    rate_millihertz: 100_000,
    axes: 1,
    unit: "g",
    counts_per_thousand_units: 1,
    full_scale: 1000,
};

const LIMITS: Limits = Limits {
    retries: 1,
    longest_wait: 4,
    unreachable_after: 3,
    silent_after: 5,
    stuck_after: 8,
    saturation_block: 10,
    saturation_percent: 50,
    rate_block: 20,
    rate_slack: 4,
};

/// What came out of a recording of 0, 1, 2, … with faults, polled for 2 instants at a time while the
/// time of 2 passes.
struct Run {
    handed_on: Vec<(Gap, i16)>,
    events: Vec<Event>,
    counts: Counts,
    polls: u32,
}

fn run(faults: &[(u64, Kind)]) -> Run {
    let recording: Vec<i16> = (0..200).collect();
    let faults: Vec<Fault> = faults.iter().map(|&(at, kind)| Fault { at, kind }).collect();
    let mut sensor = Watched::new(Faulty::new(Recorded::new(FORMAT, &recording, 64), &faults), LIMITS);
    let (mut handed_on, mut events, mut polls) = (Vec::new(), Vec::new(), 0);
    while sensor.sensor_mut().instant() < 200 {
        let before = sensor.sensor_mut().instant();
        let mut buffer = [[0; 1]; 2];
        sensor.poll(&mut buffer, |gap, [sample]| handed_on.push((gap, sample)), |event| events.push(event));
        let passed = sensor.sensor_mut().instant() - before;
        sensor.elapsed(passed as u32);
        polls += 1;
        assert!(polls < 1000);
    }
    Run { handed_on, events, counts: *sensor.counts(), polls }
}

fn what(run: &Run) -> Vec<What> {
    run.events.iter().map(|event| event.what).collect()
}

/// Every sample either came or is missing behind a gap that says so.
fn is_complete(run: &Run) {
    let mut next = 0;
    for &(gap, sample) in &run.handed_on {
        match gap {
            Gap::None => assert_eq!(sample, next, "an unannounced gap"),
            _ => assert!(sample > next),
        }
        next = sample + 1;
    }
    assert_eq!(run.counts.instants, run.handed_on.len() as u64 + run.counts.withheld);
}

#[test]
fn a_sensor_that_works_has_no_events() {
    let run = run(&[]);
    is_complete(&run);
    assert_eq!((run.events.len(), run.polls, run.handed_on.len()), (0, 100, 200));
    assert_eq!(run.counts, Counts { instants: 200, ..Counts::default() });
}

#[test]
fn one_error_is_tried_again_at_once() {
    let run = run(&[(50, Kind::Errors(1))]);
    is_complete(&run);
    assert_eq!(run.events, [Event { instant: 50, what: What::BusError }]);
    assert_eq!((run.counts.bus_errors, run.handed_on.len(), run.polls), (1, 200, 100));
}

/// Eleven failures: two in each of the first polls, and one when it is started anew.
#[test]
fn an_unreachable_sensor_is_tried_less_and_less_often_and_started_anew() {
    let run = run(&[(50, Kind::Errors(11))]);
    is_complete(&run);
    assert_eq!(run.counts.bus_errors, 11);
    assert_eq!((run.counts.unreachable, run.counts.restarts), (1, 0));
    assert_eq!(run.handed_on.len(), 200);
    // Left out: 1, 2, 4, 4 and 4 polls. Failed: 5.
    assert_eq!(run.polls, 100 + 5 + 1 + 2 + 4 + 4 + 4);
    let conditions: Vec<What> = what(&run).into_iter().filter(|what| *what != What::BusError).collect();
    assert_eq!(conditions, [What::Begins(Condition::Unreachable), What::Ends(Condition::Unreachable)]);
}

#[test]
fn a_gap_of_the_sensor_lies_where_it_is() {
    let run = run(&[(50, Kind::Gap(7)), (101, Kind::Gap(1))]);
    is_complete(&run);
    assert_eq!(what(&run), [What::SensorGap, What::SensorGap]);
    assert_eq!((run.counts.gaps, run.counts.missing, run.handed_on.len()), (2, 0, 192));
    let gaps: Vec<_> = run.handed_on.iter().filter(|(gap, _)| *gap != Gap::None).collect();
    assert_eq!(gaps, [&(Gap::Unknown, 57), &(Gap::Unknown, 102)]);
}

#[test]
fn instants_that_vanish_without_a_word_are_missed() {
    let recording: Vec<i16> = (0..200).collect();
    let faults = [Fault { at: 45, kind: Kind::Lost(10) }, Fault { at: 120, kind: Kind::Lost(3) }];
    let mut sensor = Watched::new(Faulty::new(Recorded::new(FORMAT, &recording, 64), &faults), LIMITS);
    let (mut events, mut handed_on, mut polled) = (Vec::new(), Vec::new(), 0);
    while sensor.sensor_mut().instant() < 200 {
        let before = sensor.sensor_mut().instant();
        let mut buffer = [[0; 1]; 2];
        sensor.poll(&mut buffer, |gap, [sample]| handed_on.push((gap, sample)), |event| events.push(event));
        polled += 1;
        // Time passes for what vanished too.
        let passed = sensor.sensor_mut().instant() - before;
        sensor.elapsed(passed as u32);
    }
    // The ten are missed at the end of their block; three are within the slack.
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].what, What::Missing(10));
    assert_eq!((sensor.counts().missing, handed_on.len()), (10, 187));
    let gaps: Vec<_> = handed_on.iter().filter(|(gap, _)| *gap != Gap::None).collect();
    assert_eq!((gaps.len(), gaps[0].0), (1, Gap::Lost(10)));
    assert!(gaps[0].1 < 70 && polled <= 100);
}

#[test]
fn a_stuck_sensor_is_withheld_until_it_moves() {
    let run = run(&[(50, Kind::Stuck(30))]);
    // 50 to 79 are equal; eight of them are let through.
    assert_eq!(run.counts, Counts { instants: 200, withheld: 22, stuck: 1, ..Counts::default() });
    assert_eq!(
        run.events,
        [
            Event { instant: 58, what: What::Begins(Condition::Stuck) },
            Event { instant: 80, what: What::Ends(Condition::Stuck) }
        ]
    );
    let gaps: Vec<_> = run.handed_on.iter().filter(|(gap, _)| *gap != Gap::None).collect();
    assert_eq!(gaps, [&(Gap::Unknown, 80)]);
    assert_eq!(run.handed_on.len(), 178);
}

#[test]
fn a_saturated_signal_is_reported_and_handed_on() {
    let run = run(&[(53, Kind::Saturated(8)), (100, Kind::Saturated(4))]);
    // Seven of 50 to 59, one of 60 to 69; four of 100 to 109 are too few.
    assert_eq!(
        run.events,
        [
            Event { instant: 59, what: What::Begins(Condition::Saturated) },
            Event { instant: 69, what: What::Ends(Condition::Saturated) }
        ]
    );
    assert_eq!((run.counts.saturated, run.handed_on.len()), (1, 200));
}

#[test]
fn a_silent_sensor_is_started_anew() {
    let run = run(&[(50, Kind::Asleep), (90, Kind::Late(3))]);
    is_complete(&run);
    let silent = Condition::Silent;
    assert_eq!(what(&run), [What::Begins(silent), What::Restarted, What::Ends(silent)]);
    assert_eq!((run.counts.silent, run.counts.restarts, run.polls), (1, 1, 100 + 5 + 3));
}

#[test]
fn checks_that_are_switched_off_are_silent() {
    let off = Limits { stuck_after: 0, saturation_block: 0, rate_block: 0, silent_after: 0, ..LIMITS };
    let recording = [1000; 100];
    let mut sensor = Watched::new(Recorded::new(FORMAT, &recording, 64), off);
    let mut buffer = [[0; 1]; 10];
    for _ in 0..100 {
        sensor.elapsed(1000);
        sensor.poll(&mut buffer, |_, _| {}, |event| panic!("{event:?}"));
    }
    assert_eq!(sensor.counts().instants, 100);
    // Another number of axes than the sensor's.
    assert_eq!(sensor.poll(&mut [[0; 3]; 4], |_, _| {}, |_| {}), 0);
}

/// The whole way from a chip through a queue that is too short: what comes out and what was counted
/// are together what was measured.
#[test]
fn nothing_is_lost_but_what_the_counts_say() {
    let recording: Vec<i16> = (0..900 * 3).map(|at| (at / 3 * 7 % 4000) as i16).collect();
    let bus = OnI2c::new(SimulatedAdxl345::new(&recording), ADDRESS);
    let chip = Adxl345::start(bus, Setup::new(1_600_000).unwrap()).unwrap();
    let mut sensor = Watched::new(chip, LIMITS);
    let mut queue = Queue::<3, 64>::new();
    let (mut intake, mut outlet) = queue.split();
    let (mut taken, mut lost_by_queue, mut unknown, mut round) = (0, 0, 0, 0);
    let mut next_index: Option<usize> = None;
    let mut dropped_by_chip = 0;
    while !sensor.sensor_mut().registers_mut().bus_mut().is_over() {
        round += 1;
        let chip = sensor.sensor_mut().registers_mut().bus_mut();
        match round % 9 {
            // The interrupt comes late.
            3 => chip.advance(40),
            5 => {
                chip.advance(8);
                chip.fail(1);
            }
            _ => chip.advance(8),
        }
        let mut buffer = [[0; 3]; 32];
        sensor.poll(&mut buffer, |gap, samples| intake.push_behind(gap, samples), |_| {});
        // The task comes late.
        if round % 7 != 0 {
            continue;
        }
        while let Some(Instant { samples, gap }) = outlet.pop() {
            taken += 1;
            let from = next_index.unwrap_or(0);
            let at = (from..900).find(|at| recording[at * 3..at * 3 + 3] == samples).unwrap();
            match gap {
                Gap::None => assert_eq!(at, from),
                Gap::Lost(lost) => {
                    assert_eq!(at, from + lost as usize);
                    lost_by_queue += lost;
                }
                Gap::Unknown => {
                    dropped_by_chip += at - from;
                    unknown += 1;
                }
            }
            next_index = Some(at + 1);
        }
    }
    let mut left = 0;
    while let Some(instant) = outlet.pop() {
        left += 1;
        lost_by_queue += if let Gap::Lost(lost) = instant.gap { lost } else { 0 };
    }
    let counts = sensor.counts();
    assert!(counts.gaps > 3 && counts.bus_errors > 3 && unknown > 0 && outlet.overruns() > 20);
    assert!(dropped_by_chip >= 8 * unknown && lost_by_queue > 0);
    // Each instant that the chip gave was taken, is still in the queue, or was counted when the queue
    // was full.
    assert_eq!(counts.instants, u64::from(taken + left + outlet.overruns()));
    // Each time that it was late, the chip lost 8 of 40.
    assert_eq!(counts.instants + 8 * u64::from(counts.gaps), 900);
}
