//! What is in the package, and its file: an `ar` of two compressed `tar`s.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use md5::{Digest, Md5};

use crate::shell::{self, root};

/// The package's name.
pub const NAME: &str = "teff-sensord";
/// A file that the user changes and an upgrade keeps.
pub const CONFIG: &str = "etc/teff-sensord/teff-sensord.toml";

/// A file of the package.
struct File {
    bytes: Vec<u8>,
    mode: u32,
}

/// A package before it is written.
pub struct Package {
    files: BTreeMap<String, File>,
    control: BTreeMap<String, File>,
    version: String,
    architecture: &'static str,
    /// Seconds since 1970 of all files, so that the same sources give the same package.
    time: u64,
}

impl Package {
    /// Gathers the files around the program.
    pub fn new(architecture: &'static str, program: &[u8], is_static: bool, alsa: bool) -> Result<Package> {
        let folder = super::folder()?;
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).context("cannot read Cargo.toml")?;
        let manifest: toml::Table = manifest.parse().context("Cargo.toml")?;
        let version = manifest.get("package").and_then(|package| package.get("version"));
        let version = version.and_then(toml::Value::as_str).context("Cargo.toml has no version")?.to_string();
        let mut package = Package {
            files: BTreeMap::new(),
            control: BTreeMap::new(),
            version,
            architecture,
            time: time()?,
        };
        package.files.insert(format!("usr/bin/{NAME}"), File { bytes: program.to_vec(), mode: 0o755 });
        let root = root()?;
        let (debian, docs) = (folder.join("debian"), format!("usr/share/doc/{NAME}"));
        let examples = format!("usr/share/{NAME}/examples");
        for (from, to) in [
            (debian.join("teff-sensord.service"), format!("usr/lib/systemd/system/{NAME}.service")),
            (debian.join("teff-sensord.sysusers"), format!("usr/lib/sysusers.d/{NAME}.conf")),
            (debian.join("teff-sensord.toml"), CONFIG.to_string()),
            (debian.join("copyright"), format!("{docs}/copyright")),
            (root.join("LICENSE-MIT"), format!("{docs}/LICENSE-MIT")),
            (root.join("docs/sensord.md"), format!("{docs}/sensord.md")),
            (folder.join("examples/dry-run.toml"), format!("{examples}/dry-run.toml")),
            (root.join("models/machine/model.onnx"), format!("{examples}/machine.onnx")),
            (root.join("firmware/emulated/recordings/machine.csv"), format!("{examples}/machine.csv")),
        ] {
            package.files.insert(to, File { bytes: read(&from)?, mode: 0o644 });
        }
        let crates = crates(&folder)?;
        package.files.insert(format!("{docs}/crates.txt"), File { bytes: crates, mode: 0o644 });
        let manual = package.gzip(&read(&debian.join("teff-sensord.8"))?)?;
        package.files.insert(format!("usr/share/man/man8/{NAME}.8.gz"), File { bytes: manual, mode: 0o644 });
        let changes = package.gzip(&read(&root.join("CHANGELOG.md"))?)?;
        package.files.insert(format!("{docs}/changelog.gz"), File { bytes: changes, mode: 0o644 });

