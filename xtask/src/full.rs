//! `cargo xtask full`: what takes long. Every recipe is trained anew and evaluated, then all tests run.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use comfy_table::{Table, presets};

use crate::demo::{build_trainer, grouped, number, only_file};
use crate::shell::{root, run as shell_run, say};
use crate::test;
use crate::toolchain::Installer;

/// Where the data is.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder of the data sets, as `trainer train --data` takes it; without it only recipes that
    /// need none are trained
    #[arg(long)]
    data: Option<PathBuf>,

    /// Folder for runs and exported models
    #[arg(long, default_value = "target/full")]
    out: PathBuf,

    /// Only these models
    models: Vec<String>,
}

/// Trains, exports and evaluates each recipe of models/, and then runs all tests.
pub fn run(installer: &Installer, args: &Args) -> Result<()> {
    let trainer = build_trainer()?;
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(["model", "samples", "top-1, int8"]);
    let mut failed = Vec::new();
    for (name, recipe) in recipes()? {
        if !args.models.is_empty() && !args.models.contains(&name) {
            continue;
        }
        if args.data.is_none() && name != "machine" {
            say(&format!("{name} is left out: its data is needed, give --data"));
            continue;
        }
        let out = root()?.join(&args.out).join(&name);
        let (run_folder, export) = (out.join("run"), out.join("export"));
        let evaluate = || -> Result<(f64, f64)> {
            let mut train = trainer.command()?;
            train.arg("train").arg(&recipe).arg("--out").arg(&run_folder);
            let mut words = Vec::new();
            if let Some(data) = &args.data {
                let data = data.canonicalize().with_context(|| format!("no folder {}", data.display()))?;
                train.arg("--data").arg(&data);
                words.extend(["--data".to_string(), data.to_string_lossy().into_owned()]);
            }
            shell_run(&mut train)?;
            shell_run(trainer.command()?.arg("export").arg(&run_folder).arg("--out").arg(&export))?;
            let onnx = only_file(&export, "onnx")?.to_string_lossy().into_owned();
            let mut evaluate = vec!["evaluate", &onnx, "--engine", "teff"];
            evaluate.extend(words.iter().map(String::as_str));
            let result = trainer.json(&evaluate)?;
            Ok((number(&result, "samples")?, number(&result, "top1")?))
        };
        match evaluate() {
            Ok((samples, top1)) => {
                table.add_row([name, grouped(samples), format!("{top1:.4}")]);
            }
            Err(error) => {
                eprintln!("error: {name}: {error:#}");
                failed.push(name);
            }
        }
    }
    println!("{table}");
    test::run(installer, &test::Args::default())?;
    if !failed.is_empty() {
        bail!("not trained: {}", failed.join(", "));
    }
    Ok(())
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
