//! The package as Debian's own tools see it, and its program on a recording.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use teff_board::find_program;

use super::package::{CONFIG, NAME};
use super::{Built, Processor, build, folder};
use crate::shell::{self, root};
use crate::tally::Tally;
use crate::toolchain::Installer;

/// Builds the package for the Raspberry Pi and looks at it; what cannot be done here is counted as skipped.
pub fn test(installer: &Installer) -> Result<Tally> {
    let mut tally = Tally::default();
    let out = root()?.join("target/deb/test");
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| format!("cannot remove {}", out.display()))?;
    }
    if let Err(why) = installer.library("aarch64-unknown-linux-musl") {
        println!("SKIPPED the Debian package: {why:#}");
        tally.skipped += 1;
        return Ok(tally);
    }
    if find_program("dpkg-deb").is_none() {
        println!("SKIPPED the Debian package: `dpkg-deb` is not here, it is part of Debian");
        tally.skipped += 1;
        return Ok(tally);
    }
    let built = match build(installer, Processor::Aarch64, false, &out) {
        Ok(built) => built,
        Err(why) => {
            println!("test deb/build ... FAILED\n{why:#}");
            tally.count(false);
            return Ok(tally);
        }
    };
    count(&mut tally, "control", control(&built));
    count(&mut tally, "contents", contents(&built));
    let scratch = out.join("root");
    count(&mut tally, "install", install(&built, &scratch));
    if find_program("systemd-analyze").is_none() {
        println!("SKIPPED the package's unit: `systemd-analyze` is not here, it is part of systemd");
        tally.skipped += 1;
    } else {
        count(&mut tally, "unit", unit(&scratch));
    }
    if find_program("qemu-aarch64").is_none() {
        println!("SKIPPED the package's program: `qemu-aarch64` is missing: run `{}`", teff_board::SETUP);
        tally.skipped += 1;
    } else {
        count(&mut tally, "decisions", decisions(&scratch));
    }
    Ok(tally)
}

fn count(tally: &mut Tally, name: &str, result: Result<()>) {
    match &result {
        Ok(()) => println!("test deb/{name} ... ok"),
        Err(why) => println!("test deb/{name} ... FAILED\n{why:#}"),
    }
    tally.count(result.is_ok());
}

fn dpkg_deb(option: &str, package: &Path) -> Result<String> {
    shell::output(shell::command("dpkg-deb")?.arg(option).arg(package))
}

fn control(built: &Built) -> Result<()> {
    let found = dpkg_deb("-I", &built.path)?;
    for line in [
        format!(" Package: {NAME}"),
        " Architecture: arm64".to_string(),
        " Version: ".to_string(),
        " Maintainer: ".to_string(),
        " Description: ".to_string(),
    ] {
        if !found.lines().any(|of| of.starts_with(&line)) {
            bail!("`{line}` is not in the control file:\n{found}");
        }
    }
    for script in ["conffiles", "md5sums", "postinst", "postrm", "prerm"] {
        if !found.contains(script) {
            bail!("{script} is missing:\n{found}");
        }
    }
    if found.contains("Depends:") {
        bail!("a static program depends on nothing:\n{found}");
    }
    Ok(())
}

fn contents(built: &Built) -> Result<()> {
    let found = dpkg_deb("-c", &built.path)?;
    for (mode, path) in [
        ("-rwxr-xr-x root/root", "usr/bin/teff-sensord"),
        ("-rw-r--r-- root/root", CONFIG),
        ("-rw-r--r-- root/root", "usr/lib/systemd/system/teff-sensord.service"),
        ("-rw-r--r-- root/root", "usr/lib/sysusers.d/teff-sensord.conf"),
        ("-rw-r--r-- root/root", "usr/share/doc/teff-sensord/copyright"),
        ("-rw-r--r-- root/root", "usr/share/doc/teff-sensord/crates.txt"),
        ("-rw-r--r-- root/root", "usr/share/man/man8/teff-sensord.8.gz"),
        ("-rw-r--r-- root/root", "usr/share/teff-sensord/examples/machine.onnx"),
        ("drwxr-xr-x root/root", "etc/teff-sensord/"),
    ] {
        let is_it = |line: &str| line.starts_with(mode) && line.ends_with(&format!(" {path}"));
        if !found.lines().any(is_it) {
            bail!("no `{mode} ... {path}` in\n{found}");
        }
    }
    Ok(())
}

