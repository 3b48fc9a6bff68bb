//! Tests of the whole system: one file per subject beside `src`; what several of them need stands here.

use std::fs;
use std::path::{Path, PathBuf};

use teff::ModelFile;
use teff::plan::Ops;
use teff_app::pipeline::{Pipeline, Step};
use teff_app::sensor::Format;
use teff_board::numbers::{EMPTY, checksum};
use teff_compiler::{Target, compile};

/// The project's folder.
pub fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The file of a model of `models/`.
pub fn onnx(model: &str) -> PathBuf {
    root().join("models").join(model).join("model.onnx")
}

/// Its plan, for no processor in particular.
pub fn plan(model: &str) -> ModelFile {
    ModelFile::from_bytes(&compile(&fs::read(onnx(model)).unwrap(), Target::Generic).unwrap().plan).unwrap()
}

/// Samples of an instant of [`CHIP`].
pub const AXES: usize = 3;
/// As the simulated accelerometer of the boards measures.
pub const CHIP: Format = Format {
    sensor: "ADXL345",
    rate_millihertz: 1_600_000,
    axes: AXES as u8,
    unit: "g",
    counts_per_thousand_units: 256_000,
    full_scale: 4096,
};

/// What it measures: the recording that the boards replay, two seconds each of a healthy machine, of one with a bearing
/// fault, and of an imbalance.
pub fn machine_recording() -> Vec<i16> {
    let text = fs::read_to_string(root().join("firmware/emulated/recordings/machine.csv")).unwrap();
    text.lines().skip(1).flat_map(|line| line.split(',')).map(|count| count.parse().unwrap()).collect()
}

/// Adds the last inference of a pipeline to the boards' fingerprint of all scores and the instants of their inferences:
/// FNV-1a, which begins with [`EMPTY`].
pub fn fingerprint<M: Ops, const CLASSES: usize, const MEMORY: usize, const STAGES: u32>(
    before: u32,
    pipeline: &Pipeline<'_, M, CLASSES, MEMORY, STAGES>,
) -> u32 {
    let bytes = pipeline.heard().to_le_bytes().into_iter().chain(pipeline.scores());
    bytes.fold(before, |sum, byte| checksum(sum, &[byte as i8]))
}

/// What was decided in a run of the firmware's pipeline, on a board or here.
#[derive(Debug, PartialEq, Eq)]
pub struct Decided {
    /// Time in milliseconds, label and score in per cent of each event.
    pub events: Vec<(u64, String, u64)>,
    /// See [`fingerprint`].
    pub fingerprint: u32,
}

impl Default for Decided {
    fn default() -> Decided {
        Decided { events: Vec::new(), fingerprint: EMPTY }
    }
}

impl Decided {
    /// What the boards say, by a snapshot.
    ///
    /// # Panics
    /// There is no such file, or as of [`Decided::of_board`].
    pub fn of_snapshot(path: &str) -> Decided {
        Decided::of_board(&fs::read_to_string(root().join(path)).unwrap())
    }

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
            self.fingerprint = fingerprint(self.fingerprint, pipeline);
            if let Some(event) = event {
                let label = pipeline.label(event.class).to_string();
                self.events.push((
                    pipeline.heard() * 1000 / rate_hz,
                    label,
                    u64::from(event.score) * 100 / 256,
                ));
            }
        }
    }

    /// The labels of the events.
    pub fn labels(&self) -> Vec<String> {
        self.events.iter().map(|(_, label, _)| label.clone()).collect()
    }
}
