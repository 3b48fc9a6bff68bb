//! Tests of the whole system: one file per subject beside `src`; what several of them need stands here.

use std::path::Path;

use teff::plan::Ops;
use teff_app::pipeline::{Pipeline, Step};

/// The project's folder.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// What was decided in a run of the firmware's pipeline, on a board or here.
#[derive(Debug, PartialEq, Eq)]
pub struct Decided {
    /// Time in milliseconds, label and score in per cent of each event.
    pub events: Vec<(u64, String, u16)>,
    /// Of all scores and the instants of their inferences: FNV-1a.
    pub fingerprint: u32,
}

impl Default for Decided {
    fn default() -> Decided {
        Decided { events: Vec::new(), fingerprint: 0x811c_9dc5 }
    }
}

impl Decided {
    /// What a board said.
    ///
    /// # Panics
    /// It did not say it as the programs `listen` and `motion` do.
    pub fn of_board(said: &str) -> Decided {
        let event = |(milliseconds, event): (&str, &str)| {
            let (label, percent) = event.split_once("  ").unwrap();
            let percent = percent.trim_end_matches(" %").parse().unwrap();
            (milliseconds.trim().parse().unwrap(), label.to_string(), percent)
        };
        let events = said.lines().filter_map(|line| line.split_once(" ms  ")).map(event).collect();
        let number = said.lines().find_map(|line| line.split_once(" is the fingerprint"));
        let (number, _) = number.unwrap_or_else(|| panic!("no fingerprint in\n{said}"));
        Decided { events, fingerprint: u32::from_str_radix(number, 16).unwrap() }
    }

    /// Steps until there is nothing to do, in budgets of that many predicted instructions.
    pub fn work<M: Ops, const CLASSES: usize, const MEMORY: usize, const STAGES: u32>(
        &mut self,
        pipeline: &mut Pipeline<'_, M, CLASSES, MEMORY, STAGES>,
        rate_hz: u64,
        budget: u32,
    ) {
        loop {
            let event = match pipeline.step(budget) {
                Step::Idle => return,
                Step::Working => continue,
                Step::Inferred(event) => event,
            };
            for byte in pipeline.heard().to_le_bytes().into_iter().chain(pipeline.scores()) {
                self.fingerprint = (self.fingerprint ^ u32::from(byte)).wrapping_mul(0x0100_0193);
            }
            if let Some(event) = event {
                let label = pipeline.label(event.class).to_string();
                self.events.push((pipeline.heard() * 1000 / rate_hz, label, event.score * 100 / 256));
            }
        }
    }

    /// The labels of the events.
    pub fn labels(&self) -> Vec<String> {
        self.events.iter().map(|(_, label, _)| label.clone()).collect()
    }
}
