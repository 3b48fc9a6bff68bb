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

    /// Runs a program to its end, with one virtual nanosecond per instruction so that the board's
    /// timers count instructions. `job` is laid at the board's job address before the start.
    pub fn run(&self, elf: &Path, job: Option<&[u8]>, limit: Duration) -> Result<Run> {
        let mut command = Command::new(&self.program);
        command
            .args(["-M", self.board.machine, "-display", "none", "-monitor", "none"])
            .args(["-serial", "none", "-icount", "shift=0"])
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
            let file = JobFile::write(job)?;
            command.arg("-device").arg(format!(
                "loader,file={},addr={:#x},force-raw=on",
                // The emulator reads a comma as the end of a value unless it is doubled.
                file.0.display().to_string().replace(',', ",,"),
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

/// A file for the emulator to load, gone when dropped.
struct JobFile(PathBuf);

impl JobFile {
    fn write(job: &[u8]) -> Result<JobFile> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("teff-job-{}-{}.bin", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::write(&path, job).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(JobFile(path))
    }
}

impl Drop for JobFile {
    fn drop(&mut self) {
        // A file left in the temporary folder does no harm.
        let _ = fs::remove_file(&self.0);
    }
}
