//! What a program that decides on motion consists of, whatever goes wrong: a recording, or the signal that the emulator
//! was started with, is measured by a simulated accelerometer chip on a simulated I²C bus.
//!
//! The chip's "data ready" interrupt is pended for each portion of measurements, reads the chip and
//! fills the queue; the main loop is the task.

use core::fmt::Write;

use board::MACHINE;
use cortex_m_rt::{entry, exception};
use teff::{Arena, Session, StaticModel};
use teff_app::decision;
use teff_app::needs::Needs;
use teff_app::pipeline::{Pipeline, StartError, reference_bytes, stages, workspace_words};
use teff_app::queue::{Intake, Outlet, Queue};
use teff_app::sensor::Sensor;
use teff_app::sensor::adxl345::FIFO_LEN;
use teff_app::sensor::faulty::Faulty;
use teff_app::sensor::rescaled::Rescaled;
use teff_emulated::console;
use teff_emulated::motion::{self, AXES, Why};
use teff_emulated::report::Report;
use teff_emulated::task::{Owned, Sampling, Task};

use crate::{Machine, SETTING};

// Three axes side by side, 1600 instants a second, 256 counts per g.
include!(concat!(env!("OUT_DIR"), "/recording.rs"));

const WORKSPACE_WORDS: usize = workspace_words(Machine::PLAN.as_bytes());
/// What an anomaly model's output is compared with.
const REFERENCE_BYTES: usize = reference_bytes(Machine::PLAN.as_bytes());
const STAGES: u32 = stages(Machine::PLAN.as_bytes());
const CLASSES: usize = decision::MOST_CLASSES;
const MEMORY: usize = decision::MOST_SMOOTHING;

type Measured = Rescaled<Faulty<'static, motion::Chip>>;
type Moving = Task<'static, &'static Owned<Measured, AXES>, Machine, AXES, CLASSES, MEMORY, STAGES>;

static INTERRUPT: Owned<Measured, AXES> = Owned::new();

/// Stands for the chip's interrupt line.
#[exception]
fn PendSV() {
    INTERRUPT.poll::<FIFO_LEN>();
}

#[entry]
fn main() -> ! {
    static mut ARENA: Arena<{ Machine::ARENA_BYTES }> = Arena::new();
    static mut WORKSPACE: [u32; WORKSPACE_WORDS] = [0; WORKSPACE_WORDS];
    static mut REFERENCE: [i8; REFERENCE_BYTES] = [0; REFERENCE_BYTES];
    static mut TASK: Option<Moving> = None;
    static mut QUEUE: Queue<AXES, 64> = Queue::new();

    let mut out = Report::open(MACHINE, env!("CARGO_PKG_NAME"));
    let (intake, outlet) = QUEUE.split();
    let success = match start(ARENA, (WORKSPACE, REFERENCE), TASK, intake, outlet, &mut out) {
        Ok(task) => {
            let figures = task.run(MACHINE, &mut out);
            figures.and_then(|figures| crate::conclude(&figures, &mut out)).unwrap_or(false)
        }
        Err(why) => {
            // Without a host nobody reads this.
            let _ = writeln!(out, "error: {why}");
            false
        }
    };
    out.finish();
    console::exit(success)
}

/// Starts the sensor and hands it to the interrupt; puts the pipeline together, in its place: what is copied on
/// the way is off the stack when the task runs.
#[inline(never)]
fn start(
    arena: &'static mut Arena<{ Machine::ARENA_BYTES }>,
    (workspace, reference): (&'static mut [u32], &'static mut [i8]),
    slot: &'static mut Option<Moving>,
    intake: Intake<'static, AXES>,
    outlet: Outlet<'static, AXES>,
    out: &mut Report,
) -> Result<&'static mut Moving, Why> {
    let session = Session::<Machine>::new(arena).map_err(StartError::Model)?;
    let needs = Needs::read(session.model())?;
    let chip = motion::chip(MACHINE, &RECORDING, &needs, &SETTING)?;
    out.started(chip.format());
    let sensor = needs.fit(Faulty::new(chip, SETTING.faults.sensor))?;
    let pipeline = Pipeline::with_reference(session, workspace, reference, sensor.format())?;
    INTERRUPT.give(Sampling::new(sensor, SETTING.limits, intake));
    let rate = needs.rate_millihertz;
    Ok(slot.insert(Task::new(&INTERRUPT, pipeline, outlet, rate, motion::paced(SETTING, rate))))
}
