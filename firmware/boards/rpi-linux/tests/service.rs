//! The service as systemd runs it: decisions, signals, refusals.

mod support;

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use support::{Service, config, decisions, last, model, on_host, recording, samples};

const MACHINE_COUNTS_PER_G: u32 = 256;

/// The vibrating machine that the emulated boards replay, as fast as possible or at its own rate.
fn machine(pace: &str, more: &str) -> String {
    format!(
        "[model]\npath = '{}'\n[sensor.recording]\nfile = '{}'\npace = '{pace}'\ncounts_per_unit = {MACHINE_COUNTS_PER_G}\n{more}",
        model("machine").display(),
        recording("machine.csv").display()
    )
}

fn machine_on_host() -> support::Decided {
    on_host("machine", &samples("machine.csv"), Some(MACHINE_COUNTS_PER_G * 1000))
}

#[test]
fn it_decides_what_the_host_decides() {
    let (_folder, path) = config(&machine("fast", ""));
    let ended = Service::start(&path).end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let expected = machine_on_host();
    assert_eq!(expected.len(), 3);
    assert_eq!(decisions(&ended.messages), expected);
    let metrics = last(&ended.messages, "metrics");
    for (key, value) in [("instants", 9600), ("inferences", 18), ("missed", 0), ("overruns", 0), ("gaps", 0)]
    {
        assert_eq!(metrics[key], value, "{key}");
    }
    assert_eq!(last(&ended.messages, "stop")["reason"], "end of recording");
    // Each message has its number.
    for (at, message) in ended.messages.iter().enumerate() {
        assert_eq!(message["n"], at);
    }
    // Lines for the journal.
    assert!(ended.stderr.lines().all(|line| line.starts_with("<6>")), "{}", ended.stderr);
}

#[test]
fn it_hears_what_the_host_hears() {
    let (folder, path) = config("");
    fs::copy(model("digits"), folder.path().join("m.onnx")).unwrap();
    fs::copy(recording("digits.wav"), folder.path().join("d.wav")).unwrap();
    // Paths are meant from the configuration's folder.
    fs::write(&path, "[model]\npath = 'm.onnx'\n[sensor.recording]\nfile = 'd.wav'\n").unwrap();
    let ended = Service::start(&path).end();
    let expected = on_host("digits", &samples("digits.wav"), None);
    assert!(expected.len() >= 6);
    assert_eq!(decisions(&ended.messages), expected, "{}", ended.stderr);
}

#[test]
fn a_plan_needs_no_compiler() {
    let (folder, path) =
        config(&machine("fast", "").replace(&model("machine").display().to_string(), "m.teff"));
    let onnx = fs::read(model("machine")).unwrap();
    let plan = teff_compiler::compile(&onnx, teff_compiler::Target::Generic).unwrap().plan;
    fs::write(folder.path().join("m.teff"), plan).unwrap();
    assert_eq!(decisions(&Service::start(&path).end().messages), machine_on_host());
}

/// As `arecord` would: a program that writes bytes, here in pieces that end within a sample.
#[test]
fn a_program_is_a_microphone() {
    let script = "tail -c +45 \"$0\" | for i in $(seq 200); do dd bs=1001 count=1 2>/dev/null; sleep 0.05; done; exec sleep 60";
    let (_folder, path) = config(&format!(
        "[model]\npath = '{}'\n[sensor.command]\nrun = ['sh', '-c', '{script}', '{}']\n",
        model("digits").display(),
        recording("digits.wav").display()
    ));
    let expected = on_host("digits", &samples("digits.wav"), None);
    let mut service = Service::start(&path);
    let mut messages = Vec::new();
    while decisions(&messages).len() < expected.len() {
        messages.push(service.next().expect("it ended too early"));
    }
    assert_eq!(decisions(&messages), expected);
    service.terminate();
    assert_eq!(service.end().code, Some(0));
}

/// A program that ends is reported and started anew, behind a gap.
#[test]
fn a_program_that_ends_is_started_anew() {
    let script = "tail -c +45 \"$0\" | head -c 4000; sleep 0.1";
    let (_folder, path) = config(&format!(
        "[model]\npath = '{}'\n[sensor.command]\nrun = ['sh', '-c', '{script}', '{}']\n",
        model("digits").display(),
        recording("digits.wav").display()
    ));
    let mut service = Service::start(&path);
    let mut restarts = 0;
    while restarts < 2 {
        let message = service.next().expect("it ended too early");
        restarts += u32::from(message["what"] == "restarted");
    }
    service.terminate();
    let ended = service.end();
    assert_eq!(ended.code, Some(0));
    let metrics = last(&ended.messages, "metrics");
    assert!(metrics["restarts"].as_u64() >= Some(2) && metrics["gaps"].as_u64() >= Some(1), "{metrics}");
    assert!(ended.stderr.contains("<4>"), "{}", ended.stderr);
}

#[test]
fn a_signal_ends_it_in_order() {
    let (_folder, path) = config(&machine("real", ""));
    let mut service = Service::start(&path);
    assert_eq!(service.next().unwrap()["type"], "start");
    assert_eq!(service.next().unwrap()["type"], "decision");
    service.terminate();
    let ended = service.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(last(&ended.messages, "stop")["reason"], "signal");
    assert!(last(&ended.messages, "metrics")["instants"].as_u64() >= Some(1536));
}

