//! The configuration file: TOML, read strictly. A key that is not known is refused with its line.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// A file with every key, as `--print-config` gives it and the package installs it.
pub const SAMPLE: &str = include_str!("../debian/teff-sensord.toml");

/// What the file says. Paths that are not absolute are meant from the file's folder.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What decides.
    pub model: Model,
    /// What it hears or feels.
    pub sensor: Sensor,
    /// When the sensor counts as broken.
    #[serde(default)]
    pub health: Health,
    /// What is written to the standard output.
    #[serde(default)]
    pub output: Output,
    /// A broker that is told.
    pub mqtt: Option<Mqtt>,
    /// Lines that events set high for a while.
    #[serde(default)]
    pub gpio: Vec<Gpio>,
}

/// What decides.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// A plan (`.teff`), or an ONNX or TensorFlow Lite file, which is compiled at the start.
    pub path: PathBuf,
}

/// What the samples come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sensor {
    /// An accelerometer.
    Adxl345(Chip),
    /// An accelerometer.
    Lis3dh(RangedChip),
    /// An accelerometer, of which I²C is used.
    Mpu6050(RangedChip),
    /// An accelerometer.
    Icm42688(RangedChip),
    /// Temperature, pressure and humidity.
    Bme280(Chip),
    /// A microphone of ALSA's.
    // Read by every build, so that one without ALSA can say what it lacks.
    #[cfg_attr(not(feature = "alsa"), allow(dead_code))]
    Alsa(Alsa),
    /// A program that writes samples of 16 bits, the low byte first.
    Command(Command),
    /// A file in a sensor's place.
    Recording(Recording),
}

/// A chip and where it is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chip {
    /// `/dev/i2c-N`, or `/dev/spidevN.M`.
    pub bus: PathBuf,
    /// On I²C, if it is not the usual one.
    pub address: Option<u8>,
    /// On SPI, in hertz, if it is not a million.
    pub spi_hz: Option<u32>,
}

/// A chip whose range can be set.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RangedChip {
    /// `/dev/i2c-N`, or `/dev/spidevN.M`.
    pub bus: PathBuf,
    /// On I²C, if it is not the usual one.
    pub address: Option<u8>,
    /// On SPI, in hertz, if it is not a million.
    pub spi_hz: Option<u32>,
    /// The greatest acceleration, in g: 2, 4, 8 or 16.
    pub range_g: u32,
}

/// A microphone of ALSA's. The rate is the model's.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alsa {
    #[cfg_attr(not(feature = "alsa"), allow(dead_code))]
    /// ALSA's name of it, such as `default` or `plughw:1,0`.
    pub device: String,
}

/// A program that writes samples. The rate and the number of axes are the model's.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program and its arguments.
    pub run: Vec<String>,
    /// The physical unit; the model's where it is not said.
    pub unit: Option<String>,
    /// Counts per unit; the model's where it is not said.
    pub counts_per_unit: Option<f64>,
}

/// A file in a sensor's place.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recording {
    /// `.wav` with 16 bits, or `.csv` with a line of names and whole numbers, a column for each axis.
    pub file: PathBuf,
    /// As fast as the model is, or as slow as it was recorded.
    #[serde(default)]
    pub pace: Pace,
    /// Of a CSV file, in hertz; the model's where it is not said.
    pub rate_hz: Option<f64>,
    /// The physical unit; the model's where it is not said.
    pub unit: Option<String>,
    /// Counts per unit; the model's where it is not said.
    pub counts_per_unit: Option<f64>,
}

/// How fast a recording is played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pace {
    /// Nothing is waited for.
    #[default]
    Fast,
    /// At the rate of the recording.
    Real,
}

/// When the sensor counts as broken; see `teff_app::health`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Equal instants in a row before it is stuck; 0 never. Of sound, in which silence is usual, 0 where
    /// it is not said, else 1000.
    pub stuck_after: Option<u32>,
    /// Per cent of 256 instants at full scale before it is saturated; 0 never.
    pub saturation_percent: Option<u8>,
    /// Polls without an instant before it is silent; 0 never.
    pub silent_after: Option<u16>,
}

