//! Keywords from the microphone: decisions go to the lamp, to the log, and as frames to the host.
#![no_std]
#![no_main]

use board::Board;
use defmt_rtt as _;
use embassy_executor::Spawner;
use panic_probe as _;
use static_cell::ConstStaticCell;
use teff::{Arena, Session, StaticModel};
use teff_app::decision;
use teff_app::health::{Limits, Watched};
use teff_app::needs::Needs;
use teff_app::output::Pulse;
use teff_app::pipeline::{Pipeline, StartError, stages, workspace_words};
use teff_app::queue::{Intake, Queue};
use teff_app::sensor::{AsyncSensor, Format};
use teff_device::deciding::Deciding;
use teff_device::outbox::{Outbox, Speaker};
use teff_device::sampling::Sampling;

teff::include_model!(Listener, concat!(env!("OUT_DIR"), "/listen.teff"));

const WORKSPACE_WORDS: usize = workspace_words(Listener::PLAN.as_bytes());
const CLASSES: usize = decision::MOST_CLASSES;
const MEMORY: usize = decision::MOST_SMOOTHING;
/// What comes during the longest step of an inference, and much more.
const QUEUE_LEN: usize = 1024;
/// Inferences that the lamp is lit for.
const LIT: u32 = 20;

type Listening = Pipeline<'static, Listener, CLASSES, MEMORY, { stages(Listener::PLAN.as_bytes()) }>;

static ARENA: ConstStaticCell<Arena<{ Listener::ARENA_BYTES }>> = ConstStaticCell::new(Arena::new());
static WORKSPACE: ConstStaticCell<[u32; WORKSPACE_WORDS]> = ConstStaticCell::new([0; WORKSPACE_WORDS]);
static QUEUE: ConstStaticCell<Queue<1, QUEUE_LEN>> = ConstStaticCell::new(Queue::new());
static SAMPLING: Sampling = Sampling::new();
static OUTBOX: Outbox = Outbox::new();

/// Silence is no stuck microphone.
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

/// Runs in interrupts, so that inferences do not hold it up.
#[embassy_executor::task]
async fn sample(mut microphone: Watched<board::Microphone>, mut intake: Intake<'static, 1>) {
    SAMPLING.run(&mut microphone, &mut intake, None).await
}

#[embassy_executor::task]
async fn transmit(mut line: board::Line) {
    OUTBOX.transmit(&mut line).await
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let board = Board::start(spawner);
    let mut speaker = Speaker::new(&OUTBOX);
    spawner.spawn(defmt::unwrap!(transmit(board.line)));
    let needs = match Needs::read(&Listener::MODEL) {
        Ok(needs) => needs,
        Err(why) => speaker.refuse(why).await,
    };
    let microphone = board.sensors.microphone(needs.rate_millihertz, board.sampler);
    let format = microphone.format();
    let microphone = Watched::new_async(microphone, LIMITS);
    let pipeline = match listening(format) {
        Ok(pipeline) => pipeline,
        Err(why) => speaker.refuse(why).await,
    };
    let (intake, mut outlet) = QUEUE.take().split();
    board.sampler.spawn(defmt::unwrap!(sample(microphone, intake)));
    // The pin of a lamp cannot fail.
    let Ok(lamp) = Pulse::new(board.lamp, None, LIT);
    defmt::info!("{=str} listens: {}", board::NAME, format);
    let mut deciding = Deciding::new(pipeline, teff_device::hello(board::NAME, format), lamp);
    deciding.run(&mut outlet, &SAMPLING, &mut speaker).await
}

fn listening(format: Format) -> Result<Listening, StartError<'static>> {
    let session = Session::<Listener>::new(ARENA.take()).map_err(StartError::Model)?;
    Pipeline::new(session, WORKSPACE.take(), format)
}
