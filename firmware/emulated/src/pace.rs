//! How time passes for a simulated sensor.
//!
//! Without the feature `link` it passes as the program says: as fast as the emulator runs, and in the same way
//! every time. With it, time is the emulator's: the program waits for the next measurements, and measurements
//! go on while it works.

use teff_app::pipeline::Step;

use crate::Machine;
#[cfg(feature = "link")]
use crate::counter::Clock;

/// The time of one simulated sensor. The default one passes as the program says.
#[derive(Default)]
pub struct Pace {
    /// None where the core's timer was taken already: time then passes as the program says.
    #[cfg(feature = "link")]
    clock: Option<Clock>,
    #[cfg(feature = "link")]
    rate_millihertz: u32,
    /// Instants whose time passed so far.
    #[cfg(feature = "link")]
    passed: u64,
    began_ns: Option<u64>,
    inference_us: u32,
}

impl Pace {
    /// Time begins, for a sensor with that rate.
    #[cfg(feature = "link")]
    pub fn start(machine: Machine, rate_millihertz: u32) -> Pace {
        let timer = cortex_m::Peripherals::take().map(|peripherals| peripherals.SYST);
        let clock = timer.map(|timer| Clock::start(timer, machine));
        Pace { clock, rate_millihertz, passed: 0, began_ns: None, inference_us: 0 }
    }

    /// Time begins.
    #[cfg(not(feature = "link"))]
    pub fn start(_machine: Machine, _rate_millihertz: u32) -> Pace {
        Pace::default()
    }

    /// Waits for `instants` measurements and tells how many came.
    pub fn wait(&mut self, instants: usize) -> usize {
        #[cfg(feature = "link")]
        if self.clock.is_some() {
            while self.due() < instants as u64 {
                // The clock wakes the processor.
                cortex_m::asm::wfi();
            }
            return self.came(instants);
        }
        instants
    }

    /// How many measurements came while the program worked: `instants` where time is not told by a clock.
    pub fn meanwhile(&mut self, instants: usize) -> usize {
        #[cfg(feature = "link")]
        if self.clock.is_some() {
            return self.came(0);
        }
        instants
    }

    /// Makes a step of an inference and takes the time.
    pub fn timed(&mut self, step: impl FnOnce() -> Step) -> Step {
        let before = self.now_ns();
        let began = self.began_ns.take().unwrap_or(before);
        let step = step();
        match step {
            Step::Idle => {}
            Step::Working => self.began_ns = Some(began),
            Step::Inferred(_) => {
                let nanoseconds = self.now_ns().saturating_sub(began);
                self.inference_us = u32::try_from(nanoseconds / 1000).unwrap_or(u32::MAX);
            }
        }
        step
    }

    /// Microseconds of the last inference, from its first step to its last; 0 where no clock is read.
    pub fn inference_us(&self) -> u32 {
        self.inference_us
    }

    #[cfg(feature = "link")]
    fn now_ns(&self) -> u64 {
        self.clock.as_ref().map_or(0, Clock::now)
    }

    #[cfg(not(feature = "link"))]
    fn now_ns(&self) -> u64 {
        0
    }

    /// Instants whose time passed and that were not told yet.
    #[cfg(feature = "link")]
    fn due(&self) -> u64 {
        // Instants per 10^12 nanoseconds; a day of them stays far below 2^64.
        let by_now = u128::from(self.now_ns()) * u128::from(self.rate_millihertz) / 1_000_000_000_000;
        (by_now as u64).saturating_sub(self.passed)
    }

    #[cfg(feature = "link")]
    fn came(&mut self, least: usize) -> usize {
        let came = (self.due() as usize).max(least);
        self.passed += came as u64;
        came
    }
}
