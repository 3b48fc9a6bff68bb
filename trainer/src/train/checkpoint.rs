//! Everything that training needs to go on, in one file per epoch.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use super::optimiser::Optimiser;
use crate::tensor_file::TensorFile;
use crate::weights::Weights;

/// How good the weights of an epoch were on the validation examples.
#[derive(Clone, Debug, PartialEq)]
pub struct Best {
    /// The epoch, counted from 1.
    pub epoch: usize,
    /// Share of validation examples that were right.
    pub top1: f64,
    /// Mean loss on them.
    pub loss: f64,
    /// The weights after it.
    pub weights: Weights,
}

/// The state of a run after an epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Epochs done.
    pub epoch: usize,
    /// Seconds spent so far.
    pub seconds: f64,
    /// The weights.
    pub weights: Weights,
    /// The optimiser's memory.
    pub optimiser: Optimiser,
    /// The best epoch so far, where there are validation examples.
    pub best: Option<Best>,
}

/// How many checkpoints are kept.
const KEPT: usize = 2;

impl State {
    /// Writes the checkpoint of the state and removes those that are no longer needed.
    pub fn save(&self, run: &Path, fingerprint: &str) -> anyhow::Result<()> {
        let mut file = TensorFile::default();
        let mut text = |key: &str, value: String| file.texts.insert(key.into(), value);
        text("fingerprint", fingerprint.into());
        text("epoch", self.epoch.to_string());
        text("seconds", self.seconds.to_string());
        text("step", self.optimiser.step.to_string());
        if let Some(best) = &self.best {
            text("best.epoch", best.epoch.to_string());
            text("best.top1", best.top1.to_string());
            text("best.loss", best.loss.to_string());
        }
        put(&mut file, "weights", &self.weights);
        if let Some(best) = &self.best {
            put(&mut file, "best", &best.weights);
        }
        for (kind, moments) in [("first", &self.optimiser.first), ("second", &self.optimiser.second)] {
            for (tensor, values) in self.weights.tensors.iter().zip(moments) {
                let name = format!("{kind}/{}", tensor.name);
                file.tensors.insert(name, (vec![values.len()], values.clone()));
            }
        }
        file.write(&path(run, self.epoch))?;
        for old in list(run)?.into_iter().rev().skip(KEPT) {
            std::fs::remove_file(&old).with_context(|| format!("removing {}", old.display()))?;
        }
        Ok(())
    }

    /// Takes up the newest checkpoint of a run, if it has one; `self` says what belongs into it.
    pub fn resume(&mut self, run: &Path, fingerprint: &str) -> anyhow::Result<bool> {
        let Some(newest) = list(run)?.pop() else { return Ok(false) };
        let file = TensorFile::read(&newest)?;
        ensure!(
            file.texts.get("fingerprint").map(String::as_str) == Some(fingerprint),
            "{} holds a run of another recipe or other data; choose another `--out`, or start anew with `--fresh`",
            run.display()
        );
        self.take(&file).with_context(|| {
            format!("{} is damaged; delete it to go on from the one before it", newest.display())
        })?;
        Ok(true)
    }

    fn take(&mut self, file: &TensorFile) -> anyhow::Result<()> {
        self.epoch = file.text("epoch")?;
        self.seconds = file.text("seconds")?;
        self.optimiser.step = file.text("step")?;
        let blank = self.weights.clone();
        get(file, "weights", &mut self.weights)?;
        self.best = None;
        if file.texts.contains_key("best.epoch") {
            let mut weights = blank.clone();
            get(file, "best", &mut weights)?;
            self.best = Some(Best {
                epoch: file.text("best.epoch")?,
                top1: file.text("best.top1")?,
                loss: file.text("best.loss")?,
                weights,
            });
        }
        let moments = [("first", &mut self.optimiser.first), ("second", &mut self.optimiser.second)];
        for (kind, moments) in moments {
            for (tensor, values) in blank.tensors.iter().zip(moments) {
                let name = format!("{kind}/{}", tensor.name);
                let (_, saved) =
                    file.tensors.get(&name).with_context(|| format!("tensor `{name}` is missing"))?;
                ensure!(saved.len() == values.len(), "tensor `{name}` has another length");
                values.clone_from(saved);
            }
        }
        Ok(())
    }
}

fn put(file: &mut TensorFile, prefix: &str, weights: &Weights) {
    for tensor in &weights.tensors {
        let entry = (tensor.shape.clone(), tensor.values.clone());
        file.tensors.insert(format!("{prefix}/{}", tensor.name), entry);
    }
}

fn get(file: &TensorFile, prefix: &str, weights: &mut Weights) -> anyhow::Result<()> {
    for tensor in &mut weights.tensors {
        let name = format!("{prefix}/{}", tensor.name);
        let (shape, values) =
            file.tensors.get(&name).with_context(|| format!("tensor `{name}` is missing"))?;
        ensure!(*shape == tensor.shape, "tensor `{name}` has another shape");
        tensor.values.clone_from(values);
    }
    Ok(())
}

fn path(run: &Path, epoch: usize) -> PathBuf {
    run.join(format!("checkpoint-{epoch:05}.safetensors"))
}

/// The checkpoints of a run, oldest first.
pub fn list(run: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(run).with_context(|| format!("reading {}", run.display()))? {
        let path = entry.with_context(|| format!("reading {}", run.display()))?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if name.starts_with("checkpoint-") && name.ends_with(".safetensors") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
