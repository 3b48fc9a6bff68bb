//! `cargo xtask deb`: the Debian package of `teff-sensord`, built here for this computer or another one.
//!
//! The program is linked statically against musl where this Rust has that library, and depends on nothing
//! then. With `--alsa` it is linked against the GNU library and ALSA's, which loads parts of itself at run
//! time and so cannot be static.

mod package;
mod test;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use teff_board::Rust;

use crate::shell::{self, root, say};
use crate::toolchain::Installer;

use package::Package;
pub use test::test;

/// For what, and how.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The processor
    #[arg(long, value_enum, default_value = "aarch64")]
    target: Processor,

    /// With microphones through ALSA's library; the program is linked dynamically then
    #[arg(long)]
    alsa: bool,

    /// Folder for the package [default: target/deb of the project]
    #[arg(long)]
    out: Option<PathBuf>,

    /// Print what was made as JSON
    #[arg(long)]
    json: bool,
}

/// Processors that a package can be made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Processor {
    /// The Raspberry Pi 3, 4, 5 and Zero 2 with a system of 64 bits
    #[value(name = "aarch64")]
    Aarch64,
    /// A PC
    #[value(name = "x86_64")]
    X86_64,
}

impl Processor {
    fn name(self) -> &'static str {
        match self {
            Processor::Aarch64 => "aarch64",
            Processor::X86_64 => "x86_64",
        }
    }

    /// As Debian calls it.
    fn debian(self) -> &'static str {
        match self {
            Processor::Aarch64 => "arm64",
            Processor::X86_64 => "amd64",
        }
    }
}

/// Builds the package and says where it is.
pub fn run(installer: &Installer, args: &Args) -> Result<()> {
    let out = match &args.out {
        Some(out) => out.clone(),
        None => root()?.join("target/deb"),
    };
    let built = build(installer, args.target, args.alsa, &out)?;
    if args.json {
        println!(
            "{}",
            serde_json::json!({
                "package": built.path,
                "architecture": args.target.debian(),
                "rust_target": built.triple,
                "static": built.is_static,
                "program_bytes": built.program_bytes,
            })
        );
    } else {
        let how = if built.is_static { "static" } else { "dynamic" };
        println!("{} ({how}, {}, {} bytes)", built.path.display(), built.triple, built.program_bytes);
    }
    Ok(())
}

/// A package that was built.
#[derive(Debug)]
pub struct Built {
    /// The file.
    pub path: PathBuf,
    triple: String,
    is_static: bool,
    program_bytes: usize,
}

/// Folder of the service.
pub fn folder() -> Result<PathBuf> {
    Ok(root()?.join("firmware/boards/rpi-linux"))
}

/// Builds the program and packs it.
pub fn build(installer: &Installer, processor: Processor, alsa: bool, out: &Path) -> Result<Built> {
    let (rust, triple) = rust(installer, processor, alsa)?;
    let folder = folder()?;
    let mut cargo = rust.cargo("build", &triple);
    cargo.current_dir(&folder).args(["--release", "--locked"]);
    // A build of its own: what it is linked with differs.
    cargo.arg("--target-dir").arg(folder.join("target"));
    let linker = linker(installer, processor, &triple)?;
    cargo.env(format!("CARGO_TARGET_{}_LINKER", triple.to_uppercase().replace('-', "_")), linker);
    if alsa {
        cargo.args(["--features", "alsa"]);
        find_alsa(installer, processor, &mut cargo)?;
    }
    shell::run(&mut cargo)?;
    let program = folder.join("target").join(&triple).join("release/teff-sensord");
    let bytes = std::fs::read(&program).with_context(|| format!("cargo built no {}", program.display()))?;
    let is_static = triple.ends_with("musl");
    let package = Package::new(processor.debian(), &bytes, is_static, alsa)?;
    let path = package.write(out)?;
    Ok(Built { path, triple, is_static, program_bytes: bytes.len() })
}

/// The Rust and the target: musl's where it can be, for a program that needs no library.
fn rust(installer: &Installer, processor: Processor, alsa: bool) -> Result<(Rust, String)> {
    let musl = format!("{}-unknown-linux-musl", processor.name());
    let gnu = format!("{}-unknown-linux-gnu", processor.name());
    if !alsa {
        match installer.library(&musl) {
            Ok(rust) => return Ok((rust, musl)),
            Err(why) => say(&format!("not static, as {why:#}")),
        }
    }
    Ok((installer.library(&gnu)?, gnu))
}

/// musl's objects come with Rust, and so does a linker for them; the GNU library has its own compiler's.
fn linker(installer: &Installer, processor: Processor, triple: &str) -> Result<&'static str> {
    if triple.ends_with("musl") {
        return Ok("rust-lld");
    }
    let (program, packages) = match processor {
        Processor::Aarch64 if cfg!(target_arch = "aarch64") => ("cc", &["gcc", "libc6-dev"]),
        Processor::Aarch64 => ("aarch64-linux-gnu-gcc", &["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"]),
        Processor::X86_64 if cfg!(target_arch = "x86_64") => ("cc", &["gcc", "libc6-dev"]),
        Processor::X86_64 => ("x86_64-linux-gnu-gcc", &["gcc-x86-64-linux-gnu", "libc6-dev-amd64-cross"]),
    };
    if teff_board::find_program(program).is_none() {
        installer.packages(&format!("the linker {program}"), packages)?;
    }
    Ok(program)
}

/// Lets the build find ALSA's library for the processor.
fn find_alsa(installer: &Installer, processor: Processor, cargo: &mut Command) -> Result<()> {
    let here = std::env::consts::ARCH == processor.name();
    if here {
        return installer.alsa();
    }
    let library = PathBuf::from(format!("/usr/lib/{}-linux-gnu/pkgconfig", processor.name()));
    if !library.join("alsa.pc").is_file() {
        let debian = processor.debian();
        bail!(
            "ALSA's library for {debian} is missing: run as root `dpkg --add-architecture {debian}; apt-get \
             update; apt-get install libasound2-dev:{debian}`"
        );
    }
    cargo.env("PKG_CONFIG_ALLOW_CROSS", "1").env("PKG_CONFIG_LIBDIR", &library);
    Ok(())
}
