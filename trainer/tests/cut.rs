//! `trainer record` on an emulated board whose serial line is cut in the middle of the recording: the line comes back,
//! or stays cut, or the board loses its power. What is kept is what was measured, and what is not kept is said.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use serial2::SerialPort;
use teff_board::{Board, Build, Emulator, Link, Live, Signal, Time};
use teff_trainer::test_data::skip;
use tempfile::TempDir;

/// Ten seconds.
const INSTANTS: u64 = 16_000;
/// About what 80 instants take on the line.
const FRAME_BYTES: usize = 500;

/// The emulated board's program, or nothing (and a line that says so) where it cannot be emulated here.
fn program(test: &str, folder: &Path) -> Option<(&'static Board, PathBuf)> {
    let board = Board::find("mps2-an386").unwrap();
    if let Err(error) = board.ready() {
        skip(test, &format!("{error:#}"));
        return None;
    }
    let elf = folder.join("record.elf");
    let build = Build { features: &["link"], ..Build::of(board, "record", &Link::None) };
    build.run_to(&elf).unwrap();
    Some((board, elf))
}

/// What the sensor measures at an instant: no two instants have the same.
fn sample(instant: u64) -> [i16; 3] {
    [(instant & 0x7ff) as i16, (instant >> 11) as i16, 7]
}

fn switch_on(board: &'static Board, elf: &Path) -> Live {
    let samples = (0..INSTANTS).flat_map(sample).collect();
    let signal = Signal { axes: 3, rate_millihertz: 1_600_000, samples };
    Emulator::find(board).unwrap().start_live(elf, Some(&signal), Time::Program).unwrap()
}

/// The cable between the board and the port: what the board sends is carried on as long as it is plugged in.
struct Cable {
    folder: TempDir,
    plugged: Option<(SerialPort, SerialPort)>,
}

impl Cable {
    fn new() -> Cable {
        let mut cable = Cable { folder: tempfile::tempdir().unwrap(), plugged: None };
        cable.plug_in();
        cable
    }

    /// The path of the port, which stays the same.
    fn port(&self) -> PathBuf {
        self.folder.path().join("port")
    }

    fn plug_in(&mut self) {
        let (mut near, far) = SerialPort::pair().unwrap();
        // Until the host has opened the port.
        near.set_write_timeout(Duration::from_secs(120)).unwrap();
        let name = fs::read_link(format!("/proc/self/fd/{}", far.as_raw_fd())).unwrap();
        let new = self.folder.path().join("new");
        std::os::unix::fs::symlink(name, &new).unwrap();
        fs::rename(new, self.port()).unwrap();
        // The far end is kept open, else the port would be cut until the host opens it.
        self.plugged = Some((near, far));
    }

    fn pull_out(&mut self) {
        fs::remove_file(self.port()).unwrap();
        self.plugged = None;
    }

    /// Carries `bytes` of what the board sends, or all of it, and loses them where it is pulled out. Tells how many
    /// came.
    fn carry(&mut self, board: &mut Live, bytes: usize) -> usize {
        let (mut carried, mut piece) = (0, [0; 1000]);
        while carried < bytes {
            let room = piece.len().min(bytes - carried);
            let Ok(count) = board.read(&mut piece[..room], Duration::from_secs(60)) else { break };
            assert!(count > 0, "the board is silent after {carried} bytes");
            if let Some((near, _)) = &mut self.plugged {
                near.write_all(&piece[..count]).unwrap();
            }
            carried += count;
        }
        carried
    }
}

fn record(port: &str, out: &Path, more: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_trainer"))
        .args(["record", "--port", port, "--label", "healthy", "--json", "--out"])
        .arg(out)
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stderr(output)))
}

