//! Running programs: shown as typed, from the project's folder.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// The project's folder.
pub fn root() -> Result<PathBuf> {
    teff_board::project_root()
}

/// Says on stderr what happens next.
pub fn say(what: &str) {
    eprintln!("==> {what}");
}

/// A command in the project's folder that reads nothing.
pub fn command(program: &str) -> Result<Command> {
    let mut command = Command::new(program);
    command.current_dir(root()?).stdin(Stdio::null());
    Ok(command)
}

/// `cargo` for the root workspace. What the cargo that started this program set for its own
/// package is taken out.
pub fn cargo() -> Result<Command> {
    let mut cargo = command("cargo")?;
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            cargo.env_remove(&name);
        }
    }
    Ok(cargo)
}

/// The command as a person would type it.
pub fn shown(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(
        command
            .get_args()
            .map(OsStr::to_string_lossy)
            .map(|word| if word.contains(' ') { format!("'{word}'") } else { word.into_owned() }),
    );
    words.join(" ")
}

/// Runs a command to its end and fails when it does.
pub fn run(command: &mut Command) -> Result<()> {
    let shown = shown(command);
    say(&shown);
    let status = command.status().with_context(|| format!("cannot start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// Runs a command and stops it when it takes longer than `limit`.
pub fn run_within(command: &mut Command, limit: Duration) -> Result<()> {
    let shown = shown(command);
    say(&shown);
    let mut child = command.spawn().with_context(|| format!("cannot start `{shown}`"))?;
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().with_context(|| format!("waiting for `{shown}`"))? {
            if status.success() {
                return Ok(());
            }
            bail!("`{shown}` failed ({status})");
        }
        if start.elapsed() > limit {
            child.kill().with_context(|| format!("cannot stop `{shown}`"))?;
            child.wait().with_context(|| format!("waiting for `{shown}`"))?;
            bail!("`{shown}` did not end within {} s", limit.as_secs());
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Runs a command, hands each line of its output to `line`, and returns whether it succeeded.
pub fn run_lines(command: &mut Command, mut line: impl FnMut(&str)) -> Result<bool> {
    let shown = shown(command);
    say(&shown);
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start `{shown}`"))?;
    if let Some(stdout) = child.stdout.take() {
        for bytes in BufReader::new(stdout).split(b'\n') {
            let bytes = bytes.with_context(|| format!("reading the output of `{shown}`"))?;
            line(&String::from_utf8_lossy(&bytes));
        }
    }
    let status = child.wait().with_context(|| format!("waiting for `{shown}`"))?;
    Ok(status.success())
}

/// Runs a command and returns what it wrote to stdout; its stderr stays visible.
pub fn output(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    say(&shown);
    let output =
        command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}` failed ({})", output.status);
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