/// What is written to the standard output.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Output {
    /// JSON, a line for each message.
    pub stdout: bool,
    /// Seconds between two messages with figures; 0 for only one at the end.
    pub metrics_every_s: u64,
}

impl Default for Output {
    fn default() -> Self {
        Output { stdout: true, metrics_every_s: 60 }
    }
}

/// A broker that is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mqtt {
    /// Name or address.
    pub host: String,
    /// TCP port.
    #[serde(default = "mqtt_port")]
    pub port: u16,
    /// Where the broker wants one.
    pub username: Option<String>,
    /// A file whose first line is the password.
    pub password_file: Option<PathBuf>,
    /// The first part of every topic.
    #[serde(default = "mqtt_prefix")]
    pub prefix: String,
    /// The second part, and the client's name; the host's name where it is not said.
    pub device: Option<String>,
    /// Messages that wait for the broker, at most; the oldest are given up and counted.
    #[serde(default = "mqtt_queue")]
    pub queue: usize,
    /// Seconds without a word before the connection is tried, at least 1.
    #[serde(default = "mqtt_keep_alive")]
    pub keep_alive_s: u16,
}

fn mqtt_port() -> u16 {
    1883
}

fn mqtt_prefix() -> String {
    "teff".to_string()
}

fn mqtt_queue() -> usize {
    1000
}

fn mqtt_keep_alive() -> u16 {
    30
}

/// A line that events set high for a while.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gpio {
    /// `/dev/gpiochipN`.
    pub chip: PathBuf,
    /// Number of the line on that chip.
    pub line: u32,
    /// The label whose events count; all where it is not said.
    pub label: Option<String>,
    /// Inferences for which it stays high.
    pub inferences: u32,
    /// High means 0 volts.
    #[serde(default)]
    pub active_low: bool,
}

