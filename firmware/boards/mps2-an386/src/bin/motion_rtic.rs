//! What `motion` does, with RTIC: the sensor's interrupt is a hardware task that owns the queue's one end;
//! the pipeline runs in `idle` with the other one. Which task may touch what is checked while it is
//! compiled, and `lock` raises the priority instead of switching interrupts off.
#![no_std]
#![no_main]

use panic_semihosting as _;
use teff::{Arena, Session, StaticModel};
use teff_app::health::{Limits, Watched};
use teff_app::needs::Needs;
use teff_app::pipeline::{Pipeline, StartError, Step, stages, workspace_words};
use teff_app::queue::{Intake, Outlet, Queue};
use teff_app::sensor::adxl345::{ADDRESS, Adxl345, FIFO_LEN, Setup};
use teff_app::sensor::bus::OnI2c;
use teff_app::sensor::rescaled::Rescaled;
use teff_app::sensor::simulated::SimulatedAdxl345;
use teff_app::sensor::{NotOffered, Sensor};

teff::include_model!(Machine, concat!(env!("OUT_DIR"), "/model.teff"));

// Three axes side by side, 1600 instants a second, 256 counts per g.
include!(concat!(env!("OUT_DIR"), "/recording.rs"));

const AXES: usize = 3;
const WORKSPACE_WORDS: usize = workspace_words(Machine::PLAN.as_bytes());
const CLASSES: usize = 16;
const MEMORY: usize = 16;
/// Measurements between two interrupts: half of the chip's buffer.
const PORTION: usize = 16;
/// Predicted instructions of one step of an inference; one measurement comes in about this time.
const BUDGET: u32 = 15_000;

type Chip = Watched<Rescaled<Adxl345<OnI2c<SimulatedAdxl345<'static>>>>>;
type MachinePipeline = Pipeline<'static, Machine, CLASSES, MEMORY, { stages(Machine::PLAN.as_bytes()) }>;

/// What RTIC asks of a chip's crate, as far as this program needs it: it uses no interrupts but the core's
/// own exceptions.
mod device {
    /// Bits of a priority that the processor of this board has.
    pub const NVIC_PRIO_BITS: u8 = 3;
}

#[rtic::app(device = crate::device, peripherals = false)]
mod app {
    use super::*;
    use core::fmt::Write;
    use teff_emulated::console::{self, Console};

    /// What both tasks use.
    #[shared]
    struct Shared {
        chip: Chip,
    }

    /// What one task owns.
    #[local]
    struct Local {
        intake: Intake<'static, AXES>,
        outlet: Outlet<'static, AXES>,
        pipeline: MachinePipeline,
        out: Console,
    }

    #[init(local = [
        arena: Arena<{ Machine::ARENA_BYTES }> = Arena::new(),
        workspace: [u32; WORKSPACE_WORDS] = [0; WORKSPACE_WORDS],
        queue: Queue<AXES, 64> = Queue::new(),
    ])]
    fn init(context: init::Context) -> (Shared, Local) {
        let mut out = Console::open();
        let (intake, outlet) = context.local.queue.split();
        match start(context.local.arena, context.local.workspace) {
            Ok((chip, pipeline)) => (Shared { chip }, Local { intake, outlet, pipeline, out }),
            Err(why) => {
                // Without a host nobody reads this.
                let _ = writeln!(out, "error: {why}");
                console::exit(false)
            }
        }
    }

    /// Stands for the chip's interrupt line.
    #[task(binds = PendSV, priority = 2, shared = [chip], local = [intake])]
    fn ready(mut context: ready::Context) {
        let intake = context.local.intake;
        context.shared.chip.lock(|chip| {
            let mut instants = [[0; AXES]; FIFO_LEN];
            chip.poll(&mut instants, |gap, samples| intake.push_behind(gap, samples), |_| {});
        });
    }

    /// Takes what the interrupt left, until the recording is over.
    #[idle(shared = [chip], local = [outlet, pipeline, out])]
    fn idle(mut context: idle::Context) -> ! {
        let idle::LocalResources { outlet, pipeline, out, .. } = context.local;
        let mut elapse = |instants: usize, waiting: &mut usize| {
            let over = context.shared.chip.lock(|chip| {
                let simulated = chip.sensor_mut().sensor_mut().registers_mut().bus_mut();
                simulated.advance(instants);
                simulated.is_over()
            });
            *waiting += instants;
            if *waiting >= PORTION {
                *waiting = 0;
                rtic::export::SCB::set_pendsv();
                // The interrupt is taken here.
                cortex_m::asm::isb();
            }
            !over
        };
        let (mut waiting, mut written) = (0, Ok(()));
        while elapse(PORTION, &mut waiting) {
            loop {
                let instant = outlet.pop();
                if let Some(instant) = &instant {
                    pipeline.take(instant);
                }
                match pipeline.step(BUDGET) {
                    Step::Idle if instant.is_none() => break,
                    Step::Idle | Step::Inferred(None) => {}
                    Step::Working => {
                        elapse(1, &mut waiting);
                    }
                    Step::Inferred(Some(event)) => {
                        let milliseconds = pipeline.heard() * 1000 / 1600;
                        let (label, percent) = (pipeline.label(event.class), event.score * 100 / 256);
                        let line = writeln!(out, "{milliseconds:>6} ms  {label}  {percent} %");
                        written = written.and(line);
                    }
                }
            }
        }
        let health = context.shared.chip.lock(|chip| *chip.counts());
        let counts = pipeline.counts();
        let line = writeln!(
            out,
            "{} instants, {} inferences, {} windows missed, {} queue overruns, {} bus errors",
            counts.instants,
            counts.inferences,
            counts.missed,
            outlet.overruns(),
            health.bus_errors,
        );
        console::exit(written.and(line).is_ok())
    }
}

/// Starts the sensor and puts the pipeline together.
fn start(
    arena: &'static mut Arena<{ Machine::ARENA_BYTES }>,
    workspace: &'static mut [u32],
) -> Result<(Chip, MachinePipeline), Why> {
    let session = Session::<Machine>::new(arena).map_err(StartError::Model).map_err(Why::Start)?;
    let needs = Needs::read(session.model()).map_err(Why::Start)?;
    let setup = Setup::new(needs.rate_millihertz).map_err(Why::Setting)?;
    let bus = OnI2c::new(SimulatedAdxl345::new(&RECORDING), ADDRESS);
    let chip = Adxl345::start(bus, setup).map_err(|_| Why::NoSensor)?;
    let sensor = needs.fit(chip).map_err(Why::Start)?;
    let pipeline = Pipeline::new(session, workspace, sensor.format()).map_err(Why::Start)?;
    Ok((Watched::new(sensor, Limits::default()), pipeline))
}

/// Why the program cannot start.
enum Why {
    NoSensor,
    Setting(NotOffered),
    Start(StartError<'static>),
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
