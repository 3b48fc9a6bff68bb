//! `cargo xtask fuzz`: hostile files, made by coverage-guided mutation.
//!
//! The targets stand in `tests/fuzz`. They are built by the installed Rust: its compiler can count
//! coverage, and what the project promises (no panic, bounded memory) needs no sanitizer. What is
//! found once belongs into `tests/fuzz/regressions`, which `cargo xtask test` goes through.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use teff_board::find_program;

use crate::shell;
use crate::toolchain::Installer;

/// Each target with the folder of files that it starts from, and the endings of models that suit it.
const TARGETS: &[(&str, &str, &[&str])] = &[
    ("onnx", "onnx", &["onnx"]),
    ("onnx_graph", "none", &[]),
    ("tflite", "tflite", &["tflite"]),
    ("plan", "plan", &["teff"]),
];

/// Larger model files are no seeds: each run would take too long.
const LARGEST_SEED: u64 = 40_000;

/// What libFuzzer needs to see of a program.
const COVERAGE: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
];

/// Which targets, for how long.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Targets [default: all]
    #[arg(value_parser = TARGETS.iter().map(|target| target.0).collect::<Vec<_>>())]
    targets: Vec<String>,

    /// How long each target runs
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    seconds: u32,
}

/// Builds the targets and runs them one after the other.
pub fn run(installer: &Installer, args: &Args) -> Result<()> {
    if find_program("c++").is_none() {
        installer.packages("a C++ compiler, for libFuzzer,", &["g++"])?;
    }
    let root = shell::root()?;
    let work = root.join("target/fuzz");
    let seeds = work.join("seeds");
    shell::run(
        cargo(&work)?
            .args(["run", "--release", "--quiet", "-p", "teff-fuzz", "--bin", "seeds", "--"])
            .arg(&seeds),
    )?;
    collect_seeds(&root, &seeds)?;

    let chosen: Vec<_> = TARGETS
        .iter()
        .filter(|target| args.targets.is_empty() || args.targets.iter().any(|name| name == target.0))
        .collect();
    let host = host()?;
    let mut build = cargo(&work)?;
    build.args(["build", "--profile", "fuzz", "-p", "teff-fuzz", "--features", "fuzzing", "--target", &host]);
    build.env("RUSTFLAGS", COVERAGE.join(" ")).env_remove("CARGO_ENCODED_RUSTFLAGS");
    build.args(chosen.iter().flat_map(|target| ["--bin", target.0]));
    shell::run(&mut build)?;

    for (name, from, _) in &chosen {
        let folder = |what: &str| -> Result<PathBuf> {
            let folder = work.join(what).join(name);
            fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
            Ok(folder)
        };
        let (corpus, findings) = (folder("corpus")?, folder("findings")?);
        let mut fuzzer = Command::new(work.join(&host).join("fuzz").join(name));
        fuzzer.current_dir(&work).arg(&corpus);
        let from = seeds.join(from);
        if from.is_dir() {
            fuzzer.arg(from);
        }
        fuzzer.arg(format!("-max_total_time={}", args.seconds));
        fuzzer.args([
            "-timeout=20",
            "-rss_limit_mb=2048",
            "-print_final_stats=1",
            "-print_funcs=0",
            "-verbosity=0",
        ]);
        fuzzer.arg(format!("-artifact_prefix={}/", findings.display()));
        shell::run(&mut fuzzer).with_context(|| {
            format!(
                "what broke it is in {}; once mended, keep it in tests/fuzz/regressions",
                findings.display()
            )
        })?;
    }
    println!("{} targets ran {} s each and found nothing", chosen.len(), args.seconds);
    Ok(())
}

fn cargo(work: &Path) -> Result<Command> {
    let mut cargo = shell::cargo()?;
    cargo.env("CARGO_TARGET_DIR", work);
    Ok(cargo)
}

/// The name of this machine's target. Building for it by name keeps build scripts free of coverage.
fn host() -> Result<String> {
    let text = shell::output(shell::command("rustc")?.arg("-vV"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_string).context("`rustc -vV` names no host")
}

/// Adds the small ones of the project's and the shared models.
fn collect_seeds(root: &Path, seeds: &Path) -> Result<()> {
    let shared = std::env::var_os("TEFF_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    let mut folders = vec![shared.join("models")];
    folders.extend(fs::read_dir(root.join("models"))?.filter_map(|entry| Some(entry.ok()?.path())));
    folders.extend(["onnx", "tflite", "plan"].map(|kind| root.join("tests/fuzz/regressions").join(kind)));
    let files = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
    for file in files.map(|entry| entry.path()) {
        let ending = file.extension().and_then(OsStr::to_str).unwrap_or("");
        let target = TARGETS.iter().find(|target| target.2.contains(&ending));
        let small = fs::metadata(&file).is_ok_and(|facts| facts.len() <= LARGEST_SEED);
        if let (Some((_, folder, _)), true) = (target, small) {
            let folder = seeds.join(folder);
            fs::create_dir_all(&folder)?;
            let name = file.file_name().unwrap_or_default();
            fs::copy(&file, folder.join(name)).with_context(|| format!("copying {}", file.display()))?;
        }
    }
    if !seeds.is_dir() {
        bail!("{} is missing", seeds.display());
    }
    Ok(())
}
