//! What the tests share: the service as a process, and what the host's pipeline decides.
// Each of them uses a part.
#![allow(dead_code)]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde_json::Value;
use teff::{ModelFile, Session};
use teff_app::needs::Needs;
use teff_app::pipeline::{Pipeline, Step, workspace_words};
use teff_app::sensor::recorded::Recorded;
use teff_app::sensor::{Format, Sensor};
use teff_compiler::{Target, compile};

/// The project's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..").canonicalize().unwrap()
}

/// `models/<name>/model.onnx`.
pub fn model(name: &str) -> PathBuf {
    root().join("models").join(name).join("model.onnx")
}

/// A recording that the emulated boards replay too.
pub fn recording(name: &str) -> PathBuf {
    root().join("firmware/emulated/recordings").join(name)
}

/// The samples of a recording.
pub fn samples(name: &str) -> Vec<i16> {
    let bytes = fs::read(recording(name)).unwrap();
    if name.ends_with(".wav") {
        return bytes[44..].chunks_exact(2).map(|pair| i16::from_le_bytes([pair[0], pair[1]])).collect();
    }
    let text = String::from_utf8(bytes).unwrap();
    text.lines().skip(1).flat_map(|line| line.split(',')).map(|count| count.parse().unwrap()).collect()
}

/// Instant, class and score of each decision.
pub type Decided = Vec<(u64, u64, u64)>;

/// What the pipeline decides when it is called from here. `counts_per_thousand_units` are the recording's, if
/// they are not the model's.
pub fn on_host(model_name: &str, samples: &[i16], counts_per_thousand_units: Option<u32>) -> Decided {
    let onnx = fs::read(model(model_name)).unwrap();
    let file = ModelFile::from_bytes(&compile(&onnx, Target::Generic).unwrap().plan).unwrap();
    let mut arena = file.arena();
    let mut workspace = vec![0; workspace_words(file.as_bytes())];
    let session = Session::from_model(file.model(), arena.as_mut_slice()).unwrap();
    let needs = Needs::read(session.model()).unwrap();
    let format = Format {
        sensor: "recording",
        rate_millihertz: needs.rate_millihertz,
        axes: needs.axes,
        unit: if needs.unit == Some("g") { "g" } else { "" },
        counts_per_thousand_units: counts_per_thousand_units
            .or(needs.counts_per_thousand_units)
            .unwrap_or(1000),
        full_scale: 32_768,
    };
    let mut sensor = needs.fit(Recorded::new(format, samples, 7)).unwrap();
    let axes = usize::from(needs.axes);
    let mut pipeline = Pipeline::<_, 16, 16>::new(session, &mut workspace, sensor.format()).unwrap();
    let (mut buffer, mut decided) = (vec![0; 7 * axes], Vec::new());
    while !sensor.sensor_mut().is_over() {
        let Ok(instants) = sensor.read(&mut buffer);
        pipeline.push(&buffer[..instants * axes]);
        loop {
            match pipeline.step(5000) {
                Step::Idle => break,
                Step::Working | Step::Inferred(None) => {}
                Step::Inferred(Some(event)) => {
                    decided.push((pipeline.heard(), event.class as u64, event.score.into()));
                }
            }
        }
    }
    assert_eq!(pipeline.missed(), 0);
    decided
}

/// A folder with a configuration.
pub fn config(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("teff-sensord.toml");
    fs::write(&path, text).unwrap();
    (folder, path)
}

/// The service, running.
pub struct Service {
    child: Child,
    lines: BufReader<ChildStdout>,
}

/// How it ended.
pub struct Ended {
    pub code: Option<i32>,
    /// Messages that were not read before.
    pub messages: Vec<Value>,
    pub stderr: String,
}

impl Service {
    pub fn start(config: &Path) -> Service {
        Self::start_with(config, &[])
    }

    pub fn start_with(config: &Path, variables: &[(&str, &str)]) -> Service {
        let mut command = Command::new(env!("CARGO_BIN_EXE_teff-sensord"));
        command.arg("--config").arg(config).envs(variables.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Service { child, lines }
    }

    /// The next message; `None` at the end.
    pub fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        if self.lines.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        Some(serde_json::from_str(&line).unwrap_or_else(|why| panic!("{why}: {line}")))
    }

    /// Asks it to stop, as systemd does.
    pub fn terminate(&self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    }

    /// Waits for the end.
    pub fn end(mut self) -> Ended {
        let mut messages = Vec::new();
        while let Some(message) = self.next() {
            messages.push(message);
        }
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        let code = self.child.wait().unwrap().code();
        Ended { code, messages, stderr }
    }
}

/// The decisions among messages.
pub fn decisions(messages: &[Value]) -> Decided {
    let decisions = messages.iter().filter(|message| message["type"] == "decision");
    let number = |message: &Value, key: &str| message[key].as_u64().unwrap();
    decisions
        .map(|message| (number(message, "instant"), number(message, "class"), number(message, "score")))
        .collect()
}

/// The last message of a type.
pub fn last<'m>(messages: &'m [Value], kind: &str) -> &'m Value {
    messages.iter().rfind(|message| message["type"] == kind).unwrap()
}