        for script in ["postinst", "prerm", "postrm"] {
            let bytes = read(&debian.join(script))?;
            package.control.insert(script.to_string(), File { bytes, mode: 0o755 });
        }
        let text = |text: String| File { bytes: text.into_bytes(), mode: 0o644 };
        package.control.insert("conffiles".to_string(), text(format!("/{CONFIG}\n")));
        let sums = package.files.iter().filter(|(path, _)| *path != CONFIG).fold(
            String::new(),
            |mut sums, (path, file)| {
                let sum = Md5::digest(&file.bytes);
                for byte in sum.iter() {
                    // Text grows as it has to.
                    let _ = write!(sums, "{byte:02x}");
                }
                sums + "  " + path + "\n"
            },
        );
        package.control.insert("md5sums".to_string(), text(sums));
        let control = package.description(is_static, alsa);
        package.control.insert("control".to_string(), text(control));
        Ok(package)
    }

    fn description(&self, is_static: bool, alsa: bool) -> String {
        let kilobytes: usize = self.files.values().map(|file| file.bytes.len().div_ceil(1024)).sum();
        let name = std::env::var("DEBFULLNAME").unwrap_or_else(|_| "Teff contributors".to_string());
        let email = std::env::var("DEBEMAIL").unwrap_or_else(|_| "teff@example.invalid".to_string());
        let mut depends = Vec::new();
        if !is_static {
            // The library that the cross compiler of Debian 12 links with.
            depends.extend(["libc6 (>= 2.36)", "libgcc-s1"]);
        }
        if alsa {
            depends.push("libasound2 (>= 1.2.8) | libasound2t64");
        }
        let mut control = format!(
            "Package: {NAME}\nVersion: {}\nArchitecture: {}\nMaintainer: {name} <{email}>\n\
             Installed-Size: {kilobytes}\nSection: electronics\nPriority: optional\n",
            self.version, self.architecture,
        );
        if !depends.is_empty() {
            control += &format!("Depends: {}\n", depends.join(", "));
        }
        control += "Suggests: alsa-utils, mosquitto\n\
                    Description: small neural networks on sensors, as a service\n \
                    Reads an accelerometer, a microphone or a slow sensor, computes features and a\n \
                    network in integers, and tells each decision as a line of JSON and to an MQTT\n \
                    broker. The model decides what the sensor has to give.\n";
        control += if alsa {
            " .\n This build has microphones through the library of ALSA.\n"
        } else {
            " .\n This build needs no library; a microphone is read through arecord.\n"
        };
        control
    }

    /// Writes `NAME_VERSION_ARCHITECTURE.deb`, whole or not at all.
    pub fn write(&self, out: &Path) -> Result<PathBuf> {
        fs::create_dir_all(out).with_context(|| format!("cannot make the folder {}", out.display()))?;
        let path = out.join(format!("{NAME}_{}_{}.deb", self.version, self.architecture));
        let unfinished = path.with_extension("deb.part");
        let shown = || format!("cannot write {}", unfinished.display());
        let file = fs::File::create(&unfinished).with_context(shown)?;
        let mut archive = ar::Builder::new(file);
        for (name, bytes) in [
            ("debian-binary", b"2.0\n".to_vec()),
            ("control.tar.gz", self.gzip(&self.tar(&self.control)?)?),
            ("data.tar.gz", self.gzip(&self.tar(&self.files)?)?),
        ] {
            let mut header = ar::Header::new(name.as_bytes().to_vec(), bytes.len() as u64);
            header.set_mtime(self.time);
            header.set_mode(0o100644);
            archive.append(&header, &bytes[..]).with_context(shown)?;
        }
        archive.into_inner().and_then(|file| file.sync_all()).with_context(shown)?;
        fs::rename(&unfinished, &path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    fn tar(&self, files: &BTreeMap<String, File>) -> Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = |kind: tar::EntryType, path: &str, mode: u32, bytes: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_mode(mode);
            header.set_mtime(self.time);
            header.set_size(bytes.len() as u64);
            header.set_uid(0);
            header.set_gid(0);
            header.set_username("root")?;
            header.set_groupname("root")?;
            archive.append_data(&mut header, path, bytes)
        };
        let folders: BTreeSet<&Path> = files
            .keys()
            .flat_map(|path| Path::new(path).ancestors().skip(1))
            .filter(|folder| !folder.as_os_str().is_empty())
            .collect();
        for folder in folders {
            header(tar::EntryType::Directory, &format!("{}/", folder.display()), 0o755, &[])?;
        }
        for (path, file) in files {
            header(tar::EntryType::Regular, path, file.mode, &file.bytes)
                .with_context(|| format!("cannot pack {path}"))?;
        }
        archive.into_inner().context("cannot pack the files")
    }

    fn gzip(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut packed = GzBuilder::new().write(Vec::new(), Compression::best());
        packed.write_all(bytes).context("cannot compress")?;
        packed.finish().context("cannot compress")
    }
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Names, versions and licences of what is linked.
fn crates(folder: &Path) -> Result<Vec<u8>> {
    let mut tree = shell::cargo()?;
    tree.current_dir(folder).env_remove("CARGO_TARGET_DIR").args([
        "tree",
        "--locked",
        "--quiet",
        "--edges",
        "normal",
        "--prefix",
        "none",
        "--no-dedupe",
        "--all-features",
        "--format",
        "{p} {l}",
    ]);
    let listed = shell::output(&mut tree)?;
    let lines: BTreeSet<String> = listed
        .lines()
        .filter(|line| !line.is_empty())
        // Where this project's own packages lie on the building machine is nobody's business.
        .map(|line| match (line.find(" (/"), line.find(") ")) {
            (Some(from), Some(to)) if from < to => format!("{}{}", &line[..from], &line[to + 1..]),
            _ => line.to_string(),
        })
        .collect();
    Ok((lines.into_iter().collect::<Vec<_>>().join("\n") + "\n").into_bytes())
}

/// `SOURCE_DATE_EPOCH`, else the time of the last commit, else now.
fn time() -> Result<u64> {
    if let Ok(time) = std::env::var("SOURCE_DATE_EPOCH") {
        return time.parse().with_context(|| format!("SOURCE_DATE_EPOCH is `{time}`, which is no number"));
    }
    let of_commit = Command::new("git").current_dir(root()?).args(["log", "-1", "--format=%ct"]).output();
    let of_commit =
        of_commit.ok().and_then(|output| String::from_utf8(output.stdout).ok()?.trim().parse().ok());
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    Ok(of_commit.unwrap_or_else(now))
}
