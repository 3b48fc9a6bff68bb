//! The service and a real broker: mosquitto, started here on a free port of the loopback.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rumqttc::{Client, Event, MqttOptions, Packet, QoS};
use serde_json::Value;
use support::{Service, config, last, model, recording};

/// How long anything may take before the test gives up.
const LIMIT: Duration = Duration::from_secs(120);

/// Debian has it where only root looks for programs.
fn mosquitto() -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&folders).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder: PathBuf| folder.join("mosquitto")).find(|path| path.is_file())
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// A broker that keeps its sessions in a folder, and is gone when dropped.
struct Broker {
    child: Child,
}

impl Broker {
    fn start(program: &Path, folder: &Path, port: u16, more: &str) -> Broker {
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        let text = format!(
            "listener {port} 127.0.0.1\npersistence true\npersistence_location {}/\nuser {}\n{more}\n",
            folder.display(),
            String::from_utf8(user).unwrap().trim()
        );
        let settings = folder.join("mosquitto.conf");
        fs::write(&settings, text).unwrap();
        let child = Command::new(program)
            .arg("-c")
            .arg(&settings)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let broker = Broker { child: child.unwrap() };
        let since = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(since.elapsed() < LIMIT, "mosquitto does not listen");
            thread::sleep(Duration::from_millis(20));
        }
        broker
    }

    /// Ends it in order, so that it keeps its sessions.
    fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // One that was stopped is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whoever listens to a device: its topics without the beginning, and what was said. The broker keeps
/// messages for it while it is away.
fn listen(port: u16, base: &str, login: Option<(&str, &str)>) -> Receiver<(String, String, bool)> {
    let mut options = MqttOptions::new("listener", "127.0.0.1", port);
    options.set_clean_session(false).set_keep_alive(Duration::from_secs(5));
    if let Some((user, password)) = login {
        options.set_credentials(user, password);
    }
    let (client, mut connection) = Client::new(options, 10);
    client.subscribe(format!("{base}/#"), QoS::AtLeastOnce).unwrap();
    let (sender, receiver) = channel();
    let (ready, subscribed) = channel();
    let prefix = format!("{base}/");
    thread::spawn(move || {
        let _client = client;
        while let Ok(event) = connection.recv() {
            match event {
                Ok(Event::Incoming(Packet::SubAck(_))) => {
                    let _ = ready.send(());
                }
                Ok(Event::Incoming(Packet::Publish(publish))) => {
                    let topic = publish.topic.trim_start_matches(&prefix).to_string();
                    let text = String::from_utf8(publish.payload.to_vec()).unwrap();
                    if sender.send((topic, text, publish.retain)).is_err() {
                        return;
                    }
                }
                Ok(_) => {}
                Err(_) => thread::sleep(Duration::from_millis(100)),
            }
        }
    });
    subscribed.recv_timeout(LIMIT).expect("the listener could not subscribe");
    receiver
}

fn machine(pace: &str, mqtt: &str) -> String {
    format!(
        "[model]\npath = '{}'\n[sensor.recording]\nfile = '{}'\npace = '{pace}'\ncounts_per_unit = 256\n[output]\nmetrics_every_s = 1\n[mqtt]\nhost = '127.0.0.1'\n{mqtt}",
        model("machine").display(),
        recording("machine.csv").display()
    )
}

