//! Rules of ARCHITECTURE.md that the compiler does not check: which package may use which, where
//! `unsafe` may stand, how long a file may be.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Our own packages that each of our packages may use, in its library and programs.
const MAY_USE: &[(&str, &[&str])] = &[
    ("teff", &[]),
    ("teff-board", &[]),
    ("teff-compiler", &["teff"]),
    ("teff-counter", &[]),
    ("teff-trainer", &["teff", "teff-app", "teff-board", "teff-compiler", "teff-link"]),
    ("teff-fuzz", &["teff", "teff-compiler"]),
    ("teff-tests", OF_THE_WHOLE),
    ("xtask", &["teff-board"]),
    ("teff-app", &["teff", "teff-link"]),
    ("teff-link", &[]),
    ("teff-verify", &["teff"]),
    ("teff-emulated", &["teff", "teff-app", "teff-link"]),
    ("teff-sensord", &["teff", "teff-app", "teff-compiler"]),
    ("teff-rpi3-bare", &["teff", "teff-app", "teff-link"]),
    ("teff-device", &["teff", "teff-app", "teff-link"]),
    ("teff-mps2-an385", ON_A_BOARD),
    ("teff-mps2-an385-m0", ON_A_BOARD),
    ("teff-mps2-an386", ON_A_BOARD),
    ("teff-mps2-an500", ON_A_BOARD),
    ("teff-mps2-an505", ON_A_BOARD),
    ("teff-mps3-an547", ON_A_BOARD),
    ("teff-microbit", ON_A_BOARD),
    ("teff-riscv32-user", &["teff"]),
    ("teff-nrf52840-dk", ON_A_REAL_BOARD),
    ("teff-nucleo-f446re", ON_A_REAL_BOARD),
    ("teff-nucleo-h743zi", ON_A_REAL_BOARD),
    ("teff-rpi-pico", ON_A_REAL_BOARD),
    ("teff-rpi-pico-2", ON_A_REAL_BOARD),
];

/// What tests of the whole use.
const OF_THE_WHOLE: &[&str] = &[
    "teff",
    "teff-app",
    "teff-board",
    "teff-compiler",
    "teff-device",
    "teff-fuzz",
    "teff-link",
    "teff-trainer",
];

/// What the programs use that run on every emulated board.
const ON_A_BOARD: &[&str] = &["teff", "teff-app", "teff-emulated", "teff-link", "teff-verify"];

/// What the programs use that run on every real board.
const ON_A_REAL_BOARD: &[&str] = &["teff", "teff-app", "teff-device"];

/// Boards that are workspaces of their own, in `firmware/boards`.
const REAL_BOARDS: [&str; 5] = ["nrf52840-dk", "nucleo-f446re", "nucleo-h743zi", "rpi-pico", "rpi-pico-2"];

/// What a package's build script may use of ours.
fn may_build_with(package: &str) -> &'static [&'static str] {
    let board = package.strip_prefix("teff-").unwrap_or("");
    let is_board = board.starts_with("mps")
        || board == "microbit"
        || board == "rpi3-bare"
        || board == "riscv32-user"
        || REAL_BOARDS.contains(&board);
    if is_board { &["teff-compiler"] } else { &[] }
}

const LONGEST_FILE: usize = 800;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The packages of a workspace as cargo sees them, without their dependencies.
fn packages(manifest: &str) -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(root().join(manifest))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

fn all_packages() -> Vec<Value> {
    let mut all = packages("Cargo.toml");
    all.extend(packages("firmware/Cargo.toml"));
    all.extend(packages("firmware/boards/rpi-linux/Cargo.toml"));
    for board in REAL_BOARDS {
        all.extend(packages(&format!("firmware/boards/{board}/Cargo.toml")));
    }
    all
}

fn name(value: &Value) -> &str {
    value["name"].as_str().unwrap()
}

/// Dependencies of one kind: `null` for ordinary ones, `"build"`, `"dev"`.
fn dependencies<'v>(package: &'v Value, kind: Option<&'static str>) -> impl Iterator<Item = &'v Value> {
    let all = package["dependencies"].as_array().unwrap();
    all.iter().filter(move |dependency| dependency["kind"].as_str() == kind)
}

