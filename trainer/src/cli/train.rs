//! `trainer train`: from a recipe and recordings to trained weights.

use std::path::PathBuf;

use super::Output;

/// Train the network of a recipe
///
/// Reads RECIPE.toml, loads the data set, trains, and writes weights, checkpoints and metrics into the run
/// folder. An interrupted run goes on from its last epoch when the same command is given again, and ends with
/// the same weights.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The recipe: data set, front end, network, training
    #[arg(value_name = "RECIPE.toml")]
    pub recipe: PathBuf,
    /// Folder of the data set or its parent [default: the recipe's `data.path`, beside the recipe]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Run folder for checkpoints, metrics and weights [default: runs/NAME]
    #[arg(long, value_name = "RUN")]
    pub out: Option<PathBuf>,
    /// Seed in place of the recipe's
    #[arg(long)]
    pub seed: Option<u64>,
    /// Fold to leave out in place of the recipe's, from 0
    #[arg(long)]
    pub fold: Option<usize>,
    /// Remove what the run folder holds of an earlier run and start anew
    #[arg(long)]
    pub fresh: bool,
    #[command(flatten)]
    pub output: Output,
}

/// Runs the sub-command.
#[cfg(not(feature = "train"))]
pub fn run(_args: Args) -> anyhow::Result<()> {
    anyhow::bail!("this `trainer` was built without training; build it with `--features train`")
}

/// Runs the sub-command.
#[cfg(feature = "train")]
pub fn run(args: Args) -> anyhow::Result<()> {
    session::run(args)
}

#[cfg(feature = "train")]
mod session {
    use std::path::Path;

    use anyhow::{Context as _, bail};
    use comfy_table::{Table, presets};
    use sha2::{Digest as _, Sha256};

    use super::Args;
    use crate::anomaly;
    use crate::dataset::{self, DataSet, Split};
    use crate::error::InputError;
    use crate::features::{self, Features};
    use crate::network::Network;
    use crate::recipe::Recipe;
    use crate::recipe::data::Rule;
    use crate::run::{self, Summary};
    use crate::train::{Examples, Job};

    pub fn run(args: Args) -> anyhow::Result<()> {
        let text = std::fs::read(&args.recipe).map_err(|e| InputError::unreadable(&args.recipe, &e))?;
        let mut recipe = Recipe::read(&args.recipe)?;
        change(&mut recipe, &args)?;
        let folder = match args.recipe.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let set = dataset::load(&recipe.data, recipe.seed, args.data.as_deref(), folder)?;
        report(&set);
        let front_end = features::front_end(&recipe, &set)?;
        let of = |split| Features::new(&set, split, &front_end);
        let (training, validation, test) = (of(Split::Train)?, of(Split::Validation)?, of(Split::Test)?);
        let network =
            Network::new(training.shape(), recipe.outputs(training.shape()), &recipe.network.layers)
                .with_context(|| format!("{}", args.recipe.display()))?;
        if let Some(reconstruction) = recipe.reconstruction() {
            // Without the scores that the threshold is to be found with, training would be in vain.
            anomaly::check(reconstruction, &recipe.data, &set)?;
        }
        let normal: Vec<bool> = (0..set.labels.len()).map(|label| recipe.data.is_normal(label)).collect();
        let out = args.out.unwrap_or_else(|| Path::new("runs").join(&recipe.name));
        std::fs::create_dir_all(&out).with_context(|| format!("creating {}", out.display()))?;
        if args.fresh {
            run::clear(&out)?;
        }
        let fingerprint = fingerprint(&text, &recipe, [&training, &validation, &test]);
        let job = Job {
            name: &recipe.name,
            seed: recipe.seed,
            network: &network,
            train: &recipe.train,
            mixup: recipe.augment.mixup,
            training: &Examples::varied(&training, &recipe.augment),
            validation: &Examples::plain(&validation),
            test: &Examples::plain(&test),
            normal: &normal,
            fingerprint: &fingerprint,
        };
        job.check_folder(&out)?;
        run::begin(&out, &text, &recipe, &front_end, args.data.as_deref(), folder)?;
        let (weights, summary) = job.run(&out)?;
        run::finish(&out, &weights, &network, &summary)?;
        args.output.print(&summary, |to| {
            writeln!(to, "{}", table(&summary))?;
            writeln!(to, "{} is done; `trainer export {}` makes its int8 ONNX", out.display(), out.display())
        })
    }

    /// Puts the settings of the command line into the recipe.
    fn change(recipe: &mut Recipe, args: &Args) -> anyhow::Result<()> {
        if let Some(seed) = args.seed {
            recipe.seed = seed;
        }
        if let Some(chosen) = args.fold {
            match &mut recipe.data.split.rule {
                Rule::Folds { folds, fold } if chosen < folds.len() => *fold = chosen,
                Rule::Folds { folds, .. } => {
                    bail!("--fold is {chosen}; the recipe has folds 0 to {}", folds.len().saturating_sub(1))
                }
                _ => bail!("--fold is given, but [data.split] of {} has no folds", args.recipe.display()),
            }
        }
        Ok(())
    }

    /// Says on standard error what the data set holds and what was left out of it.
    fn report(set: &DataSet) {
        let count = |split| set.of(split).count();
        eprintln!(
            "{}: {} examples to train on, {} for validation, {} for the test, {} classes",
            set.name,
            count(Split::Train),
            count(Split::Validation),
            count(Split::Test),
            set.labels.len()
        );
        if set.withheld > 0 {
            eprintln!("{} examples of the training side are not normal and are not used", set.withheld);
        }
        if set.skipped.count > 0 {
            eprintln!("{} left out, the first of them:", set.skipped.count);
            for reason in set.skipped.reasons.iter().take(3) {
                eprintln!("  {reason}");
            }
        }
    }

    /// What tells this recipe, these settings and this data from others.
    fn fingerprint(text: &[u8], recipe: &Recipe, splits: [&Features; 3]) -> String {
        let mut hash = Sha256::new();
        hash.update(text);
        hash.update(format!("{} {:?}", recipe.seed, recipe.data.split));
        for features in splits {
            hash.update((features.len() as u64).to_le_bytes());
            for example in 0..features.len() {
                hash.update((features.label(example) as u64).to_le_bytes());
            }
            for value in features.all() {
                hash.update(value.to_le_bytes());
            }
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn table(summary: &Summary) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_FULL_CONDENSED);
        let mut row = |name: &str, value: String| {
            table.add_row([name, &value]);
        };
        if let Some(top1) = summary.float_top1 {
            row("float top-1 on the test", format!("{top1:.4} of {}", summary.samples));
        }
        if let Some(auc) = summary.float_auc {
            row("float AUC on the test", format!("{auc:.4} of {}", summary.samples));
        }
        if let Some(loss) = summary.validation_loss {
            row("mean squared error on validation", format!("{loss:.4} of {}", summary.validation_samples));
        }
        if let Some(top1) = summary.validation_top1 {
            row("on validation", format!("{top1:.4} of {}", summary.validation_samples));
        }
        row("epochs", format!("{}, kept {}", summary.epochs, summary.kept_epoch));
        row("training", format!("{:.1} s", summary.seconds));
        row("MACs of one inference", summary.macs.to_string());
        row("MACs of the training", format!("{:.3e}", summary.training_macs as f64));
        row("parameters", summary.parameters.to_string());
        table
    }
}