impl Config {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// The file cannot be read, is no TOML, or has a key or value that is none; the error names the file,
    /// and where it is one line, that.
    pub fn read(path: &Path) -> Result<Config> {
        let text = fs::read_to_string(path).with_context(|| {
            format!(
                "cannot read the configuration {}: `teff-sensord --print-config` prints one",
                path.display()
            )
        })?;
        let mut config =
            Config::from_text(&text).with_context(|| format!("the configuration {}", path.display()))?;
        config.resolve(path.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    fn from_text(text: &str) -> Result<Config> {
        // The message quotes the line.
        let config: Config = toml::from_str(text)?;
        config.check()?;
        Ok(config)
    }

    /// What the types do not say.
    fn check(&self) -> Result<()> {
        if let Some(mqtt) = &self.mqtt {
            let parts = [("mqtt.prefix", Some(&mqtt.prefix)), ("mqtt.device", mqtt.device.as_ref())];
            for (key, part) in parts {
                if part.is_some_and(|part| part.is_empty() || part.contains(['+', '#', '\0'])) {
                    bail!("`{key}` is part of MQTT topics: it must not be empty nor have a `+` or `#`");
                }
            }
            if mqtt.host.is_empty() {
                bail!("`mqtt.host` is empty: give the broker's name or address");
            }
            if mqtt.queue == 0 {
                bail!("`mqtt.queue` is 0: at least one message has to wait somewhere");
            }
            if mqtt.keep_alive_s == 0 {
                bail!("`mqtt.keep_alive_s` is 0: give at least 1 second");
            }
            if mqtt.password_file.is_some() && mqtt.username.is_none() {
                bail!("`mqtt.password_file` needs `mqtt.username`");
            }
        }
        if self.health.saturation_percent.is_some_and(|percent| percent > 100) {
            bail!("`health.saturation_percent` is more than 100");
        }
        for gpio in &self.gpio {
            if gpio.inferences == 0 {
                bail!("`gpio.inferences` of line {} is 0: it would never be high", gpio.line);
            }
        }
        let counts = match &self.sensor {
            Sensor::Command(command) => {
                if command.run.is_empty() {
                    bail!("`sensor.command.run` is empty: give a program and its arguments");
                }
                command.counts_per_unit
            }
            Sensor::Recording(recording) => {
                positive("sensor.recording.rate_hz", recording.rate_hz)?;
                recording.counts_per_unit
            }
            _ => None,
        };
        positive("counts_per_unit", counts)
    }

    fn resolve(&mut self, folder: &Path) {
        self.model.path = folder.join(&self.model.path);
        if let Sensor::Recording(recording) = &mut self.sensor {
            recording.file = folder.join(&recording.file);
        }
        if let Some(file) = self.mqtt.as_mut().and_then(|mqtt| mqtt.password_file.as_mut()) {
            *file = folder.join(&file);
        }
    }
}

/// Numbers that become thousandths in 32 bits.
fn positive(key: &str, value: Option<f64>) -> Result<()> {
    match value {
        Some(value) if !(0.001..=4e6).contains(&value) => {
            bail!("`{key}` is {value}: it must be from 0.001 to 4000000")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        format!("{:#}", Config::from_text(text).unwrap_err())
    }

    const LEAST: &str = "[model]\npath = 'm.teff'\n[sensor.adxl345]\nbus = '/dev/i2c-1'\n";

    #[test]
    fn the_sample_is_a_configuration() {
        let config = Config::from_text(SAMPLE).unwrap();
        assert!(matches!(config.sensor, Sensor::Adxl345(_)));
    }

    /// What the sample shows as comments are keys that exist.
    #[test]
    fn what_the_sample_leaves_out_can_be_put_in() {
        let uncommented: String = SAMPLE
            .lines()
            .map(|line| line.strip_prefix("#: ").or(line.strip_prefix("#:")).unwrap_or(line))
            // One sensor is enough.
            .fold((String::new(), true), |(text, keep), line| {
                let keep = if line.starts_with('[') {
                    !line.starts_with("[sensor.") || line.starts_with("[sensor.recording]")
                } else {
                    keep
                };
                (if keep { text + line + "\n" } else { text }, keep)
            })
            .0;
        let config = Config::from_text(&uncommented).unwrap();
        assert!(config.mqtt.is_some() && config.gpio.len() == 1);
    }

    #[test]
    fn the_least_has_the_rest_by_default() {
        let config = Config::from_text(LEAST).unwrap();
        assert!(config.output.stdout && config.mqtt.is_none() && config.gpio.is_empty());
    }

    #[test]
    fn unknown_keys_are_refused_by_name_and_line() {
        let text = format!("{LEAST}adress = 83\n");
        let message = refused(&text);
        assert!(message.contains("line 5") && message.contains("adress"), "{message}");
        let message = refused(&format!("{LEAST}\n[mqqt]\nhost = 'x'\n"));
        assert!(message.contains("line 6") && message.contains("mqqt"), "{message}");
        let message = refused(&format!("{LEAST}[mqtt]\nhost = 'x'\nport = 'y'\n"));
        assert!(message.contains("line 7"), "{message}");
        let message = refused("[model]\npath = 'm'\n[sensor.adxl456]\nbus = 'x'\n");
        assert!(message.contains("adxl456") && message.contains("adxl345"), "{message}");
    }

    #[test]
    fn what_cannot_work_is_refused() {
        for (more, word) in [
            ("[mqtt]\nhost = 'x'\nqueue = 0\n", "mqtt.queue"),
            ("[mqtt]\nhost = 'x'\nprefix = 'a/#'\n", "mqtt.prefix"),
            ("[mqtt]\nhost = ''\n", "mqtt.host"),
            ("[mqtt]\nhost = 'x'\nkeep_alive_s = 0\n", "keep_alive_s"),
            ("[mqtt]\nhost = 'x'\npassword_file = 'p'\n", "mqtt.username"),
            ("[health]\nsaturation_percent = 101\n", "saturation_percent"),
            ("[[gpio]]\nchip = '/dev/gpiochip0'\nline = 17\ninferences = 0\n", "inferences"),
        ] {
            let message = refused(&format!("{LEAST}{more}"));
            assert!(message.contains(word), "{message}");
        }
        let message = refused("[model]\npath = 'm'\n[sensor.recording]\nfile = 'x.csv'\nrate_hz = -1\n");
        assert!(message.contains("rate_hz"), "{message}");
    }
}
