//! From the queue to decisions.

use embassy_futures::select::select;
use embassy_futures::yield_now;
use embassy_time::{Duration, Instant, Timer};
use teff::plan::Ops;
use teff_app::decision::Event;
use teff_app::output::Output;
use teff_app::pipeline::{Pipeline, Step};
use teff_app::queue::Outlet;
use teff_link::{Decision, Hello, Message, Metrics};

use crate::outbox::Speaker;
use crate::sampling::Sampling;

/// Predicted instructions of one step of an inference, between which the line is served: about a
/// millisecond of the slowest board.
const BUDGET: u32 = 50_000;
/// Instants that the pipeline takes between two steps, at most: less than a hop, so that two windows
/// never come at once.
const PIECE: usize = 16;
/// Between two messages with figures.
const METRICS_EVERY: Duration = Duration::from_secs(1);
/// Figures between two introductions, for a host that comes late.
const METRICS_PER_HELLO: u32 = 5;

/// A pipeline at work: decisions go to `output`, to the host and to the log.
pub struct Deciding<'a, M: Ops, O, const CLASSES: usize, const MEMORY: usize, const STAGES: u32> {
    pipeline: Pipeline<'a, M, CLASSES, MEMORY, STAGES>,
    hello: Hello<'static>,
    output: O,
    /// When the inference that goes on began.
    began: Option<Instant>,
    inference_us: u32,
}

impl<'a, M: Ops, O: Output, const CLASSES: usize, const MEMORY: usize, const STAGES: u32>
    Deciding<'a, M, O, CLASSES, MEMORY, STAGES>
{
    /// What decides with this pipeline.
    pub fn new(pipeline: Pipeline<'a, M, CLASSES, MEMORY, STAGES>, hello: Hello<'static>, output: O) -> Self {
        Deciding { pipeline, hello, output, began: None, inference_us: 0 }
    }

    /// Takes from the queue, decides and reports for ever.
    pub async fn run<const AXES: usize>(
        &mut self,
        outlet: &mut Outlet<'_, AXES>,
        sampling: &Sampling,
        speaker: &mut Speaker<'_>,
    ) -> ! {
        let (mut due, mut reports) = (Instant::now(), 0_u32);
        loop {
            while self.step(outlet, speaker) {
                // The line and its frames are served between two steps.
                yield_now().await;
            }
            while let Some(health) = sampling.health() {
                speaker.say(&Message::Health(health));
            }
            if Instant::now() >= due {
                if reports.is_multiple_of(METRICS_PER_HELLO) {
                    speaker.say(&Message::Hello(self.hello));
                }
                if let Some(event) = self.pipeline.leading() {
                    speaker.say(&Message::Leading(self.told(&event)));
                }
                speaker.say(&Message::Metrics(self.metrics(outlet.overruns(), sampling)));
                reports = reports.wrapping_add(1);
                due += METRICS_EVERY;
            }
            select(sampling.came(), Timer::at(due)).await;
        }
    }

    /// Takes a few instants and works on an inference for a while; tells whether there is more to do.
    pub fn step<const AXES: usize>(
        &mut self,
        outlet: &mut Outlet<'_, AXES>,
        speaker: &mut Speaker<'_>,
    ) -> bool {
        let mut taken = 0;
        while taken < PIECE
            && let Some(instant) = outlet.pop()
        {
            self.pipeline.take(&instant);
            taken += 1;
        }
        let now = Instant::now();
        match self.pipeline.step(BUDGET) {
            Step::Idle => {
                self.began = None;
                taken > 0
            }
            Step::Working => {
                self.began.get_or_insert(now);
                true
            }
            Step::Inferred(event) => {
                let began = self.began.take().unwrap_or(now);
                self.inference_us = began.elapsed().as_micros().try_into().unwrap_or(u32::MAX);
                self.report(event, speaker);
                true
            }
        }
    }

    fn report(&mut self, event: Option<Event>, speaker: &mut Speaker<'_>) {
        let label = event.map_or("", |event| self.pipeline.label(event.class));
        if self.output.inferred(event.as_ref(), label).is_err() {
            #[cfg(feature = "defmt")]
            defmt::warn!("the output failed");
        }
        if let Some(event) = event {
            speaker.say(&Message::Decision(self.told(&event)));
        }
    }

    fn told(&self, event: &Event) -> Decision<'a> {
        Decision {
            // Lost instants were measured too.
            instant: self.pipeline.heard() + self.pipeline.counts().lost,
            class: event.class.try_into().unwrap_or(u16::MAX),
            label: self.pipeline.label(event.class),
            score: event.score,
        }
    }

    fn metrics(&self, overruns: u32, sampling: &Sampling) -> Metrics {
        let (counts, health) = (self.pipeline.counts(), sampling.counts());
        Metrics {
            instants: counts.instants,
            inferences: counts.inferences,
            missed: counts.missed,
            overruns,
            gaps: health.gaps,
            bus_errors: health.bus_errors,
            stuck: health.stuck,
            saturated: health.saturated,
            inference_us: self.inference_us,
        }
    }
}
