//! The folder of a training run: the recipe, the weights that it ended with, and what was measured.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use teff_compiler::front_end::FrontEndConfig;

use crate::files;
use crate::network::{Network, Shape};
use crate::recipe::Recipe;
use crate::recipe::data::Rule;
use crate::tensor_file::TensorFile;
use crate::weights::Weights;

const RECIPE: &str = "recipe.toml";
const WEIGHTS: &str = "weights.safetensors";
const SUMMARY: &str = "metrics.json";
const EPOCHS: &str = "metrics.jsonl";
const SETTINGS: &str = "settings.json";

/// `settings.json`: what the command line and the data added to the recipe.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Settings {
    seed: u64,
    fold: Option<usize>,
    front_end: String,
    /// The folder of the data set, or the parent of that, where one was given.
    data: Option<PathBuf>,
    /// Where the data set is looked for otherwise.
    recipe_folder: PathBuf,
}

/// `metrics.json`: the summary of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// Name of the model.
    pub name: String,
    /// The seed.
    pub seed: u64,
    /// Share of test examples that the float network got right, where it tells classes apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub float_top1: Option<f64>,
    /// Of a network that gives its input again: area under the curve of detections over false alarms, by the errors of
    /// single test windows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub float_auc: Option<f64>,
    /// Test examples.
    pub samples: usize,
    /// Training examples.
    pub train_samples: usize,
    /// Validation examples.
    pub validation_samples: usize,
    /// Share of validation examples that the kept weights got right.
    pub validation_top1: Option<f64>,
    /// Of a network that gives its input again: the mean squared error on the validation examples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_loss: Option<f64>,
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
    /// What was trained, with the seed and the fold of the command line.
    pub recipe: Recipe,
    /// The front end, with mean and deviation of the features where they were taken from the data.
    pub front_end: FrontEndConfig,
    /// Folder of the data set, or its parent, where one was given.
    pub data: Option<PathBuf>,
    /// Where the data set is looked for otherwise: beside the recipe.
    pub recipe_folder: PathBuf,
    /// The recipe's text, as it was when the run began.
    pub recipe_text: String,
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
        let recipe_file = folder.join(RECIPE);
        let mut recipe = Recipe::read(&recipe_file)?;
        let recipe_text = std::fs::read_to_string(&recipe_file)
            .with_context(|| format!("reading {}", recipe_file.display()))?;
        let path = folder.join(SETTINGS);
        let text = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        let damaged = || format!("{} is damaged; train again", path.display());
        let settings: Settings = serde_json::from_slice(&text).with_context(damaged)?;
        let front_end = FrontEndConfig::parse(&settings.front_end).with_context(damaged)?;
        recipe.seed = settings.seed;
        if let (Rule::Folds { fold, .. }, Some(chosen)) = (&mut recipe.data.split.rule, settings.fold) {
            *fold = chosen;
        }
        let path = folder.join(WEIGHTS);
        let file = TensorFile::read(&path)?;
        let damaged = || format!("{} is damaged; train again", path.display());
        let input: Shape = file
            .texts
            .get("input")
            .and_then(|text| serde_json::from_str(text).ok())
            .context("its text `input` is missing or damaged")
            .with_context(damaged)?;
        let network = Network::new(input, recipe.outputs(input), &recipe.network.layers)
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
        let Settings { data, recipe_folder, .. } = settings;
        Ok(Self { recipe, front_end, data, recipe_folder, recipe_text, network, weights, summary })
    }
}

/// Removes what the folder of a run holds of it; other files stay.
pub fn clear(folder: &Path) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry.with_context(|| format!("reading {}", folder.display()))?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let of_run = [RECIPE, SETTINGS, WEIGHTS, SUMMARY, EPOCHS].contains(&name)
            || (name.starts_with("checkpoint-") && name.ends_with(".safetensors"));
        if of_run && path.is_file() {
            std::fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}

/// Whether a folder holds a run.
pub fn is_run(folder: &Path) -> bool {
    folder.join(RECIPE).is_file() && folder.join(SETTINGS).is_file()
}

/// Begins a run: puts the recipe into the folder, byte for byte, with what the command line and the data added to it.
/// `data` is the folder that was given for the data set; `recipe_folder` is where the recipe came from.
pub fn begin(
    folder: &Path,
    text: &[u8],
    recipe: &Recipe,
    front_end: &FrontEndConfig,
    data: Option<&Path>,
    recipe_folder: &Path,
) -> anyhow::Result<()> {
    // A data set that is made and not read may have no folder yet.
    let whole = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let (data, recipe_folder) = (data.map(whole), whole(recipe_folder));
    files::write_bytes(&folder.join(RECIPE), text)?;
    let fold = match recipe.data.split.rule {
        Rule::Folds { fold, .. } => Some(fold),
        _ => None,
    };
    let settings =
        Settings { seed: recipe.seed, fold, front_end: front_end.to_string(), data, recipe_folder };
    let text = serde_json::to_string_pretty(&settings)? + "\n";
    files::write_bytes(&folder.join(SETTINGS), text.as_bytes())
}

/// Writes what a run ended with. The summary comes last: with it the run is finished.
pub fn finish(folder: &Path, weights: &Weights, network: &Network, summary: &Summary) -> anyhow::Result<()> {
    let mut file = TensorFile::default();
    file.texts.insert("input".into(), serde_json::to_string(&network.input)?);
    for tensor in &weights.tensors {
        file.tensors.insert(tensor.name.clone(), (tensor.shape.clone(), tensor.values.clone()));
    }
    file.write(&folder.join(WEIGHTS))?;
    let text = serde_json::to_string_pretty(summary)? + "\n";
    files::write_bytes(&folder.join(SUMMARY), text.as_bytes())
}
