//! Building a program of a board's folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
    fn as_build(&self) -> Build<'_> {
        Build::of(self.board, self.program, &self.link)
    }

    /// Builds it and returns the ELF file. What cargo says goes to stderr.
    pub fn build(&self) -> Result<PathBuf> {
        self.board.check_runs(self.program)?;
        let _lock = lock_builds()?;
        let elf = self.as_build().run()?;
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

/// A build of a board's program.
#[derive(Clone, Copy, Debug)]
pub struct Build<'a> {
    /// Name of the board's folder.
    pub board: &'a str,
    /// Rust target triple.
    pub target: &'a str,
    /// Processor that the board's `.cargo/config.toml` names for `-C target-cpu`.
    pub cpu: Option<&'a str>,
    /// Name of the program.
    pub program: &'a str,
    /// The model in it.
    pub link: &'a Link,
    /// Features of the board's package.
    pub features: &'a [&'a str],
    /// What `record` of a board that is not emulated records.
    pub recorded: Option<Recorded>,
}

/// What the program `record` of a board that is not emulated asks of which sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// The microphone, else the accelerometer.
    pub sound: bool,
    /// Samples in a second, 1 to 100,000; `None` is the program's own choice.
    pub rate_hz: Option<u32>,
}

impl<'a> Build<'a> {
    /// A program of an emulated board.
    pub fn of(board: &'a Board, program: &'a str, link: &'a Link) -> Build<'a> {
        let Board { name, target, cpu, .. } = *board;
        Build { board: name, target, cpu, program, link, features: &[], recorded: None }
    }

    /// Builds it and copies the ELF file to `to`.
    ///
    /// # Errors
    /// As of [`Firmware::build`], or the copy cannot be written.
    pub fn run_to(&self, to: &Path) -> Result<()> {
        let _lock = lock_builds()?;
        let elf = self.run()?;
        fs::copy(&elf, to).with_context(|| format!("cannot write {}", to.display()))?;
        Ok(())
    }

    /// The command that builds it in the board's folder, and the ELF file that it makes.
    ///
    /// # Errors
    /// The board has no folder, no Rust here can build for it, or the model is not there.
    pub fn command(&self) -> Result<(Command, PathBuf)> {
        let folder = board_folder(self.board)?;
        let rust = Rust::find(self.target)?;
        let target_dir = project_root()?.join("firmware/target").join(target_folder(&rust, self.cpu));
        let mut cargo = rust.cargo("build", self.target);
        cargo
            .current_dir(&folder)
            .args(["--release", "--locked", "--bin", self.program])
            .arg("--target-dir")
            .arg(&target_dir)
            .stdin(Stdio::null());
        for variable in ["TEFF_MODEL", "TEFF_RECORD", "TEFF_RATE_HZ"] {
            cargo.env_remove(variable);
        }
        if let Some(Recorded { sound, rate_hz }) = self.recorded {
            cargo.env("TEFF_RECORD", if sound { "sound" } else { "motion" });
            if let Some(rate) = rate_hz {
                cargo.env("TEFF_RATE_HZ", rate.to_string());
            }
        }
        match self.link {
            Link::None => {
                cargo.arg("--no-default-features");
            }
            Link::Default => {}
            Link::File(model) => {
                let model = std::path::absolute(model)
                    .with_context(|| format!("cannot find the model {}", model.display()))?;
                cargo.env("TEFF_MODEL", model);
            }
        }
        if !self.features.is_empty() {
            cargo.args(["--features", &self.features.join(",")]);
        }
        let elf = target_dir.join(self.target).join("release").join(self.program);
        Ok((cargo, elf))
    }

    fn run(&self) -> Result<PathBuf> {
        let board = self.board;
        let (mut cargo, elf) = self.command()?;
        if let Link::File(model) = self.link
            && !model.is_file()
        {
            bail!("cannot find the model {}", model.display());
        }
        // Cargo's words belong beside a progress display, never in a command's own output; they
        // are shown when they matter.
        let output = cargo
            .output()
            .with_context(|| format!("cannot start cargo to build firmware for {board}: run `{SETUP}`"))?;
        if !output.status.success() {
            bail!(
                "building `{}` for board {} failed:\n{}",
                self.program,
                board,
                String::from_utf8_lossy(&output.stderr).trim_end()
            );
        }
        if !elf.is_file() {
            bail!("cargo built `{}` but {} is not there", self.program, elf.display());
        }
        Ok(elf)
    }
}

/// The folder of a board.
///
/// # Errors
/// There is none.
pub fn board_folder(board: &str) -> Result<PathBuf> {
    let folder = project_root()?.join("firmware/boards").join(board);
    if !folder.is_dir() {
        bail!("board `{board}` has no folder {}", folder.display());
    }
    Ok(folder)
}

/// Where cargo builds with that Rust for that processor, in the folder `firmware/target`.
pub(crate) fn target_folder(rust: &Rust, cpu: Option<&str>) -> PathBuf {
    let flavour = PathBuf::from(rust.flavour);
    cpu.map_or_else(|| flavour.clone(), |cpu| flavour.join(cpu))
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
