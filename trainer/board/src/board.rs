//! The boards that can be emulated, as data.

use anyhow::{Result, bail};

use crate::{Emulator, Rust};

/// An emulated board: how its firmware is built, started and fed.
#[derive(Debug)]
pub struct Board {
    /// Name of the folder under `firmware/boards`, and of the package in it after `teff-`.
    pub name: &'static str,
    /// What a person calls it.
    pub title: &'static str,
    /// Rust target triple.
    pub target: &'static str,
    /// Processor for `-C target-cpu`, where the target's default is not it.
    pub cpu: Option<&'static str>,
    /// Emulator program.
    pub emulator: &'static str,
    /// Machine name for the emulator's `-M`.
    pub machine: &'static str,
    /// Where a job (plan and inputs) is put before the start: memory the firmware does not use.
    pub job_address: u32,
    /// Room for a job.
    pub job_bytes: usize,
}

/// All boards with an emulator.
pub const BOARDS: &[Board] = &[Board {
    name: "mps2-an386",
    title: "Arm MPS2 with AN386, Cortex-M4F",
    target: "thumbv7em-none-eabihf",
    cpu: None,
    emulator: "qemu-system-arm",
    machine: "mps2-an386",
    job_address: 0x2100_0000,
    job_bytes: 16 << 20,
}];

impl Board {
    /// The board of that name.
    pub fn find(name: &str) -> Result<&'static Board> {
        match BOARDS.iter().find(|board| board.name == name) {
            Some(board) => Ok(board),
            None => {
                let names: Vec<&str> = BOARDS.iter().map(|board| board.name).collect();
                bail!("no board `{name}`: the emulated boards are {}", names.join(", "))
            }
        }
    }

    /// Whether this machine can build programs for the board and run them.
    ///
    /// # Errors
    /// Names what is missing and how to get it.
    pub fn ready(&self) -> Result<()> {
        Emulator::find(self)?;
        Rust::find(self.target)?;
        Ok(())
    }
}
