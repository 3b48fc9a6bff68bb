//! Running a program on an emulated board.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::rust::find_program;
use crate::{Board, SETUP};

/// How long a program may run before it is stopped.
pub const TIME_LIMIT: Duration = Duration::from_secs(600);

/// The emulator of one board.
#[derive(Debug)]
pub struct Emulator<'a> {
    board: &'a Board,
    program: PathBuf,
}

/// What a program said, and how it ended.
#[derive(Debug)]
pub struct Run {
    /// What it wrote.
    pub stdout: String,
    /// What the emulator had to say.
    pub stderr: String,
    /// Whether it ended by reporting success.
    pub success: bool,
}

impl<'a> Emulator<'a> {
    /// Finds the emulator program.
    pub fn find(board: &'a Board) -> Result<Emulator<'a>> {
        match find_program(board.emulator) {
            Some(program) => Ok(Emulator { board, program }),
            None => {
                bail!("the emulator `{}` for board {} is missing: run `{SETUP}`", board.emulator, board.name)
            }
        }
    }

    pub(crate) fn board(&self) -> &'a Board {
        self.board
    }

    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// Runs a program to its end, with one virtual nanosecond per instruction so that the board's
    /// timers count instructions. `job` is laid at the board's job address before the start.
    pub fn run(&self, elf: &Path, job: Option<&[u8]>, limit: Duration) -> Result<Run> {
        self.start(elf, job, &["-icount".to_string(), "shift=0".to_string()], limit)
    }

    /// Runs a program to its end, as fast as the emulator can. The board's timers tell the host's time.
    pub fn run_fast(&self, elf: &Path, job: Option<&[u8]>, limit: Duration) -> Result<Run> {
        self.start(elf, job, &[], limit)
    }

    /// Runs a program to its end with the plugin that counts instructions. The board's timers then
    /// tell the host's time.
    pub(crate) fn run_counted(
        &self,
        elf: &Path,
        job: Option<&[u8]>,
        marks: &Marks,
        limit: Duration,
    ) -> Result<Run> {
        let settings = format!(
            "{},begin={:#x},end={:#x},out={}",
            doubled_commas(&marks.plugin),
            marks.begin,
            marks.end,
            doubled_commas(&marks.counts)
        );
        self.start(elf, job, &["-plugin".to_string(), settings], limit)
    }

    /// Runs a program to its end with the plugin that sees where it writes: the lowest address from `low` to `high` that it
    /// wrote to is in the file `lowest`.
    pub(crate) fn run_watched(
        &self,
        elf: &Path,
        plugin: &Path,
        (low, high): (u64, u64),
        lowest: &Path,
        limit: Duration,
    ) -> Result<Run> {
        let settings =
            format!("{},low={low:#x},high={high:#x},out={}", doubled_commas(plugin), doubled_commas(lowest));
        self.start(elf, None, &["-plugin".to_string(), settings], limit)
    }

    fn start(&self, elf: &Path, job: Option<&[u8]>, more: &[String], limit: Duration) -> Result<Run> {
        let mut command = Command::new(&self.program);
        command
            .args(["-M", self.board.machine, "-display", "none", "-monitor", "none"])
            .args(["-serial", "none"])
            .args(more)
            .args(["-semihosting-config", "enable=on,target=native", "-kernel"])
            .arg(elf)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // Deleted when this function returns.
        let mut _job_file = None;
        if let Some(job) = job {
            if job.len() > self.board.job_bytes {
                bail!(
                    "plan and inputs take {} bytes; board {} has room for {}: give fewer cases",
                    job.len(),
                    self.board.name,
                    self.board.job_bytes
                );
            }
            let file = TemporaryFile::new("job");
            fs::write(&file.0, job).with_context(|| format!("cannot write {}", file.0.display()))?;
            command.arg("-device").arg(format!(
                "loader,file={},addr={:#x},force-raw=on",
                doubled_commas(&file.0),
                self.board.job_address
            ));
            _job_file = Some(file);
        }
        let child = command.spawn().with_context(|| format!("cannot start {}", self.program.display()))?;
        wait(child, limit).with_context(|| format!("running on emulated {}", self.board.name))
    }
}

/// Waits for the end of a child whose output is piped, reading both streams meanwhile.
fn wait(mut child: Child, limit: Duration) -> Result<Run> {
    let collect = |stream: Option<Box<dyn Read + Send>>| {
        thread::spawn(move || {
            let mut bytes = Vec::new();
            if let Some(mut stream) = stream {
                // A broken stream ends the text early, and the reader of the text notices that.
                let _ = stream.read_to_end(&mut bytes);
            }
            String::from_utf8_lossy(&bytes).into_owned()
        })
    };
    let stdout = collect(child.stdout.take().map(|s| Box::new(s) as Box<dyn Read + Send>));
    let stderr = collect(child.stderr.take().map(|s| Box::new(s) as Box<dyn Read + Send>));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().context("cannot wait for the emulator")? {
            break status;
        }
        if start.elapsed() > limit {
            child.kill().context("cannot stop the emulator")?;
            child.wait().context("cannot wait for the emulator")?;
            bail!("the program did not end within {} s and was stopped", limit.as_secs());
        }
        thread::sleep(Duration::from_millis(5));
    };
    Ok(Run {
        stdout: stdout.join().unwrap_or_default(),
        stderr: stderr.join().unwrap_or_default(),
        success: status.success(),
    })
}

/// The emulator reads a comma as the end of a value unless it is doubled.
pub(crate) fn doubled_commas(path: &Path) -> String {
    path.display().to_string().replace(',', ",,")
}

/// Where the counting plugin counts, and what it writes.
#[derive(Debug)]
pub(crate) struct Marks {
    pub(crate) plugin: PathBuf,
    pub(crate) begin: u64,
    pub(crate) end: u64,
    pub(crate) counts: PathBuf,
}

/// A file that the emulator reads or writes, gone when dropped.
#[derive(Debug)]
pub(crate) struct TemporaryFile(PathBuf);

impl TemporaryFile {
    /// A name that nobody else has; there is no file yet.
    pub(crate) fn new(what: &str) -> TemporaryFile {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("teff-{what}-{}-{}.bin", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        TemporaryFile(std::env::temp_dir().join(name))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // A file left in the temporary folder does no harm.
        let _ = fs::remove_file(&self.0);
    }
}