#[test]
fn packages_use_only_what_stands_below_them() {
    let allowed: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    let packages = all_packages();
    for package in &packages {
        let Some(allowed) = allowed.get(name(package)) else {
            panic!("package {} is not in the table of this test: say what it may use", name(package));
        };
        for (kind, allowed) in [(None, *allowed), (Some("build"), may_build_with(name(package)))] {
            for dependency in dependencies(package, kind) {
                let ours = MAY_USE.iter().any(|(of, _)| *of == name(dependency));
                assert!(
                    !ours || allowed.contains(&name(dependency)),
                    "{} must not use {}",
                    name(package),
                    name(dependency)
                );
            }
        }
    }
    assert_eq!(packages.len(), MAY_USE.len(), "a package of the table is gone");
}

#[test]
fn the_runtime_needs_nothing_by_default() {
    let packages = all_packages();
    let runtime = packages.iter().find(|package| name(package) == "teff").unwrap();
    for dependency in dependencies(runtime, None) {
        assert!(dependency["optional"].as_bool().unwrap(), "{} is not optional", name(dependency));
    }
    assert_eq!(dependencies(runtime, Some("build")).count(), 0);
    assert_eq!(runtime["features"]["default"].as_array().map_or(0, Vec::len), 0);
}

/// Everything a firmware build script compiles must be light; this is the whole list.
#[test]
fn the_compiler_needs_little() {
    let packages = all_packages();
    let compiler = packages.iter().find(|package| name(package) == "teff-compiler").unwrap();
    for dependency in dependencies(compiler, None) {
        assert!(["libm", "prost", "sha2", "teff"].contains(&name(dependency)), "{}", name(dependency));
    }
}

/// All Rust sources of the project, with paths relative to its folder.
fn sources() -> Vec<(String, String)> {
    let root = root();
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let file_name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !file_name.starts_with('.') && file_name != "target" && file_name != "runs" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
                sources.push((relative, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(sources.len() > 50, "where are the sources?");
    sources
}

/// `runtime` casts bytes in one file and has instruction sets in folders of their own; the memory map
/// of the emulated boards is in one file, that of the Raspberry Pi without an operating system too, and so are
/// the calls from and to the emulator and those of a system on RISC-V. A real board's interrupt runs its executor.
fn may_be_unsafe(path: &str) -> bool {
    path == "runtime/src/bytes.rs"
        || path.starts_with("runtime/src/kernels/arch/")
        || path == "firmware/emulated/src/memory.rs"
        || path == "firmware/boards/rpi3-bare/src/machine.rs"
        || path == "firmware/boards/riscv32-user/src/lib.rs"
        || REAL_BOARDS.iter().any(|board| path == format!("firmware/boards/{board}/src/lib.rs"))
        || path == "trainer/board/counter/src/lib.rs"
}

#[test]
fn unsafe_code_has_an_address() {
    for (path, text) in sources() {
        let mut uses = 0;
        for (number, line) in text.lines().enumerate() {
            // Text in quotes and comments may speak of it.
            let code: String = line.split('"').step_by(2).collect();
            let code = code.split("//").next().unwrap_or("");
            let mut words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
            if !words.any(|word| word == "unsafe") {
                continue;
            }
            uses += 1;
            assert!(may_be_unsafe(&path), "{path}:{}: unsafe code", number + 1);
        }
        if uses > 0 {
            let reasons = text.matches("SAFETY:").count() + text.matches("# Safety").count();
            assert!(reasons > 0, "{path}: unsafe code without a SAFETY sentence");
        }
    }
}

#[test]
fn no_file_is_too_long() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= LONGEST_FILE, "{path} has {lines} lines, more than {LONGEST_FILE}");
    }
}

#[test]
fn every_file_says_what_it_is() {
    for (path, text) in sources() {
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("");
        assert!(first.starts_with("//!"), "{path} does not begin with `//!`");
    }
}
