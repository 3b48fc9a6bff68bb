//! `trainer train`: from a recipe and recordings to trained weights.

use std::path::PathBuf;

use super::Output;

/// Train the network of a recipe
///
/// Reads RECIPE.toml, loads the data set, trains, and writes weights, checkpoints and metrics into the run
/// folder. Training goes on from the newest checkpoint when the run folder holds one of the same recipe.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The recipe: data set, front end, network, training
    #[arg(value_name = "RECIPE.toml")]
    pub recipe: PathBuf,
    /// Folder of the data set [default: the recipe's `data.path`]
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Run folder for checkpoints, metrics and weights [default: runs/NAME]
    #[arg(long, value_name = "RUN")]
    pub out: Option<PathBuf>,
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
pub fn run(_args: Args) -> anyhow::Result<()> {
    anyhow::bail!("training is not ready yet")
}