#[test]
fn the_broker_gets_what_stdout_gets_through_its_own_restart() {
    let Some(program) = mosquitto() else {
        println!("SKIPPED mosquitto is not installed: `cargo xtask setup` installs it");
        return;
    };
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let broker = Broker::start(&program, folder.path(), port, "allow_anonymous true");
    let heard = listen(port, "teff/kitchen", None);
    let (_config, path) = config(&machine("real", &format!("port = {port}\ndevice = 'kitchen'\n")));
    let mut service = Service::start(&path);
    let mut told = Vec::new();
    // The recording takes six seconds; the broker is away from its first second on.
    while !told.iter().any(|message: &Value| message["type"] == "decision") {
        told.push(service.next().expect("it ended too early"));
    }
    broker.stop();
    // Two more messages have nobody to go to.
    for _ in 0..2 {
        told.push(service.next().expect("it ended too early"));
    }
    let _broker = Broker::start(&program, folder.path(), port, "allow_anonymous true");
    let ended = service.end();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    told.extend(ended.messages);
    assert_eq!(last(&told, "metrics")["mqtt_lost"], 0);

    // By number: a message whose acknowledgement was lost comes twice.
    let (mut messages, mut statuses) = (BTreeMap::new(), Vec::new());
    while messages.len() < told.len() || statuses.last().is_none_or(|status| status != "offline") {
        let (topic, text, _) = heard.recv_timeout(LIMIT).unwrap_or_else(|_| {
            panic!("only {} of {} came; {statuses:?}; {}", messages.len(), told.len(), ended.stderr)
        });
        if topic == "status" {
            statuses.push(text);
            continue;
        }
        let message: Value = serde_json::from_str(&text).unwrap();
        let expected = match message["type"].as_str().unwrap() {
            "start" | "stop" => "service",
            other => other,
        };
        assert_eq!(topic, expected);
        messages.insert(message["n"].as_u64().unwrap(), message);
    }
    assert!(messages.values().eq(told.iter()));
    // Twice there, and gone at the end.
    assert!(statuses.iter().filter(|status| *status == "online").count() >= 2, "{statuses:?}");
    assert!(ended.stderr.contains("<4>no connection to the MQTT broker"), "{}", ended.stderr);
}

#[test]
fn a_password_opens_the_broker_and_its_status_stays() {
    let Some(program) = mosquitto() else {
        println!("SKIPPED mosquitto is not installed: `cargo xtask setup` installs it");
        return;
    };
    let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
    let passwords = folder.path().join("passwords");
    let made = Command::new("mosquitto_passwd")
        .args(["-b", "-c"])
        .arg(&passwords)
        .args(["teff", "secret"])
        .status()
        .is_ok_and(|status| status.success());
    if !made {
        println!("SKIPPED mosquitto_passwd is not installed: it is part of Debian's mosquitto");
        return;
    }
    let more = format!("allow_anonymous false\npassword_file {}", passwords.display());
    let _broker = Broker::start(&program, folder.path(), port, &more);
    let heard = listen(port, "lab/a", Some(("teff", "secret")));
    let mqtt =
        format!("port = {port}\nprefix = 'lab'\ndevice = 'a'\nusername = 'teff'\npassword_file = 'p'\n");
    let (config, path) = config(&machine("fast", &mqtt));
    fs::write(config.path().join("p"), "secret\n").unwrap();
    assert_eq!(Service::start(&path).end().code, Some(0));
    let mut topics = Vec::new();
    while topics.last().is_none_or(|(topic, text)| topic != "status" || text != "offline") {
        let (topic, text, _) = heard.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("{topics:?}"));
        topics.push((topic, text));
    }
    assert_eq!(topics.iter().filter(|(topic, _)| topic == "decision").count(), 3, "{topics:?}");
    // One who comes later is told too.
    let late = {
        let mut options = MqttOptions::new("late", "127.0.0.1", port);
        options.set_credentials("teff", "secret");
        let (client, mut connection) = Client::new(options, 10);
        client.subscribe("lab/a/status", QoS::AtLeastOnce).unwrap();
        loop {
            if let Event::Incoming(Packet::Publish(publish)) = connection.recv().unwrap().unwrap() {
                break (publish.payload.to_vec(), publish.retain);
            }
        }
    };
    assert_eq!(late, (b"offline".to_vec(), true));
}

/// Without a broker the service goes on, and counts what finds no room.
#[test]
fn what_finds_no_room_is_counted() {
    let (_config, path) = config(&machine("fast", &format!("port = {}\nqueue = 2\n", free_port())));
    let ended = Service::start(&path).end();
    assert_eq!(ended.code, Some(0));
    // The start, three decisions, and the figures themselves: two wait, the rest was given up before.
    assert_eq!(last(&ended.messages, "metrics")["mqtt_lost"], 2);
    assert_eq!(ended.messages.len(), 6);
    assert!(ended.stderr.contains("messages are given up"), "{}", ended.stderr);
    assert!(ended.stderr.contains("2 messages were not taken"), "{}", ended.stderr);
}
