//! What the programs that decide have in common: the interrupt of a simulated sensor, which fills the queue, and the
//! task, which lets time pass, takes what the interrupt left, decides and tells.

use core::cell::RefCell;
use core::fmt::{self, Write};

use cortex_m::peripheral::SCB;
use critical_section::Mutex;
use teff::plan::Ops;
use teff_app::health::{self, Limits, Watched};
use teff_app::pipeline::{self, Pipeline, Step};
use teff_app::queue::{Intake, Outlet};
use teff_app::sensor::Sensor;

use crate::Machine;
use crate::fingerprint::Fingerprint;
use crate::pace::Pace;
use crate::replayed::{Passed, Replayed};
use crate::report::{Happened, Report};

/// What the interrupt owns.
pub struct Sampling<S, const AXES: usize> {
    sensor: Watched<S>,
    intake: Intake<'static, AXES>,
    happened: Happened,
}

impl<S: Sensor + Replayed, const AXES: usize> Sampling<S, AXES> {
    /// Nothing was measured yet.
    pub fn new(sensor: S, limits: Limits, intake: Intake<'static, AXES>) -> Self {
        Sampling { sensor: Watched::new(sensor, limits), intake, happened: Happened::new() }
    }

    /// What the interrupt does: reads `ROOM` instants at most, and fills the queue.
    pub fn poll<const ROOM: usize>(&mut self) {
        let Sampling { sensor, intake, happened } = self;
        let mut instants = [[0; AXES]; ROOM];
        let report = |event| {
            let _ = happened.push_back(event);
        };
        sensor.poll(&mut instants, |gap, samples| intake.push_behind(gap, samples), report);
    }

    /// Lets the time of so many measurements pass; tells whether there are more.
    pub fn advance(&mut self, instants: usize) -> bool {
        self.sensor.elapsed(u32::try_from(instants).unwrap_or(u32::MAX));
        self.sensor.sensor_mut().advance(instants)
    }

    /// What happened to the sensor and was not told yet, and how often what happened since the start.
    pub fn health(&mut self) -> (Happened, health::Counts) {
        (core::mem::take(&mut self.happened), *self.sensor.counts())
    }

    /// What became of the measurements.
    pub fn passed(&mut self) -> Passed {
        self.sensor.sensor_mut().passed()
    }
}

/// What the interrupt owns, where the task reaches it with interrupts switched off.
pub struct Owned<S, const AXES: usize>(Mutex<RefCell<Option<Sampling<S, AXES>>>>);

impl<S: Sensor + Replayed, const AXES: usize> Owned<S, AXES> {
    /// Nothing is owned yet, so that the interrupt does nothing.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Self {
        Owned(Mutex::new(RefCell::new(None)))
    }

    /// From now on the interrupt owns this.
    pub fn give(&self, sampling: Sampling<S, AXES>) {
        critical_section::with(|token| *self.0.borrow_ref_mut(token) = Some(sampling));
    }

    /// What the interrupt does, see [`Sampling::poll`].
    pub fn poll<const ROOM: usize>(&self) {
        critical_section::with(|token| {
            if let Some(sampling) = self.0.borrow_ref_mut(token).as_mut() {
                sampling.poll::<ROOM>();
            }
        });
    }
}

/// How the task reaches what the interrupt owns.
pub trait Reach<const AXES: usize> {
    /// The sensor.
    type Sensor: Sensor + Replayed;

    /// Does something with it while the interrupt is held back; `None` where there is nothing yet.
    fn reach<R>(&mut self, with: impl FnOnce(&mut Sampling<Self::Sensor, AXES>) -> R) -> Option<R>;
}

impl<S: Sensor + Replayed, const AXES: usize> Reach<AXES> for &Owned<S, AXES> {
    type Sensor = S;

    fn reach<R>(&mut self, with: impl FnOnce(&mut Sampling<S, AXES>) -> R) -> Option<R> {
        critical_section::with(|token| self.0.borrow_ref_mut(token).as_mut().map(with))
    }
}

