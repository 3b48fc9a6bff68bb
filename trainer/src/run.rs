//! The folder of a training run: the recipe, the weights that it ended with, and what was measured.

use std::path::Path;

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::network::{Network, Shape};
use crate::recipe::Recipe;
use crate::tensor_file::TensorFile;
use crate::weights::Weights;

const RECIPE: &str = "recipe.toml";
const WEIGHTS: &str = "weights.safetensors";
const SUMMARY: &str = "metrics.json";

/// `metrics.json`: the summary of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// Name of the model.
    pub name: String,
    /// The seed.
    pub seed: u64,
    /// Share of test examples that the float network got right.
    pub float_top1: f64,
    /// Test examples.
    pub samples: usize,
    /// Training examples.
    pub train_samples: usize,
    /// Validation examples.
    pub validation_samples: usize,
    /// Share of validation examples that the kept weights got right.
    pub validation_top1: Option<f64>,
    /// Epochs trained.
    pub epochs: usize,
    /// The epoch whose weights were kept.
    pub kept_epoch: usize,
    /// Seconds of training, without loading the data.
    pub seconds: f64,
    /// Multiply-accumulates of one inference.
    pub macs: u64,
    /// Multiply-accumulates of the training: forward and backward over the training examples, forward over the
    /// validation examples, in all epochs.
    pub training_macs: u64,
    /// Weights and biases of the network.
    pub parameters: u64,
}

/// A finished run.
#[derive(Clone, Debug)]
pub struct Run {
    /// What was trained.
    pub recipe: Recipe,
    /// Its layers.
    pub network: Network,
    /// The weights that were kept.
    pub weights: Weights,
    /// What was measured.
    pub summary: Summary,
}

impl Run {
    /// Reads the folder of a finished run.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        ensure!(
            folder.join(SUMMARY).is_file() && folder.join(WEIGHTS).is_file(),
            "{} is no finished run; `trainer train RECIPE.toml --out {}` finishes it",
            folder.display(),
            folder.display()
        );
        let recipe = Recipe::read(&folder.join(RECIPE))?;
        let path = folder.join(WEIGHTS);
        let file = TensorFile::read(&path)?;
        let damaged = || format!("{} is damaged; train again", path.display());
        let input: Shape = file
            .texts
            .get("input")
            .and_then(|text| serde_json::from_str(text).ok())
            .context("its text `input` is missing or damaged")
            .with_context(damaged)?;
        let network = Network::new(input, recipe.data.labels.len(), &recipe.network.layers)
            .with_context(|| format!("{}", folder.join(RECIPE).display()))?;
        let mut weights = Weights::random(&network, 0);
        for tensor in &mut weights.tensors {
            let (shape, values) = file.tensors.get(&tensor.name).with_context(|| {
                format!("{} has no tensor `{}`; it belongs to another recipe", path.display(), tensor.name)
            })?;
            ensure!(
                *shape == tensor.shape,
                "{}: tensor `{}` has the shape {shape:?}, the recipe's network needs {:?}",
                path.display(),
                tensor.name,
                tensor.shape
            );
            tensor.values.clone_from(values);
        }
        let path = folder.join(SUMMARY);
        let text = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let summary = serde_json::from_slice(&text)
            .with_context(|| format!("{} is damaged; train again", path.display()))?;
        Ok(Self { recipe, network, weights, summary })
    }
}

/// Puts the recipe into the folder of a run, byte for byte.
pub fn write_recipe(folder: &Path, recipe: &[u8]) -> anyhow::Result<()> {
    files::write_bytes(&folder.join(RECIPE), recipe)
}

/// Writes what a run ended with. The summary comes last: with it the run is finished.
pub fn write(folder: &Path, weights: &Weights, network: &Network, summary: &Summary) -> anyhow::Result<()> {
    let mut file = TensorFile::default();
    file.texts.insert("input".into(), serde_json::to_string(&network.input)?);
    for tensor in &weights.tensors {
        file.tensors.insert(tensor.name.clone(), (tensor.shape.clone(), tensor.values.clone()));
    }
    file.write(&folder.join(WEIGHTS))?;
    let text = serde_json::to_string_pretty(summary)? + "\n";
    files::write_bytes(&folder.join(SUMMARY), text.as_bytes())
}
