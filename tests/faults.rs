//! Everything that can fail does: the emulated boards' programs `motion_faults` and `listen_faults`, and the same
//! faults here. What is told, decided and counted is the same, and is all that happened.

use std::fs;

use teff::{ModelFile, Session};
use teff_app::health::{self, Condition, Limits, Watched, What};
use teff_app::needs::Needs;
use teff_app::pipeline::{self, Pipeline, Step, workspace_words};
use teff_app::queue::{Gap, Instant, Queue};
use teff_app::sensor::Sensor;
use teff_app::sensor::adxl345::{ADDRESS, Adxl345, FIFO_LEN, Setup};
use teff_app::sensor::bus::OnI2c;
use teff_app::sensor::faulty::Faulty;
use teff_app::sensor::microphone::{I2s, Slots};
use teff_app::sensor::simulated::{SimulatedAdxl345, SimulatedI2s};
use teff_board::numbers::EMPTY;
use teff_tests::{machine_recording, plan, root};

#[path = "../firmware/emulated/programs/faults/listen.rs"]
mod listen;
#[path = "../firmware/emulated/programs/faults/motion.rs"]
mod motion;

type Chip<'a> = Faulty<'a, Adxl345<OnI2c<SimulatedAdxl345<'a>>>>;
type Microphone<'a> = Faulty<'a, I2s<SimulatedI2s<'a>>>;

/// What a run says: lines of what happened, of decisions, and of figures.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    happened: Vec<String>,
    decided: Vec<String>,
    figures: Vec<String>,
}

impl Said {
    /// What every emulated board says.
    fn by_boards(program: &str) -> Said {
        let path = root().join("firmware/emulated/programs").join(program).with_extension("out");
        let mut said = Said::default();
        for line in fs::read_to_string(path).unwrap().lines() {
            let to = match line {
                _ if line.starts_with("instant ") => &mut said.happened,
                _ if line.contains(" ms  ") => &mut said.decided,
                _ => &mut said.figures,
            };
            to.push(line.to_string());
        }
        said
    }

    fn labels(&self) -> Vec<&str> {
        self.decided
            .iter()
            .filter_map(|line| line.split("  ").find(|word| word.starts_with(char::is_alphabetic)))
            .collect()
    }
}

fn words(event: &health::Event) -> String {
    let condition = |condition| match condition {
        Condition::Stuck => "stuck",
        Condition::Saturated => "saturated",
        Condition::Unreachable => "unreachable",
        Condition::Silent => "silent",
    };
    let what = match event.what {
        What::BusError => "a transfer failed".to_string(),
        What::SensorGap => "the sensor lost instants".to_string(),
        What::Missing(lost) => format!("{lost} did not come"),
        What::Restarted => "the sensor was started anew".to_string(),
        What::Begins(begins) => condition(begins).to_string(),
        What::Ends(ends) => format!("no longer {}", condition(ends)),
    };
    format!("instant {}: {what}", event.instant)
}

/// A sensor for which time passes here, with the interrupt that reads it.
struct Bench<S> {
    sensor: Watched<S>,
    every: usize,
    waiting: usize,
    passed: u64,
    /// Lets the time of one instant pass; tells whether there are more.
    advance: fn(&mut S) -> bool,
}

impl<S: Sensor> Bench<S> {
    fn new(sensor: S, limits: Limits, every: usize, advance: fn(&mut S) -> bool) -> Self {
        Bench { sensor: Watched::new(sensor, limits), every, waiting: 0, passed: 0, advance }
    }

    /// One instant passes; tells whether there are more.
    fn elapse<const AXES: usize, const ROOM: usize>(
        &mut self,
        hand_on: impl FnMut(Gap, [i16; AXES]),
        report: impl FnMut(health::Event),
    ) -> bool {
        self.sensor.elapsed(1);
        let more = (self.advance)(self.sensor.sensor_mut());
        self.passed += 1;
        self.waiting += 1;
        if self.waiting >= self.every {
            self.waiting = 0;
            self.sensor.poll(&mut [[0; AXES]; ROOM], hand_on, report);
        }
        more
    }
}

/// What a run came to.
struct Run {
    said: Said,
    pipeline: pipeline::Counts,
    health: health::Counts,
    overruns: u32,
}

