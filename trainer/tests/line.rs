//! `trainer record` and `trainer monitor` on pseudo-terminals, the other end of which a board's frames are written to:
//! whole, cut, damaged, dropped, and by a board whose queue runs over.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use serial2::SerialPort;
use teff_link::{
    Cause, Condition, Decision, End, Gap, Health, Hello, Level, Log, MAX_FRAME_BYTES, Message, Metrics,
    Samples, Sender, VERSION,
};
use tempfile::TempDir;

/// A serial line: the board's end is held here, and the host's end has a path that stays the same.
struct Cable {
    folder: TempDir,
    board: Option<SerialPort>,
}

impl Cable {
    fn new() -> Cable {
        let mut cable = Cable { folder: tempfile::tempdir().unwrap(), board: None };
        cable.plug_in();
        cable
    }

    fn port(&self) -> PathBuf {
        self.folder.path().join("port")
    }

    fn plug_in(&mut self) {
        let (board, host) = SerialPort::pair().unwrap();
        let name = fs::read_link(format!("/proc/self/fd/{}", host.as_raw_fd())).unwrap();
        let new = self.folder.path().join("new");
        std::os::unix::fs::symlink(&name, &new).unwrap();
        fs::rename(new, self.port()).unwrap();
        self.board = Some(board);
        // Kept open, else the port would be cut until the host opens it.
        std::mem::forget(host);
    }

    fn pull_out(&mut self) {
        fs::remove_file(self.port()).unwrap();
        self.board = None;
    }

    fn send(&mut self, bytes: &[u8]) {
        self.board.as_mut().unwrap().write_all(bytes).unwrap();
    }
}

const HELLO: Hello<'static> = Hello {
    version: VERSION,
    board: "bench",
    sensor: "ADXL345",
    rate_millihertz: 100_000,
    axes: 3,
    unit: "g",
    counts_per_thousand_units: 256_000,
    full_scale: 4096,
};
const PER_FRAME: usize = 10;

/// A board that measures, and counts as a real one does.
struct Board {
    sender: Sender,
    instant: u64,
    gaps: u32,
}

impl Board {
    fn new() -> Board {
        Board { sender: Sender::new(), instant: 0, gaps: 0 }
    }

    fn frame(&mut self, message: Message<'_>) -> Vec<u8> {
        let mut buffer = [0; MAX_FRAME_BYTES];
        self.sender.frame(&message, &mut buffer).unwrap().to_vec()
    }

    fn hello(&mut self) -> Vec<u8> {
        self.frame(Message::Hello(HELLO))
    }

    fn samples(&mut self) -> Vec<u8> {
        let values: Vec<i16> = (0..PER_FRAME as u64).flat_map(|n| sample(self.instant + n)).collect();
        let mut bytes = [0; 6 * PER_FRAME];
        let samples = Samples::new(self.instant, &values, &mut bytes).unwrap();
        self.instant += PER_FRAME as u64;
        self.frame(Message::Samples(samples))
    }

    fn gap(&mut self, lost: u32, cause: Cause) -> Vec<u8> {
        let gap = Gap { instant: self.instant, lost: Some(lost), cause };
        self.instant += u64::from(lost);
        self.gaps += 1;
        self.frame(Message::Gap(gap))
    }

    fn end(&mut self) -> Vec<u8> {
        self.frame(Message::End(End { instants: self.instant, gaps: self.gaps }))
    }
}

fn sample(instant: u64) -> [i16; 3] {
    [instant as i16, 7, -(instant as i16)]
}