/// Installed into a folder that stands for a whole system: by dpkg where that can be, and unpacked.
fn install(built: &Built, scratch: &Path) -> Result<()> {
    let database = scratch.join("var/lib/dpkg");
    fs::create_dir_all(database.join("info")).context("cannot make a folder for dpkg")?;
    for folder in ["updates", "triggers"] {
        fs::create_dir_all(database.join(folder)).context("cannot make a folder for dpkg")?;
    }
    fs::write(database.join("status"), "").context("cannot write dpkg's status")?;
    // dpkg itself goes to the folder and needs a shell there for scripts: it stops before those.
    let mut dpkg = shell::command("dpkg")?;
    dpkg.arg(format!("--root={}", scratch.display()))
        .args(["--force-architecture", "--force-not-root", "--force-script-chrootless", "--unpack"])
        .arg(&built.path);
    shell::run(&mut dpkg)?;
    let status = fs::read_to_string(database.join("status")).context("cannot read dpkg's status")?;
    if !status.contains("Status: install ok unpacked") {
        bail!("dpkg says\n{status}");
    }
    let mut configure = shell::command("dpkg")?;
    configure.arg(format!("--root={}", scratch.display())).args([
        "--force-not-root",
        "--force-script-chrootless",
        "--configure",
        NAME,
    ]);
    shell::run(&mut configure)?;
    let status = fs::read_to_string(database.join("status")).context("cannot read dpkg's status")?;
    if !status.contains("Status: install ok installed") || !status.contains(&format!(" /{CONFIG} ")) {
        bail!("dpkg says\n{status}");
    }
    Ok(())
}

/// The unit as systemd reads it, in the folder that stands for a system.
fn unit(scratch: &Path) -> Result<()> {
    let mut verify = shell::command("systemd-analyze")?;
    verify
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .arg(format!("--root={}", scratch.display()))
        .arg(format!("{NAME}.service"));
    let output = verify.output().context("cannot start systemd-analyze")?;
    // It warns of settings that it does not know and still ends well.
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() || said.contains(NAME) {
        bail!("systemd says {}:\n{}", output.status, said.trim_end());
    }
    Ok(())
}

/// The program of the package, on an emulated processor, decides what this computer's program decides.
fn decisions(scratch: &Path) -> Result<()> {
    let config = scratch.join(format!("usr/share/{NAME}/examples/dry-run.toml"));
    let packaged = scratch.join("usr/bin").join(NAME);
    let found = told(shell::command("qemu-aarch64")?.arg(packaged).arg("--config").arg(&config))?;
    let folder = folder()?;
    let mut cargo = shell::cargo()?;
    cargo.current_dir(&folder).env_remove("CARGO_TARGET_DIR").args(["build", "--quiet", "--locked"]);
    shell::run(&mut cargo)?;
    let own: PathBuf = folder.join("target/debug").join(NAME);
    let expected = told(Command::new(own).arg("--config").arg(&config))?;
    if expected.is_empty() || found != expected {
        bail!("this computer decides\n{expected:#?}\nand the package's program\n{found:#?}");
    }
    Ok(())
}

/// Instant, class and score of each decision.
fn told(service: &mut Command) -> Result<Vec<[u64; 3]>> {
    let mut decisions = Vec::new();
    for line in shell::output(service)?.lines() {
        let message: serde_json::Value =
            serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
        if message["type"] == "decision" {
            let number = |key: &str| message[key].as_u64().with_context(|| format!("no `{key}`: {line}"));
            decisions.push([number("instant")?, number("class")?, number("score")?]);
        }
    }
    Ok(decisions)
}
