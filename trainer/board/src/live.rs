//! An emulated board whose first UART is a pseudo-terminal: what it sends is read while it runs.

use std::fs;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serial2::SerialPort;

use crate::Emulator;
use crate::emulator::{TemporaryFile, doubled_commas};
use crate::signal::Signal;

/// How time passes on the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// As the program says: it never waits.
    Program,
    /// The core executes 250 million instructions a second, and waits in real time while it has nothing to do.
    Real,
    /// The same without waiting: an hour of silence is over at once.
    Skipping,
}

/// Shift for `-icount`: 2^2 virtual nanoseconds for an instruction.
const SHIFT: u32 = 2;

impl Time {
    fn arguments(self) -> Vec<String> {
        let sleep = match self {
            Time::Program => return Vec::new(),
            Time::Real => "on",
            Time::Skipping => "off",
        };
        vec!["-icount".to_string(), format!("shift={SHIFT},sleep={sleep}")]
    }
}

/// A running board. Stopped when dropped.
#[derive(Debug)]
pub struct Live {
    child: Child,
    line: SerialPort,
    /// The terminal that the board writes to.
    terminal: String,
    // Deleted with the board.
    _job: Option<TemporaryFile>,
}

impl Emulator<'_> {
    /// The emulator's command for a program that sends over its first UART to the terminal `line`; `signal` is the
    /// file of a signal.
    pub fn live_command(&self, elf: &Path, signal: Option<&Path>, time: Time, line: &str) -> Command {
        let board = self.board();
        let mut command = Command::new(self.program());
        command
            .args(["-M", board.machine, "-display", "none", "-monitor", "none"])
            .args(time.arguments())
            .args(["-chardev", &format!("serial,id=line,path={line}"), "-serial", "chardev:line"])
            .args(["-semihosting-config", "enable=on,target=native"]);
        if let Some(signal) = signal {
            let (file, address) = (doubled_commas(signal), board.job_address);
            command.args(["-device", &format!("loader,file={file},addr={address:#x},force-raw=on")]);
        }
        command.arg("-kernel").arg(elf);
        command
    }

    /// Starts a program whose first UART is a new pseudo-terminal. Without `signal`, its sensor replays the board's
    /// own recording.
    ///
    /// # Errors
    /// The signal is too long for the board, or the system gives no pseudo-terminal or does not start the emulator.
    pub fn start_live(&self, elf: &Path, signal: Option<&Signal>, time: Time) -> Result<Live> {
        let job = signal.map(|signal| self.job_file(signal)).transpose()?;
        let (line, held_open) = SerialPort::pair().context("the system gives no pseudo-terminal")?;
        let terminal = path_of(&held_open)?;
        let mut command = self.live_command(elf, job.as_ref().map(TemporaryFile::path), time, &terminal);
        // What the emulator itself has to say is shown when it ends early.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let child = command.spawn().with_context(|| format!("cannot start {}", self.program().display()))?;
        let mut live = Live { child, line, terminal, _job: job };
        // A terminal that nobody has open reads as cut.
        live.wait_until_open()?;
        drop(held_open);
        Ok(live)
    }

    fn job_file(&self, signal: &Signal) -> Result<TemporaryFile> {
        let (bytes, room) = (signal.to_job(), self.board().job_bytes);
        if bytes.len() > room {
            bail!(
                "the signal takes {} bytes; board {} has room for {room}: give a shorter one",
                bytes.len(),
                self.board().name
            );
        }
        let file = TemporaryFile::new("signal");
        fs::write(file.path(), bytes).with_context(|| format!("cannot write {}", file.path().display()))?;
        Ok(file)
    }
}

impl Live {
    /// The terminal that the board writes to.
    pub fn terminal(&self) -> &str {
        &self.terminal
    }

    /// Waits up to `patience` for bytes; 0 where none came.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] when the board has ended and everything it sent was read.
    pub fn read(&mut self, bytes: &mut [u8], patience: Duration) -> io::Result<usize> {
        self.line.set_read_timeout(patience)?;
        match self.line.read(bytes) {
            // What a terminal reads whose other end is closed; Linux calls it an error.
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.raw_os_error() == Some(EIO) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(0),
            result => result,
        }
    }

    /// Waits for the end of a program whose line has ended: whether it reported success, and what the emulator said.
    ///
    /// # Errors
    /// The system cannot tell.
    pub fn ended(&mut self) -> Result<(bool, String)> {
        let mut said = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            stderr.read_to_string(&mut said).context("cannot read what the emulator says")?;
        }
        Ok((self.child.wait().context("cannot wait for the emulator")?.success(), said))
    }

    /// The emulator has opened the terminal when it has begun to run; it ends at once where it cannot.
    fn wait_until_open(&mut self) -> Result<()> {
        let terminal = Path::new(&self.terminal);
        let folder = format!("/proc/{}/fd", self.child.id());
        for _ in 0..2000 {
            if self.child.try_wait().context("cannot wait for the emulator")?.is_some() {
                let (_, said) = self.ended()?;
                bail!("the emulator ended at once: {}", said.trim_end());
            }
            let mut open = fs::read_dir(&folder).into_iter().flatten().flatten();
            if open.any(|entry| fs::read_link(entry.path()).is_ok_and(|path| path == terminal)) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("the emulator did not open its serial line within 10 s")
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Linux's number for the end of a terminal.
const EIO: i32 = 5;

/// The path by which other programs open a terminal.
fn path_of(terminal: &SerialPort) -> Result<String> {
    let link = format!("/proc/self/fd/{}", terminal.as_raw_fd());
    let path =
        fs::read_link(&link).context("emulated boards with a serial line need the folder /proc of Linux")?;
    Ok(path.display().to_string())
}
