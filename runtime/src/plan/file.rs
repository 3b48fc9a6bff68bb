//! Plans from files, on hosts.

use std::path::{Path, PathBuf};
use std::vec::Vec;

use super::header::Header;
use super::model::{LoadError, Model};
use crate::bytes::{PlanBytes, u128_as_bytes, u128_as_bytes_mut};

/// A plan in memory, on a 16-byte boundary, already checked.
#[derive(Clone, Debug)]
pub struct ModelFile {
    words: Vec<u128>,
    len: usize,
    header: Header,
}

/// Why a plan file cannot be opened.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// The file cannot be read.
    Io(PathBuf, std::io::Error),
    /// The file is not a valid plan.
    Load(PathBuf, LoadError),
}

impl core::fmt::Display for OpenError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Load(path, error) => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl core::error::Error for OpenError {}

impl ModelFile {
    /// Reads and checks a plan file.
    ///
    /// # Errors
    /// The file cannot be read, or is not a valid plan.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|error| OpenError::Io(path.into(), error))?;
        Self::from_bytes(&bytes).map_err(|error| OpenError::Load(path.into(), error))
    }

    /// Copies a plan to aligned memory and checks it.
    ///
    /// # Errors
    /// The bytes are not a valid plan.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LoadError> {
        let mut words = std::vec![0u128; bytes.len().div_ceil(16)];
        u128_as_bytes_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        let header = Model::new(&u128_as_bytes(&words)[..bytes.len()])?.header();
        Ok(Self { words, len: bytes.len(), header })
    }

    /// The plan's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &u128_as_bytes(&self.words)[..self.len]
    }

    /// The model, as `from_bytes` checked it.
    pub fn model(&self) -> Model<'_> {
        let plan = PlanBytes::new(self.as_bytes()).expect("the words are aligned");
        Model::unchecked(plan.first(self.header.total_len as usize)).expect("`from_bytes` checked it")
    }

    /// A zeroed arena of the model's size.
    pub fn arena(&self) -> HostArena {
        HostArena(std::vec![0; (self.header.arena_bytes as usize).div_ceil(16)])
    }
}

/// An arena on the heap, on a 16-byte boundary.
#[derive(Clone, Debug)]
pub struct HostArena(Vec<u128>);

impl HostArena {
    /// The memory itself.
    pub fn as_mut_slice(&mut self) -> &mut [i8] {
        crate::bytes::as_i8_mut(u128_as_bytes_mut(&mut self.0))
    }
}
