//! `cargo xtask bench bits`: no bit differs between host and boards, in every plan that the compiler can make.

use std::fmt::Write as _;
use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::anchor::Anchor;
use super::record;
use crate::demo::build_light_trainer;
use crate::shell::{root, say};
use crate::size;
use crate::toolchain::Installer;

/// Which boards and models.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this board; may be given several times
    #[arg(long)]
    board: Vec<String>,

    /// Only models whose name contains this; may be given several times
    #[arg(long)]
    model: Vec<String>,

    /// Drawn inputs for each plan; those recorded beside the model come on top
    #[arg(long, default_value_t = 100)]
    inputs: u32,
}

impl Default for Args {
    fn default() -> Args {
        Args { board: Vec::new(), model: Vec::new(), inputs: 100 }
    }
}

/// Compares, prints, and writes a record where all boards and models are compared.
pub fn run(installer: &Installer, args: &Args) -> Result<()> {
    let boards = size::boards(&args.board)?;
    for board in &boards {
        installer.board(board)?;
    }
    let mut models = Anchor::find()?.models;
    models.extend(size::all_models()?);
    if !args.model.is_empty() {
        models.retain(|model| args.model.iter().any(|part| size::name(model).contains(part)));
    }
    if models.is_empty() {
        bail!("no model has a name with {}", args.model.join(" or "));
    }
    let trainer = build_light_trainer()?;
    let mut rows = String::new();
    let (mut plans, mut recorded, mut differing, mut failed) = (0, 0, 0, Vec::new());
    for board in &boards {
        for model in &models {
            let (name, start) = (size::name(model), Instant::now());
            let words = [
                "bits",
                &model.to_string_lossy(),
                "--board",
                board.name,
                "--inputs",
                &args.inputs.to_string(),
            ];
            let report = match trainer.json(&words) {
                Ok(report) => report,
                Err(error) => {
                    eprintln!("error: {name} on {}: {error:#}", board.name);
                    failed.push(format!("{name} on {}", board.name));
                    continue;
                }
            };
            for choice in report["choices"].as_array().context("the report has no plans")? {
                plans += 1;
                recorded += choice["recorded"].as_u64().context("a plan has no recorded inputs")?;
                differing += choice["differing"].as_u64().context("a plan has no result")?;
                let packings: Vec<&str> = choice["packings"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(|text| text.as_str())
                    .collect();
                let _ = writeln!(
                    rows,
                    "| {name} | {} | {} | {} | {} | {} | {} | {} |",
                    board.name,
                    choice["choice"].as_str().unwrap_or_default(),
                    packings.join(", "),
                    if choice["lock_step"] == true { "yes" } else { "" },
                    choice["arena_bytes"],
                    choice["recorded"],
                    choice["differing"],
                );
            }
            say(&format!("{name} on {}: {} s", board.name, start.elapsed().as_secs()));
        }
    }
    let text = page(&rows, (plans, recorded, differing), args.inputs)?;
    println!("{text}");
    if args.board.is_empty() && args.model.is_empty() && failed.is_empty() {
        let (date, commit) = record::stamp()?;
        let folder = root()?.join("tests/bench-record");
        let file = folder.join(format!("bits-{date}-{}.md", commit.as_deref().unwrap_or("uncommitted")));
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        say(&format!("recorded in {}", file.display()));
    }
    if differing > 0 || !failed.is_empty() {
        bail!("{differing} inferences differ; not compared: {}", failed.join(", "));
    }
    Ok(())
}

fn page(rows: &str, (plans, recorded, differing): (u64, u64, u64), inputs: u32) -> Result<String> {
    let (date, commit) = record::stamp()?;
    let mut text = format!("# Bits of host and boards, {date}\n\n");
    let _ = writeln!(
        text,
        "Compared by `cargo xtask bench bits`, commit {}. Each plan runs on {inputs} inputs that board and host draw alike, one in eight of them of \
         the least and the greatest int8 only; every second inference of the board runs in steps of changing budgets. The checksum of the \
         outputs is compared with that of the reference kernels on the host, which run a plan of plain weights with every value apart. The inputs \
         recorded beside each model run as well, and every byte of their outputs is compared. Plans are \
         what the compiler makes when it is asked for a packing wherever it suits, for planar values wherever they can be, for values apart, and \
         for smaller arenas until nothing fits; a plan that is the same as one above it is left out.\n",
        commit.as_deref().unwrap_or("none"),
    );
    let _ = writeln!(
        text,
        "{plans} plans, {} inferences with drawn inputs and {recorded} with recorded ones, {differing} differing.\n",
        plans * u64::from(inputs)
    );
    text += "| model | board | asked for | packings | lock step | arena B | recorded | differing |\n|---|---|---|---|---|---|---|---|\n";
    text += rows;
    Ok(text)
}
