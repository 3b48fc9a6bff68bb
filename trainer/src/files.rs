//! Writing files so that nothing half-written ever stands under its final name.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::{Builder, NamedTempFile, TempDir};

const WHAT_NOW: &str = "Remedy: check that the folder may be written to and that its disk has room";

/// Writes a file: its bytes go to a file beside it, which takes the name when it is whole.
pub fn write(path: &Path, content: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>) -> Result<()> {
    let failed = || format!("{}: cannot be written. {WHAT_NOW}", path.display());
    let file = beside(path).with_context(failed)?;
    let mut writer = BufWriter::new(file.as_file());
    content(&mut writer).and_then(|()| writer.flush()).with_context(failed)?;
    drop(writer);
    file.persist(path).map_err(|error| error.error).with_context(failed)?;
    Ok(())
}

/// Writes bytes to a file, all or nothing.
pub fn write_bytes(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, |writer| writer.write_all(bytes))
}

/// A nameless place for a file that will become `path`.
fn beside(path: &Path) -> io::Result<NamedTempFile> {
    let folder = folder_of(path);
    fs::create_dir_all(folder)?;
    let mut builder = Builder::new();
    builder.prefix(".writing-");
    // Without this the file could be read by its owner only.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A set of files that appear in a folder together, once all of them are whole.
///
/// They are written to a hidden folder beside; [`Staged::finish`] moves them. Files of other names that the folder
/// holds already stay.
#[derive(Debug)]
pub struct Staged {
    target: PathBuf,
    stage: TempDir,
    names: Vec<String>,
}

impl Staged {
    /// Begins a set for the folder `target`, which need not exist.
    pub fn new(target: &Path) -> Result<Staged> {
        let failed = || format!("{}: the folder cannot be written. {WHAT_NOW}", target.display());
        fs::create_dir_all(target).with_context(failed)?;
        let stage = Builder::new().prefix(".writing-").tempdir_in(target).with_context(failed)?;
        Ok(Staged { target: target.to_path_buf(), stage, names: Vec::new() })
    }

    /// Adds a file.
    pub fn add(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        write_bytes(&self.path(name), bytes)
    }

    /// Where a file of that name is to be written by others.
    pub fn path(&mut self, name: &str) -> PathBuf {
        if !self.names.iter().any(|known| known == name) {
            self.names.push(name.to_string());
        }
        self.stage.path().join(name)
    }

    /// Moves the files to their folder, under their names.
    pub fn finish(self) -> Result<()> {
        for name in &self.names {
            let target = self.target.join(name);
            fs::rename(self.stage.path().join(name), &target)
                .with_context(|| format!("{}: cannot be written. {WHAT_NOW}", target.display()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/x.bin");
        write_bytes(&path, b"old").unwrap();
        let error = write(&path, |writer| {
            writer.write_all(b"half")?;
            Err(io::Error::other("no more"))
        });
        assert!(error.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
    }

    #[test]
    fn staged_files_appear_together() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out");
        let mut staged = Staged::new(&target).unwrap();
        staged.add("a", b"1").unwrap();
        assert!(!target.join("a").exists());
        staged.add("b", b"2").unwrap();
        staged.finish().unwrap();
        assert_eq!(fs::read(target.join("b")).unwrap(), b"2");
        assert_eq!(fs::read_dir(&target).unwrap().count(), 2);
        let mut dropped = Staged::new(&target).unwrap();
        dropped.add("c", b"3").unwrap();
        drop(dropped);
        assert_eq!(fs::read_dir(&target).unwrap().count(), 2);
    }
}
