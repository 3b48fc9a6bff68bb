//! What a program that listens consists of, whatever goes wrong: a recording, or the signal that the emulator was
//! started with, is heard by a simulated I²S microphone.
//!
//! The interrupt of the microphone's DMA channel is pended for each half of its ring, reads it and
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
use teff_app::sensor::faulty::Faulty;
use teff_app::sensor::microphone::{I2s, Slots};
use teff_app::sensor::simulated::SimulatedI2s;
use teff_emulated::console;
use teff_emulated::report::Report;
use teff_emulated::signal::Signal;
use teff_emulated::task::{Owned, Sampling, Task};

use crate::{Listener, SETTING};

// One channel, in `SOUND_HZ` samples a second.
include!(concat!(env!("OUT_DIR"), "/sound.rs"));

const WORKSPACE_WORDS: usize = workspace_words(Listener::PLAN.as_bytes());
/// What an anomaly model's output is compared with.
const REFERENCE_BYTES: usize = reference_bytes(Listener::PLAN.as_bytes());
const STAGES: u32 = stages(Listener::PLAN.as_bytes());
const CLASSES: usize = decision::MOST_CLASSES;
const MEMORY: usize = decision::MOST_SMOOTHING;

/// Two halves, in each of which a sample has two words.
const RING_WORDS: usize = 4 * SETTING.interrupt_every;
/// Samples of one read: a whole ring.
const ROOM: usize = RING_WORDS / 2;
/// What comes during the longest slice of an inference, and more.
const QUEUE_LEN: usize = 256;

type Microphone = Faulty<'static, I2s<SimulatedI2s<'static>>>;
type Listening = Task<'static, &'static Owned<Microphone, 1>, Listener, 1, CLASSES, MEMORY, STAGES>;

static INTERRUPT: Owned<Microphone, 1> = Owned::new();

/// Stands for the interrupt of the DMA channel.
#[exception]
fn PendSV() {
    INTERRUPT.poll::<ROOM>();
}

#[entry]
fn main() -> ! {
    static mut ARENA: Arena<{ Listener::ARENA_BYTES }> = Arena::new();
    static mut WORKSPACE: [u32; WORKSPACE_WORDS] = [0; WORKSPACE_WORDS];
    static mut REFERENCE: [i8; REFERENCE_BYTES] = [0; REFERENCE_BYTES];
    static mut TASK: Option<Listening> = None;
    static mut QUEUE: Queue<1, QUEUE_LEN> = Queue::new();

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

/// Starts the microphone and hands it to the interrupt; puts the pipeline together, in its place: what is copied on
/// the way is off the stack when the task runs.
#[inline(never)]
fn start(
    arena: &'static mut Arena<{ Listener::ARENA_BYTES }>,
    (workspace, reference): (&'static mut [u32], &'static mut [i8]),
    slot: &'static mut Option<Listening>,
    intake: Intake<'static, 1>,
    outlet: Outlet<'static, 1>,
    out: &mut Report,
) -> Result<&'static mut Listening, StartError<'static>> {
    let session = Session::<Listener>::new(arena).map_err(StartError::Model)?;
    let needs = Needs::read(session.model())?;
    let recording = Signal { axes: 1, rate_millihertz: SOUND_HZ * 1000, samples: &SOUND };
    let given = Signal::given(MACHINE).filter(|signal| signal.axes == 1);
    let times = if given.is_some() { 1 } else { SETTING.times };
    let Signal { rate_millihertz, samples, .. } = given.unwrap_or(recording);
    let ring = SimulatedI2s::new(samples, RING_WORDS).repeated(times);
    let microphone = Faulty::new(I2s::new(ring, Slots::Left, 0, rate_millihertz), SETTING.faults.sensor);
    out.started(microphone.format());
    needs.check(microphone.format())?;
    let pipeline = Pipeline::with_reference(session, workspace, reference, microphone.format())?;
    INTERRUPT.give(Sampling::new(microphone, SETTING.limits, intake));
    Ok(slot.insert(Task::new(&INTERRUPT, pipeline, outlet, rate_millihertz, SETTING)))
}
