//! Machine state from vibration: a recording is replayed through a simulated accelerometer chip on
//! a simulated I²C bus, and every decision is printed.
//!
//! The chip's "data ready" interrupt is pended for each portion of measurements, reads the chip and
//! fills the queue; the main loop is the task.
#![no_std]
#![no_main]

use core::cell::RefCell;
use core::fmt::Write;

use cortex_m::peripheral::SCB;
use cortex_m_rt::{entry, exception};
use critical_section::Mutex;
#[cfg(feature = "defmt")]
use defmt_semihosting as _;
use panic_semihosting as _;
use teff::{Arena, Session, StaticModel};
use teff_app::pipeline::{Pipeline, StartError, Step, stages, workspace_words};
use teff_app::queue::{Intake, Outlet, Queue};
use teff_app::sensor::adxl345::{ADDRESS, Adxl345, FIFO_LEN, Setup};
use teff_app::sensor::bus::OnI2c;
use teff_app::sensor::rescaled::Rescaled;
use teff_app::sensor::simulated::SimulatedAdxl345;
use teff_app::sensor::{NotOffered, Sensor};
use teff_emulated::console::{self, Console};

teff::include_model!(Machine, concat!(env!("OUT_DIR"), "/model.teff"));

// Three axes side by side, 1600 instants a second, 256 counts per g.
include!(concat!(env!("OUT_DIR"), "/recording.rs"));

const AXES: usize = 3;
const WORKSPACE_WORDS: usize = workspace_words(Machine::PLAN.as_bytes());
const CLASSES: usize = 16;
const MEMORY: usize = 16;
const COUNTS_PER_THOUSAND_G: u32 = 512_000;
const RATE_MILLIHERTZ: u32 = 1_600_000;

/// Measurements between two interrupts: half of the chip's buffer.
const PORTION: usize = 16;
/// Predicted instructions of one step of an inference; one measurement comes in about this time.
const BUDGET: u32 = 15_000;

type Chip = Rescaled<Adxl345<OnI2c<SimulatedAdxl345<'static>>>>;

/// What the interrupt owns.
struct Interrupt {
    sensor: Chip,
    intake: Intake<'static, AXES>,
    errors: u32,
}

static INTERRUPT: Mutex<RefCell<Option<Interrupt>>> = Mutex::new(RefCell::new(None));

/// Stands for the chip's interrupt line.
#[exception]
fn PendSV() {
    critical_section::with(|token| {
        if let Some(interrupt) = INTERRUPT.borrow_ref_mut(token).as_mut() {
            let mut samples = [0; AXES * FIFO_LEN];
            match interrupt.sensor.read(&mut samples) {
                Ok(instants) => {
                    for instant in samples.as_chunks().0.iter().take(instants) {
                        interrupt.intake.push(*instant);
                    }
                }
                Err(_) => interrupt.errors += 1,
            }
        }
    });
}

/// Lets the time of some measurements pass; tells whether there are more.
fn elapse(instants: usize, waiting: &mut usize) -> bool {
    let over = critical_section::with(|token| {
        INTERRUPT.borrow_ref_mut(token).as_mut().is_none_or(|interrupt| {
            let chip = interrupt.sensor.sensor_mut().registers_mut().bus_mut();
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

    let mut out = Console::open();
    let (intake, outlet) = QUEUE.split();
    let success = match start(ARENA, WORKSPACE, intake) {
        Ok(pipeline) => run(pipeline, outlet, &mut out).is_ok(),
        Err(why) => {
            // Without a host nobody reads this.
            let _ = writeln!(out, "error: {why}");
            false
        }
    };
    console::exit(success)
}

/// Starts the sensor and hands it to the interrupt; puts the pipeline together.
fn start(
    arena: &'static mut Arena<{ Machine::ARENA_BYTES }>,
    workspace: &'static mut [u32],
    intake: Intake<'static, AXES>,
) -> Result<MachinePipeline, Why> {
    let bus = OnI2c::new(SimulatedAdxl345::new(&RECORDING), ADDRESS);
    let setup = Setup::new(RATE_MILLIHERTZ).map_err(Why::Setting)?;
    let chip = Adxl345::start(bus, setup).map_err(|_| Why::NoSensor)?;
    let sensor = Rescaled::new(chip, COUNTS_PER_THOUSAND_G).ok_or(Why::NoSensor)?;
    let session = Session::<Machine>::new(arena).map_err(StartError::Model).map_err(Why::Start)?;
    let pipeline = Pipeline::new(session, workspace, sensor.format()).map_err(Why::Start)?;
    critical_section::with(|token| {
        *INTERRUPT.borrow_ref_mut(token) = Some(Interrupt { sensor, intake, errors: 0 });
    });
    Ok(pipeline)
}

type MachinePipeline = Pipeline<'static, Machine, CLASSES, MEMORY, { stages(Machine::PLAN.as_bytes()) }>;

/// The task: takes what the interrupt left, until the recording is over.
fn run(
    mut pipeline: MachinePipeline,
    mut outlet: Outlet<'static, AXES>,
    out: &mut Console,
) -> core::fmt::Result {
    let (mut waiting, mut instants, mut inferences) = (0, 0, 0);
    while elapse(PORTION, &mut waiting) {
        while let Some(instant) = outlet.pop() {
            instants += 1;
            pipeline.push(&instant);
            loop {
                match pipeline.step(BUDGET) {
                    Step::Idle => break,
                    Step::Working => {
                        elapse(1, &mut waiting);
                    }
                    Step::Inferred(event) => {
                        inferences += 1;
                        let Some(event) = event else { continue };
                        let milliseconds = instants * 1000 / 1600;
                        let label = pipeline.label(event.class);
                        let percent = event.score * 100 / 256;
                        writeln!(out, "{milliseconds:>6} ms  {label}  {percent} %")?;
                    }
                }
            }
        }
    }
    let (gaps, errors) = critical_section::with(|token| {
        INTERRUPT
            .borrow_ref(token)
            .as_ref()
            .map_or((0, 0), |interrupt| (interrupt.sensor.gaps(), interrupt.errors))
    });
    writeln!(out, "{instants} instants, {inferences} inferences")?;
    writeln!(
        out,
        "{} windows missed, {} queue overruns, {gaps} sensor gaps, {errors} bus errors",
        pipeline.missed(),
        outlet.overruns(),
    )
}

/// Why the program cannot start.
enum Why {
    NoSensor,
    Setting(NotOffered),
    Start(StartError),
}

impl core::fmt::Display for Why {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Why::NoSensor => f.write_str("the accelerometer does not answer"),
            Why::Setting(error) => error.fmt(f),
            Why::Start(error) => error.fmt(f),
        }
    }
}
