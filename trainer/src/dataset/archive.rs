//! Files of a data set, from a folder or straight from a `.tar.gz` archive, which is never unpacked to disk.
//!
//! What a file claims about itself is not believed: an archive is read through a counter that stops at
//! [`Limits::total_bytes`], and no buffer is sized by a header.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::error::{InputError, Result};

/// What may be read at most.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Bytes of all files together, unpacked.
    pub total_bytes: u64,
    /// Number of files.
    pub files: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes: 1 << 30, total_bytes: 16 << 30, files: 4_000_000 }
    }
}

/// Where the files of a set are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Files {
    /// In a folder and its sub-folders.
    Folder(PathBuf),
    /// In an archive, below a folder of it ("" is its root).
    Archive {
        /// The `.tar.gz`, `.tgz` or `.tar` file.
        file: PathBuf,
        /// The folder in it, with `/` at its end, or nothing.
        below: String,
    },
}

/// One file of a set.
#[derive(Debug)]
pub struct Entry {
    /// Its path below the root of the set, parts joined by `/`.
    pub name: String,
    /// The path to show in messages.
    pub shown: PathBuf,
    /// Its contents.
    pub bytes: Vec<u8>,
}

impl Files {
    /// The files of the set in `root`: of `archive` where the set has one and it is there, else of the folder itself;
    /// in both only what lies in the sub-folder `below`, where that is given.
    pub fn find(root: &Path, archive: Option<&str>, below: Option<&str>) -> Result<Self> {
        let below = below.map(|below| below.trim_matches('/')).filter(|below| !below.is_empty());
        if let Some(archive) = archive {
            let file = root.join(archive);
            if file.is_file() {
                return Ok(Files::Archive {
                    file,
                    below: below.map(|below| format!("{below}/")).unwrap_or_default(),
                });
            }
        }
        let folder = below.map_or_else(|| root.to_path_buf(), |below| root.join(below));
        if folder.is_dir() {
            return Ok(Files::Folder(folder));
        }
        let missing = match archive {
            Some(archive) => {
                format!("neither the archive `{archive}` nor the folder `{}` is there", below.unwrap_or("."))
            }
            None => format!("the folder `{}` is not there", below.unwrap_or(".")),
        };
        Err(InputError::new(root, missing, "pass --data with the folder of the data set or its parent"))
    }

    /// The folder or archive itself, for messages.
    pub fn shown(&self) -> &Path {
        match self {
            Files::Folder(folder) => folder,
            Files::Archive { file, .. } => file,
        }
    }

    /// Calls `each` with every file whose name is `wanted`. The order depends on the files only: by name in a folder,
    /// as stored in an archive.
    pub fn visit(
        &self,
        limits: Limits,
        wanted: impl Fn(&str) -> bool,
        mut each: impl FnMut(Entry) -> Result<()>,
    ) -> Result<()> {
        match self {
            Files::Folder(folder) => visit_folder(folder, limits, &wanted, &mut each),
            Files::Archive { file, below } => visit_archive(file, below, limits, &wanted, &mut each),
        }
    }
}

/// Whether a name ends in one of the endings, in whatever case.
pub fn has_ending(name: &str, endings: &[&str]) -> bool {
    name.rsplit_once('.').is_some_and(|(_, ending)| endings.iter().any(|e| e.eq_ignore_ascii_case(ending)))
}

/// Reads a whole file of at most `limit` bytes, unpacking it where its name ends in `.gz`.
pub fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(|error| InputError::unreadable(path, &error))?;
    let mut bytes = Vec::new();
    let packed = has_ending(&path.to_string_lossy(), &["gz"]);
    let read = if packed {
        MultiGzDecoder::new(BufReader::new(file)).take(limit + 1).read_to_end(&mut bytes)
    } else {
        file.take(limit + 1).read_to_end(&mut bytes)
    };
    if let Err(error) = read {
        let problem = format!(
            "cannot be read beyond {} {}bytes: {error}",
            bytes.len(),
            if packed { "unpacked " } else { "" }
        );
        return Err(InputError::new(path, problem, "the file is cut off or damaged; fetch it again"));
    }
    if bytes.len() as u64 > limit {
        return Err(InputError::new(
            path,
            format!("is larger than {limit} bytes"),
            "check that it is the right file; larger ones are not read",
        ));
    }
    Ok(bytes)
}

