//! Logs by defmt of a board on a debug probe: `probe-rs` reads and decodes them, with the program that was flashed.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, bail};
use teff_board::{find_program, flash};

use super::watch::News;

/// `probe-rs` at work; it is ended when this is dropped.
#[derive(Debug)]
pub struct Logs {
    child: Child,
    lines: Receiver<String>,
    complaints: Option<JoinHandle<String>>,
}

impl Logs {
    /// Attaches to a running board. `elf` is the program that runs on it.
    ///
    /// # Errors
    /// `probe-rs` is not here or cannot be started.
    pub fn attach(chip: &str, elf: &Path) -> Result<Logs> {
        if find_program("probe-rs").is_none() {
            bail!("logs of a debug probe are read by `probe-rs`, which is not in PATH: see https://probe.rs");
        }
        let mut command = flash::logs_command(chip, elf);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start `probe-rs`")?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (sender, lines) = channel();
        thread::spawn(move || {
            let Some(stdout) = stdout else { return };
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let complaints = thread::spawn(move || {
            let mut text = String::new();
            if let Some(mut stderr) = stderr {
                // What cannot be read of it is not told.
                let _ = stderr.read_to_string(&mut text);
            }
            text
        });
        Ok(Logs { child, lines, complaints: Some(complaints) })
    }

    /// The next log that has come.
    ///
    /// # Errors
    /// `probe-rs` has ended; the error tells what it said.
    pub fn poll(&mut self) -> Result<Option<News>> {
        match self.lines.try_recv() {
            Ok(line) => Ok(Some(news(&line))),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => {
                let status = self.child.wait().context("cannot wait for `probe-rs`")?;
                let said = self.complaints.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
                bail!("`probe-rs` ended ({status}): {}", said.trim_end());
            }
        }
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        // One that has ended already cannot be ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A line in the format of [`flash::logs_command`].
fn news(line: &str) -> News {
    let (word, text) = line.trim_start().split_once(' ').unwrap_or((line, ""));
    let (level, text) = match word {
        "ERROR" => ("error", text.trim_start()),
        "WARN" => ("warning", text.trim_start()),
        "INFO" => ("info", text.trim_start()),
        // Finer ones, and what is no log of defmt.
        _ => ("info", line),
    };
    News::Log { level, text: text.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_read() {
        let log = |level, text: &str| News::Log { level, text: text.to_string() };
        assert_eq!(news("INFO  it starts"), log("info", "it starts"));
        assert_eq!(news("WARN the output failed"), log("warning", "the output failed"));
        assert_eq!(news("ERROR panicked at 'x'"), log("error", "panicked at 'x'"));
        assert_eq!(news("DEBUG  fine"), log("info", "DEBUG  fine"));
        assert_eq!(news(""), log("info", ""));
    }
}
