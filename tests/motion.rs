//! The firmware's pipeline on the host: fed the recording that the board replays, in portions of any
//! size, it decides what the board decides.

use teff::Session;
use teff_app::health::{self, Limits, Watched};
use teff_app::needs::Needs;
use teff_app::pipeline::{self, Pipeline, Step, workspace_words};
use teff_app::queue::Queue;
use teff_app::sensor::faulty::{Fault, Faulty, Kind};
use teff_app::sensor::recorded::Recorded;
use teff_app::sensor::rescaled::Rescaled;
use teff_app::sensor::{Format, Sensor};
use teff_tests::{AXES, CHIP, Decided, machine_recording, plan};

const MODEL_COUNTS_PER_THOUSAND_G: u32 = 512_000;

#[test]
fn the_host_decides_what_the_board_decides() {
    let (file, recording) = (plan("machine"), machine_recording());
    let expected = Decided::of_snapshot("firmware/emulated/programs/motion.out");
    assert_eq!(expected.events.len(), 3);
    for portion in [1, 7, 16, 31] {
        let mut arena = file.arena();
        let mut workspace = vec![0; workspace_words(file.as_bytes())];
        let recorded = Recorded::new(CHIP, &recording, portion);
        let mut sensor = Rescaled::new(recorded, MODEL_COUNTS_PER_THOUSAND_G).unwrap();
        let session = Session::from_model(file.model(), arena.as_mut_slice()).unwrap();
        let mut pipeline = Pipeline::<_, 16, 16>::new(session, &mut workspace, sensor.format()).unwrap();
        let mut samples = [0; AXES * 32];
        let mut decided = Decided::default();
        while !sensor.sensor_mut().is_over() {
            let Ok(instants) = sensor.read(&mut samples);
            pipeline.push(&samples[..AXES * instants]);
            decided.work(&mut pipeline, 1600, 1000);
        }
        assert_eq!(decided, expected, "in portions of {portion}");
        assert_eq!(pipeline.missed(), 0);
    }
}

#[test]
fn a_sensor_that_does_not_fit_the_model_is_refused_by_name() {
    let file = plan("machine");
    let start = |format: Format| {
        let mut arena = file.arena();
        let mut workspace = vec![0; workspace_words(file.as_bytes())];
        let session = Session::from_model(file.model(), arena.as_mut_slice()).unwrap();
        Pipeline::<_, 16, 16>::new(session, &mut workspace, format).err().map(|error| error.to_string())
    };
    let fitting = Format { counts_per_thousand_units: MODEL_COUNTS_PER_THOUSAND_G, ..CHIP };
    assert_eq!(start(fitting), None);
    let refused = |format| start(format).unwrap();
    assert_eq!(
        refused(CHIP),
        "the model needs 512000 counts per thousand units, but the ADXL345 gives 256000"
    );
    let slow = Format { rate_millihertz: 800_000, ..fitting };
    assert_eq!(
        refused(slow),
        "the model needs 1600000 samples per 1000 seconds, but the ADXL345 gives 800000"
    );
    let flat = Format { axes: 2, ..fitting };
    assert_eq!(refused(flat), "the model needs 3 axes, but the ADXL345 has 2");
}

/// What one run with faults came to.
struct Run {
    events: Vec<(u64, String)>,
    health: health::Counts,
    counts: pipeline::Counts,
    overruns: u32,
}