fn start(words: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_trainer"))
        .args(words)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn record(cable: &Cable, out: &Path, more: &[&str]) -> Child {
    let (port, out) = (cable.port(), out.to_str().unwrap().to_string());
    let words = ["record", "--port", port.to_str().unwrap(), "--label", "healthy", "--out", &out, "--json"];
    start(&[&words[..], more].concat())
}

fn json(output: &Output) -> Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {stderr}"))
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Waits until the files below a folder hold so many samples: until then a line must not be cut, or what is lost is
/// chance.
fn wait_for_instants(folder: &Path, instants: usize) {
    for _ in 0..1200 {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let count = |path: PathBuf| {
            let text = fs::read_to_string(path).unwrap_or_default();
            text.matches('\n').count().saturating_sub(1)
        };
        if entries.map(|entry| count(entry.path())).sum::<usize>() >= instants {
            return;
        }
        thread::sleep(Duration::from_millis(25));
    }
    panic!("{instants} instants never came");
}

/// Every sample of every file is the one that was measured at that instant; returns first instant and number of each.
fn files(report: &Value) -> Vec<(u64, u64, String)> {
    let mut found = Vec::new();
    for file in report["files"].as_array().unwrap() {
        let text = fs::read_to_string(file["file"].as_str().unwrap()).unwrap();
        let (first, count) = (file["first_instant"].as_u64().unwrap(), file["instants"].as_u64().unwrap());
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some("x,y,z"));
        let mut seen = 0;
        for (instant, line) in (first..).zip(lines) {
            let [x, y, z] = sample(instant);
            assert_eq!(line, format!("{x},{y},{z}"), "instant {instant}");
            seen += 1;
        }
        assert_eq!(seen, count);
        found.push((first, count, file["begins_after"].as_str().unwrap().to_string()));
    }
    found
}

#[test]
fn a_recording_is_kept_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    for take in ["t001", "t002"] {
        let mut cable = Cable::new();
        let child = record(&cable, folder.path(), &[]);
        let mut board = Board::new();
        let mut line = board.hello();
        (0..40).for_each(|_| line.extend(board.samples()));
        line.extend(board.end());
        cable.send(&line);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let report = json(&output);
        assert_eq!(files(&report), [(0, 400, "start".to_string())]);
        assert_eq!((&report["ending"], &report["seconds"]), (&"end".into(), &4.0.into()));
        assert_eq!(
            (&report["board"], &report["sensor"], &report["axes"]),
            (&"bench".into(), &"ADXL345".into(), &3.into())
        );
        assert_eq!(report["group"], take);
        let lost = report["lost"].as_object().unwrap();
        assert!(lost.values().all(|count| *count == 0), "{lost:?}");
    }
    let names = fs::read_dir(folder.path().join("healthy")).unwrap();
    let mut names: Vec<String> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["t001_001.csv", "t001_001.json", "t002_001.csv", "t002_001.json"]);
}

#[test]
fn a_line_that_is_cut_in_the_middle_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut cable = Cable::new();
    let child = record(&cable, folder.path(), &["--wait", "60"]);
    let mut board = Board::new();
    let mut line = board.hello();
    (0..30).for_each(|_| line.extend(board.samples()));
    // Half a frame.
    let half = board.samples();
    line.extend(&half[..half.len() / 2]);
    cable.send(&line);
    wait_for_instants(&folder.path().join("healthy"), 300);
    cable.pull_out();
    // The board goes on meanwhile.
    (0..5).for_each(|_| drop(board.samples()));
    cable.plug_in();
    let mut line = board.samples()[20..].to_vec();
    line.extend(board.hello());
    (0..20).for_each(|_| line.extend(board.samples()));
    line.extend(board.end());
    cable.send(&line);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("the line is cut") && stderr(&output).contains("the line is back"));
    let report = json(&output);
    assert_eq!(files(&report), [(0, 300, "start".to_string()), (370, 200, "line".to_string())]);
    assert_eq!((&report["lost"]["on_line"], &report["lost"]["frames"]), (&70.into(), &7.into()));
    let cuts = report["cuts"].as_array().unwrap();
    assert_eq!((cuts.len(), &cuts[0]["instant"]), (1, &300.into()));
    assert!(cuts[0]["seconds"].as_f64().is_some());
    // The log beside the files says the same.
    let log = fs::read_to_string(folder.path().join("healthy/t001_001.json")).unwrap();
    let log: Value = serde_json::from_str(&log).unwrap();
    assert_eq!((&log["lost"], &log["files"]), (&report["lost"], &report["files"]));
}

#[test]
fn a_line_that_stays_cut_keeps_what_came() {
    let folder = tempfile::tempdir().unwrap();
    let mut cable = Cable::new();
    let child = record(&cable, folder.path(), &["--wait", "1"]);
    let mut board = Board::new();
    let mut line = board.hello();
    (0..20).for_each(|_| line.extend(board.samples()));
    cable.send(&line);
    wait_for_instants(&folder.path().join("healthy"), 200);
    cable.pull_out();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("was cut and did not come back"), "{}", stderr(&output));
    let report = json(&output);
    assert_eq!(files(&report), [(0, 200, "start".to_string())]);
    assert_eq!((&report["ending"], &report["cuts"][0]["seconds"]), (&"cut".into(), &Value::Null));
}

