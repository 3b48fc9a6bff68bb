//! Finds what building and testing need, and installs what is missing.
//!
//! What belongs to the user's own Rust or to the target folder is installed as needed. System
//! packages are installed after asking on the terminal, or at once with `--yes` or when the
//! variable `CI` is set. Everything is looked for first, so that a second run installs nothing.

use std::env;
use std::fs;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use teff_board::rpi3::RPI3_BARE;
use teff_board::{BOARDS, Board, Emulator, Rust, find_program};

use crate::shell;

/// Debian packages of a Rust that can build the core library from source, and its linker.
const RUST_PACKAGES: &[&str] = &["rustc-web", "cargo-web", "rust-web-src", "lld"];
const EMULATOR_PACKAGES: &[&str] = &["qemu-system-arm"];
const USER_EMULATOR_PACKAGES: &[&str] = &["qemu-user"];
const PYTHON_PACKAGES: &[&str] = &["python3", "python3-pip"];

/// rustup tries for minutes where its server cannot be reached.
const RUSTUP_LIMIT: Duration = Duration::from_secs(180);
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(600);

/// The version that the tests were written against.
const ONNX_RUNTIME: &str = "1.32.0";

/// Installs, within what the user allowed.
#[derive(Debug)]
pub struct Installer {
    /// System packages may be installed without asking.
    yes: bool,
    /// `apt-get update` has run.
    updated: AtomicBool,
}

impl Installer {
    /// `yes` as on the command line; a set variable `CI` means the same.
    pub fn new(yes: bool) -> Installer {
        let ci = env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
        Installer { yes: yes || ci, updated: AtomicBool::new(false) }
    }

    /// The emulator and a Rust for each board.
    pub fn boards(&self) -> Result<()> {
        for board in BOARDS {
            self.board(board)?;
        }
        self.board(&RPI3_BARE)
    }

    /// The emulator and a Rust for one board.
    pub fn board(&self, board: &Board) -> Result<()> {
        if Emulator::find(board).is_err() {
            let of_machines = board.emulator.starts_with("qemu-system");
            let packages = if of_machines { EMULATOR_PACKAGES } else { USER_EMULATOR_PACKAGES };
            self.packages(&format!("the emulator {}", board.emulator), packages)?;
            Emulator::find(board)?;
        }
        self.target(board.target)
    }

    /// A Rust that builds for `target`: by rustup where it can, else Debian's.
    pub fn target(&self, target: &str) -> Result<()> {
        let Err(missing) = Rust::find(target) else { return Ok(()) };
        if env::var_os("TEFF_FIRMWARE_RUST").is_some() {
            // The user asked for one in particular; another one would not be found either.
            let debian = env::var("TEFF_FIRMWARE_RUST").is_ok_and(|which| which == "debian");
            if debian {
                self.packages(&format!("a Rust that builds for {target}"), RUST_PACKAGES)?;
            }
            return Rust::find(target).map(|_| ()).context(missing);
        }
        if find_program("rustup").is_some() {
            let mut rustup = shell::command("rustup")?;
            rustup.args(["target", "add", target]);
            match shell::run_within(&mut rustup, RUSTUP_LIMIT) {
                Ok(()) => {
                    if Rust::find(target).is_ok() {
                        return Ok(());
                    }
                }
                Err(error) => shell::say(&format!(
                    "rustup could not add {target} ({error}); Debian's Rust can build it from source"
                )),
            }
        }
        self.packages(&format!("a Rust that builds for {target}"), RUST_PACKAGES)?;
        Rust::find(target).map(|_| ()).with_context(|| {
            format!("neither `rustup target add {target}` nor Debian's packages gave a Rust for it")
        })
    }

    /// A Rust with the standard library for a system with an operating system: by rustup where it can.
    pub fn library(&self, target: &str) -> Result<Rust> {
        let Err(missing) = Rust::with_library(target) else { return Rust::with_library(target) };
        if find_program("rustup").is_some() {
            let mut rustup = shell::command("rustup")?;
            rustup.args(["target", "add", target]);
            if let Err(error) = shell::run_within(&mut rustup, RUSTUP_LIMIT) {
                shell::say(&format!("rustup could not add {target} ({error})"));
            }
        }
        Rust::with_library(target).map_err(|_| missing)
    }

    /// What the tests of the Linux service need: a broker, and an emulator of programs for its package.
    pub fn linux_service(&self) -> Result<()> {
        let broker = ["/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"];
        if find_program("mosquitto").is_none() && !broker.iter().any(|path| Path::new(path).is_file()) {
            self.packages("the MQTT broker mosquitto", &["mosquitto"])?;
        }
        if find_program("qemu-aarch64").is_none() {
            self.packages("the emulator qemu-aarch64", USER_EMULATOR_PACKAGES)?;
        }
        Ok(())
    }

    /// ALSA's library and what finds it.
    pub fn alsa(&self) -> Result<()> {
        let is_there = || {
            let found = Command::new("pkg-config").args(["--exists", "alsa"]).status();
            found.is_ok_and(|status| status.success())
        };
        if is_there() {
            return Ok(());
        }
        self.packages("ALSA's library", &["libasound2-dev", "pkg-config"])?;
        if is_there() { Ok(()) } else { bail!("`pkg-config` does not find ALSA's library") }
    }

