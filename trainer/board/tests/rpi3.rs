//! The Raspberry Pi 3 without an operating system, emulated: a recording goes in by the serial line, and
//! what comes out is what the host decides.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use teff::{ModelFile, Session};
use teff_app::needs::Needs;
use teff_app::pipeline::{Pipeline, Step, workspace_words};
use teff_app::queue::Gap;
use teff_app::sensor::recorded::Recorded;
use teff_app::sensor::{Format, Sensor};
use teff_board::rpi3::{self, Emulated, RPI3_BARE};
use teff_board::{Firmware, Link, Rust, find_program};
use teff_compiler::{Target, compile};
use teff_link::{End, Hello, MAX_FRAME_BYTES, Message, Samples, Sender};

/// How long anything may take before the test gives up.
const LIMIT: Duration = Duration::from_secs(300);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn skipped() -> bool {
    let no_emulator = find_program(RPI3_BARE.emulator).is_none();
    let missing = no_emulator.then(|| format!("`{}` is missing", RPI3_BARE.emulator));
    let missing = missing.or_else(|| Rust::find(RPI3_BARE.target).err().map(|why| format!("{why:#}")));
    if let Some(missing) = &missing {
        println!("SKIPPED the emulated Raspberry Pi: {missing}");
    }
    missing.is_some()
}

/// A recording, what its samples are, and the program and model that it is for.
struct Case {
    program: &'static str,
    model: &'static str,
    samples: Vec<i16>,
    format: Format,
}

fn machine() -> Case {
    let path = root().join("firmware/emulated/recordings/machine.csv");
    let text = fs::read_to_string(path).unwrap();
    let samples = text.lines().skip(1).flat_map(|line| line.split(',')).map(|word| word.parse().unwrap());
    let format = Format {
        sensor: "ADXL345",
        rate_millihertz: 1_600_000,
        axes: 3,
        unit: "g",
        counts_per_thousand_units: 256_000,
        full_scale: 4096,
    };
    Case { program: "motion", model: "machine", samples: samples.collect(), format }
}

