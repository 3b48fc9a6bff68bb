//! What is written down about a run: a line per epoch.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EpochMetrics {
    /// Counted from 1.
    pub epoch: usize,
    /// Mean loss over the training examples, as they were seen.
    pub loss: f64,
    /// Share of training examples that were right when they were seen; absent with mixed examples.
    pub train_top1: Option<f64>,
    /// Mean loss over the validation examples; absent where there are none.
    pub validation_loss: Option<f64>,
    /// Share of validation examples that were right; absent where there are none.
    pub validation_top1: Option<f64>,
    /// Learning rate of the last step.
    pub learning_rate: f64,
    /// Seconds since the run began, interruptions left out.
    pub seconds: f64,
}

/// The file of epoch lines.
pub struct EpochLog {
    file: File,
    path: PathBuf,
}

impl EpochLog {
    /// Opens `metrics.jsonl` of a run and drops the lines of epochs after `epoch`, which will be trained again.
    pub fn open(run: &Path, epoch: usize) -> anyhow::Result<Self> {
        let path = run.join("metrics.jsonl");
        let mut kept = Vec::new();
        if let Ok(file) = File::open(&path) {
            for line in BufReader::new(file).lines() {
                let line = line.with_context(|| format!("reading {}", path.display()))?;
                match serde_json::from_str::<EpochMetrics>(&line) {
                    Ok(metrics) if metrics.epoch <= epoch => kept.push(line),
                    _ => break,
                }
            }
        }
        let text: String = kept.into_iter().map(|line| line + "\n").collect();
        crate::files::write_bytes(&path, text.as_bytes())?;
        let file = OpenOptions::new()
            .append(true)
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))?;
        Ok(Self { file, path })
    }

    /// Writes one line.
    pub fn push(&mut self, metrics: &EpochMetrics) -> anyhow::Result<()> {
        let line = serde_json::to_string(metrics)? + "\n";
        self.file
            .write_all(line.as_bytes())
            .and_then(|()| self.file.flush())
            .with_context(|| format!("writing {}", self.path.display()))
    }
}