#[test]
fn systemd_is_told() {
    let (folder, path) = config(&machine("real", ""));
    let socket = folder.path().join("notify");
    let systemd = UnixDatagram::bind(&socket).unwrap();
    systemd.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let socket = socket.display().to_string();
    let service =
        Service::start_with(&path, &[("NOTIFY_SOCKET", socket.as_str()), ("WATCHDOG_USEC", "400000")]);
    let told = |word: &str| loop {
        let mut bytes = [0; 256];
        let len = systemd.recv(&mut bytes).unwrap_or_else(|why| panic!("{word}: {why}"));
        if String::from_utf8_lossy(&bytes[..len]).contains(word) {
            return;
        }
    };
    told("READY=1");
    told("WATCHDOG=1");
    service.terminate();
    told("STOPPING=1");
    assert_eq!(service.end().code, Some(0));
}

#[test]
fn what_cannot_be_used_is_refused_with_a_code_of_its_own() {
    let machine = machine("fast", "");
    for (text, words) in [
        (format!("{machine}rate = 5\n"), vec!["line 7", "rate"]),
        (machine.replace("model.onnx", "no-such.onnx"), vec!["no-such.onnx"]),
        (machine.replace("machine.csv", "digits.wav"), vec!["recording", "1600000", "8000000"]),
        (
            format!("{machine}[[gpio]]\nchip = 'c'\nline = 4\nlabel = 'yes'\ninferences = 1\n"),
            vec!["gpio.label", "yes"],
        ),
        (
            format!(
                "[model]\npath = '{}'\n[sensor.mpu6050]\nbus = '/dev/i2c-1'\nrange_g = 2\n",
                model("machine").display()
            ),
            vec!["MPU-6050", "1600000", "1000000"],
        ),
        #[cfg(not(feature = "alsa"))]
        (
            format!("[model]\npath = '{}'\n[sensor.alsa]\ndevice = 'default'\n", model("digits").display()),
            vec!["built without ALSA", "sensor.command"],
        ),
    ] {
        let (_folder, path) = config(&text);
        let ended = Service::start(&path).end();
        assert_eq!(ended.code, Some(78), "{}", ended.stderr);
        assert!(ended.messages.is_empty() && ended.stderr.starts_with("<3>"), "{}", ended.stderr);
        for word in words {
            assert!(ended.stderr.contains(word), "{word}: {}", ended.stderr);
        }
    }
}

/// A sensor that does not answer may answer later: systemd tries again.
#[test]
fn a_bus_that_is_not_there_is_named() {
    let (_folder, path) = config(&format!(
        "[model]\npath = '{}'\n[sensor.adxl345]\nbus = '/dev/i2c-nowhere'\n",
        model("machine").display()
    ));
    let ended = Service::start(&path).end();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("/dev/i2c-nowhere"), "{}", ended.stderr);
}

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_teff-sensord")).args(arguments).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_check_needs_no_sensor() {
    let (folder, path) = config(&machine("fast", ""));
    let path = path.display().to_string();
    let (code, stdout) = run(&["--config", &path, "--check"]);
    assert_eq!(code, Some(0));
    assert!(stdout.contains("is good") && stdout.contains("bearing_fault"), "{stdout}");

    let (code, sample) = run(&["--print-config"]);
    assert_eq!(code, Some(0));
    let path = folder.path().join("sample.toml");
    fs::write(&path, sample).unwrap();
    fs::copy(model("machine"), folder.path().join("model.onnx")).unwrap();
    let path = path.display().to_string();
    let (code, stdout) = run(&["--config", &path, "--check", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &found["good"]), (Some(0), &true.into()), "{stdout}");
    assert!(found["found"].as_str().unwrap().contains("ADXL345"));

    let (code, stdout) = run(&["--config", "/no/such/file.toml", "--check", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((code, &found["good"]), (Some(78), &false.into()));
}

/// ALSA's library with a device that plays a file, so that no sound card is needed.
#[cfg(feature = "alsa")]
#[test]
fn a_microphone_of_alsa_hears_what_the_host_hears() {
    let (folder, path) = config(&format!(
        "[model]\npath = '{}'\n[sensor.alsa]\ndevice = 'played'\n",
        model("digits").display()
    ));
    let raw = folder.path().join("digits.raw");
    let bytes: Vec<u8> = samples("digits.wav").iter().flat_map(|sample| sample.to_le_bytes()).collect();
    fs::write(&raw, bytes).unwrap();
    let settings = folder.path().join("asound.conf");
    let text = format!(
        "pcm.nothing {{ type null }}\npcm.played {{ type file slave.pcm nothing file /dev/null infile \"{}\" format raw }}\n",
        raw.display()
    );
    fs::write(&settings, text).unwrap();
    let settings = settings.display().to_string();
    let mut service = Service::start_with(&path, &[("ALSA_CONFIG_PATH", settings.as_str())]);
    let expected = on_host("digits", &samples("digits.wav"), None);
    let mut messages = Vec::new();
    while decisions(&messages).len() < expected.len() {
        match service.next() {
            Some(message) => messages.push(message),
            None => panic!("{}", service.end().stderr),
        }
    }
    assert_eq!(decisions(&messages), expected);
    service.terminate();
    assert_eq!(service.end().code, Some(0));
}
