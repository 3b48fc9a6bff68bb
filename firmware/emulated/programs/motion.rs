//! Machine state from vibration: a recording is replayed through a simulated accelerometer chip on
//! a simulated I²C bus, and every decision is printed.
//!
//! The chip's "data ready" interrupt is pended for each portion of measurements, reads the chip and
//! fills the queue; the main loop is the task.
#![no_std]
#![no_main]

use core::cell::RefCell;
use core::fmt::Write;

use board::MACHINE;
use cortex_m::peripheral::SCB;
use cortex_m_rt::{entry, exception};
use critical_section::Mutex;
#[cfg(feature = "defmt")]
use defmt_semihosting as _;
use panic_semihosting as _;
use teff::{Arena, Session, StaticModel};
use teff_app::health::{self, Limits, Watched};
use teff_app::needs::Needs;
use teff_app::pipeline::{Pipeline, StartError, Step, stages, workspace_words};
use teff_app::queue::{Intake, Outlet, Queue};
use teff_app::sensor::adxl345::{ADDRESS, Adxl345, FIFO_LEN, Setup};
use teff_app::sensor::bus::OnI2c;
use teff_app::sensor::rescaled::Rescaled;
use teff_app::sensor::simulated::SimulatedAdxl345;
use teff_app::sensor::{NotOffered, Sensor};
use teff_emulated::console;
use teff_emulated::fingerprint::Fingerprint;
use teff_emulated::pace::Pace;
use teff_emulated::report::{Happened, Report};
use teff_emulated::signal::Signal;

teff::include_model!(Machine, concat!(env!("OUT_DIR"), "/model.teff"));

// Three axes side by side, 1600 instants a second, 256 counts per g.
include!(concat!(env!("OUT_DIR"), "/recording.rs"));

const AXES: usize = 3;
/// Of the recording.
const RATE_MILLIHERTZ: u32 = 1_600_000;
const WORKSPACE_WORDS: usize = workspace_words(Machine::PLAN.as_bytes());
const CLASSES: usize = 16;
const MEMORY: usize = 16;

/// Measurements between two interrupts, at least: half of the chip's buffer.
const PORTION: usize = 16;
/// Measurements that come while the task waits, again and again: the times at which they come change
/// nothing.
const PORTIONS: [usize; 5] = [16, 1, 7, 13, 5];
/// Predicted instructions of one step of an inference; one measurement comes in about this time.
const BUDGET: u32 = 15_000;

type Chip = Watched<Rescaled<Adxl345<OnI2c<SimulatedAdxl345<'static>>>>>;

/// What the interrupt owns.
struct Interrupt {
    sensor: Chip,
    intake: Intake<'static, AXES>,
    happened: Happened,
}

static INTERRUPT: Mutex<RefCell<Option<Interrupt>>> = Mutex::new(RefCell::new(None));

/// Stands for the chip's interrupt line.
#[exception]
fn PendSV() {
    critical_section::with(|token| {
        if let Some(Interrupt { sensor, intake, happened }) = INTERRUPT.borrow_ref_mut(token).as_mut() {
            let mut instants = [[0; AXES]; FIFO_LEN];
            let report = |event| {
                let _ = happened.push_back(event);
            };
            sensor.poll(&mut instants, |gap, samples| intake.push_behind(gap, samples), report);
        }
    });
}

/// Lets the time of some measurements pass; tells whether there are more.
fn elapse(instants: usize, waiting: &mut usize) -> bool {
    let over = critical_section::with(|token| {
        INTERRUPT.borrow_ref_mut(token).as_mut().is_none_or(|interrupt| {
            let chip = interrupt.sensor.sensor_mut().sensor_mut().registers_mut().bus_mut();
            chip.advance(instants);
            chip.is_over()
        })
    });
    *waiting += instants;
    if *waiting >= PORTION {
        *waiting = 0;
        SCB::set_pendsv();
        // The interrupt is taken here.
        cortex_m::asm::isb();
    }
    !over
}

#[entry]
fn main() -> ! {
    static mut ARENA: Arena<{ Machine::ARENA_BYTES }> = Arena::new();
    static mut WORKSPACE: [u32; WORKSPACE_WORDS] = [0; WORKSPACE_WORDS];
    static mut QUEUE: Queue<AXES, 64> = Queue::new();

    let mut out = Report::open(MACHINE, env!("CARGO_PKG_NAME"));
    let (intake, outlet) = QUEUE.split();
    let success = match start(ARENA, WORKSPACE, intake, &mut out) {
        Ok((pipeline, rate)) => run(pipeline, rate, outlet, &mut out).is_ok(),
        Err(why) => {
            // Without a host nobody reads this.
            let _ = writeln!(out, "error: {why}");
            false
        }
    };
    out.finish();
    console::exit(success)
}

