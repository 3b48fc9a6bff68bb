//! `trainer flash` to the end: a UF2 file on a drive, an image on a card, and programs in the places of `probe-rs`, `ssh` and
//! `scp` that write down what they are asked to do.
#![cfg(unix)]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use teff_board::{Elf, Rust, rpi3};
use teff_trainer::model_file;
use teff_trainer::test_data::skip;
use tempfile::TempDir;

fn model(name: &str) -> PathBuf {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models").canonicalize().unwrap();
    models.join(name).join("model.onnx")
}

/// The plan of a model for a processor.
fn plan(model: &Path, target: &str) -> Vec<u8> {
    let target = teff_compiler::target::parse_target(target).unwrap();
    model_file::compile(model, target).unwrap().plan
}

/// A folder to flash from, with programs of its own before those in PATH.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Place {
        let place = Place { folder: tempfile::tempdir().unwrap() };
        fs::create_dir(place.at("programs")).unwrap();
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A program that writes its words down, copies the file that it is asked to send, and ends with `code`.
    fn program(&self, name: &str, code: u8) {
        let path = self.at("programs").join(name);
        let text = format!(
            "#!/bin/sh\necho {name} \"$@\" >> ../said\nfor word in \"$@\"; do test -f \"$word\" && cp \"$word\" ../sent; done\n\
             echo 'this is the matter'\nexit {code}\n"
        );
        fs::write(&path, text.replace("../", &format!("{}/", self.folder.path().display()))).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn flash(&self, words: &[&str]) -> Output {
        let path = std::env::var("PATH").unwrap_or_default();
        Command::new(env!("CARGO_BIN_EXE_trainer"))
            .arg("flash")
            .args(words)
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{path}", self.at("programs").display()))
            .output()
            .unwrap()
    }

    /// What the programs were asked to do.
    fn said(&self) -> Vec<String> {
        let said = fs::read_to_string(self.at("said")).unwrap_or_default();
        said.lines().map(String::from).collect()
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The report of a flash that went well: every step is done.
fn report(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(report["steps"].as_array().unwrap().iter().all(|step| step["done"] == true), "{report}");
    report
}

/// Whether firmware for the target can be built here; says so where not.
fn builds(test: &str, target: &str) -> bool {
    let found = Rust::find(target);
    if let Err(error) = &found {
        skip(test, &format!("{error:#}"));
    }
    found.is_ok()
}

/// The bytes of a UF2 file by their addresses, as a boot loader reads it
/// (<https://github.com/microsoft/uf2>, "File format").
fn read_uf2(bytes: &[u8], family: u32) -> BTreeMap<u32, u8> {
    let (blocks, rest) = bytes.as_chunks::<512>();
    assert!(rest.is_empty());
    let mut memory = BTreeMap::new();
    for (number, block) in blocks.iter().enumerate() {
        let word = |at: usize| u32::from_le_bytes(block[at..at + 4].try_into().unwrap());
        assert_eq!([word(0), word(4), word(508)], [0x0a32_4655, 0x9e5d_5157, 0x0ab1_6f30]);
        assert_eq!((word(8) & 0x2000, word(28)), (0x2000, family));
        assert_eq!((word(20), word(24)), (number as u32, blocks.len() as u32));
        assert_eq!((word(12) % 256, word(16)), (0, 256));
        for (offset, &byte) in block[32..32 + 256].iter().enumerate() {
            assert_eq!(memory.insert(word(12) + offset as u32, byte), None);
        }
    }
    memory
}

#[test]
fn a_uf2_file_on_the_drive_holds_the_program_and_the_plan() {
    let test = "a_uf2_file_on_the_drive_holds_the_program_and_the_plan";
    if !builds(test, "thumbv6m-none-eabi") {
        return;
    }
    let (place, machine) = (Place::new(), model("machine"));
    let drive = place.at("drive");
    fs::create_dir(&drive).unwrap();
    fs::write(
        drive.join("INFO_UF2.TXT"),
        "UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: RPI-RP2\r\n",
    )
    .unwrap();
    let words = [machine.to_str().unwrap(), "--board", "rpi-pico", "--drive", "drive", "--json"];
    let report = report(&place.flash(&words));
    assert_eq!(report["app"], "motion");

    let memory = read_uf2(&fs::read(drive.join("motion.uf2")).unwrap(), 0xe48b_ff56);
    let at = |address: u32, len: usize| -> Vec<u8> {
        (address..).take(len).map(|address| memory.get(&address).copied().unwrap_or(0)).collect()
    };
    let elf = Elf::read(&place.at("flashed/rpi-pico/motion.elf")).unwrap();
    let stored = elf.stored(0x1000_0000, 2 << 20).unwrap();
    assert!(!stored.is_empty());
    for (address, bytes) in &stored {
        assert!(at(*address as u32, bytes.len()) == *bytes, "{address:#x}");
    }
    // The boot loader's second stage, and behind it a stack and a start.
    assert!(memory.contains_key(&0x1000_0000));
    let vectors = at(0x1000_0100, 8);
    assert_eq!((vectors[3], vectors[7]), (0x20, 0x10), "{vectors:x?}");
    let plan = plan(&machine, "cortex-m0");
    let flash: Vec<u8> = memory.into_values().collect();
    assert!(flash.windows(plan.len()).any(|bytes| bytes == plan));

    // The drive of another board is not written to.
    let other = place.flash(&[machine.to_str().unwrap(), "--board", "rpi-pico-2", "--drive", "drive"]);
    assert!(!other.status.success() && stderr(&other).contains("RP2350"), "{}", stderr(&other));
    assert_eq!(fs::read_dir(&drive).unwrap().count(), 2);
}

#[test]
fn a_debug_probe_is_given_the_program() {
    let test = "a_debug_probe_is_given_the_program";
    if !builds(test, "thumbv7em-none-eabihf") {
        return;
    }
    let (place, machine) = (Place::new(), model("machine"));
    place.program("probe-rs", 0);
    let words = [machine.to_str().unwrap(), "--board", "nrf52840-dk", "--json"];
    report(&place.flash(&words));
    let elf = "flashed/nrf52840-dk/motion.elf";
    let expected = [
        format!("probe-rs download --chip nRF52840_xxAA --verify {elf}"),
        "probe-rs reset --chip nRF52840_xxAA".to_string(),
    ];
    assert_eq!(place.said(), expected);
    let sent = fs::read(place.at("sent")).unwrap();
    assert!(sent == fs::read(place.at(elf)).unwrap());
    let plan = plan(&machine, "cortex-m4");
    assert!(sent.windows(plan.len()).any(|bytes| bytes == plan));

    // `record` of sound is another program than that of motion, and takes no model.
    let record = |words: &[&str]| {
        let words = [&["--board", "nrf52840-dk", "--app", "record", "--json"], words].concat();
        report(&place.flash(&words));
        fs::read(place.at("sent")).unwrap()
    };
    let (motion, sound) = (record(&[]), record(&["--sensor", "sound"]));
    assert!(motion != sound);
    assert!(sound != record(&["--sensor", "sound", "--rate", "8000"]));
    assert!(motion == record(&["--sensor", "motion", "--rate", "1600"]));

    // A probe that is not there: what it said is shown, and nothing is taken for flashed.
    fs::remove_dir_all(place.at("flashed")).unwrap();
    place.program("probe-rs", 1);
    let failed = place.flash(&words);
    let error = stderr(&failed);
    assert!(!failed.status.success(), "{error}");
    assert!(error.contains("probe-rs download") && error.contains("this is the matter"), "{error}");
    let kept: Vec<_> = fs::read_dir(place.at("flashed/nrf52840-dk")).unwrap().flatten().collect();
    assert!(kept.iter().all(|file| file.path().extension().is_none_or(|name| name != "json")), "{kept:?}");
}

#[test]
fn a_linux_machine_is_sent_the_plan() {
    let (place, machine) = (Place::new(), model("machine"));
    place.program("scp", 0);
    place.program("ssh", 0);
    let words = [machine.to_str().unwrap(), "--board", "rpi-linux", "--host", "pi@door", "--json"];
    report(&place.flash(&words));
    let said = place.said();
    assert_eq!(said.len(), 2, "{said:?}");
    assert_eq!(said[0], "scp flashed/rpi-linux/model.teff pi@door:teff-model.teff");
    assert!(
        said[1].starts_with("ssh pi@door sudo install") && said[1].contains("systemctl restart"),
        "{said:?}"
    );
    assert!(fs::read(place.at("sent")).unwrap() == plan(&machine, "generic"));

    // What is asked of the machine, on this one.
    let script = said[1].strip_prefix("ssh pi@door ").unwrap();
    let settings = place.at("etc");
    let script = script.replace("/etc/teff-sensord", settings.to_str().unwrap());
    fs::write(place.at("programs/sudo"), "#!/bin/sh\nexec \"$@\"\n").unwrap();
    fs::set_permissions(place.at("programs/sudo"), fs::Permissions::from_mode(0o755)).unwrap();
    place.program("systemctl", 0);
    let install = |text: &str| {
        fs::write(place.at("teff-model.teff"), b"a plan").unwrap();
        fs::create_dir_all(&settings).unwrap();
        fs::write(settings.join("teff-sensord.toml"), text).unwrap();
        let path =
            format!("{}:{}", place.at("programs").display(), std::env::var("PATH").unwrap_or_default());
        let mut shell = Command::new("sh");
        let done =
            shell.args(["-c", &script]).current_dir(place.folder.path()).env("PATH", path).output().unwrap();
        assert_eq!(fs::read(settings.join("model.teff")).unwrap(), b"a plan");
        (done.status.success(), fs::read_to_string(settings.join("teff-sensord.toml")).unwrap())
    };
    let mqtt = "[mqtt]\npath = \"kept\"\n";
    for line in ["path = \"old.onnx\"", "path=\"old.onnx\" # mine", "  path   = 'old'"] {
        let (done, text) = install(&format!("[model]\n{line}\nram = 1\n{mqtt}"));
        assert_eq!(text, format!("[model]\npath = \"model.teff\"\nram = 1\n{mqtt}"));
        assert!(done);
    }
    assert!(!place.at("teff-model.teff").exists());
    let asked = place.said().len();
    assert!(!install(mqtt).0, "no model is named");
    assert_eq!(place.said().len(), asked, "the service goes on with what it has");

    // A machine that cannot be reached.
    place.program("scp", 255);
    let failed = place.flash(&words);
    assert!(!failed.status.success() && stderr(&failed).contains("scp"), "{}", stderr(&failed));
    assert_eq!(place.said().len(), asked + 1, "nothing is asked of it after that");
}

#[test]
fn a_card_gets_the_image_and_keeps_what_was_there() {
    let test = "a_card_gets_the_image_and_keeps_what_was_there";
    if !builds(test, "aarch64-unknown-none") {
        return;
    }
    let (place, machine) = (Place::new(), model("machine"));
    let card = place.at("card");
    fs::create_dir(&card).unwrap();
    for name in rpi3::CLOSED_FILES {
        fs::write(card.join(name), name).unwrap();
    }
    fs::write(card.join("kernel8.img"), b"of an operating system").unwrap();
    let words = [machine.to_str().unwrap(), "--board", "rpi3-bare", "--sd", "card", "--json"];
    report(&place.flash(&words));
    let image = fs::read(card.join("kernel8.img")).unwrap();
    assert!(image == rpi3::read_image(&place.at("flashed/rpi3-bare/motion.elf")).unwrap());
    let plan = plan(&machine, "generic");
    assert!(image.windows(plan.len()).any(|bytes| bytes == plan));
    assert_eq!(fs::read(card.join("kernel8.img.1.saved")).unwrap(), b"of an operating system");
    assert_eq!(fs::read_to_string(card.join("config.txt")).unwrap(), rpi3::CONFIG);

    // Once more, with settings of somebody's own.
    fs::write(card.join("config.txt"), "arm_64bit=1\n").unwrap();
    let again = report(&place.flash(&words));
    assert!(again["steps"].to_string().contains("init_uart_clock=48000000"), "{again}");
    assert_eq!(fs::read_to_string(card.join("config.txt")).unwrap(), "arm_64bit=1\n");
    assert!(fs::read(card.join("kernel8.img")).unwrap() == image);
    assert_eq!(fs::read_dir(&card).unwrap().count(), rpi3::CLOSED_FILES.len() + 3);
}
