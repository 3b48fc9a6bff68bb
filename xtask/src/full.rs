//! `cargo xtask full`: what takes long. Every recipe is trained anew and evaluated, one with folds on
//! each of them with three seeds; then host and boards are compared bit by bit, and all tests run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use comfy_table::{Table, presets};

use crate::bench::bits;
use crate::demo::{Trainer, build_trainer, folders, grouped, number, only_file};
use crate::shell::{root, run as shell_run, say};
use crate::test;
use crate::toolchain::Installer;

/// What the integers of a model must reach on its test split, as a mean where it is trained more than once: top-1, or of a
/// model of normal signals the area under the curve.
const LEAST: &[(&str, f64)] = &[
    ("activity", 0.89),
    ("digits", 0.98),
    ("digits_small", 0.97),
    ("fashion", 0.91),
    ("gesture", 0.85),
    ("machine", 0.95),
    ("machine_anomaly", 0.98),
];

/// Where the data is.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of the data sets, as `trainer train --data` takes it; without it only recipes that
    /// need none are trained
    #[arg(long)]
    data: Option<PathBuf>,

    /// Folder for runs and exported models, which are replaced where earlier ones stand
    /// [default: target/full of the project]
    #[arg(long)]
    out: Option<PathBuf>,

    /// Only these models
    models: Vec<String>,
}

/// Trains, exports and evaluates each recipe of models/, and then runs all tests.
pub fn run(installer: &Installer, args: &Args) -> Result<()> {
    let trainer = build_trainer()?;
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(["model", "samples", "top-1 or AUC, int8"]);
    let mut failed = Vec::new();
    let mut means: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for (name, recipe) in recipes()? {
        if !args.models.is_empty() && !args.models.contains(&name) {
            continue;
        }
        let is_simulated = name.starts_with("machine");
        let data = args.data.as_deref().filter(|_| !is_simulated);
        if data.is_none() && !is_simulated {
            say(&format!("{name} is left out: its data is needed, give --data"));
            continue;
        }
        for variant in variants(&recipe)? {
            let folder = variant.iter().fold(name.clone(), |text, (_, value)| format!("{text}-{value}"));
            let given = args.out.as_ref().map(|out| out.join(&folder));
            let default = root()?.join("target/full").join(&folder);
            let (run_folder, export) = folders(given.as_deref(), &default)?;
            match evaluate(&trainer, &recipe, &variant, data, (&run_folder, &export)) {
                Ok((samples, figure)) => {
                    table.add_row([folder.clone(), grouped(samples), format!("{figure:.4}")]);
                    means.entry(name.clone()).or_default().push(figure);
                }
                Err(error) => {
                    eprintln!("error: {folder}: {error:#}");
                    failed.push(folder);
                }
            }
        }
    }
    for (name, figures) in &means {
        let mean = figures.iter().sum::<f64>() / figures.len() as f64;
        if figures.len() > 1 {
            table.add_row([
                format!("{name}, mean of {}", figures.len()),
                String::new(),
                format!("{mean:.4}"),
            ]);
        }
        if let Some((_, least)) = LEAST.iter().find(|(model, least)| model == name && mean < *least) {
            eprintln!("error: {name}: the figure is {mean:.4} and must be at least {least}");
            failed.push(name.clone());
        }
    }
    println!("{table}");
    bits::run(installer, &bits::Args::default())?;
    test::run(installer, &test::Args::of_all_boards())?;
    if !failed.is_empty() {
        bail!("not trained, or not accurate enough: {}", failed.join(", "));
    }
    Ok(())
}

/// Words that `trainer train` is given beside the recipe. A recipe with folds is trained on each of them with three
/// seeds, any other once as it stands.
fn variants(recipe: &Path) -> Result<Vec<Vec<(&'static str, String)>>> {
    let text = fs::read_to_string(recipe).with_context(|| format!("cannot read {}", recipe.display()))?;
    let settings: toml::Table = text.parse().with_context(|| format!("{}", recipe.display()))?;
    let split = settings.get("data").and_then(|data| data.get("split"));
    let Some(folds) = split.and_then(|split| split.get("folds")).and_then(toml::Value::as_array) else {
        return Ok(vec![Vec::new()]);
    };
    let one = |fold: usize, seed: u32| vec![("--fold", fold.to_string()), ("--seed", seed.to_string())];
    Ok((0..folds.len()).flat_map(|fold| (1..=3).map(move |seed| one(fold, seed))).collect())
}

/// Trains, exports and evaluates; gives the number of test samples and the top-1 of the integers, or their AUC.
fn evaluate(
    trainer: &Trainer,
    recipe: &Path,
    variant: &[(&str, String)],
    data: Option<&Path>,
    (run_folder, export): (&Path, &Path),
) -> Result<(f64, f64)> {
    let mut train = trainer.command()?;
    train.arg("train").arg(recipe).arg("--out").arg(run_folder);
    for (option, value) in variant {
        train.args([*option, value]);
    }
    let mut words = Vec::new();
    if let Some(data) = data {
        let data = data.canonicalize().with_context(|| format!("no folder {}", data.display()))?;
        train.arg("--data").arg(&data);
        words.extend(["--data".to_string(), data.to_string_lossy().into_owned()]);
    }
    shell_run(&mut train)?;
    shell_run(trainer.command()?.arg("export").arg(run_folder).arg("--out").arg(export))?;
    let onnx = only_file(export, "onnx")?.to_string_lossy().into_owned();
    let mut evaluate = vec!["evaluate", &onnx, "--engine", "teff"];
    evaluate.extend(words.iter().map(String::as_str));
    let result = trainer.json(&evaluate)?;
    let figure = if result.get("top1").is_some() { "top1" } else { "auc" };
    Ok((number(&result, "samples")?, number(&result, figure)?))
}

/// Name and recipe of each model, in alphabetical order.
fn recipes() -> Result<Vec<(String, PathBuf)>> {
    let folder = root()?.join("models");
    let mut recipes: Vec<(String, PathBuf)> = fs::read_dir(&folder)
        .with_context(|| format!("cannot read {}", folder.display()))?
        .flatten()
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path().join("recipe.toml")))
        .filter(|(_, recipe)| recipe.is_file())
        .collect();
    recipes.sort();
    Ok(recipes)
}
