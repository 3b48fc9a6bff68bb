//! Samples to the host, for `trainer record`: of the accelerometer, or of the microphone where the
//! program is built with TEFF_RECORD=sound. TEFF_RATE_HZ sets the rate. It needs no model.
#![no_std]
#![no_main]

use board::Board;
use defmt_rtt as _;
use embassy_executor::{SendSpawner, Spawner};
use embassy_time::Duration;
use panic_probe as _;
use static_cell::ConstStaticCell;
use teff_app::health::{Limits, Watched};
use teff_app::queue::{Intake, Queue};
use teff_app::sensor::{AsyncSensor, Format};
use teff_device::outbox;
use teff_device::recording::Recorder;
use teff_device::sampling::Sampling;

include!(concat!(env!("OUT_DIR"), "/record.rs"));

/// Instants that wait while the line is slow: at least a tenth of a second.
const QUEUE_LEN: usize = 2048;

static QUEUE: ConstStaticCell<Queue<{ source::AXES }, QUEUE_LEN>> = ConstStaticCell::new(Queue::new());
static SAMPLING: Sampling = Sampling::new();

/// A recording is what the sensor gives: nothing is withheld.
const LIMITS: Limits = Limits {
    retries: 2,
    longest_wait: 64,
    unreachable_after: 3,
    silent_after: 50,
    stuck_after: 0,
    saturation_block: 256,
    saturation_percent: 10,
    rate_block: 0,
    rate_slack: 0,
};

/// The accelerometer.
#[cfg(not(record_sound))]
mod source {
    use super::*;
    use teff_device::accelerometer::{Accelerometer, Missing};

    pub const AXES: usize = 3;
    pub type Source = Accelerometer<board::Bus>;

    /// The chip with its widest range.
    pub async fn start(sensors: board::Sensors, _: SendSpawner) -> Result<Source, Missing> {
        Accelerometer::start(sensors.bus(), RATE_MILLIHERTZ, None).await
    }

    /// How often it is asked.
    pub fn interval(format: Format) -> Option<Duration> {
        Some(teff_device::sampling::interval(format))
    }
}

/// The microphone.
#[cfg(record_sound)]
mod source {
    use super::*;
    use teff_app::sensor::{NotOffered, Setting};

    pub const AXES: usize = 1;
    pub type Source = board::Microphone;

    /// The microphone at the rate that is wanted.
    pub async fn start(sensors: board::Sensors, sampler: SendSpawner) -> Result<Source, NotOffered> {
        let microphone = sensors.microphone(RATE_MILLIHERTZ, sampler);
        let Format { sensor, rate_millihertz: nearest, .. } = microphone.format();
        if nearest != RATE_MILLIHERTZ {
            let (setting, needed) = (Setting::RateMillihertz, RATE_MILLIHERTZ);
            return Err(NotOffered { sensor, setting, needed, nearest });
        }
        Ok(microphone)
    }

    /// It is waited for.
    pub fn interval(_: Format) -> Option<Duration> {
        None
    }
}

/// Runs in interrupts, so that the line does not hold it up.
#[embassy_executor::task]
async fn sample(
    mut sensor: Watched<source::Source>,
    mut intake: Intake<'static, { source::AXES }>,
    interval: Option<Duration>,
) {
    SAMPLING.run(&mut sensor, &mut intake, interval).await
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let board = Board::start(spawner);
    let sensor = match source::start(board.sensors, board.sampler).await {
        Ok(sensor) => sensor,
        Err(why) => outbox::refuse(board.line, why).await,
    };
    let format = sensor.format();
    let sensor = Watched::new_async(sensor, LIMITS);
    let (intake, mut outlet) = QUEUE.take().split();
    board.sampler.spawn(defmt::unwrap!(sample(sensor, intake, source::interval(format))));
    defmt::info!("{=str} records: {}", board::NAME, format);
    let mut recorder = Recorder::new(board.line, teff_device::hello(board::NAME, format));
    recorder.run(&mut outlet, &SAMPLING).await
}
