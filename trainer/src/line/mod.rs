//! The serial line from a board: a port of this machine, or an emulated board that is started for it.
//!
//! What the bytes mean is the matter of `teff-link`; what becomes of them is in [`take`] (a recording on disk) and
//! [`watch`] (what a running board tells).

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use teff_board::{Board, Emulator, Live, Signal, Time};
use teff_link::{MAX_FRAME_BYTES, Received, Receiver};

pub mod flashed;
pub mod probe;
pub mod signal;
pub mod store;
pub mod take;
pub mod watch;

/// Bits per second of a port where nothing else is said.
pub const BAUD: u32 = 115_200;
/// How long one read waits: after this the caller looks at the clock and at Ctrl-C.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long to wait between attempts to open a port that is gone.
const RETRY: Duration = Duration::from_millis(200);
const PIECE_BYTES: usize = 4096;

/// Where frames come from.
#[derive(Debug)]
pub enum Source {
    /// A serial port or a pseudo-terminal, by its path.
    Port {
        /// Its path.
        path: PathBuf,
        /// Bits per second.
        baud: u32,
    },
    /// An emulated board with a program.
    Emulated {
        /// The board.
        board: &'static Board,
        /// The program's ELF file.
        elf: PathBuf,
        /// What its sensor measures; none for the board's own recording.
        signal: Option<Signal>,
        /// How time passes on it.
        time: Time,
    },
}

/// What came of one look at the line.
#[derive(Debug, PartialEq, Eq)]
pub enum Look {
    /// Bytes came, or none did within a tenth of a second.
    Open,
    /// The line is gone: the port vanished.
    Cut,
    /// The emulated board has ended.
    Over,
}

#[derive(Debug)]
enum Open {
    Port(serial2::SerialPort),
    Emulated(Live),
}

/// The line, open or cut.
#[derive(Debug)]
pub struct Line {
    source: Source,
    open: Option<Open>,
    receiver: Receiver<MAX_FRAME_BYTES>,
}

impl Line {
    /// Opens the line.
    ///
    /// # Errors
    /// The port cannot be opened, or the emulator cannot be started.
    pub fn open(source: Source) -> Result<Line> {
        let open = match &source {
            Source::Port { path, baud } => Open::Port(open_port(path, *baud).with_context(|| {
                format!(
                    "the port {} cannot be opened. Remedy: check that the board is plugged in, that the path is that of its \
                     serial line, and that you may open it (group `dialout` on Debian)",
                    path.display()
                )
            })?),
            Source::Emulated { board, elf, signal, time } => {
                Open::Emulated(Emulator::find(board)?.start_live(elf, signal.as_ref(), *time)?)
            }
        };
        Ok(Line { source, open: Some(open), receiver: Receiver::new() })
    }

    /// What a person calls it.
    pub fn name(&self) -> String {
        match (&self.source, &self.open) {
            (_, Some(Open::Emulated(live))) => live.terminal().to_string(),
            (Source::Emulated { board, .. }, _) => format!("emulated {}", board.name),
            (Source::Port { path, .. }, _) => path.display().to_string(),
        }
    }

    /// Whether it is that of an emulated board.
    pub fn is_emulated(&self) -> bool {
        matches!(self.source, Source::Emulated { .. })
    }

    /// Waits a tenth of a second at most for bytes, and hands on what they make up.
    ///
    /// # Errors
    /// Those of `hand_on`; a line that fails is [`Look::Cut`].
    pub fn look(&mut self, mut hand_on: impl FnMut(&Received<'_>) -> Result<()>) -> Result<Look> {
        let mut piece = [0; PIECE_BYTES];
        let came = match &mut self.open {
            None => return Ok(Look::Cut),
            Some(Open::Port(port)) => read_port(port, &mut piece),
            Some(Open::Emulated(live)) => live.read(&mut piece, PATIENCE),
        };
        let count = match came {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(_) if self.is_emulated() => return Ok(Look::Over),
            Err(_) => {
                self.open = None;
                return Ok(Look::Cut);
            }
        };
        let mut bytes = &piece[..count];
        while let Some(received) = self.receiver.next(&mut bytes) {
            hand_on(&received)?;
        }
        Ok(Look::Open)
    }

    /// Tries to open a port that is gone, for up to a fifth of a second. Half a frame from before is forgotten.
    pub fn reopen(&mut self) -> bool {
        if let Source::Port { path, baud } = &self.source {
            match open_port(path, *baud) {
                Ok(port) => {
                    self.open = Some(Open::Port(port));
                    self.receiver.reset();
                }
                Err(_) => std::thread::sleep(RETRY),
            }
        }
        self.open.is_some()
    }

    /// What an emulated board that has ended had to say of it.
    ///
    /// # Errors
    /// It ended with a failure.
    pub fn end(&mut self) -> Result<()> {
        if let Some(Open::Emulated(live)) = &mut self.open {
            let (success, said) = live.ended()?;
            if !success {
                bail!("the emulated board ended with a failure {}", said.trim_end());
            }
        }
        Ok(())
    }
}

fn open_port(path: &std::path::Path, baud: u32) -> io::Result<serial2::SerialPort> {
    let mut port = serial2::SerialPort::open(path, baud)?;
    port.set_read_timeout(PATIENCE)?;
    // A board behind USB sends to a host that says it is there; a pseudo-terminal has no such signal.
    let _ = port.set_dtr(true);
    Ok(port)
}

/// Reads from a port; 0 where nothing came in time.
fn read_port(port: &mut serial2::SerialPort, piece: &mut [u8]) -> io::Result<usize> {
    match port.read(piece) {
        // A terminal whose other end is closed.
        Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(0),
        result => result,
    }
}

/// Whether the user wants to stop, by Ctrl-C.
#[derive(Debug)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// From now on Ctrl-C is a wish, not the end. A second one ends the program.
    ///
    /// # Errors
    /// The system does not allow it.
    pub fn listen() -> Result<Stop> {
        let wanted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order, so that the first one does not end the program.
            let second = flag::register_conditional_shutdown(signal, 130, Arc::clone(&wanted));
            second
                .and_then(|_| flag::register(signal, Arc::clone(&wanted)))
                .context("Ctrl-C cannot be listened to")?;
        }
        Ok(Stop(wanted))
    }

    /// Whether it was pressed.
    pub fn is_wanted(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Waits no longer than a time that begins anew with everything that comes.
#[derive(Debug)]
pub struct Patience {
    limit: Duration,
    since: Instant,
}

impl Patience {
    /// Begins to wait.
    pub fn new(limit: Duration) -> Patience {
        Patience { limit, since: Instant::now() }
    }

    /// Something came.
    pub fn renew(&mut self) {
        self.since = Instant::now();
    }

    /// How long nothing has come.
    pub fn waited(&self) -> Duration {
        self.since.elapsed()
    }

    /// Whether it was waited long enough.
    pub fn is_over(&self) -> bool {
        self.waited() >= self.limit
    }
}