/// Damaged bytes, dropped frames and losses of the board: what is missing is what the report says.
#[test]
fn damage_and_losses_are_told_to_the_instant() {
    let folder = tempfile::tempdir().unwrap();
    let mut cable = Cable::new();
    let child = record(&cable, folder.path(), &[]);
    let mut board = Board::new();
    let mut line = board.hello();
    for number in 0..60 {
        match number {
            10 => line.extend(board.gap(25, Cause::Queue)),
            20 => line.extend(board.gap(4, Cause::Sensor)),
            30 => drop([board.samples(), board.samples()]),
            _ => {}
        }
        let mut frame = board.samples();
        if number == 40 {
            frame[12] ^= 0x10;
        }
        if number == 50 {
            // Noise between two frames.
            line.extend([1, 2, 3, 0, 77, 0, 0]);
        }
        line.extend(frame);
    }
    line.extend(board.end());
    cable.send(&line);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let report = json(&output);
    let expected = [
        (0, 100, "start"),
        (125, 100, "queue"),
        (229, 100, "sensor"),
        (349, 100, "line"),
        (459, 190, "line"),
    ];
    assert_eq!(files(&report), expected.map(|(first, count, cause)| (first, count, cause.to_string())));
    let lost = &report["lost"];
    let counts = ["by_queue", "by_sensor", "on_line", "frames", "damaged", "gaps_of_unknown_length"];
    assert_eq!(counts.map(|key| lost[key].as_u64().unwrap()), [25, 4, 30, 3, 3, 0]);
    let missing = 25 + 4 + 30;
    assert_eq!(report["instants"].as_u64().unwrap() + missing, board.instant);
}

#[test]
fn ctrl_c_ends_a_recording_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let mut cable = Cable::new();
    let child = record(&cable, folder.path(), &[]);
    let mut board = Board::new();
    let mut line = board.hello();
    (0..20).for_each(|_| line.extend(board.samples()));
    cable.send(&line);
    wait_for_instants(&folder.path().join("healthy"), 200);
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let report = json(&output);
    assert_eq!(report["ending"], "interrupted");
    assert_eq!(files(&report), [(0, 200, "start".to_string())]);
}

#[test]
fn so_many_seconds_are_recorded_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let mut cable = Cable::new();
    let child = record(&cable, folder.path(), &["--seconds", "1.25", "--group", "anna"]);
    let mut board = Board::new();
    let mut line = board.hello();
    (0..40).for_each(|_| line.extend(board.samples()));
    cable.send(&line);
    let output = child.wait_with_output().unwrap();
    let report = json(&output);
    assert_eq!(files(&report), [(0, 125, "start".to_string())]);
    assert_eq!((&report["ending"], &report["group"]), (&"seconds".into(), &"anna".into()));
}

#[test]
fn a_silent_line_and_a_wrong_path_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut cable = Cable::new();
    let child = record(&cable, folder.path(), &["--wait", "0.5"]);
    cable.send(b"no frames here\0at all\0");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(
        said.contains("no board said who it is, though 2 pieces came") && said.contains("--app record"),
        "{said}"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);

    let out = folder.path().to_str().unwrap();
    for (words, expected) in [
        (
            vec!["record", "--port", "/dev/no-such-port", "--label", "a", "--out", out],
            "/dev/no-such-port cannot be opened",
        ),
        (vec!["record", "--port", "x", "--label", "../a", "--out", out], "--label `../a`"),
        (vec!["record", "--port", "emulated:mps2", "--label", "a", "--out", out], "no board `mps2`"),
        (
            vec!["record", "--port", "x", "--label", "a", "--out", out, "--signal", "machine:healthy"],
            "--signal is for emulated",
        ),
        (
            vec!["record", "--port", "x", "--label", "a", "--out", out, "--signal", "machine:sad"],
            "states are healthy",
        ),
        (vec!["record", "--port", "x", "--label", "a", "--out", out, "--seconds", "0"], "number of seconds"),
    ] {
        let output = start(&words).wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}");
        assert!(stderr(&output).contains(expected), "{words:?}: {}", stderr(&output));
    }
}

