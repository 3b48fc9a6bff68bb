//! Recordings on disk: `{label}/{group}_{number}.csv`, or `{label}/{group}_nohash_{number}.wav`, as the layout
//! `class_folders` of the recipes is read.
//!
//! No file is ever overwritten. While a recording goes on, its file has the ending `.part` behind the other one: what
//! came before a loss of power is still there. The ending goes when the file is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// How samples are meant, as far as files say it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Samples per instant.
    pub axes: usize,
    /// Instants per 1000 seconds.
    pub rate_millihertz: u32,
    /// The physical unit; empty where counts have none.
    pub unit: String,
}

impl Kind {
    /// Whether it is sound: one channel without a unit, at a whole number of samples a second.
    pub fn is_sound(&self) -> bool {
        self.axes == 1 && self.unit.is_empty() && self.rate_millihertz.is_multiple_of(1000)
    }

    fn ending(&self) -> &'static str {
        if self.is_sound() { "wav" } else { "csv" }
    }

    /// What tells the loader of sound where the group's name ends.
    fn infix(&self) -> &'static str {
        if self.is_sound() { "nohash_" } else { "" }
    }

    /// Names of the columns of a CSV file.
    pub fn columns(&self) -> Vec<String> {
        match self.axes {
            3 => ["x", "y", "z"].map(String::from).to_vec(),
            axes => (0..axes).map(|axis| format!("axis{axis}")).collect(),
        }
    }
}

/// The place of one session's files: a label's folder, and a group.
#[derive(Clone, Debug)]
pub struct Place {
    folder: PathBuf,
    group: String,
    next: usize,
}

/// Whether a name can be that of a folder or the beginning of a file's name everywhere.
pub fn is_name(text: &str) -> bool {
    let good = |c: char| c.is_alphanumeric() || "-_".contains(c);
    !text.is_empty() && text.len() <= 100 && text.chars().all(good)
}

impl Place {
    /// Finds room in `out/label`, which need not exist: for `group` the first free number; without a group, the first
    /// free one of `t001`, `t002`, …
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn find(out: &Path, label: &str, group: Option<&str>) -> Result<Place> {
        let folder = out.join(label);
        let names: Vec<String> = match fs::read_dir(&folder) {
            Ok(entries) => entries.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("{}: the folder cannot be read", folder.display()));
            }
        };
        let numbers = |group: &str| {
            let of_group = names.iter().filter_map(|name| name.strip_prefix(group)?.strip_prefix('_'));
            let of_group = of_group.map(|rest| rest.strip_prefix("nohash_").unwrap_or(rest));
            let digits =
                of_group.map(|rest| rest.chars().take_while(char::is_ascii_digit).collect::<String>());
            digits.filter_map(|digits| digits.parse::<usize>().ok()).max()
        };
        let (group, next) = match group {
            Some(group) => (group.to_string(), numbers(group).map_or(1, |last| last + 1)),
            None => {
                let free = (1..).map(|take| format!("t{take:03}")).find(|name| numbers(name).is_none());
                (free.unwrap_or_default(), 1)
            }
        };
        Ok(Place { folder, group, next })
    }

    /// The group.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// A number that no session before had in this folder: how many files are there. For signals that are computed.
    pub fn sessions(&self) -> u64 {
        fs::read_dir(&self.folder).map_or(0, |entries| entries.flatten().count() as u64)
    }

    /// Begins the next file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin(&mut self, kind: &Kind) -> Result<Part> {
        let path =
            self.folder.join(format!("{}_{}{:03}.{}", self.group, kind.infix(), self.next, kind.ending()));
        self.next += 1;
        Part::create(path, kind)
    }

    /// Writes the session's log beside the files.
    ///
    /// # Errors
    /// It cannot be written, or there is one of that name.
    pub fn write_log(&self, first: usize, text: &str) -> Result<PathBuf> {
        let path = self.folder.join(format!("{}_{first:03}.json", self.group));
        let failed = || unwritable(&path);
        fs::create_dir_all(&self.folder).with_context(failed)?;
        let mut file = File::create_new(&path).with_context(failed)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).with_context(failed)?;
        Ok(path)
    }

    /// The number of the next file.
    pub fn next(&self) -> usize {
        self.next
    }
}

