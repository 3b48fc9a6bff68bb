//! The options that `record` and `monitor` share, and how they open the line.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, bail};
use teff_board::{BOARDS, Board, Destination};

use crate::line::signal::Choice;
use crate::line::{BAUD, Source};

/// How a board is reached.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Bits per second of a serial port; USB and pseudo-terminals have none [default: 115200]
    #[arg(long, value_name = "N")]
    pub baud: Option<u32>,
    /// How long to wait for a line that is silent or cut, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, value_parser = seconds)]
    pub wait: f64,
    /// What an emulated board's sensor measures: machine:STATE (the simulated machine), FILE.wav or FILE.csv (columns
    /// x,y,z in counts, 256 per g) [default: the board's recording]
    #[arg(long, value_name = "SIGNAL", value_parser = Choice::parse)]
    pub signal: Option<Choice>,
}

/// A number of seconds from the command line.
pub fn seconds(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| *number > 0.0 && *number <= 1e7);
    number.ok_or_else(|| "give a number of seconds, more than 0".to_string())
}

impl Options {
    /// How long to wait.
    pub fn patience(&self) -> Duration {
        Duration::from_secs_f64(self.wait)
    }

    /// A serial port.
    ///
    /// # Errors
    /// An option that only emulated boards have was given.
    pub fn port(&self, path: &str) -> Result<Source> {
        if self.signal.is_some() {
            bail!("--signal is for emulated boards: the sensor at {path} measures what it measures");
        }
        Ok(Source::Port { path: PathBuf::from(path), baud: self.baud.unwrap_or(BAUD) })
    }
}

/// The board of `emulated:BOARD`.
///
/// # Errors
/// There is no such board.
pub fn emulated(port: &str) -> Result<Option<&'static Board>> {
    port.strip_prefix("emulated:").map(Board::find).transpose()
}

/// Checks that an emulated board has a line, and no option of a port was given.
///
/// # Errors
/// It has none, or one was.
pub fn check_emulated(board: &Board, options: &Options) -> Result<()> {
    if options.baud.is_some() {
        bail!("--baud is for serial ports: the line of an emulated board has no rate");
    }
    let has_line = |name: &str| Destination::find(name).is_ok_and(|board| board.has_feature("link"));
    if has_line(board.name) {
        return Ok(());
    }
    let others: Vec<&str> = BOARDS.iter().map(|board| board.name).filter(|name| has_line(name)).collect();
    bail!(
        "the programs of the emulated board `{}` send no frames: run them by hand (firmware/boards/{}/README.md), or take one of {}",
        board.name,
        board.name,
        others.join(", ")
    )
}
