//! `trainer flash`: what is shown, what is refused before anything is built, and what stays untouched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn model(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../models")
        .join(name)
        .join("model.onnx")
        .canonicalize()
        .unwrap()
}

fn flash(folder: &Path, root: Option<&Path>, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
    command.arg("flash").args(words).current_dir(folder);
    if let Some(root) = root {
        command.env("TEFF_ROOT", root);
    }
    command.output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A checkout in which one board has this memory.
fn checkout(board: &str, memory: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("firmware/boards").join(board);
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir_all(root.path().join("runtime")).unwrap();
    for manifest in ["firmware/Cargo.toml", "runtime/Cargo.toml"] {
        fs::write(root.path().join(manifest), "").unwrap();
    }
    fs::write(folder.join("memory.x"), memory).unwrap();
    fs::write(folder.join("Cargo.toml"), "[[bin]]\nname = \"motion\"\n[[bin]]\nname = \"listen\"\n").unwrap();
    root
}

const PICO: &str = "MEMORY {\n  BOOT2 : ORIGIN = 0x10000000, LENGTH = 0x100\n  \
                    FLASH : ORIGIN = 0x10000100, LENGTH = 2048K - 0x100\n  RAM : ORIGIN = 0x20000000, LENGTH = 264K\n}\n";

#[test]
fn a_dry_run_shows_each_step_and_touches_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for (board, name, app) in [("mps2-an386", "machine", "motion"), ("mps2-an386", "digits", "listen")] {
        let model = model(name);
        let words = [model.to_str().unwrap(), "--board", board, "--dry-run", "--json"];
        let report = json(&flash(folder.path(), None, &words));
        assert_eq!((&report["app"], &report["target"]), (&app.into(), &"cortex-m4".into()));
        let steps = report["steps"].as_array().unwrap();
        assert_eq!(steps.len(), 4);
        assert!(steps.iter().all(|step| step["done"] == false));
        let command = steps[1]["command"].as_str().unwrap();
        for part in ["cargo", "--bin", app, "TEFF_MODEL=", "--features link"] {
            assert!(command.contains(part), "{command}");
        }
        let (needs, plan) = (&report["needs"], &report["plan"]);
        assert_eq!((&needs[0]["region"], &needs[0]["needed"]), (&"FLASH".into(), &plan["plan_bytes"]));
        let ram = plan["arena_bytes"].as_u64().unwrap() + plan["front_end_ram_bytes"].as_u64().unwrap();
        assert_eq!((&needs[1]["region"], &needs[1]["needed"]), (&"RAM".into(), &ram.into()));
        assert_eq!(report["program"], serde_json::json!([]));
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Every way onto a board, as far as it can be shown.
#[test]
fn the_commands_of_each_way_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let model = model("machine");
    let steps = |board: &str, more: &[&str]| {
        let root = checkout(board, PICO);
        let words = [&[model.to_str().unwrap(), "--board", board, "--dry-run", "--json"], more].concat();
        let report = json(&flash(folder.path(), Some(root.path()), &words));
        let steps = report["steps"].as_array().unwrap().iter();
        let text = steps.map(|step| format!("{} {}\n", step["what"], step["command"])).collect::<String>();
        (text, report["notes"].to_string())
    };
    let (pico, notes) = steps("rpi-pico", &[]);
    assert!(pico.contains("motion.uf2") && pico.contains("<drive of RPI-RP2>"), "{pico}");
    assert!(notes.contains("BOOTSEL"), "{notes}");
    let drive = tempfile::tempdir().unwrap();
    fs::write(drive.path().join("INFO_UF2.TXT"), "Board-ID: RPI-RP2\n").unwrap();
    let (pico, notes) = steps("rpi-pico", &["--drive", drive.path().to_str().unwrap()]);
    assert!(pico.contains(drive.path().to_str().unwrap()) && !notes.contains("BOOTSEL"), "{pico}{notes}");
    let (nucleo, _) = steps("nucleo-f446re", &[]);
    assert!(nucleo.contains("probe-rs download --chip STM32F446RETx --verify"), "{nucleo}");
    let (linux, _) = steps("rpi-linux", &["--host", "pi@raspberrypi"]);
    assert!(linux.contains("scp") && linux.contains("pi@raspberrypi:teff-model.teff"), "{linux}");
    assert!(linux.contains("systemctl restart teff-sensord") && !linux.contains("cargo"), "{linux}");
    let (card, notes) = steps("rpi3-bare", &["--sd", drive.path().to_str().unwrap()]);
    assert!(card.contains("kernel8.img") && card.contains("config.txt"), "{card}");
    assert!(notes.contains("bootcode.bin"), "{notes}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    assert_eq!(fs::read_dir(drive.path()).unwrap().count(), 1);
}

#[test]
fn a_model_that_does_not_fit_is_refused_before_anything_is_built() {
    let folder = tempfile::tempdir().unwrap();
    let (machine, digits) = (model("machine"), model("digits"));
    let refused = |model: &Path, memory: &str, more: &[&str]| {
        let root = checkout("rpi-pico", memory);
        let words = [&[model.to_str().unwrap(), "--board", "rpi-pico", "--dry-run"], more].concat();
        let output = flash(folder.path(), Some(root.path()), &words);
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        stderr(&output)
    };
    let small = |flash: &str, ram: &str| {
        format!(
            "MEMORY {{\n FLASH : ORIGIN = 0, LENGTH = {flash}\n RAM : ORIGIN = 0x20000000, LENGTH = {ram}\n}}\n"
        )
    };
    let error = refused(&digits, &small("2M", "12K"), &[]);
    assert!(
        error.contains("of RAM (arena ") && error.contains("has 12288") && error.contains("--ram "),
        "{error}"
    );
    let error = refused(&machine, &small("1K", "64K"), &[]);
    assert!(error.contains("of FLASH") && error.contains("has 1024"), "{error}");
    let error = refused(&machine, "MEMORY {\n what is this\n}\n", &[]);
    assert!(error.contains("memory.x is no memory map"), "{error}");
    // As little as the compiler cannot do; it says what would do.
    let error = refused(&digits, PICO, &["--ram", "100"]);
    assert!(error.contains("bytes"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let (machine, fashion) = (model("machine"), model("fashion"));
    let (machine, fashion) = (machine.to_str().unwrap(), fashion.to_str().unwrap());
    for (words, expected) in [
        (vec![machine, "--board", "arduino"], "no board `arduino`: the boards are mps2-an386"),
        (vec![fashion, "--board", "mps2-an386"], "has no front end for sound or motion"),
        (vec![machine, "--board", "mps2-an386", "--sd", "/x"], "--sd has no meaning for board mps2-an386"),
        (vec![machine, "--board", "mps2-an386", "--host", "a@b"], "--host has no meaning"),
        (vec![machine, "--board", "mps2-an386", "--app", "record"], "`record` has no model"),
        (vec![machine, "--board", "nrf52840-dk", "--sensor", "sound"], "--sensor is for `--app record`"),
        (
            vec!["--board", "mps2-an386", "--app", "record", "--rate", "8000"],
            "--rate has no meaning for board",
        ),
        (vec!["--board", "nrf52840-dk", "--app", "record", "--rate", "0"], "--rate"),
        (vec!["--board", "mps2-an386", "--app", "motion"], "`motion` needs a model"),
        (vec!["no-such.onnx", "--board", "mps2-an386"], "no-such.onnx"),
        (vec!["--board", "mps2-an386"], "MODEL"),
    ] {
        let output = flash(folder.path(), None, &words);
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(stderr(&output).contains(expected), "{words:?}: {}", stderr(&output));
    }
    // What boards would refuse at the start.
    let refused = |line: &str| {
        let bytes = fs::read(machine).unwrap();
        let mut graph = teff_compiler::onnx::import(&bytes).unwrap();
        graph.metadata.insert("teff.decision".to_string(), line.to_string());
        let file = folder.path().join("other.onnx");
        fs::write(&file, teff_compiler::onnx::export(&graph).unwrap()).unwrap();
        let output = flash(folder.path(), None, &["other.onnx", "--board", "mps2-an386", "--dry-run"]);
        fs::remove_file(file).unwrap();
        (output.status.code(), stderr(&output))
    };
    assert_eq!(refused("smoothing=16 threshold=0.5").0, Some(0));
    for (line, expected) in [
        ("smoothing=17 threshold=0.5", "averages over 17 inferences, and boards over 16"),
        ("smoothing=x", "that boards refuse"),
    ] {
        let (code, error) = refused(line);
        assert!(code == Some(2) && error.contains(expected), "{line}: {error}");
    }
    // A board that nothing was flashed to has nothing to show.
    let monitor = Command::new(env!("CARGO_BIN_EXE_trainer"))
        .args(["monitor", "--board", "mps2-an386"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(stderr(&monitor).contains("trainer flash MODEL --board mps2-an386"), "{}", stderr(&monitor));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