    /// A sub-command of cargo that comes as a component of its own, such as clippy.
    pub fn cargo_tool(&self, subcommand: &str, component: &str) -> Result<()> {
        let is_there = || -> Result<bool> {
            let mut cargo = shell::cargo()?;
            let quiet = cargo.args([subcommand, "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
            Ok(quiet.status().is_ok_and(|status| status.success()))
        };
        if is_there()? {
            return Ok(());
        }
        if find_program("rustup").is_some() {
            let mut rustup = shell::command("rustup")?;
            shell::run_within(rustup.args(["component", "add", component]), RUSTUP_LIMIT)?;
            if is_there()? {
                return Ok(());
            }
        }
        bail!("`cargo {subcommand}` is not there, and rustup cannot add {component}")
    }

    /// ONNX Runtime's shared library: `ORT_DYLIB_PATH` when set, else the one under
    /// `target/onnxruntime`, fetched with pip when it is not there.
    pub fn onnx_runtime(&self) -> Result<PathBuf> {
        if let Some(path) = env::var_os("ORT_DYLIB_PATH") {
            let path = PathBuf::from(path);
            if !path.is_file() {
                bail!("ORT_DYLIB_PATH is {}, which is no file", path.display());
            }
            return Ok(path);
        }
        let folder = shell::root()?.join("target/onnxruntime");
        if let Some(library) = find_onnx_runtime(&folder) {
            return Ok(library);
        }
        if !has_pip() {
            self.packages("pip, which fetches ONNX Runtime", PYTHON_PACKAGES)?;
            if !has_pip() {
                bail!("`python3 -m pip` does not run, so ONNX Runtime cannot be fetched");
            }
        }
        let wheels = folder.join("wheel");
        fs::create_dir_all(&wheels)
            .with_context(|| format!("cannot make the folder {}", wheels.display()))?;
        // The wheel's Python version is stated so that the one found here does not matter.
        let mut pip = shell::command("python3")?;
        pip.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"])
            .args(["--implementation", "cp", "--python-version", "3.12", "--abi", "cp312"])
            .args(["--platform", &format!("manylinux_2_28_{}", env::consts::ARCH), "--dest"])
            .arg(&wheels)
            .arg(format!("onnxruntime=={ONNX_RUNTIME}"))
            .stdout(Stdio::null());
        shell::run_within(&mut pip, DOWNLOAD_LIMIT)?;
        let wheel = fs::read_dir(&wheels)
            .with_context(|| format!("cannot read {}", wheels.display()))?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
            .with_context(|| format!("pip left no wheel in {}", wheels.display()))?;
        // Unpacked beside and renamed, so that half of it is never taken for all.
        let unpacked = folder.join("unpacking");
        if unpacked.exists() {
            fs::remove_dir_all(&unpacked).with_context(|| format!("cannot remove {}", unpacked.display()))?;
        }
        let mut unzip = shell::command("python3")?;
        unzip.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&unpacked);
        shell::run(&mut unzip)?;
        let done = folder.join(ONNX_RUNTIME);
        fs::rename(&unpacked, &done).with_context(|| format!("cannot rename {} ", unpacked.display()))?;
        fs::remove_dir_all(&wheels).with_context(|| format!("cannot remove {}", wheels.display()))?;
        find_onnx_runtime(&folder).with_context(|| format!("{} holds no libonnxruntime.so", wheel.display()))
    }

    /// Installs Debian packages, when the user allows it.
    pub fn packages(&self, what: &str, packages: &[&str]) -> Result<()> {
        let by_hand = format!("apt-get install {}", packages.join(" "));
        if find_program("apt-get").is_none() {
            bail!(
                "{what} is missing, and there is no apt-get here to install it with: install what \
                 Debian calls {}",
                packages.join(", ")
            );
        }
        if !self.yes && !agreed(what, packages)? {
            bail!("{what} is missing: run `{by_hand}` as root, or give `--yes`");
        }
        let updated = self.updated.swap(true, Ordering::Relaxed);
        if !updated {
            shell::run(&mut apt(&["update", "-qq"])?)
                .with_context(|| format!("{what} is missing and the package lists cannot be read"))?;
        }
        let mut words = vec!["install", "-y", "-qq", "--no-install-recommends"];
        words.extend(packages);
        shell::run(apt(&words)?.stdout(Stdio::null()))
            .with_context(|| format!("{what} is missing and could not be installed"))
    }
}

/// `apt-get`, as root or through sudo.
fn apt(words: &[&str]) -> Result<Command> {
    let mut command = if is_root() {
        shell::command("apt-get")?
    } else if find_program("sudo").is_some() {
        let mut sudo = shell::command("sudo")?;
        if !io::stdin().is_terminal() {
            // Never waits for a password that nobody can type.
            sudo.arg("-n");
        } else {
            sudo.stdin(Stdio::inherit());
        }
        sudo.args(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        sudo
    } else {
        bail!("installing system packages needs root, and there is no sudo here");
    };
    command.env("DEBIAN_FRONTEND", "noninteractive").args(words);
    Ok(command)
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == "0")
}

/// Asks on the terminal; without one nobody can agree.
fn agreed(what: &str, packages: &[&str]) -> Result<bool> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Ok(false);
    }
    eprint!("{what} is missing. Install the system packages {}? [y/N] ", packages.join(", "));
    io::stderr().flush().context("cannot write to the terminal")?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).context("cannot read from the terminal")?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

fn has_pip() -> bool {
    Command::new("python3")
        .args(["-m", "pip", "--version"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// `libonnxruntime.so.<version>` as the wheel has it.
fn find_onnx_runtime(folder: &Path) -> Option<PathBuf> {
    let library = folder.join(format!("{ONNX_RUNTIME}/onnxruntime/capi/libonnxruntime.so.{ONNX_RUNTIME}"));
    library.is_file().then_some(library)
}
