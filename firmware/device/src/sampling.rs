//! From the sensor to the queue.

use core::cell::Cell;

use embassy_sync::blocking_mutex::Mutex;
use embassy_sync::blocking_mutex::raw::CriticalSectionRawMutex;
use embassy_sync::channel::Channel;
use embassy_sync::signal::Signal;
use embassy_time::{Duration, Timer};
use teff_app::health::{self, Condition, Event, Watched, What};
use teff_app::queue::Intake;
use teff_app::sensor::{AsyncSensor, Format};
use teff_link::Health;

/// Instants of one read, at most: what the smallest chip buffers.
const PORTION: usize = 32;
/// Conditions of the sensor that began or ended and that nobody took yet. Those beyond are only counted.
const EVENTS: usize = 8;
/// How long a sensor is left alone that fails, or has nothing.
const PAUSE: Duration = Duration::from_millis(1);

/// What the task that samples and the one that decides have in common, beside the queue.
pub struct Sampling {
    counts: Mutex<CriticalSectionRawMutex, Cell<health::Counts>>,
    events: Channel<CriticalSectionRawMutex, Health, EVENTS>,
    came: Signal<CriticalSectionRawMutex, ()>,
}

impl Default for Sampling {
    fn default() -> Self {
        Self::new()
    }
}

impl Sampling {
    /// Nothing came yet.
    pub const fn new() -> Self {
        const NONE: health::Counts = health::Counts {
            instants: 0,
            withheld: 0,
            bus_errors: 0,
            gaps: 0,
            missing: 0,
            restarts: 0,
            stuck: 0,
            saturated: 0,
            unreachable: 0,
            silent: 0,
        };
        Sampling { counts: Mutex::new(Cell::new(NONE)), events: Channel::new(), came: Signal::new() }
    }

    /// Moves instants from the sensor to the queue for ever. A sensor that is to be asked is read every
    /// `interval`; without one, reading waits by itself until something is there.
    ///
    /// Runs in an executor of higher priority than what takes from the queue, so that sampling goes on
    /// during inferences.
    pub async fn run<S: AsyncSensor, const AXES: usize>(
        &self,
        sensor: &mut Watched<S>,
        intake: &mut Intake<'_, AXES>,
        interval: Option<Duration>,
    ) -> ! {
        loop {
            let came = self.poll(sensor, intake).await;
            match interval {
                // More may wait.
                Some(_) if came == PORTION => {}
                Some(interval) => Timer::after(interval).await,
                None if came == 0 => Timer::after(PAUSE).await,
                None => {}
            }
        }
    }

    /// Reads the sensor once; tells how many instants were handed on.
    pub async fn poll<S: AsyncSensor, const AXES: usize>(
        &self,
        sensor: &mut Watched<S>,
        intake: &mut Intake<'_, AXES>,
    ) -> usize {
        let mut instants = [[0; AXES]; PORTION];
        let hand_on = |gap, samples| intake.push_behind(gap, samples);
        let report = |event| {
            if let Some(health) = health_of(event) {
                // One that finds no room is in the counts.
                let _ = self.events.try_send(health);
            }
        };
        let came = sensor.poll_async(&mut instants, hand_on, report).await;
        self.counts.lock(|counts| counts.set(*sensor.counts()));
        if came > 0 {
            self.came.signal(());
        }
        came
    }

    /// Waits until instants were handed on since this was waited for last.
    pub async fn came(&self) {
        self.came.wait().await;
    }

    /// How often what happened to the sensor.
    pub fn counts(&self) -> health::Counts {
        self.counts.lock(Cell::get)
    }

    /// The oldest condition of the sensor that began or ended and was not taken yet, for the host.
    pub fn health(&self) -> Option<Health> {
        self.events.try_receive().ok()
    }
}

