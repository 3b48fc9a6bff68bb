//! The error of everything that a user hands in: which file, where in it, what is wrong, what to do.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where in a file the trouble stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The file as a whole.
    File,
    /// A line, counted from 1.
    Line(usize),
    /// A byte, counted from 0.
    Byte(u64),
}

/// A fault in something that the user gave: a recipe, a data set, an archive.
///
/// The command line answers it with exit code 2; faults of the program or the system are other types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputError {
    /// The file or folder; entries of archives are written `archive.tar.gz/entry`.
    pub file: PathBuf,
    /// Where in the file.
    pub place: Place,
    /// What is wrong, a sentence without its full stop.
    pub problem: String,
    /// What the user can do about it, a sentence without its full stop.
    pub remedy: String,
}

impl InputError {
    /// A fault of the file as a whole.
    pub fn new(file: impl AsRef<Path>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self {
            file: file.as_ref().to_path_buf(),
            place: Place::File,
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }

    /// The same fault, at a line counted from 1.
    pub fn at_line(mut self, line: usize) -> Self {
        self.place = Place::Line(line);
        self
    }

    /// The same fault, at a byte counted from 0.
    pub fn at_byte(mut self, byte: u64) -> Self {
        self.place = Place::Byte(byte);
        self
    }

    /// The fault of a file that the system would not read.
    pub fn unreadable(file: impl AsRef<Path>, error: &std::io::Error) -> Self {
        let remedy = match error.kind() {
            std::io::ErrorKind::NotFound => "check the path",
            std::io::ErrorKind::PermissionDenied => "check the permissions of the file",
            std::io::ErrorKind::IsADirectory => "name a file in this folder",
            _ => "fetch the file again; it may be damaged",
        };
        Self::new(file, format!("cannot be read: {error}"), remedy)
    }
}

impl fmt::Display for InputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        match self.place {
            Place::File => {}
            Place::Line(line) => write!(f, ":{line}")?,
            Place::Byte(byte) => write!(f, ", byte {byte}")?,
        }
        write!(f, ": {}. Remedy: {}.", self.problem, self.remedy)
    }
}

impl std::error::Error for InputError {}

/// The result of reading something that the user gave.
pub type Result<T> = std::result::Result<T, InputError>;