/// Holds every sample of every file against what was measured at its instant, and the folder against the report; returns
/// first instant, number, and what each file begins after.
fn files(report: &Value, folder: &Path) -> Vec<(u64, u64, String)> {
    let mut found = Vec::new();
    let mut named = vec![folder.join("healthy/t001_001.json")];
    for file in report["files"].as_array().unwrap() {
        let path = PathBuf::from(file["file"].as_str().unwrap());
        let text = fs::read_to_string(&path).unwrap();
        let (first, count) = (file["first_instant"].as_u64().unwrap(), file["instants"].as_u64().unwrap());
        let measured = (first..first + count).map(|instant| {
            let [x, y, z] = sample(instant);
            format!("{x},{y},{z}\n")
        });
        let expected = format!("x,y,z\n{}", measured.collect::<String>());
        assert!(text == expected, "{} is not what was measured", path.display());
        named.push(path);
        found.push((first, count, file["begins_after"].as_str().unwrap().to_string()));
    }
    for entry in fs::read_dir(folder.join("healthy")).unwrap() {
        let path = entry.unwrap().path();
        assert!(named.contains(&path), "{} is in no report", path.display());
    }
    // The log beside the files says the same.
    let log: Value = serde_json::from_str(&fs::read_to_string(&named[0]).unwrap()).unwrap();
    assert_eq!(
        (&log["files"], &log["lost"], &log["cuts"]),
        (&report["files"], &report["lost"], &report["cuts"])
    );
    found
}

#[test]
fn a_line_that_comes_back_loses_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let Some((board, elf)) = program("a_line_that_comes_back_loses_what_it_says", folder.path()) else {
        return;
    };
    let out = folder.path().join("set");
    let mut cable = Cable::new();
    let child = record(cable.port().to_str().unwrap(), &out, &["--wait", "120"]);
    let mut board = switch_on(board, &elf);
    // In the middle of a frame.
    cable.carry(&mut board, 60 * FRAME_BYTES + 123);
    cable.pull_out();
    cable.carry(&mut board, 40 * FRAME_BYTES + 77);
    cable.plug_in();
    cable.carry(&mut board, usize::MAX);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("the line is cut") && stderr(&output).contains("the line is back"));
    assert!(board.ended().unwrap().0);
    let report = report(&output);
    let [(0, before, start), (again, after, line)] = &files(&report, &out)[..] else { panic!("{report}") };
    assert_eq!((start.as_str(), line.as_str()), ("start", "line"));
    // All that was measured is kept, or said to be lost, which is the time between the two files.
    let lost = report["lost"]["on_line"].as_u64().unwrap();
    assert_eq!((before + lost, again + after), (*again, INSTANTS));
    assert!(*before > 0 && lost > 30 * 80 && *after > 0, "{report}");
    assert!(report["lost"]["frames"].as_u64().unwrap() >= lost / 80);
    let cuts = report["cuts"].as_array().unwrap();
    assert_eq!((cuts.len(), &cuts[0]["instant"], cuts[0]["seconds"].is_f64()), (1, &(*before).into(), true));
    assert_eq!((&report["ending"], &report["restarts"]), (&"end".into(), &0.into()));
}

#[test]
fn a_line_that_stays_cut_is_an_error_that_keeps_what_came() {
    let test = "a_line_that_stays_cut_is_an_error_that_keeps_what_came";
    let folder = tempfile::tempdir().unwrap();
    let Some((board, elf)) = program(test, folder.path()) else { return };
    let out = folder.path().join("set");
    let mut cable = Cable::new();
    let child = record(cable.port().to_str().unwrap(), &out, &["--wait", "2"]);
    let mut board = switch_on(board, &elf);
    cable.carry(&mut board, 60 * FRAME_BYTES + 123);
    cable.pull_out();
    cable.carry(&mut board, usize::MAX);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.contains("was cut and did not come back within 2 s; what came is kept"), "{said}");
    let report = report(&output);
    let [(0, kept, _)] = files(&report, &out)[..] else { panic!("{report}") };
    assert!(kept > 0 && kept < INSTANTS && report["instants"] == kept, "{report}");
    assert_eq!((&report["ending"], &report["lost"]["on_line"]), (&"cut".into(), &0.into()));
    // Nobody knows what was measured after it.
    assert_eq!((&report["cuts"][0]["instant"], &report["cuts"][0]["seconds"]), (&kept.into(), &Value::Null));
}