/// All files below a folder, by name.
fn visit_folder(
    root: &Path,
    limits: Limits,
    wanted: &dyn Fn(&str) -> bool,
    each: &mut dyn FnMut(Entry) -> Result<()>,
) -> Result<()> {
    let mut names = Vec::new();
    list_folder(root, "", 0, wanted, &mut names)?;
    names.sort_unstable();
    if names.len() > limits.files {
        return Err(too_many(root, limits));
    }
    let mut total = 0;
    for name in names {
        let shown = root.join(&name);
        let bytes = read_file(&shown, limits.file_bytes)?;
        total += bytes.len() as u64;
        if total > limits.total_bytes {
            return Err(too_large(root, limits));
        }
        each(Entry { name, shown, bytes })?;
    }
    Ok(())
}

/// Collects the names of wanted files below `root/below`; folders nested deeper than 16 are refused, which also ends
/// loops of symbolic links.
fn list_folder(
    root: &Path,
    below: &str,
    depth: usize,
    wanted: &dyn Fn(&str) -> bool,
    names: &mut Vec<String>,
) -> Result<()> {
    let folder = root.join(below);
    if depth > 16 {
        return Err(InputError::new(folder, "is nested too deeply", "check for links that lead in a circle"));
    }
    let unreadable = |error: io::Error| InputError::unreadable(&folder, &error);
    for item in std::fs::read_dir(&folder).map_err(unreadable)? {
        let path = item.map_err(unreadable)?.path();
        let Some(file_name) = path.file_name().and_then(|name| name.to_str()) else {
            continue; // No class, person or rule of a recipe can name such a file.
        };
        if file_name.starts_with('.') {
            continue;
        }
        let name = if below.is_empty() { file_name.to_string() } else { format!("{below}/{file_name}") };
        if path.is_dir() {
            list_folder(root, &name, depth + 1, wanted, names)?;
        } else if wanted(&name) {
            names.push(name);
        }
    }
    Ok(())
}

/// All files of an archive, as stored.
fn visit_archive(
    file: &Path,
    below: &str,
    limits: Limits,
    wanted: &dyn Fn(&str) -> bool,
    each: &mut dyn FnMut(Entry) -> Result<()>,
) -> Result<()> {
    let opened = BufReader::new(File::open(file).map_err(|error| InputError::unreadable(file, &error))?);
    let unpacked: Box<dyn Read> = if has_ending(&file.to_string_lossy(), &["tar"]) {
        Box::new(opened)
    } else {
        Box::new(MultiGzDecoder::new(opened))
    };
    let damaged = |what: &str, error: io::Error| {
        InputError::new(file, format!("{what}: {error}"), "the archive is cut off or damaged; fetch it again")
    };
    let mut archive = tar::Archive::new(Limited { inner: unpacked, left: limits.total_bytes });
    let mut count = 0;
    for entry in archive.entries().map_err(|error| damaged("cannot be read", error))? {
        let mut entry =
            entry.map_err(|error| damaged(&format!("cannot be read after {count} files"), error))?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        count += 1;
        if count > limits.files {
            return Err(too_many(file, limits));
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let Some(name) = path.trim_start_matches("./").strip_prefix(below) else {
            continue;
        };
        let hidden = name.rsplit('/').next().is_some_and(|last| last.starts_with('.'));
        if hidden || !wanted(name) {
            continue;
        }
        let shown = file.join(path.trim_start_matches("./"));
        let claimed = entry.size();
        if claimed > limits.file_bytes {
            return Err(InputError::new(
                shown,
                format!("claims {claimed} bytes, more than the {} that are read", limits.file_bytes),
                "the archive is damaged or holds something else; fetch it again",
            ));
        }
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(|error| damaged(&format!("`{path}` cannot be read"), error))?;
        if bytes.len() as u64 != claimed {
            return Err(InputError::new(
                shown,
                format!("ends after {} of {claimed} bytes", bytes.len()),
                "the archive is cut off; fetch it again",
            ));
        }
        each(Entry { name: name.to_string(), shown, bytes })?;
    }
    // The checksum of a gzip stream stands behind its last byte.
    io::copy(&mut archive.into_inner(), &mut io::sink())
        .map_err(|error| damaged("its end cannot be read", error))?;
    Ok(())
}

fn too_many(place: &Path, limits: Limits) -> InputError {
    InputError::new(
        place,
        format!("has more than {} files", limits.files),
        "point --data at the data set alone",
    )
}

fn too_large(place: &Path, limits: Limits) -> InputError {
    InputError::new(
        place,
        format!("has more than {} bytes", limits.total_bytes),
        "point --data at the data set alone",
    )
}

/// A reader that fails, rather than ending early, when more than `left` bytes come.
struct Limited<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(out)?;
        self.left = self
            .left
            .checked_sub(n as u64)
            .ok_or_else(|| io::Error::other("it unpacks to more than is read"))?;
        Ok(n)
    }
}