/// Runs a pipeline until the recording is over; what `lost` says never left the sensor.
fn run<S: Sensor, const AXES: usize, const ROOM: usize, const LEN: usize>(
    file: &ModelFile,
    mut bench: Bench<S>,
    busy: &[(u64, u32)],
    lost: fn(&mut S) -> u64,
) -> Run {
    let mut arena = file.arena();
    let mut workspace = vec![0; workspace_words(file.as_bytes())];
    let session = Session::from_model(file.model(), arena.as_mut_slice()).unwrap();
    let format = bench.sensor.format();
    let rate_hz = u64::from(format.rate_millihertz / 1000);
    let mut pipeline = Pipeline::<_, 16, 16>::new(session, &mut workspace, format).unwrap();
    let mut queue = Queue::<AXES, LEN>::new();
    let (mut intake, mut outlet) = queue.split();
    let (mut said, mut fingerprint, mut told) = (Said::default(), EMPTY, 0);
    let (mut busy, mut more) = (busy.iter().peekable(), true);
    while more {
        let mut instants = 1;
        while let Some((_, longer)) = busy.next_if(|(at, _)| *at <= bench.passed) {
            instants += longer;
        }
        for _ in 0..instants {
            let hand_on = |gap, samples| intake.push_behind(gap, samples);
            more = bench.elapse::<AXES, ROOM>(hand_on, |event| said.happened.push(words(&event)));
        }
        while let Some(instant) = outlet.pop() {
            pipeline.take(&instant);
            let step = pipeline.step(u32::MAX);
            if let Step::Inferred(event) = step {
                fingerprint = teff_tests::fingerprint(fingerprint, &pipeline);
                if let Some(event) = event {
                    let (milliseconds, percent) =
                        (pipeline.heard() * 1000 / rate_hz, event.score * 100 / 256);
                    let label = pipeline.label(event.class);
                    said.decided.push(format!("{milliseconds:>6} ms  {label}  {percent} %"));
                }
            }
        }
        if outlet.overruns() > told {
            let new = outlet.overruns() - told;
            told = outlet.overruns();
            said.happened.push(format!("instant {}: {new} found the queue full", bench.passed));
        }
    }
    let (pipeline, health, overruns) = (*pipeline.counts(), *bench.sensor.counts(), outlet.overruns());
    let lost = lost(bench.sensor.sensor_mut());
    let passed = pipeline.instants + health.withheld + u64::from(overruns) + lost;
    said.figures = vec![
        format!(
            "{passed} instants: {} decided on, {} withheld, {overruns} found the queue full, {lost} never came",
            pipeline.instants, health.withheld
        ),
        format!(
            "{} bus errors, {} restarts, {} sensor gaps, {} missing without a word",
            health.bus_errors, health.restarts, health.gaps, health.missing
        ),
        format!(
            "times unreachable {}, silent {}, stuck {}, saturated {}",
            health.unreachable, health.silent, health.stuck, health.saturated
        ),
        format!(
            "{} inferences behind {} gaps, {} given up, {} windows missed",
            pipeline.inferences, pipeline.gaps, pipeline.given_up, pipeline.missed
        ),
        format!("{fingerprint:08x} is the fingerprint of their scores"),
    ];
    Run { said, pipeline, health, overruns }
}

fn chip(recording: &[i16]) -> Chip<'_> {
    let chip = SimulatedAdxl345::new(recording).repeated(motion::TIMES).with_faults(motion::CHIP);
    let chip = Adxl345::start(OnI2c::new(chip, ADDRESS), Setup::new(1_600_000).unwrap()).unwrap();
    Faulty::new(chip, motion::SENSOR)
}

fn advance_chip(sensor: &mut Chip<'_>) -> bool {
    let chip = sensor.sensor_mut().registers_mut().bus_mut();
    chip.advance(1);
    !chip.is_over()
}

fn lost_by_chip(sensor: &mut Chip<'_>) -> u64 {
    sensor.sensor_mut().registers_mut().bus_mut().lost() as u64 + sensor.vanished()
}

#[test]
fn an_accelerometer_fails_on_the_boards_as_on_the_host() {
    let (file, recording) = (plan("machine"), machine_recording());
    let needs = Needs::read(&file.model()).unwrap();
    let sensor = needs.fit(chip(&recording)).unwrap();
    let bench = Bench::new(sensor, motion::LIMITS, motion::INTERRUPT_EVERY, |sensor| {
        advance_chip(sensor.sensor_mut())
    });
    let run =
        run::<_, 3, FIFO_LEN, 64>(&file, bench, motion::BUSY, |sensor| lost_by_chip(sensor.sensor_mut()));
    assert_eq!(run.said, Said::by_boards("motion_faults"));
    // Of each of the nine states, behind what went wrong in it.
    assert_eq!(run.said.labels(), ["healthy", "bearing_fault", "imbalance"].repeat(motion::TIMES));
    let health::Counts { bus_errors, gaps, missing, restarts, .. } = run.health;
    // Unreachable, broken off, without power (which is started anew), late.
    assert_eq!((bus_errors, gaps, missing, restarts), (2 + 10 + 1, 5, 50, 1));
    let health::Counts { stuck, withheld, saturated, unreachable, silent, .. } = run.health;
    assert_eq!((stuck, withheld, saturated, unreachable, silent), (1, 300 - 100, 1, 1, 1));
    assert_eq!((run.overruns, run.pipeline.gaps), (112 - 63, 7));
    let passed = recording.len() / 3 * motion::TIMES;
    assert!(run.said.figures[0].starts_with(&format!("{passed} instants: ")), "{:?}", run.said.figures);
}

