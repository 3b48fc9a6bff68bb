//! Which Rust can build for a target: with the target's own library, or by building it from source.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::SETUP;

/// How a target's core library comes into being.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It is installed, as `rustup target add` does.
    Installed,
    /// It is built from the sources that belong to this compiler.
    FromSource,
}

/// A compiler and cargo that can build for one target.
#[derive(Clone, Debug)]
pub struct Rust {
    /// How the core library is got.
    pub how: How,
    cargo: PathBuf,
    rustc: Option<PathBuf>,
    linker: Option<&'static str>,
    /// Folder name under the firmware's target folder: builds that differ in this share nothing.
    pub flavour: &'static str,
}

/// Debian's own Rust, which has library sources where rustup cannot reach its server.
const SYSTEM_RUSTC: &str = "/usr/bin/rustc";
const SYSTEM_CARGO: &str = "/usr/bin/cargo";

impl Rust {
    /// The first of: an installed target, this compiler's library sources, Debian's compiler with
    /// its sources. `TEFF_FIRMWARE_RUST` set to `installed`, `source` or `debian` takes only that.
    pub fn find(target: &str) -> Result<Rust> {
        let only = env::var("TEFF_FIRMWARE_RUST").ok();
        let allowed = |name: &str| only.as_deref().is_none_or(|only| only == name);
        if let Some(only) = &only
            && !["installed", "source", "debian"].contains(&only.as_str())
        {
            bail!("TEFF_FIRMWARE_RUST is `{only}`: it may be `installed`, `source` or `debian`, or unset");
        }
        let found = if allowed("installed") && has_target(Path::new("rustc"), target) {
            Some(Rust::new(How::Installed, "cargo", None, "installed"))
        } else if allowed("source") && has_sources(Path::new("rustc")) {
            Some(Rust::new(How::FromSource, "cargo", None, "source"))
        } else if allowed("debian")
            && Path::new(SYSTEM_CARGO).is_file()
            && has_sources(Path::new(SYSTEM_RUSTC))
        {
            Some(Rust::new(How::FromSource, SYSTEM_CARGO, Some(SYSTEM_RUSTC), "debian"))
        } else {
            None
        };
        let Some(mut rust) = found else {
            bail!("no Rust here can build for {target}: run `{SETUP}`");
        };
        if !has_own_linker(rust.rustc_program()) {
            if find_program("ld.lld").is_none() {
                bail!("this Rust has no linker of its own and `ld.lld` is missing: run `{SETUP}`");
            }
            rust.linker = Some("ld.lld");
        }
        Ok(rust)
    }

    /// A Rust with the standard library for `target` installed, as rustup or Debian's package of another
    /// architecture installs it. The linker is the caller's choice.
    ///
    /// # Errors
    /// There is none.
    pub fn with_library(target: &str) -> Result<Rust> {
        if has_library(Path::new("rustc"), target) {
            return Ok(Rust::new(How::Installed, "cargo", None, "installed"));
        }
        if Path::new(SYSTEM_CARGO).is_file() && has_library(Path::new(SYSTEM_RUSTC), target) {
            return Ok(Rust::new(How::Installed, SYSTEM_CARGO, Some(SYSTEM_RUSTC), "debian"));
        }
        bail!("no Rust here has the standard library for {target}: run `rustup target add {target}`")
    }

    fn new(how: How, cargo: &str, rustc: Option<&str>, flavour: &'static str) -> Rust {
        Rust { how, cargo: PathBuf::from(cargo), rustc: rustc.map(PathBuf::from), linker: None, flavour }
    }

    /// Whether `cargo clippy` of this Rust can be run.
    pub fn has_clippy(&self) -> bool {
        Command::new(&self.cargo)
            .args(["clippy", "--version"])
            .output()
            .is_ok_and(|output| output.status.success())
    }

    fn rustc_program(&self) -> &Path {
        self.rustc.as_deref().unwrap_or(Path::new("rustc"))
    }

    /// `cargo` with what this Rust needs to build for `target`; the caller adds the sub-command.
    ///
    /// What an outer cargo put into the environment is taken out, so that the inner build is the
    /// one a person would get by hand.
    pub fn cargo(&self, subcommand: &str, target: &str) -> Command {
        let mut command = Command::new(&self.cargo);
        for (name, _) in env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let of_outer_build = name.starts_with("CARGO_PKG_")
                || name.starts_with("CARGO_MANIFEST_")
                || ["CARGO", "CARGO_TARGET_DIR", "CARGO_BUILD_TARGET", "RUSTC"].contains(&name.as_str());
            // Which of rustup's toolchains was asked for holds for the inner build too, unless
            // that is not rustup's.
            let of_rustup = name == "RUSTUP_TOOLCHAIN" && self.rustc.is_some();
            if of_outer_build || of_rustup {
                command.env_remove(&name);
            }
        }
        command.arg(subcommand).args(["--target", target]);
        if let Some(rustc) = &self.rustc {
            command.env("RUSTC", rustc);
        }
        if let Some(linker) = self.linker {
            command.env(format!("CARGO_TARGET_{}_LINKER", variable_name(target)), linker);
        }
        if self.how == How::FromSource {
            command.env("RUSTC_BOOTSTRAP", "1").args(["-Z", "build-std=core,alloc"]);
        }
        command
    }
}

/// `thumbv8m.main-none-eabihf` as cargo spells it in a variable's name.
fn variable_name(target: &str) -> String {
    target.to_uppercase().replace(['-', '.'], "_")
}

/// The program's path, looked for in `PATH`.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let paths = env::var_os("PATH")?;
    env::split_paths(&paths).map(|folder| folder.join(name)).find(|path| path.is_file())
}

fn print(rustc: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new(rustc).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// Whether the target's core library stands where this compiler would look for it.
fn has_target(rustc: &Path, target: &str) -> bool {
    holds(rustc, target, "libcore-")
}

/// Whether the standard library stands there too.
fn has_library(rustc: &Path, target: &str) -> bool {
    holds(rustc, target, "libstd-")
}

fn holds(rustc: &Path, target: &str, library: &str) -> bool {
    let Some(folder) = print(rustc, &["--print", "target-libdir", "--target", target]) else {
        return false;
    };
    let Ok(entries) = fs::read_dir(folder) else {
        return false;
    };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(library))
}

fn has_sources(rustc: &Path) -> bool {
    print(rustc, &["--print", "sysroot"]).is_some_and(|sysroot| {
        Path::new(&sysroot).join("lib/rustlib/src/rust/library/core/Cargo.toml").is_file()
    })
}

fn has_own_linker(rustc: &Path) -> bool {
    let (Some(sysroot), Some(version)) = (print(rustc, &["--print", "sysroot"]), print(rustc, &["-vV"]))
    else {
        return false;
    };
    let Some(host) = version.lines().find_map(|line| line.strip_prefix("host: ")) else {
        return false;
    };
    Path::new(&sysroot).join("lib/rustlib").join(host).join("bin/rust-lld").is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_spelt_for_the_environment() {
        assert_eq!(variable_name("thumbv8m.main-none-eabihf"), "THUMBV8M_MAIN_NONE_EABIHF");
    }

    #[test]
    fn an_unknown_target_is_not_installed() {
        assert!(!has_target(Path::new("rustc"), "no-such-target"));
    }
}