/// How a program runs.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// When something counts as wrong with the sensor.
    pub limits: Limits,
    /// Measurements between two interrupts, at least.
    pub interrupt_every: usize,
    /// Measurements that come while the task waits, again and again.
    pub portions: &'static [usize],
    /// Predicted instructions of one step of an inference; one measurement comes in about this time.
    pub budget: u32,
    /// How often the program's own recording is replayed.
    pub times: usize,
    /// What goes wrong.
    pub faults: Faults,
}

/// What goes wrong in a run.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// Of the chip and its bus.
    pub chip: &'static [teff_app::sensor::simulated::ChipFault],
    /// Of the sensor as a whole.
    pub sensor: &'static [teff_app::sensor::faulty::Fault],
    /// Of the task: from the one instant on it is busy with something else for so many.
    pub busy: &'static [(u64, u32)],
}

impl Faults {
    /// Nothing goes wrong.
    pub const NONE: Faults = Faults { chip: &[], sensor: &[], busy: &[] };
}

/// The task.
pub struct Task<
    'a,
    I,
    M: Ops,
    const AXES: usize,
    const CLASSES: usize,
    const MEMORY: usize,
    const STAGES: u32,
> {
    interrupt: I,
    pipeline: Pipeline<'a, M, CLASSES, MEMORY, STAGES>,
    outlet: Outlet<'static, AXES>,
    rate_millihertz: u32,
    setting: Setting,
    pace: Pace,
    /// Measurements that came since the last interrupt.
    waiting: usize,
    /// Measurements whose time passed.
    passed: u64,
    fingerprint: Fingerprint,
    told_overruns: u32,
}

/// What a run came to.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Of the pipeline.
    pub pipeline: pipeline::Counts,
    /// Of the sensor.
    pub health: health::Counts,
    /// Instants that found the queue full.
    pub overruns: u32,
    /// Of all scores and the instants of their inferences.
    pub fingerprint: u32,
    /// What became of the measurements.
    pub passed: Passed,
}

impl<'a, I, M, const AXES: usize, const CLASSES: usize, const MEMORY: usize, const STAGES: u32>
    Task<'a, I, M, AXES, CLASSES, MEMORY, STAGES>