fn unwritable(path: &Path) -> String {
    format!(
        "{}: cannot be written. Remedy: check that the folder may be written to and that its disk has room",
        path.display()
    )
}

enum Writer {
    Text(BufWriter<File>),
    Sound(Box<hound::WavWriter<BufWriter<File>>>),
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Writer::Text(_) => "Text",
            Writer::Sound(_) => "Sound",
        })
    }
}

/// A file that is being written.
#[derive(Debug)]
pub struct Part {
    path: PathBuf,
    writer: Writer,
    axes: usize,
    instants: u64,
    until_flush: u64,
    flush_every: u64,
}

impl Part {
    fn create(path: PathBuf, kind: &Kind) -> Result<Part> {
        let failed = || unwritable(&path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(failed)?;
        }
        if path.exists() {
            bail!("{}: exists already, and no recording is overwritten", path.display());
        }
        let file = BufWriter::new(File::create_new(unfinished(&path)).with_context(failed)?);
        let writer = if kind.is_sound() {
            let spec = hound::WavSpec {
                channels: 1,
                sample_rate: kind.rate_millihertz / 1000,
                bits_per_sample: 16,
                sample_format: hound::SampleFormat::Int,
            };
            Writer::Sound(Box::new(hound::WavWriter::new(file, spec).with_context(failed)?))
        } else {
            let mut file = file;
            writeln!(file, "{}", kind.columns().join(",")).with_context(failed)?;
            Writer::Text(file)
        };
        let flush_every = u64::from(kind.rate_millihertz / 1000).max(1);
        Ok(Part { path, writer, axes: kind.axes, instants: 0, until_flush: flush_every, flush_every })
    }

    /// The name that the file will have.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Instants so far.
    pub fn instants(&self) -> u64 {
        self.instants
    }

    /// Appends whole instants. What was written is on the disk a second later, whatever happens to this program.
    ///
    /// # Errors
    /// The disk is full, or the file went away.
    pub fn append(&mut self, samples: &[i16]) -> Result<()> {
        self.try_append(samples).with_context(|| unwritable(&self.path))
    }

    fn try_append(&mut self, samples: &[i16]) -> Result<()> {
        for instant in samples.chunks_exact(self.axes) {
            match &mut self.writer {
                Writer::Sound(sound) => instant.iter().try_for_each(|sample| sound.write_sample(*sample))?,
                Writer::Text(text) => {
                    let line: Vec<String> = instant.iter().map(i16::to_string).collect();
                    writeln!(text, "{}", line.join(","))?;
                }
            }
            self.instants += 1;
            self.until_flush -= 1;
            if self.until_flush == 0 {
                self.until_flush = self.flush_every;
                match &mut self.writer {
                    Writer::Sound(sound) => sound.flush()?,
                    Writer::Text(text) => text.flush()?,
                }
            }
        }
        Ok(())
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// It cannot be written, or a file has that name by now; what was recorded is then in the file with the ending
    /// `.part`.
    pub fn finish(self) -> Result<PathBuf> {
        let path = self.path;
        let failed = || unwritable(&path);
        match self.writer {
            Writer::Sound(sound) => sound.finalize().with_context(failed)?,
            Writer::Text(mut text) => text.flush().with_context(failed)?,
        }
        let part = unfinished(&path);
        // Unlike renaming, a link never takes another file's place.
        fs::hard_link(&part, &path).with_context(|| {
            format!("{}: cannot take its name; what was recorded is in {}", path.display(), part.display())
        })?;
        fs::remove_file(&part).with_context(failed)?;
        Ok(path)
    }
}

/// Where a file stands while it is written.
fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    path.with_file_name(name)
}