/// The board loses its power, and is switched on again while the line is cut.
#[test]
fn a_board_that_begins_anew_begins_a_new_file() {
    let folder = tempfile::tempdir().unwrap();
    let Some((board, elf)) = program("a_board_that_begins_anew_begins_a_new_file", folder.path()) else {
        return;
    };
    let out = folder.path().join("set");
    let mut cable = Cable::new();
    let child = record(cable.port().to_str().unwrap(), &out, &["--wait", "120"]);
    let mut first = switch_on(board, &elf);
    cable.carry(&mut first, 60 * FRAME_BYTES + 123);
    cable.pull_out();
    drop(first);
    let mut second = switch_on(board, &elf);
    cable.plug_in();
    cable.carry(&mut second, usize::MAX);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let report = report(&output);
    let [(0, before, _), (0, after, restart)] = &files(&report, &out)[..] else { panic!("{report}") };
    assert_eq!((*before > 0, *after, restart.as_str()), (true, INSTANTS, "restart"));
    assert_eq!((&report["restarts"], &report["lost"]["on_line"]), (&1.into(), &0.into()));
}

/// The emulator that a trainer has started.
fn emulator_of(trainer: u32) -> Option<String> {
    fs::read_dir("/proc").unwrap().flatten().find_map(|entry| {
        let text = fs::read_to_string(entry.path().join("stat")).ok()?;
        let (head, rest) = text.rsplit_once(") ")?;
        let parent = rest.split(' ').nth(1)?;
        let is_it = parent == trainer.to_string() && head.contains("(qemu");
        is_it.then(|| entry.file_name().to_string_lossy().into_owned())
    })
}

fn kept_so_far(folder: &Path) -> usize {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let lines = files.map(|entry| fs::read_to_string(entry.path()).unwrap_or_default().matches('\n').count());
    lines.sum::<usize>().saturating_sub(1)
}

#[test]
fn an_emulated_board_that_ends_too_early_is_an_error_that_keeps_what_came() {
    let test = "an_emulated_board_that_ends_too_early_is_an_error_that_keeps_what_came";
    let folder = tempfile::tempdir().unwrap();
    if program(test, folder.path()).is_none() {
        return;
    }
    // Minutes of the sensor's time, which is long enough to be caught in the middle.
    let instants = 1_000_000;
    let rows = (0..instants).map(|instant| {
        let [x, y, z] = sample(instant);
        format!("{x},{y},{z}\n")
    });
    let signal = folder.path().join("signal.csv");
    fs::write(&signal, format!("x,y,z\n{}", rows.collect::<String>())).unwrap();
    let out = folder.path().join("set");
    let child = record("emulated:mps2-an386", &out, &["--signal", signal.to_str().unwrap()]);
    let begun = Instant::now();
    while kept_so_far(&out.join("healthy")) < 5_000 {
        assert!(begun.elapsed() < Duration::from_secs(900), "nothing is recorded");
        thread::sleep(Duration::from_millis(10));
    }
    let emulator = emulator_of(child.id()).unwrap();
    assert!(Command::new("kill").args(["-KILL", &emulator]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    let said = stderr(&output);
    assert!(
        said.contains("the emulated board ended in the middle of its recording; what came is kept"),
        "{said}"
    );
    let report = report(&output);
    let [(0, kept, _)] = files(&report, &out)[..] else { panic!("{report}") };
    assert!((5_000..instants).contains(&kept), "{report}");
    assert_eq!((&report["ending"], &report["cuts"][0]["instant"]), (&"cut".into(), &kept.into()));
}
