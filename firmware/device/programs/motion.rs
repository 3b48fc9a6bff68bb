//! Activity or machine state from an accelerometer: decisions go to the lamp, to the log, and as frames
//! to the host.
#![no_std]
#![no_main]

use board::Board;
use defmt_rtt as _;
use embassy_executor::Spawner;
use embassy_time::Duration;
use panic_probe as _;
use static_cell::ConstStaticCell;
use teff::{Arena, Session, StaticModel};
use teff_app::decision;
use teff_app::health::{Limits, Watched};
use teff_app::needs::Needs;
use teff_app::output::Pulse;
use teff_app::pipeline::{Pipeline, StartError, input_bytes, stages, workspace_words};
use teff_app::queue::{Intake, Queue};
use teff_app::sensor::rescaled::Rescaled;
use teff_app::sensor::{AsyncSensor, Format};
use teff_device::accelerometer::Accelerometer;
use teff_device::deciding::Deciding;
use teff_device::outbox::{Outbox, Speaker};
use teff_device::sampling::{Sampling, interval};

teff::include_model!(Machine, concat!(env!("OUT_DIR"), "/model.teff"));

const AXES: usize = 3;
const WORKSPACE_WORDS: usize = workspace_words(Machine::PLAN.as_bytes());
const INPUT_BYTES: usize = input_bytes(Machine::PLAN.as_bytes());
const CLASSES: usize = decision::MOST_CLASSES;
const MEMORY: usize = decision::MOST_SMOOTHING;
/// What comes during the longest step of an inference, and much more.
const QUEUE_LEN: usize = 256;
/// Inferences that the lamp is lit for.
const LIT: u32 = 3;

type MachinePipeline = Pipeline<'static, Machine, CLASSES, MEMORY, { stages(Machine::PLAN.as_bytes()) }>;
type Sensor = Watched<Rescaled<Accelerometer<board::Bus>>>;

static ARENA: ConstStaticCell<Arena<{ Machine::ARENA_BYTES }>> = ConstStaticCell::new(Arena::new());
static WORKSPACE: ConstStaticCell<[u32; WORKSPACE_WORDS]> = ConstStaticCell::new([0; WORKSPACE_WORDS]);
/// What an anomaly model's output is compared with.
static REFERENCE: ConstStaticCell<[i8; INPUT_BYTES]> = ConstStaticCell::new([0; INPUT_BYTES]);
static QUEUE: ConstStaticCell<Queue<AXES, QUEUE_LEN>> = ConstStaticCell::new(Queue::new());
static SAMPLING: Sampling = Sampling::new();
static OUTBOX: Outbox = Outbox::new();

/// Runs in interrupts, so that inferences do not hold it up.
#[embassy_executor::task]
async fn sample(mut sensor: Sensor, mut intake: Intake<'static, AXES>, interval: Duration) {
    SAMPLING.run(&mut sensor, &mut intake, Some(interval)).await
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
    let needs = match Needs::read(&Machine::MODEL) {
        Ok(needs) => needs,
        Err(why) => speaker.refuse(why).await,
    };
    let bus = board.sensors.bus();
    let chip = match Accelerometer::start(bus, needs.rate_millihertz, needs.range_thousandths).await {
        Ok(chip) => chip,
        Err(why) => speaker.refuse(why).await,
    };
    let sensor = match needs.fit_async(chip) {
        Ok(sensor) => sensor,
        Err(why) => speaker.refuse(why).await,
    };
    let format = sensor.format();
    let pipeline = match deciding(format) {
        Ok(pipeline) => pipeline,
        Err(why) => speaker.refuse(why).await,
    };
    let sensor = Watched::new_async(sensor, Limits::default());
    let (intake, mut outlet) = QUEUE.take().split();
    board.sampler.spawn(defmt::unwrap!(sample(sensor, intake, interval(format))));
    // The pin of a lamp cannot fail.
    let Ok(lamp) = Pulse::new(board.lamp, None, LIT);
    defmt::info!("{=str} watches: {}", board::NAME, format);
    let mut deciding = Deciding::new(pipeline, teff_device::hello(board::NAME, format), lamp);
    deciding.run(&mut outlet, &SAMPLING, &mut speaker).await
}

fn deciding(format: Format) -> Result<MachinePipeline, StartError<'static>> {
    let session = Session::<Machine>::new(ARENA.take()).map_err(StartError::Model)?;
    Pipeline::with_reference(session, WORKSPACE.take(), REFERENCE.take(), format)
}