/// From a recording with faults through health, queue and pipeline, polled for 16 instants at a time;
/// the task looks into the queue every `task_every` polls.
fn run_with(faults: &[Fault], task_every: u32) -> Run {
    let (file, recording) = (plan("machine"), machine_recording());
    let mut arena = file.arena();
    let mut workspace = vec![0; workspace_words(file.as_bytes())];
    let session = Session::from_model(file.model(), arena.as_mut_slice()).unwrap();
    let needs = Needs::read(session.model()).unwrap();
    let faulty = Faulty::new(Recorded::new(CHIP, &recording, 64), faults);
    let sensor = needs.fit(faulty).unwrap();
    let mut pipeline = Pipeline::<_, 16, 16>::new(session, &mut workspace, sensor.format()).unwrap();
    let limits = Limits { rate_block: 320, rate_slack: 16, stuck_after: 100, ..Limits::default() };
    let mut watched = Watched::new(sensor, limits);
    let mut queue = Queue::<AXES, 64>::new();
    let (mut intake, mut outlet) = queue.split();
    let (mut events, mut polls, mut before) = (Vec::new(), 0, 0);
    while watched.sensor_mut().sensor_mut().instant() < 9600 {
        let mut instants = [[0; AXES]; 16];
        watched.poll(&mut instants, |gap, samples| intake.push_behind(gap, samples), |_| {});
        let now = watched.sensor_mut().sensor_mut().instant();
        watched.elapsed((now - before) as u32);
        before = now;
        polls += 1;
        if polls % task_every != 0 && now < 9600 {
            continue;
        }
        while let Some(instant) = outlet.pop() {
            pipeline.take(&instant);
            loop {
                match pipeline.step(15_000) {
                    Step::Idle => break,
                    Step::Inferred(Some(event)) => {
                        events.push((now * 1000 / 1600, pipeline.label(event.class).to_string()));
                    }
                    Step::Working | Step::Inferred(None) => {}
                }
            }
        }
    }
    Run { events, health: *watched.counts(), counts: *pipeline.counts(), overruns: outlet.overruns() }
}

fn labels(run: &Run) -> Vec<&str> {
    run.events.iter().map(|(_, label)| label.as_str()).collect()
}

const STATES: [&str; 3] = ["healthy", "bearing_fault", "imbalance"];

#[test]
fn without_faults_nothing_is_missing() {
    let run = run_with(&[], 1);
    assert_eq!(labels(&run), STATES);
    assert_eq!(run.health, health::Counts { instants: 9600, ..health::Counts::default() });
    let counts = pipeline::Counts { instants: 9600, inferences: 18, ..pipeline::Counts::default() };
    assert_eq!((run.counts, run.overruns), (counts, 0));
}

/// Every kind of fault, each at a place of its own: counted to the instant, and each state is still decided
/// on.
#[test]
fn faults_are_counted_and_got_over() {
    let fault = |at, kind| Fault { at, kind };
    let run = run_with(
        &[
            fault(160, Kind::Errors(2)),
            fault(400, Kind::Gap(40)),
            fault(2560, Kind::Late(4)),
            fault(3305, Kind::Stuck(300)),
            fault(5120, Kind::Errors(20)),
            fault(6003, Kind::Lost(50)),
            fault(6404, Kind::Asleep),
            fault(9000, Kind::Saturated(512)),
        ],
        1,
    );
    let expected = health::Counts {
        instants: 9600 - 40 - 50,
        withheld: 200,
        bus_errors: 22,
        gaps: 1,
        missing: 50,
        // The unreachable one fails to.
        restarts: 1,
        stuck: 1,
        saturated: 1,
        unreachable: 1,
        silent: 1,
    };
    assert_eq!(run.health, expected);
    assert_eq!(run.counts.instants, 9600 - 40 - 50 - 200);
    // The sensor's gap, what vanished, stuck.
    assert_eq!((run.counts.gaps, run.counts.lost, run.counts.missed), (3, 50, 0));
    assert_eq!(run.overruns, 0);
    let mut decided = labels(&run);
    decided.dedup();
    assert_eq!(decided, STATES);
}

/// A task that comes late: each instant was decided on, or is counted.
#[test]
fn a_full_queue_loses_what_it_counts() {
    let run = run_with(&[], 5);
    // 80 instants for 63 places, 120 times.
    assert_eq!(run.overruns, 17 * 120);
    assert_eq!(run.counts.instants + u64::from(run.overruns), 9600);
    // The last loss is not seen any more: no instant follows it.
    assert_eq!((run.counts.gaps, run.counts.lost), (119, 17 * 119));
    assert_eq!(run.counts.inferences, 0);
}