#[test]
fn a_monitor_shows_what_a_board_tells() {
    for json_lines in [true, false] {
        let mut cable = Cable::new();
        let port = cable.port();
        let mode = if json_lines { "--json" } else { "--plain" };
        let mut child = start(&["monitor", "--port", port.to_str().unwrap(), mode, "--wait", "60"]);
        let mut board = Board::new();
        let mut line = board.hello();
        let decision = Decision { instant: 96, class: 2, label: "imbalance", score: 192 };
        line.extend(board.frame(Message::Decision(decision)));
        line.extend(board.frame(Message::Leading(Decision { score: 64, ..decision })));
        let metrics =
            Metrics { instants: 200, inferences: 5, overruns: 3, inference_us: 700, ..Metrics::default() };
        line.extend(board.frame(Message::Metrics(metrics)));
        line.extend(board.frame(Message::Log(Log { level: Level::Warning, text: "it is warm" })));
        line.extend(board.frame(Message::Health(Health {
            instant: 210,
            condition: Condition::Stuck,
            begins: true,
        })));
        // Lost on the line.
        drop(board.hello());
        line.extend(b"\0noise\0");
        line.extend(board.frame(Message::Metrics(Metrics { inferences: 6, inference_us: 900, ..metrics })));
        line.extend(board.frame(Message::Log(Log { level: Level::Info, text: "the last line" })));
        cable.send(&line);
        // Until the last line was seen.
        let (mut seen, mut piece) = (Vec::new(), [0; 1000]);
        let mut stdout = child.stdout.take().unwrap();
        while !String::from_utf8_lossy(&seen).contains("the last line") {
            let count = stdout.read(&mut piece).unwrap();
            assert!(count > 0, "{}", String::from_utf8_lossy(&seen));
            seen.extend(&piece[..count]);
        }
        Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        stdout.read_to_end(&mut seen).unwrap();
        assert!(child.wait().unwrap().success());
        let text = String::from_utf8(seen).unwrap();
        if json_lines {
            let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let kinds: Vec<&str> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
            let expected = [
                "hello", "decision", "leading", "metrics", "log", "health", "damaged", "metrics", "log",
                "summary",
            ];
            assert_eq!(kinds, expected);
            assert_eq!(
                (&lines[1]["label"], &lines[1]["score"], &lines[1]["seconds"]),
                (&"imbalance".into(), &0.75.into(), &0.96.into())
            );
            assert_eq!((&lines[2]["label"], &lines[2]["score"]), (&"imbalance".into(), &0.25.into()));
            assert_eq!((&lines[3]["overruns"], &lines[3]["inference_us"]), (&3.into(), &700.into()));
            let summary = &lines[9];
            assert_eq!((&summary["missing_frames"], &summary["damaged"]), (&1.into(), &1.into()));
            let times = ["inference_us_min", "inference_us_mean", "inference_us_max"];
            assert_eq!(times.map(|key| summary[key].as_u64().unwrap()), [700, 800, 900]);
        } else {
            for expected in [
                "bench, ADXL345: 100 Hz",
                "    0.960 s  imbalance  75 %",
                "warning: 3 queue overruns",
                "warning: it is warm",
                "the sensor is stuck (instant 210)",
                "5 bytes on the line are no frame",
                "an inference took 800 µs (700 to 900)",
                "on the line: 1 frames lost, 1 damaged pieces (5 bytes)",
            ] {
                assert!(text.contains(expected), "`{expected}` is not in\n{text}");
            }
        }
    }
}

