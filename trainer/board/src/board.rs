//! The boards that can be emulated, as data.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::{Emulator, Rust};

/// An emulated board: how its firmware is built, started and fed.
#[derive(Clone, Copy, Debug)]
pub struct Board {
    /// Name of the folder under `firmware/boards`, and of the package in it after `teff-`.
    pub name: &'static str,
    /// What a person calls it.
    pub title: &'static str,
    /// Rust target triple.
    pub target: &'static str,
    /// Processor that the board's `.cargo/config.toml` names for `-C target-cpu`, where the target's
    /// default is not it. Builds of one target for several processors share nothing.
    pub cpu: Option<&'static str>,
    /// Name of the processor that plans are compiled for (`trainer compile --target`).
    pub plan_target: &'static str,
    /// Cycles of the processor in a second, as the emulated machine is documented (for MPS2 and MPS3, Arm's notes on their
    /// FPGA images); `None` where closed firmware sets it.
    pub clock_hz: Option<u32>,
    /// Emulator program.
    pub emulator: &'static str,
    /// Machine name for the emulator's `-M`.
    pub machine: &'static str,
    /// Where a job (plan and inputs) is put before the start: memory the firmware does not use.
    pub job_address: u32,
    /// Room for a job.
    pub job_bytes: usize,
    /// The programs that the board's memory is large enough for; none named means all.
    pub only: &'static [&'static str],
}

/// The machine that most boards are: Arm MPS2 with 16 MB of PSRAM, which no program uses.
const MPS2: Board = Board {
    name: "mps2-an386",
    title: "Arm MPS2 with AN386, Cortex-M4F",
    target: "thumbv7em-none-eabihf",
    cpu: None,
    plan_target: "cortex-m4",
    clock_hz: Some(25_000_000),
    emulator: "qemu-system-arm",
    machine: "mps2-an386",
    job_address: 0x2100_0000,
    job_bytes: 16 << 20,
    only: &[],
};

/// All boards with an emulator. The first is the one that commands take where none is named.
pub const BOARDS: &[Board] = &[
    MPS2,
    Board {
        name: "mps2-an385",
        title: "Arm MPS2 with AN385, Cortex-M3",
        target: "thumbv7m-none-eabi",
        plan_target: "cortex-m3",
        machine: "mps2-an385",
        ..MPS2
    },
    Board {
        name: "mps2-an385-m0",
        title: "Arm MPS2 with AN385, built for Armv6-M (M0)",
        target: "thumbv6m-none-eabi",
        plan_target: "cortex-m0",
        machine: "mps2-an385",
        ..MPS2
    },
    Board {
        name: "mps2-an500",
        title: "Arm MPS2 with AN500, Cortex-M7",
        cpu: Some("cortex-m7"),
        plan_target: "cortex-m7",
        machine: "mps2-an500",
        job_address: 0x6000_0000,
        ..MPS2
    },
    Board {
        name: "mps2-an505",
        title: "Arm MPS2 with AN505, Cortex-M33",
        target: "thumbv8m.main-none-eabihf",
        cpu: Some("cortex-m33"),
        plan_target: "cortex-m33",
        clock_hz: Some(20_000_000),
        machine: "mps2-an505",
        job_address: 0x8000_0000,
        ..MPS2
    },
    Board {
        name: "mps3-an547",
        title: "Arm MPS3 with AN547, Cortex-M55",
        target: "thumbv8m.main-none-eabihf",
        cpu: Some("cortex-m55"),
        plan_target: "cortex-m55",
        clock_hz: Some(32_000_000),
        machine: "mps3-an547",
        job_address: 0x6000_0000,
        ..MPS2
    },
    Board {
        name: "microbit",
        title: "BBC micro:bit (nRF51822), Cortex-M0 with 16 KB of RAM",
        target: "thumbv6m-none-eabi",
        plan_target: "cortex-m0",
        clock_hz: Some(16_000_000),
        machine: "microbit",
        job_address: 0,
        job_bytes: 0,
        only: &["listen", "motion", "motion_faults"],
        ..MPS2
    },
];

/// RISC-V without a board: its programs are run as programs of Linux, by an emulator of a processor only. It answers no jobs.
pub const RISCV32_USER: Board = Board {
    name: "riscv32-user",
    title: "RISC-V (RV32IMC) without a board",
    target: "riscv32imc-unknown-none-elf",
    plan_target: "generic",
    clock_hz: None,
    emulator: "qemu-riscv32",
    machine: "",
    job_address: 0,
    job_bytes: 0,
    only: &["kernel_suite", "inference"],
    ..MPS2
};

impl Board {
    /// Where cargo builds for the board with that Rust, in the folder `firmware/target`.
    pub fn target_folder(&self, rust: &Rust) -> PathBuf {
        crate::firmware::target_folder(rust, self.cpu)
    }

    /// Whether the board's memory is large enough for a program.
    pub fn runs(&self, program: &str) -> bool {
        self.only.is_empty() || self.only.contains(&program)
    }

    /// The boards that run a program.
    pub fn all_that_run(program: &str) -> impl Iterator<Item = &'static Board> {
        BOARDS.iter().filter(move |board| board.runs(program))
    }

    /// Names the programs that the board runs, and the boards that run this one.
    ///
    /// # Errors
    /// The board does not run it.
    pub fn check_runs(&self, program: &str) -> Result<()> {
        if self.runs(program) {
            return Ok(());
        }
        let others: Vec<&str> = Board::all_that_run(program).map(|board| board.name).collect();
        bail!(
            "board `{}` has too little memory for the program `{program}`: it runs {}; `{program}` runs on {}",
            self.name,
            self.only.join(", "),
            others.join(", ")
        )
    }

    /// The board that counts instructions of processors of that name (`plan_target`): the first that runs the programs
    /// which count.
    pub fn that_counts(plan_target: &str) -> Option<&'static Board> {
        Board::all_that_run("verify").find(|board| board.plan_target == plan_target)
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_board_says_what_it_runs() {
        let microbit = Board::find("microbit").unwrap();
        microbit.check_runs("motion").unwrap();
        let error = microbit.check_runs("verify").unwrap_err().to_string();
        assert!(
            error.contains("it runs listen, motion, motion_faults;") && error.contains("mps2-an386"),
            "{error}"
        );
        assert!(Board::all_that_run("verify").all(|board| board.job_bytes > 0));
        assert_eq!(Board::all_that_run("motion").count(), BOARDS.len());
    }
}