/// What the host is told of an event; nothing where it is in the figures.
fn health_of(event: Event) -> Option<Health> {
    let (condition, begins) = match event.what {
        What::Begins(condition) => (condition, true),
        What::Ends(condition) => (condition, false),
        What::BusError | What::SensorGap | What::Missing(_) | What::Restarted => return None,
    };
    let condition = match condition {
        Condition::Stuck => teff_link::Condition::Stuck,
        Condition::Saturated => teff_link::Condition::Saturated,
        Condition::Unreachable => teff_link::Condition::Unreachable,
        Condition::Silent => teff_link::Condition::Silent,
    };
    Some(Health { instant: event.instant, condition, begins })
}

/// How often a chip that buffers some 32 instants is asked: every eight instants, between two
/// milliseconds and half a second.
pub fn interval(format: Format) -> Duration {
    let microseconds = 8_000_000_000 / u64::from(format.rate_millihertz.max(1));
    Duration::from_micros(microseconds.clamp(2_000, 500_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use teff_app::health::Limits;
    use teff_app::queue::Queue;
    use teff_app::sensor::Sensor;
    use teff_app::sensor::bus::complete;
    use teff_app::sensor::faulty::{Fault, Faulty, Kind};
    use teff_app::sensor::recorded::Recorded;

    const FORMAT: Format = Format {
        sensor: "recording",
        rate_millihertz: 1_600_000,
        axes: 1,
        unit: "",
        counts_per_thousand_units: 32_768_000,
        full_scale: 32_768,
    };

    /// A blocking sensor, asked asynchronously.
    struct Asked<S>(S);

    impl<S: Sensor> AsyncSensor for Asked<S> {
        type Error = S::Error;

        fn format(&self) -> Format {
            self.0.format()
        }

        async fn read(&mut self, samples: &mut [i16]) -> Result<usize, S::Error> {
            self.0.read(samples)
        }

        fn gaps(&self) -> u32 {
            self.0.gaps()
        }

        async fn restart(&mut self) -> Result<(), S::Error> {
            self.0.restart()
        }
    }

    #[test]
    fn what_happens_to_the_sensor_is_told_in_order() {
        let recording: [i16; 2000] = core::array::from_fn(|at| at as i16);
        let faults = [Fault { at: 64, kind: Kind::Errors(20) }, Fault { at: 640, kind: Kind::Stuck(200) }];
        let faulty = Faulty::new(Recorded::new(FORMAT, &recording, 16), &faults);
        let limits = Limits { stuck_after: 100, ..Limits::default() };
        let mut sensor = Watched::new_async(Asked(faulty), limits);
        let mut queue = Queue::<1, 4096>::new();
        let (mut intake, mut outlet) = queue.split();
        let sampling = Sampling::new();
        for _ in 0..300 {
            complete(sampling.poll(&mut sensor, &mut intake));
        }
        complete(sampling.came());
        let told: [_; 4] = core::array::from_fn(|_| sampling.health());
        let told = told.map(|health| health.map(|health| (health.instant, health.condition, health.begins)));
        use teff_link::Condition::{Silent, Stuck, Unreachable};
        assert_eq!(
            told,
            [
                Some((64, Unreachable, true)),
                Some((64, Unreachable, false)),
                Some((740, Stuck, true)),
                Some((840, Stuck, false))
            ]
        );
        // The recording is over then.
        let last = sampling.health().map(|health| (health.instant, health.condition, health.begins));
        assert_eq!(last, Some((2000, Silent, true)));
        assert_eq!(sampling.health(), None);
        let counts = sampling.counts();
        assert_eq!((counts.instants, counts.bus_errors, counts.withheld), (2000, 20, 100));
        let mut taken = 0;
        while outlet.pop().is_some() {
            taken += 1;
        }
        assert_eq!(taken, 1900);
    }

    #[test]
    fn a_chip_is_asked_before_its_buffer_is_full() {
        let milliseconds = |rate_millihertz| interval(Format { rate_millihertz, ..FORMAT }).as_millis();
        assert_eq!(milliseconds(1_600_000), 5);
        assert_eq!(milliseconds(25_000), 320);
        assert_eq!(milliseconds(8_000_000), 2);
        assert_eq!(milliseconds(1_000), 500);
    }
}