fn digits() -> Case {
    let bytes = fs::read(root().join("firmware/emulated/recordings/digits.wav")).unwrap();
    let samples = bytes[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    let format = Format {
        sensor: "microphone",
        rate_millihertz: 8_000_000,
        axes: 1,
        unit: "",
        counts_per_thousand_units: 1000,
        full_scale: 32_768,
    };
    Case { program: "listen", model: "digits", samples, format }
}

/// What the program prints of a recording, found by the same pipeline on the host. `gap` instants are left
/// out before the sample of the first number.
fn on_host(case: &Case, gap: Option<(usize, usize)>) -> Vec<String> {
    let onnx = fs::read(model(case)).unwrap();
    let file = ModelFile::from_bytes(&compile(&onnx, Target::Generic).unwrap().plan).unwrap();
    let mut arena = file.arena();
    let mut workspace = vec![0; workspace_words(file.as_bytes())];
    let session = Session::from_model(file.model(), arena.as_mut_slice()).unwrap();
    let needs = Needs::read(session.model()).unwrap();
    let axes = usize::from(case.format.axes);
    let mut sensor = needs.fit(Recorded::new(case.format, &case.samples, 1)).unwrap();
    let mut pipeline = Pipeline::<_, 16, 16>::new(session, &mut workspace, sensor.format()).unwrap();
    let (mut lines, mut instant, mut at) = (Vec::new(), vec![0; axes], 0);
    while !sensor.sensor_mut().is_over() {
        let Ok(_) = sensor.read(&mut instant);
        at += 1;
        if let Some((first, count)) = gap {
            if at > first && at <= first + count {
                continue;
            }
            if at == first + count + 1 {
                pipeline.gap(Gap::Lost(count as u32));
            }
        }
        pipeline.push(&instant);
        loop {
            match pipeline.step(u32::MAX) {
                Step::Idle => break,
                Step::Working | Step::Inferred(None) => {}
                Step::Inferred(Some(event)) => {
                    let milliseconds = pipeline.heard() * 1_000_000 / u64::from(case.format.rate_millihertz);
                    let (label, percent) = (pipeline.label(event.class), event.score * 100 / 256);
                    lines.push(format!("{milliseconds:>6} ms  {label}  {percent} %"));
                }
            }
        }
    }
    let counts = pipeline.counts();
    lines.push(format!("{} instants, {} inferences", counts.instants, counts.inferences));
    lines
}

fn model(case: &Case) -> PathBuf {
    root().join("models").join(case.model).join("model.onnx")
}

/// Frames of a recording: who sends, samples in pieces of `piece` instants, the end.
fn frames(case: &Case, piece: usize) -> Vec<Vec<u8>> {
    let (mut sender, mut buffer) = (Sender::new(), [0; MAX_FRAME_BYTES]);
    let hello = Hello {
        version: teff_link::VERSION,
        board: "host",
        sensor: case.format.sensor,
        rate_millihertz: case.format.rate_millihertz,
        axes: case.format.axes,
        unit: case.format.unit,
        counts_per_thousand_units: case.format.counts_per_thousand_units,
        full_scale: case.format.full_scale,
    };
    let mut frames = vec![sender.frame(&Message::Hello(hello), &mut buffer).unwrap().to_vec()];
    let axes = usize::from(case.format.axes);
    let mut instant = 0;
    for samples in case.samples.chunks(piece * axes) {
        let mut bytes = [0; MAX_FRAME_BYTES];
        let message = Message::Samples(Samples::new(instant, samples, &mut bytes).unwrap());
        frames.push(sender.frame(&message, &mut buffer).unwrap().to_vec());
        instant += (samples.len() / axes) as u64;
    }
    let end = Message::End(End { instants: instant, gaps: 0 });
    frames.push(sender.frame(&end, &mut buffer).unwrap().to_vec());
    frames
}

/// An emulated Pi with a model, and the lines that it prints.
fn start(case: &Case) -> (Emulated, Receiver<String>) {
    let firmware = Firmware { board: &RPI3_BARE, program: case.program, link: Link::File(model(case)) };
    let image = rpi3::read_image(&firmware.build().unwrap()).unwrap();
    let mut emulated = rpi3::emulate(&image).unwrap();
    let stdout = emulated.child.stdout.take().unwrap();
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    assert_eq!(lines.recv_timeout(LIMIT).unwrap(), "ready");
    (emulated, lines)
}

/// Sends bytes and gives what is printed up to `last`.
fn converse(emulated: &mut Emulated, lines: &Receiver<String>, bytes: &[u8], last: &str) -> Vec<String> {
    let mut stdin = emulated.child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    // The line takes bytes only as fast as the program does.
    let sending = thread::spawn(move || {
        stdin.write_all(&bytes).unwrap();
        stdin.flush().unwrap();
        stdin
    });
    let mut printed: Vec<String> = Vec::new();
    while printed.last().is_none_or(|line| !line.starts_with(last)) {
        let line = lines.recv_timeout(LIMIT).unwrap_or_else(|why| panic!("{why} after {printed:#?}"));
        printed.push(line);
    }
    emulated.child.stdin = Some(sending.join().unwrap());
    printed
}

const NOTHING_LOST: &str =
    "0 windows missed, 0 gaps, 0 instants lost, 0 frames missing, 0 damaged, 0 bytes overrun";

#[test]
fn the_emulated_pi_decides_what_the_host_decides() {
    if skipped() {
        return;
    }
    for (case, piece, decisions) in [(machine(), 80, 3), (digits(), 33, 6)] {
        let expected = on_host(&case, None);
        assert!(expected.len() > decisions, "{expected:?}");
        let (mut emulated, lines) = start(&case);
        let printed = converse(&mut emulated, &lines, &frames(&case, piece).concat(), "end");
        let (totals, found) = printed.split_at(expected.len());
        assert_eq!(totals, expected);
        assert_eq!(found, [NOTHING_LOST, "end"]);
    }
}

/// A cut line: half a frame is missing, and what comes after it is behind a gap.
#[test]
fn what_is_lost_on_the_line_is_counted_and_got_over() {
    if skipped() {
        return;
    }
    let case = machine();
    let (lost, piece) = (20, 80);
    let mut frames = frames(&case, piece);
    // Frame 0 is the hello.
    let cut = frames[1 + lost].len() / 2;
    frames[1 + lost].truncate(cut);
    let expected = on_host(&case, Some((lost * piece, piece)));
    let (mut emulated, lines) = start(&case);
    let printed = converse(&mut emulated, &lines, &frames.concat(), "end");
    let (totals, found) = printed.split_at(expected.len());
    assert_eq!(totals, expected);
    let counted = format!(
        "0 windows missed, 1 gaps, {piece} instants lost, 1 frames missing, 1 damaged, 0 bytes overrun"
    );
    assert_eq!(found, [counted.as_str(), "end"]);
}

#[test]
fn a_host_that_sends_what_the_model_cannot_use_is_refused() {
    if skipped() {
        return;
    }
    let mut case = machine();
    case.format.rate_millihertz = 800_000;
    let (mut emulated, lines) = start(&case);
    let hello = frames(&case, 80).remove(0);
    let printed = converse(&mut emulated, &lines, &hello, "error");
    let expected = "error: the model needs 1600000 samples per 1000 seconds, but the serial line gives 800000; reset the board";
    assert_eq!(printed, [expected]);
}
