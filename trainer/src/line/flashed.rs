//! What was flashed, in a folder: the program, its plan, and a note that says what they are.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::error::InputError;
use crate::files;

const NOTE: &str = "flashed.json";

/// The note.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flashed {
    /// The board.
    pub board: String,
    /// The program.
    pub app: String,
    /// The program's ELF file in the folder; null for a board that runs a plan.
    pub elf: Option<String>,
    /// The model file that it was made from; null where the program has none.
    pub model: Option<String>,
}

/// The folder where nothing else is said.
pub fn folder(board: &str) -> PathBuf {
    Path::new("flashed").join(board)
}

impl Flashed {
    /// Reads the note of a folder.
    ///
    /// # Errors
    /// Nothing was flashed there, or something for another board.
    pub fn read(folder: &Path, board: &str) -> Result<Flashed> {
        let path = folder.join(NOTE);
        let remedy = format!("flash a program first: trainer flash MODEL --board {board}");
        let Ok(text) = std::fs::read_to_string(&path) else {
            return Err(
                InputError::new(folder, format!("nothing was flashed for board {board}"), remedy).into()
            );
        };
        let flashed: Flashed = serde_json::from_str(&text)
            .map_err(|error| InputError::new(&path, format!("cannot be read: {error}"), remedy.clone()))?;
        if flashed.board != board {
            let problem = format!("what was flashed there is for board {}", flashed.board);
            return Err(InputError::new(folder, problem, remedy).into());
        }
        Ok(flashed)
    }

    /// The program's ELF file in that folder.
    ///
    /// # Errors
    /// The board runs a plan and no program.
    pub fn program(&self, folder: &Path) -> Result<PathBuf> {
        match &self.elf {
            Some(elf) => Ok(folder.join(elf)),
            None => {
                let problem = format!("holds no program: board {} runs a plan", self.board);
                Err(InputError::new(folder, problem, "see what its service writes to the journal").into())
            }
        }
    }

    /// Writes the note.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, folder: &Path) -> Result<()> {
        files::write_bytes(
            &folder.join(NOTE),
            format!("{}\n", serde_json::to_string_pretty(self)?).as_bytes(),
        )
    }
}
