//! A program that writes samples, such as `arecord`.

use std::io::Read;
use std::process::{Child, ChildStdout, Stdio};
use std::time::Duration;

use anyhow::{Result, bail};
use teff_app::needs::Needs;
use teff_app::sensor::{Format, Sensor};

use super::{Source, format_of};
use crate::config::Command;

/// Starts the program.
pub fn start(settings: &Command, needs: &Needs<'_>) -> Result<Source> {
    let format = format(settings, needs);
    let mut sensor = Piped { words: settings.run.clone(), format, running: None, rest: Vec::new(), gaps: 0 };
    if let Err(why) = sensor.spawn() {
        bail!("`sensor.command.run`: {why}");
    }
    // Reading waits.
    Ok(Source::new(sensor, Duration::ZERO))
}

/// What comes of it.
pub fn format(settings: &Command, needs: &Needs<'_>) -> Format {
    let scale = (settings.unit.as_deref(), settings.counts_per_unit);
    format_of("command", needs.rate_millihertz, needs.axes, scale, needs)
}

/// A program and what it writes.
struct Piped {
    words: Vec<String>,
    format: Format,
    running: Option<(Child, ChildStdout)>,
    /// Bytes of an instant that is not whole yet.
    rest: Vec<u8>,
    gaps: u32,
}

impl Piped {
    fn spawn(&mut self) -> Result<(), String> {
        self.end();
        let Some((program, arguments)) = self.words.split_first() else {
            return Err("there is no program".to_string());
        };
        let mut child = std::process::Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("cannot start `{program}`: {error}"))?;
        let Some(stdout) = child.stdout.take() else {
            return Err(format!("`{program}` has no standard output"));
        };
        self.running = Some((child, stdout));
        Ok(())
    }

    /// Ends the program and says how it ended.
    fn end(&mut self) -> String {
        self.rest.clear();
        let Some((mut child, stdout)) = self.running.take() else {
            return "it does not run".to_string();
        };
        drop(stdout);
        // One that has ended already cannot be ended.
        let _ = child.kill();
        match child.wait() {
            Ok(status) => format!("`{}` ended: {status}", self.words.join(" ")),
            Err(error) => format!("`{}`: {error}", self.words.join(" ")),
        }
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        self.end();
    }
}

impl Sensor for Piped {
    type Error = String;

    fn format(&self) -> Format {
        self.format
    }

    fn read(&mut self, samples: &mut [i16]) -> Result<usize, String> {
        let bytes_of_one = 2 * usize::from(self.format.axes).max(1);
        let Some((_, stdout)) = &mut self.running else { return Err("it does not run".to_string()) };
        let mut bytes = vec![0; samples.len() * 2];
        let have = self.rest.len();
        let Some((kept, room)) = bytes.split_at_mut_checked(have) else { return Ok(0) };
        kept.copy_from_slice(&self.rest);
        let came = match stdout.read(room) {
            Ok(0) => {
                self.gaps = self.gaps.wrapping_add(1);
                return Err(self.end());
            }
            Ok(came) => came,
            Err(error) => return Err(error.to_string()),
        };
        bytes.truncate(have + came);
        let instants = bytes.len() / bytes_of_one;
        self.rest = bytes.split_off(instants * bytes_of_one);
        for (sample, pair) in samples.iter_mut().zip(bytes.as_chunks::<2>().0) {
            *sample = i16::from_le_bytes(*pair);
        }
        Ok(instants)
    }

    fn gaps(&self) -> u32 {
        self.gaps
    }

    fn restart(&mut self) -> Result<(), String> {
        self.spawn()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piped(script: &str, axes: u8) -> Piped {
        let format = Format {
            sensor: "command",
            rate_millihertz: 1000,
            axes,
            unit: "",
            counts_per_thousand_units: 1000,
            full_scale: 32_768,
        };
        let words = ["sh", "-c", script].map(String::from).to_vec();
        let mut sensor = Piped { words, format, running: None, rest: Vec::new(), gaps: 0 };
        sensor.spawn().unwrap();
        sensor
    }

    #[test]
    fn bytes_become_whole_instants_and_an_end_is_told() {
        // Three bytes, then three more, of which the last is half a sample.
        let mut sensor = piped("printf '\\001\\000\\377'; sleep 0.2; printf '\\377\\002\\000\\007'", 1);
        let (mut samples, mut all) = ([0; 8], Vec::new());
        let why = loop {
            match sensor.read(&mut samples) {
                Ok(instants) => all.extend_from_slice(&samples[..instants]),
                Err(why) => break why,
            }
        };
        assert_eq!(all, [1, -1, 2]);
        assert!(why.contains("ended: exit status: 0"), "{why}");
        assert_eq!(sensor.gaps(), 1);
        // Anew, without the half sample.
        sensor.restart().unwrap();
        assert_eq!(sensor.read(&mut samples), Ok(1));
        assert_eq!(samples[0], 1);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let mut sensor = piped("true", 1);
        sensor.words = vec!["no-such-program".to_string()];
        assert!(sensor.restart().unwrap_err().contains("no-such-program"));
    }
}
