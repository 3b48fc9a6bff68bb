//! teff-sensord: from sensor to decision on Linux, as a service.
//!
//! ```text
//! thread `sensor`: Source ─> Watched ─┐ channel      main: Pipeline ─> JSON lines, GPIO
//!                (errors, gaps, …)    (overruns)                  └──> thread `mqtt` ─> broker
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`config`] | the configuration file |
//! | [`source`] | sensors: chips on I²C and SPI, microphones, programs, recordings |
//! | [`sense`] | the sensor's thread |
//! | [`service`] | the loop that decides, signals, the watchdog |
//! | [`emit`] | messages, as JSON |
//! | [`mqtt`] | the broker |
//! | [`gpio`] | lines that events set |
//! | [`log`] | lines for a person, for the journal |
#![deny(missing_docs)]

mod config;
mod emit;
mod gpio;
mod log;
mod model;
mod mqtt;
mod sense;
mod service;
mod source;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use config::Config;
use log::error;

/// What systemd is told not to try again: `EX_CONFIG` of sysexits.h.
const BAD_CONFIG: u8 = 78;

/// Runs a model on a sensor, and tells what it decides.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = "/etc/teff-sensord/teff-sensord.toml")]
    config: PathBuf,

    /// Check the configuration and the model, without the sensor, and end
    #[arg(long)]
    check: bool,

    /// With --check: print the result as JSON
    #[arg(long, requires = "check")]
    json: bool,

    /// Print a configuration with every key, and end
    #[arg(long)]
    print_config: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    if cli.print_config {
        return match io::stdout().lock().write_all(config::SAMPLE.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                error!("the configuration cannot be printed: {why}");
                ExitCode::FAILURE
            }
        };
    }
    let ready = Config::read(&cli.config).and_then(|config| {
        let file = model::open(&config.model.path)?;
        let found = service::check(&config, &file)?;
        Ok((config, file, found))
    });
    if cli.check {
        return match print_check(&cli, &ready) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(BAD_CONFIG),
            Err(why) => {
                error!("{why:#}");
                ExitCode::FAILURE
            }
        };
    }
    let (config, file, _) = match ready {
        Ok(ready) => ready,
        Err(why) => {
            error!("{why:#}");
            return ExitCode::from(BAD_CONFIG);
        }
    };
    match service::run(&config, &file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            error!("{why:#}");
            ExitCode::FAILURE
        }
    }
}

/// Prints what `--check` found, and tells whether it was good.
fn print_check<T, U>(cli: &Cli, ready: &Result<(T, U, String)>) -> Result<bool> {
    let path = cli.config.display().to_string();
    let mut stdout = io::stdout().lock();
    match (ready, cli.json) {
        (Ok((_, _, found)), false) => writeln!(stdout, "{path} is good: {found}")?,
        (Ok((_, _, found)), true) => {
            writeln!(stdout, "{}", serde_json::json!({"config": path, "good": true, "found": found}))?;
        }
        (Err(why), false) => error!("{why:#}"),
        (Err(why), true) => {
            let why = format!("{why:#}");
            writeln!(stdout, "{}", serde_json::json!({"config": path, "good": false, "error": why}))?;
        }
    }
    Ok(ready.is_ok())
}
