//! Spoken digits: a recording is replayed through a simulated I²S microphone, and every decision is
//! printed.
//!
//! The interrupt of the microphone's DMA channel is pended for each half of its ring, reads it and
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
use teff_app::sensor::microphone::{I2s, Slots};
use teff_app::sensor::simulated::SimulatedI2s;
use teff_emulated::console;
use teff_emulated::fingerprint::Fingerprint;
use teff_emulated::pace::Pace;
use teff_emulated::report::{Happened, Report};
use teff_emulated::signal::Signal;

teff::include_model!(Listener, concat!(env!("OUT_DIR"), "/listen.teff"));

// One channel, in `SOUND_HZ` samples a second.
include!(concat!(env!("OUT_DIR"), "/sound.rs"));

const WORKSPACE_WORDS: usize = workspace_words(Listener::PLAN.as_bytes());
const CLASSES: usize = 16;
const MEMORY: usize = 16;

/// Samples between two interrupts, at least: half of the ring, in which each has two words.
const PORTION: usize = 64;
/// Samples that come while the task waits, again and again: the times at which they come change nothing.
const PORTIONS: [usize; 6] = [64, 1, 7, 33, 50, 17];
const RING_WORDS: usize = 4 * PORTION;
/// What comes during the longest slice of an inference, and more.
const QUEUE_LEN: usize = 256;
/// Predicted instructions of one step of an inference, in which one sample comes: the replay's time
/// passes so slowly that the slowest core misses no window of this model, one for each 128 samples.
const BUDGET: u32 = 400_000;

type Microphone = Watched<I2s<SimulatedI2s<'static>>>;
type Listening = Pipeline<'static, Listener, CLASSES, MEMORY, { stages(Listener::PLAN.as_bytes()) }>;

/// What the interrupt owns.
struct Interrupt {
    microphone: Microphone,
    intake: Intake<'static, 1>,
    happened: Happened,
}

static INTERRUPT: Mutex<RefCell<Option<Interrupt>>> = Mutex::new(RefCell::new(None));

/// Stands for the interrupt of the DMA channel.
#[exception]
fn PendSV() {
    critical_section::with(|token| {
        if let Some(Interrupt { microphone, intake, happened }) = INTERRUPT.borrow_ref_mut(token).as_mut() {
            let mut samples = [[0; 1]; 2 * PORTION];
            let report = |event| {
                let _ = happened.push_back(event);
            };
            microphone.poll(&mut samples, |gap, sample| intake.push_behind(gap, sample), report);
        }
    });
}

/// Lets the time of some samples pass; tells whether there are more.
fn elapse(samples: usize, waiting: &mut usize) -> bool {
    let over = critical_section::with(|token| {
        INTERRUPT.borrow_ref_mut(token).as_mut().is_none_or(|interrupt| {
            let ring = interrupt.microphone.sensor_mut().source_mut();
            ring.advance(samples);
            ring.is_over()
        })
    });
    *waiting += samples;
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
    static mut ARENA: Arena<{ Listener::ARENA_BYTES }> = Arena::new();
    static mut WORKSPACE: [u32; WORKSPACE_WORDS] = [0; WORKSPACE_WORDS];
    static mut QUEUE: Queue<1, QUEUE_LEN> = Queue::new();

    let mut out = Report::open(MACHINE, env!("CARGO_PKG_NAME"));
    let (intake, outlet) = QUEUE.split();
    let success = match start(ARENA, WORKSPACE, intake, &mut out) {
        Ok(pipeline) => run(pipeline, outlet, &mut out).is_ok(),
        Err(why) => {
            // Without a host nobody reads this.
            let _ = writeln!(out, "error: {why}");
            false
        }
    };
    out.finish();
    console::exit(success)
}

/// What the microphone hears and its rate: the signal that the emulator was started with, else the recording.
fn sound() -> (&'static [i16], u32) {
    let given = Signal::given(MACHINE).filter(|signal| signal.axes == 1);
    given.map_or((&SOUND, SOUND_HZ * 1000), |signal| (signal.samples, signal.rate_millihertz))
}

/// Starts the microphone and hands it to the interrupt; puts the pipeline together.
fn start(
    arena: &'static mut Arena<{ Listener::ARENA_BYTES }>,
    workspace: &'static mut [u32],
    intake: Intake<'static, 1>,
    out: &mut Report,
) -> Result<Listening, StartError<'static>> {
    let session = Session::<Listener>::new(arena).map_err(StartError::Model)?;
    let needs = Needs::read(session.model())?;
    let (heard, rate_millihertz) = sound();
    let ring = SimulatedI2s::new(heard, RING_WORDS);
    let microphone = I2s::new(ring, Slots::Left, 0, rate_millihertz);
    let microphone = Watched::new(microphone, LIMITS);
    out.started(microphone.format());
    needs.check(microphone.format())?;
    let pipeline = Pipeline::new(session, workspace, microphone.format())?;
    critical_section::with(|token| {
        *INTERRUPT.borrow_ref_mut(token) = Some(Interrupt { microphone, intake, happened: Happened::new() });
    });
    Ok(pipeline)
}

/// Between two words there is silence, which is no stuck microphone.
const LIMITS: Limits = Limits {
    retries: 2,
    longest_wait: 64,
    unreachable_after: 3,
    silent_after: 50,
    stuck_after: 0,
    saturation_block: 1024,
    saturation_percent: 10,
    rate_block: 0,
    rate_slack: 0,
};

/// The task: takes what the interrupt left, until the recording is over.
fn run(mut pipeline: Listening, mut outlet: Outlet<'static, 1>, out: &mut Report) -> core::fmt::Result {
    let (_, rate_millihertz) = sound();
    let (mut waiting, mut fingerprint) = (0, Fingerprint::new());
    let mut pace = Pace::start(MACHINE, rate_millihertz);
    let mut portions = PORTIONS.iter().cycle();
    while portions.next().is_some_and(|samples| elapse(pace.wait(*samples), &mut waiting)) {
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
    writeln!(out, "{} samples, {} inferences", counts.instants, counts.inferences)?;
    writeln!(out, "{:08x} is the fingerprint of their scores", fingerprint.value())?;
    writeln!(
        out,
        "{} windows missed, {} queue overruns, {} gaps, {} saturated",
        counts.missed,
        outlet.overruns(),
        counts.gaps,
        health.saturated,
    )
}

/// Tells what happened to the microphone, and figures; returns those of the microphone.
fn tell(pipeline: &Listening, outlet: &Outlet<'static, 1>, pace: &Pace, out: &mut Report) -> health::Counts {
    let (happened, counts) = critical_section::with(|token| {
        INTERRUPT.borrow_ref_mut(token).as_mut().map_or_else(Default::default, |interrupt| {
            (core::mem::take(&mut interrupt.happened), *interrupt.microphone.counts())
        })
    });
    happened.iter().for_each(|event| out.health(event));
    out.figures(pipeline.counts(), &counts, outlet.overruns(), pace.inference_us());
    counts
}
