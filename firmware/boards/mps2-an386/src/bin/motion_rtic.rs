//! What `motion` does, with RTIC: the sensor's interrupt is a hardware task; the pipeline runs in `idle` with the
//! other end of the queue. Which task may touch what is checked while it is compiled, and `lock` raises the priority
//! instead of switching interrupts off.
#![no_std]
#![no_main]

use panic_semihosting as _;
use teff::{Arena, Session, StaticModel};
use teff_app::decision;
use teff_app::health::Limits;
use teff_app::needs::Needs;
use teff_app::pipeline::{Pipeline, StartError, reference_bytes, stages, workspace_words};
use teff_app::queue::{Outlet, Queue};
use teff_app::sensor::Sensor;
use teff_app::sensor::adxl345::FIFO_LEN;
use teff_app::sensor::rescaled::Rescaled;
use teff_emulated::motion::{AXES, Chip, Why, chip, paced};
use teff_emulated::report::Report;
use teff_emulated::task::{Faults, Reach, Sampling, Setting, Task};

teff::include_model!(Machine, concat!(env!("OUT_DIR"), "/model.teff"));

// Three axes side by side, 1600 instants a second, 256 counts per g.
include!(concat!(env!("OUT_DIR"), "/recording.rs"));

const WORKSPACE_WORDS: usize = workspace_words(Machine::PLAN.as_bytes());
/// What an anomaly model's output is compared with.
const REFERENCE_BYTES: usize = reference_bytes(Machine::PLAN.as_bytes());
const CLASSES: usize = decision::MOST_CLASSES;
const MEMORY: usize = decision::MOST_SMOOTHING;

const SETTING: Setting = Setting {
    limits: Limits::DEFAULT,
    // Half of the chip's buffer.
    interrupt_every: 16,
    portions: &[16],
    budget: 15_000,
    times: 1,
    faults: Faults::NONE,
};

type Measured = Sampling<Rescaled<Chip>, AXES>;
type MachinePipeline = Pipeline<'static, Machine, CLASSES, MEMORY, { stages(Machine::PLAN.as_bytes()) }>;

/// What RTIC asks of a chip's crate, as far as this program needs it: it uses no interrupts but the core's
/// own exceptions.
mod device {
    /// Bits of a priority that the processor of this board has.
    pub const NVIC_PRIO_BITS: u8 = 3;
}

/// How the task reaches what the interrupt owns: by a lock of RTIC.
struct Locked<L>(L);

impl<L: rtic::Mutex<T = Measured>> Reach<AXES> for Locked<L> {
    type Sensor = Rescaled<Chip>;

    fn reach<R>(&mut self, with: impl FnOnce(&mut Measured) -> R) -> Option<R> {
        Some(self.0.lock(with))
    }
}

#[rtic::app(device = crate::device, peripherals = false)]
mod app {
    use super::*;
    use board::MACHINE;
    use core::fmt::Write;
    use teff_emulated::console;

    /// What both tasks use.
    #[shared]
    struct Shared {
        sampling: Measured,
    }

    /// What one task owns.
    #[local]
    struct Local {
        task: Option<(MachinePipeline, Outlet<'static, AXES>, u32)>,
        out: Report,
    }

    #[init(local = [
        arena: Arena<{ Machine::ARENA_BYTES }> = Arena::new(),
        workspace: [u32; WORKSPACE_WORDS] = [0; WORKSPACE_WORDS],
        reference: [i8; REFERENCE_BYTES] = [0; REFERENCE_BYTES],
        queue: Queue<AXES, 64> = Queue::new(),
    ])]
    fn init(context: init::Context) -> (Shared, Local) {
        let mut out = Report::open(MACHINE, env!("CARGO_PKG_NAME"));
        let (intake, outlet) = context.local.queue.split();
        match start(context.local.arena, (context.local.workspace, context.local.reference), &mut out) {
            Ok((sensor, pipeline, rate)) => {
                let sampling = Sampling::new(sensor, SETTING.limits, intake);
                (Shared { sampling }, Local { task: Some((pipeline, outlet, rate)), out })
            }
            Err(why) => {
                // Without a host nobody reads this.
                let _ = writeln!(out, "error: {why}");
                console::exit(false)
            }
        }
    }

    /// Stands for the chip's interrupt line.
    #[task(binds = PendSV, priority = 2, shared = [sampling])]
    fn ready(mut context: ready::Context) {
        context.shared.sampling.lock(|sampling| sampling.poll::<FIFO_LEN>());
    }

    /// Takes what the interrupt left, until the recording is over.
    #[idle(shared = [sampling], local = [task, out])]
    fn idle(context: idle::Context) -> ! {
        let idle::LocalResources { task, out, .. } = context.local;
        let success = task.take().is_some_and(|(pipeline, outlet, rate)| {
            let sampling = Locked(context.shared.sampling);
            let mut task = Task::new(sampling, pipeline, outlet, rate, paced(SETTING, rate));
            let written = task.run(MACHINE, out).and_then(|figures| {
                writeln!(
                    out,
                    "{} instants, {} inferences, {} windows missed, {} queue overruns, {} bus errors",
                    figures.pipeline.instants,
                    figures.pipeline.inferences,
                    figures.pipeline.missed,
                    figures.overruns,
                    figures.health.bus_errors,
                )
            });
            written.is_ok()
        });
        out.finish();
        console::exit(success)
    }
}

/// Starts the sensor and puts the pipeline together; tells the rate, too.
fn start(
    arena: &'static mut Arena<{ Machine::ARENA_BYTES }>,
    (workspace, reference): (&'static mut [u32], &'static mut [i8]),
    out: &mut Report,
) -> Result<(Rescaled<Chip>, MachinePipeline, u32), Why> {
    let session = Session::<Machine>::new(arena).map_err(StartError::Model)?;
    let needs = Needs::read(session.model())?;
    let chip = chip(board::MACHINE, &RECORDING, &needs, &SETTING)?;
    out.started(chip.format());
    let sensor = needs.fit(chip)?;
    let pipeline = Pipeline::with_reference(session, workspace, reference, sensor.format())?;
    Ok((sensor, pipeline, needs.rate_millihertz))
}
