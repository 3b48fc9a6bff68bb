//! The error of every function of this crate: where, why, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

/// What went wrong, where it stands, and what the user can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Where the fault stands.
    pub place: Place,
    /// What is wrong there.
    pub reason: String,
    /// What to do about it. May be empty where the reason says it all.
    pub remedy: String,
    /// The file in question, once a caller that knows it has added it.
    pub file: Option<PathBuf>,
}

/// The part of a model or file that an [`Error`] speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The model as a whole.
    Model,
    /// One operator of the model.
    Node {
        /// Name of the node.
        name: String,
        /// Operator, in the words of the format the model came in.
        operator: String,
    },
    /// One value (tensor) of the model.
    Value(String),
    /// A byte offset in the file.
    Byte(usize),
    /// A key of the metadata.
    Key(String),
}

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A fault of the model as a whole.
    pub fn model(reason: impl Into<String>) -> Error {
        Error::at(Place::Model, reason)
    }

    /// A fault of one node.
    pub fn node(name: &str, operator: &str, reason: impl Into<String>) -> Error {
        let place = Place::Node { name: name.to_string(), operator: operator.to_string() };
        Error::at(place, reason)
    }

    /// A fault of one value.
    pub fn value(name: &str, reason: impl Into<String>) -> Error {
        Error::at(Place::Value(name.to_string()), reason)
    }

    /// A fault of one metadata key.
    pub fn key(key: &str, reason: impl Into<String>) -> Error {
        Error::at(Place::Key(key.to_string()), reason)
    }

    /// A fault at a place.
    pub fn at(place: Place, reason: impl Into<String>) -> Error {
        Error { place, reason: reason.into(), remedy: String::new(), file: None }
    }

    /// The same error with what the user can do about it.
    pub fn remedy(mut self, remedy: impl Into<String>) -> Error {
        self.remedy = remedy.into();
        self
    }

    /// The same error with the file it is about.
    pub fn in_file(mut self, path: &Path) -> Error {
        self.file = Some(path.to_path_buf());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}: ", file.display())?;
        }
        match &self.place {
            Place::Model => {}
            Place::Node { name, operator } => write!(f, "node `{name}` ({operator}): ")?,
            Place::Value(name) => write!(f, "value `{name}`: ")?,
            Place::Byte(offset) => write!(f, "byte {offset}: ")?,
            Place::Key(key) => write!(f, "metadata key `{key}`: ")?,
        }
        f.write_str(&self.reason)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