/// On a terminal the view is drawn again over itself, and shows what a person wants to know.
#[test]
fn on_a_terminal_monitor_is_a_live_view() {
    let mut cable = Cable::new();
    let port = cable.port();
    let (mut screen, terminal) = SerialPort::pair().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_trainer"))
        .args(["monitor", "--port", port.to_str().unwrap(), "--wait", "60"])
        .env("TERM", "xterm")
        .stdout(Stdio::from(std::os::fd::OwnedFd::from(terminal)))
        .spawn()
        .unwrap();
    let mut board = Board::new();
    let decision = Decision { instant: 96, class: 2, label: "imbalance", score: 192 };
    let metrics =
        Metrics { instants: 200, inferences: 5, overruns: 3, inference_us: 700, ..Metrics::default() };
    let mut line = board.hello();
    for message in [
        Message::Decision(decision),
        Message::Leading(Decision { class: 1, label: "", score: 128, ..decision }),
        Message::Metrics(metrics),
        Message::Log(Log { level: Level::Warning, text: "it is warm" }),
    ] {
        line.extend(board.frame(message));
    }
    cable.send(&line);
    screen.set_read_timeout(Duration::from_secs(60)).unwrap();
    let (mut seen, mut piece) = (Vec::new(), [0; 4000]);
    let mut read_until = |expected: &str, seen: &mut Vec<u8>| {
        while !String::from_utf8_lossy(seen).contains(expected) {
            let count = screen.read(&mut piece).unwrap_or(0);
            assert!(count > 0, "`{expected}` is not in\n{}", String::from_utf8_lossy(seen));
            seen.extend(&piece[..count]);
        }
    };
    read_until("it is warm", &mut seen);
    // The next picture, with what is new since.
    seen.clear();
    cable.send(&board.frame(Message::Leading(Decision {
        class: 0,
        label: "healthy",
        score: 255,
        ..decision
    })));
    read_until("healthy  99 %", &mut seen);
    read_until("it is warm", &mut seen);
    let picture = String::from_utf8_lossy(&seen);
    assert!(picture.contains("\u{1b}["), "the last picture is cleared away: {picture:?}");
    for expected in [
        "bench, ADXL345: 100 Hz",
        "2.0 s, 200 instants",
        "5, the last one in 700 µs",
        "3 queue overruns",
        "0.960 s  imbalance  75 %",
        "████████████████████ healthy  99 %",
    ] {
        assert!(picture.contains(expected), "`{expected}` is not in\n{picture}");
    }
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(child.wait().unwrap().success());
}

/// A folder to which a program for a board on a debug probe was flashed, and a `probe-rs` that says this and goes on for so
/// many seconds.
fn flashed(says: &str, seconds: u32, code: u8) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("flashed/nrf52840-dk");
    fs::create_dir_all(&folder).unwrap();
    let note = r#"{"board":"nrf52840-dk","app":"motion","elf":"motion.elf","model":null}"#;
    fs::write(folder.join("flashed.json"), note).unwrap();
    let program = place.path().join("probe-rs");
    let script = format!(
        "#!/bin/sh\necho \"$@\" > asked\nprintf '{says}'\necho 'no probe was found' >&2\nsleep {seconds}\nexit {code}\n"
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    place
}

fn monitor(place: &TempDir, more: &[&str]) -> Output {
    let path = std::env::var("PATH").unwrap_or_default();
    Command::new(env!("CARGO_BIN_EXE_trainer"))
        .args(["monitor", "--board", "nrf52840-dk"])
        .args(more)
        .current_dir(place.path())
        .env("PATH", format!("{}:{path}", place.path().display()))
        .output()
        .unwrap()
}

#[test]
fn logs_of_a_debug_probe_come_alone_or_beside_the_frames() {
    let place = flashed("INFO  it starts\\nWARN  it is warm\\n", 30, 0);
    let output = monitor(&place, &["--json", "--seconds", "2"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!(
        (&lines[0]["kind"], &lines[0]["level"], &lines[0]["text"]),
        (&"log".into(), &"info".into(), &"it starts".into())
    );
    assert_eq!((&lines[1]["level"], &lines[1]["text"]), (&"warning".into(), &"it is warm".into()));
    let asked = fs::read_to_string(place.path().join("asked")).unwrap();
    assert_eq!(
        asked.trim(),
        "attach --chip nRF52840_xxAA --log-format {L} {s} flashed/nrf52840-dk/motion.elf"
    );

    let mut cable = Cable::new();
    let port = cable.port();
    cable.send(&Board::new().hello());
    let output = monitor(&place, &["--plain", "--seconds", "2", "--port", port.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("bench, ADXL345: 100 Hz") && text.contains("warning: it is warm"), "{text}");
}

#[test]
fn a_debug_probe_that_fails_is_told() {
    let place = flashed("", 0, 1);
    let output = monitor(&place, &[]);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("no probe was found"), "{error}");
    for (words, expected) in [
        (vec!["--fast"], "--fast and --signal are for emulated boards"),
        (vec!["--flashed", "nowhere"], "nothing was flashed for board nrf52840-dk"),
    ] {
        let output = monitor(&place, &words);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(expected), "{words:?}: {error}");
    }
    let words = ["monitor", "--board", "mps2-an386", "--port", "/dev/null"];
    let output = Command::new(env!("CARGO_BIN_EXE_trainer")).args(words).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("for boards on a debug probe"), "{error}");
}