#[test]
fn a_microphone_fails_on_the_boards_as_on_the_host() {
    let bytes = fs::read(root().join("firmware/emulated/recordings/digits.wav")).unwrap();
    let recording: Vec<i16> =
        bytes[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    let file = plan("digits");
    let ring = SimulatedI2s::new(&recording, 4 * listen::INTERRUPT_EVERY).repeated(listen::TIMES);
    let sensor = Faulty::new(I2s::new(ring, Slots::Left, 0, 8_000_000), listen::SENSOR);
    let bench = Bench::new(sensor, listen::LIMITS, listen::INTERRUPT_EVERY, |sensor: &mut Microphone<'_>| {
        let ring = sensor.sensor_mut().source_mut();
        ring.advance(1);
        !ring.is_over()
    });
    let run = run::<_, 1, { 2 * listen::INTERRUPT_EVERY }, 256>(&file, bench, listen::BUSY, |sensor| {
        sensor.sensor_mut().source_mut().lost() as u64 + sensor.vanished()
    });
    assert_eq!(run.said, Said::by_boards("listen_faults"));
    // What was said, but for a word at full scale, and one that a stuck microphone did not hear.
    let heard = run.said.labels();
    let first = ["three", "one", "four", "seven", "five", "five", "zero", "six"];
    let second = ["three", "one", "seven", "seven", "five", "nine", "zero", "six"];
    assert_eq!(heard, [first, second].concat());
    let health::Counts { bus_errors, stuck, withheld, saturated, unreachable, silent, .. } = run.health;
    assert_eq!((bus_errors, stuck, withheld), (2 + 12, 1, 10_000 - 8_000));
    assert_eq!((saturated, unreachable, silent, run.health.restarts), (1, 1, 1, 1));
    assert_eq!((run.overruns, run.pipeline.gaps), (640 - 255, 7));
    let passed = recording.len() * listen::TIMES;
    assert!(run.said.figures[0].starts_with(&format!("{passed} instants: ")), "{:?}", run.said.figures);
}

/// An instant's number in its samples.
fn numbered(instants: usize) -> Vec<i16> {
    (0..instants).flat_map(|instant| [(instant & 0x7ff) as i16, (instant >> 11) as i16, 7]).collect()
}

fn number(samples: [i16; 3]) -> usize {
    samples[0] as usize | (samples[1] as usize) << 11
}

/// With the faults of `motion_faults`, and instants that can be told apart: where some are missing, a gap is said. Only
/// what a sensor loses without a word is noticed later, when a block is over.
#[test]
fn where_instants_are_missing_a_gap_is_said() {
    let recording = numbered(9_600 * motion::TIMES);
    let faulty = {
        let chip = SimulatedAdxl345::new(&recording).with_faults(motion::CHIP);
        let chip = Adxl345::start(OnI2c::new(chip, ADDRESS), Setup::new(1_600_000).unwrap()).unwrap();
        Faulty::new(chip, motion::SENSOR)
    };
    let mut bench = Bench::new(faulty, motion::LIMITS, motion::INTERRUPT_EVERY, advance_chip);
    let mut queue = Queue::<3, 64>::new();
    let (mut intake, mut outlet) = queue.split();
    let (mut next, mut missing, mut unsaid, mut more) = (0, 0, Vec::new(), true);
    let mut busy = motion::BUSY.iter().peekable();
    while more {
        let mut instants = 1;
        while let Some((_, longer)) = busy.next_if(|(at, _)| *at <= bench.passed) {
            instants += longer;
        }
        for _ in 0..instants {
            more = bench.elapse::<3, FIFO_LEN>(|gap, samples| intake.push_behind(gap, samples), |_| {});
        }
        while let Some(Instant { samples, gap }) = outlet.pop() {
            // At full scale, or stuck: it cannot be told which one it is.
            let hidden = samples[0] == 4095 || (gap == Gap::None && number(samples) < next);
            let now = if hidden { next } else { number(samples) };
            assert!(now >= next, "{now} behind {next}");
            missing += now - next;
            if now > next && gap == Gap::None {
                unsaid.push((next, now - next));
            }
            if let (Gap::Lost(lost), [.., (at, instants)]) = (gap, &unsaid[..])
                && now == next
            {
                assert_eq!((lost as usize, now - at < 50 + 320 + 16), (*instants, true));
            }
            next = now + 1;
        }
    }
    assert_eq!(unsaid.iter().map(|(_, instants)| *instants).collect::<Vec<_>>(), [50]);
    let (lost, withheld) = (lost_by_chip(bench.sensor.sensor_mut()), bench.sensor.counts().withheld);
    assert_eq!(missing as u64, lost + withheld + u64::from(outlet.overruns()));
    assert_eq!(next, 9_600 * motion::TIMES);
}