where
    I: Reach<AXES>,
    M: Ops,
{
    /// A task that takes from the queue what the interrupt put in.
    pub fn new(
        interrupt: I,
        pipeline: Pipeline<'a, M, CLASSES, MEMORY, STAGES>,
        outlet: Outlet<'static, AXES>,
        rate_millihertz: u32,
        setting: Setting,
    ) -> Self {
        Task {
            interrupt,
            pipeline,
            outlet,
            rate_millihertz,
            setting,
            pace: Pace::default(),
            waiting: 0,
            passed: 0,
            fingerprint: Fingerprint::new(),
            told_overruns: 0,
        }
    }

    /// Runs until the recording is over.
    ///
    /// # Errors
    /// When something cannot be told.
    #[inline(never)]
    pub fn run(&mut self, machine: Machine, out: &mut Report) -> Result<Figures, fmt::Error> {
        self.pace = Pace::start(machine, self.rate_millihertz);
        for portion in self.setting.portions.iter().cycle() {
            self.be_busy();
            let instants = self.pace.wait(*portion);
            if !self.elapse(instants) {
                break;
            }
            self.tell(out);
            self.decide(out)?;
        }
        out.figures_are_due();
        let health = self.tell(out);
        Ok(Figures {
            pipeline: *self.pipeline.counts(),
            health,
            overruns: self.outlet.overruns(),
            fingerprint: self.fingerprint.value(),
            passed: self.interrupt.reach(Sampling::passed).unwrap_or_default(),
        })
    }

    /// Lets the time of some measurements pass, and the interrupt come; tells whether there are more.
    fn elapse(&mut self, instants: usize) -> bool {
        let more = self.interrupt.reach(|sampling| sampling.advance(instants)).unwrap_or(false);
        self.passed += instants as u64;
        self.waiting += instants;
        if self.waiting >= self.setting.interrupt_every {
            self.waiting = 0;
            SCB::set_pendsv();
            // The interrupt is taken here.
            cortex_m::asm::isb();
        }
        more
    }

    /// Lets time pass, where the task is to do something else; the interrupt comes meanwhile.
    fn be_busy(&mut self) {
        while let Some((&(at, instants), later)) = self.setting.faults.busy.split_first()
            && at <= self.passed
        {
            self.setting.faults.busy = later;
            for _ in 0..instants {
                self.elapse(1);
            }
        }
    }

    /// Takes what the interrupt left, and decides.
    fn decide(&mut self, out: &mut Report) -> fmt::Result {
        loop {
            let instant = self.outlet.pop();
            if let Some(instant) = &instant {
                self.pipeline.take(instant);
            }
            let step = self.pace.timed(|| self.pipeline.step(self.setting.budget));
            if matches!(step, Step::Inferred(_)) {
                self.fingerprint.add(self.pipeline.heard(), self.pipeline.scores());
            }
            match step {
                Step::Idle if instant.is_none() => return Ok(()),
                Step::Idle | Step::Inferred(None) => {}
                Step::Working => {
                    let instants = self.pace.meanwhile(1);
                    self.elapse(instants);
                }
                Step::Inferred(Some(event)) => {
                    let (heard, label) = (self.pipeline.heard(), self.pipeline.label(event.class));
                    out.decision(heard, u64::from(self.rate_millihertz / 1000), &event, label)?;
                }
            }
        }
    }

    /// Tells what happened to the sensor and to the queue, and figures; returns those of the sensor.
    fn tell(&mut self, out: &mut Report) -> health::Counts {
        let (happened, health) = self.interrupt.reach(Sampling::health).unwrap_or_default();
        happened.iter().for_each(|event| out.health(event));
        let (counts, overruns) = (self.pipeline.counts(), self.outlet.overruns());
        let new = overruns.wrapping_sub(self.told_overruns);
        if new > 0 {
            self.told_overruns = overruns;
            out.overruns(self.passed, new);
        }
        #[cfg(feature = "link")]
        if out.is_due(counts.instants)
            && let Some(event) = self.pipeline.leading()
        {
            out.leading(self.pipeline.heard(), &event, self.pipeline.label(event.class));
        }
        out.figures(counts, &health, overruns, self.pace.inference_us());
        health
    }
}

impl Figures {
    /// Tells what became of every instant, and how often what happened; tells whether each is accounted for.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn tell(&self, out: &mut Report) -> Result<bool, fmt::Error> {
        let Figures { pipeline, health, overruns, passed, .. } = self;
        writeln!(
            out,
            "{} instants: {} decided on, {} withheld, {} found the queue full, {} never came",
            passed.instants, pipeline.instants, health.withheld, overruns, passed.lost,
        )?;
        writeln!(
            out,
            "{} bus errors, {} restarts, {} sensor gaps, {} missing without a word",
            health.bus_errors, health.restarts, health.gaps, health.missing,
        )?;
        writeln!(
            out,
            "times unreachable {}, silent {}, stuck {}, saturated {}",
            health.unreachable, health.silent, health.stuck, health.saturated,
        )?;
        writeln!(
            out,
            "{} inferences behind {} gaps, {} given up, {} windows missed",
            pipeline.inferences, pipeline.gaps, pipeline.given_up, pipeline.missed,
        )?;
        writeln!(out, "{:08x} is the fingerprint of their scores", self.fingerprint)?;
        let known = pipeline.instants + health.withheld + u64::from(*overruns) + passed.lost;
        if known != passed.instants {
            writeln!(out, "error: {known} of {} instants are accounted for", passed.instants)?;
        }
        Ok(known == passed.instants)
    }
}
