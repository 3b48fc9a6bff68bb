//! Building a program of a board's folder.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::root::project_root;
use crate::rust::Rust;
use crate::{Board, SETUP};

/// Which model a program links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// None: the program needs none.
    None,
    /// The board's own, that of `models/machine`, or of `models/digits` for `listen`.
    Default,
    /// This file, `.onnx` or `.teff`.
    File(PathBuf),
}

/// A program of a board, and what to build it with.
#[derive(Debug)]
pub struct Firmware<'a> {
    /// The board it runs on.
    pub board: &'a Board,
    /// Its name: a file of the board's `src/bin`, or of `firmware/emulated/programs`.
    pub program: &'a str,
    /// The model in it.
    pub link: Link,
}

impl Firmware<'_> {
    /// Builds it and returns the ELF file. What cargo says goes to stderr.
    pub fn build(&self) -> Result<PathBuf> {
        let board = self.board;
        board.check_runs(self.program)?;
        let root = project_root()?;
        let folder = root.join("firmware/boards").join(board.name);
        if !folder.is_dir() {
            bail!("board `{}` has no folder {}", board.name, folder.display());
        }
        let rust = Rust::find(board.target)?;
        let target_dir = root.join("firmware/target").join(board.target_folder(&rust));
        let _lock = lock_builds()?;
        let mut cargo = rust.cargo("build", board.target);
        cargo
            .current_dir(&folder)
            .args(["--release", "--locked", "--bin", self.program])
            .arg("--target-dir")
            .arg(&target_dir)
            .stdin(Stdio::null());
        cargo.env_remove("TEFF_MODEL");
        match &self.link {
            Link::None => {
                cargo.arg("--no-default-features");
            }
            Link::Default => {}
            Link::File(model) => {
                let model = model
                    .canonicalize()
                    .with_context(|| format!("cannot find the model {}", model.display()))?;
                cargo.env("TEFF_MODEL", model);
            }
        }
        // Cargo's words belong beside a progress display, never in a command's own output; they
        // are shown when they matter.
        let output = cargo.output().with_context(|| {
            format!("cannot start cargo to build firmware for {}: run `{SETUP}`", board.name)
        })?;
        if !output.status.success() {
            bail!(
                "building `{}` for board {} failed:\n{}",
                self.program,
                board.name,
                String::from_utf8_lossy(&output.stderr).trim_end()
            );
        }
        let elf = target_dir.join(board.target).join("release").join(self.program);
        if !elf.is_file() {
            bail!("cargo built `{}` but {} is not there", self.program, elf.display());
        }
        let Link::File(model) = &self.link else { return Ok(elf) };
        // The next model's program will have the same name. Models of several folders may have one
        // name too.
        let words: Vec<String> = model
            .with_extension("")
            .components()
            .rev()
            .take(2)
            .map(|part| part.as_os_str().to_string_lossy().replace(|c: char| !c.is_alphanumeric(), "-"))
            .collect();
        let copy = elf.with_file_name(format!("{}-{}", self.program, words.join("-")));
        fs::copy(&elf, &copy).with_context(|| format!("cannot write {}", copy.display()))?;
        Ok(copy)
    }
}

/// Holds other builds of firmware off while one builds and takes its copy: programs of several
/// models have one file name. Released when dropped.
fn lock_builds() -> Result<File> {
    let folder = project_root()?.join("firmware/target");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let path = folder.join("builds.lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}