/// Starts the sensor and hands it to the interrupt; puts the pipeline together.
fn start(
    arena: &'static mut Arena<{ Machine::ARENA_BYTES }>,
    workspace: &'static mut [u32],
    intake: Intake<'static, AXES>,
    out: &mut Report,
) -> Result<(MachinePipeline, u32), Why> {
    let session = Session::<Machine>::new(arena).map_err(StartError::Model).map_err(Why::Start)?;
    let needs = Needs::read(session.model()).map_err(Why::Start)?;
    let setup = Setup::new(needs.rate_millihertz).map_err(Why::Setting)?;
    let recording = Signal { axes: AXES, rate_millihertz: RATE_MILLIHERTZ, samples: &RECORDING };
    let measured = Signal::given(MACHINE).filter(|signal| signal.axes == AXES).unwrap_or(recording);
    if measured.rate_millihertz != needs.rate_millihertz {
        return Err(Why::Rate { needed: needs.rate_millihertz, given: measured.rate_millihertz });
    }
    let bus = OnI2c::new(SimulatedAdxl345::new(measured.samples), ADDRESS);
    let chip = Adxl345::start(bus, setup).map_err(|_| Why::NoSensor)?;
    out.started(chip.format());
    let sensor = needs.fit(chip).map_err(Why::Start)?;
    let pipeline = Pipeline::new(session, workspace, sensor.format()).map_err(Why::Start)?;
    let sensor = Watched::new(sensor, Limits::default());
    critical_section::with(|token| {
        *INTERRUPT.borrow_ref_mut(token) = Some(Interrupt { sensor, intake, happened: Happened::new() });
    });
    Ok((pipeline, needs.rate_millihertz))
}

type MachinePipeline = Pipeline<'static, Machine, CLASSES, MEMORY, { stages(Machine::PLAN.as_bytes()) }>;

/// The task: takes what the interrupt left, until the recording is over.
fn run(
    mut pipeline: MachinePipeline,
    rate_millihertz: u32,
    mut outlet: Outlet<'static, AXES>,
    out: &mut Report,
) -> core::fmt::Result {
    let (mut waiting, mut fingerprint) = (0, Fingerprint::new());
    let mut pace = Pace::start(MACHINE, rate_millihertz);
    let mut portions = PORTIONS.iter().cycle();
    while portions.next().is_some_and(|instants| elapse(pace.wait(*instants), &mut waiting)) {
        loop {
            let instant = outlet.pop();
            if let Some(instant) = &instant {
                pipeline.take(instant);
            }
            let step = pace.timed(|| pipeline.step(BUDGET));
            if matches!(step, Step::Inferred(_)) {
                fingerprint.add(pipeline.heard(), pipeline.scores());
            }
            match step {
                Step::Idle if instant.is_none() => break,
                Step::Idle | Step::Inferred(None) => {}
                Step::Working => {
                    elapse(pace.meanwhile(1), &mut waiting);
                }
                Step::Inferred(Some(event)) => {
                    let label = pipeline.label(event.class);
                    out.decision(pipeline.heard(), u64::from(rate_millihertz / 1000), &event, label)?;
                }
            }
        }
        tell(&pipeline, &outlet, &pace, out);
    }
    out.figures_are_due();
    let health = tell(&pipeline, &outlet, &pace, out);
    let counts = pipeline.counts();
    writeln!(out, "{} instants, {} inferences", counts.instants, counts.inferences)?;
    writeln!(out, "{:08x} is the fingerprint of their scores", fingerprint.value())?;
    writeln!(
        out,
        "{} windows missed, {} queue overruns, {} sensor gaps, {} bus errors",
        counts.missed,
        outlet.overruns(),
        health.gaps,
        health.bus_errors,
    )
}

/// Tells what happened to the sensor, and figures; returns those of the sensor.
fn tell(
    pipeline: &MachinePipeline,
    outlet: &Outlet<'static, AXES>,
    pace: &Pace,
    out: &mut Report,
) -> health::Counts {
    let (happened, counts) = critical_section::with(|token| {
        INTERRUPT.borrow_ref_mut(token).as_mut().map_or_else(Default::default, |interrupt| {
            (core::mem::take(&mut interrupt.happened), *interrupt.sensor.counts())
        })
    });
    happened.iter().for_each(|event| out.health(event));
    out.figures(pipeline.counts(), &counts, outlet.overruns(), pace.inference_us());
    counts
}

/// Why the program cannot start.
enum Why {
    NoSensor,
    /// The replayed signal has another rate than the model, in thousandths of a hertz.
    Rate {
        needed: u32,
        given: u32,
    },
    Setting(NotOffered),
    Start(StartError<'static>),
}

impl core::fmt::Display for Why {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Why::NoSensor => f.write_str("the accelerometer does not answer"),
            Why::Rate { needed, given } => write!(
                f,
                "the model needs {needed} samples per 1000 seconds, but the replayed signal has {given}"
            ),
            Why::Setting(error) => error.fmt(f),
            Why::Start(error) => error.fmt(f),
        }
    }
}
