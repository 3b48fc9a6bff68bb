//! The boards that `trainer flash` writes to, as data.

use std::fs;

use anyhow::{Result, bail};

use crate::firmware::board_folder;
use crate::rpi3;
use crate::uf2::Family;
use crate::{BOARDS, Board};

/// How a program reaches a board.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// It is kept in a file, and the emulator is started with it.
    Emulated(&'static Board),
    /// By a debug probe, with `probe-rs`: this is its name for the chip.
    Probe {
        /// As `probe-rs chip list` writes it.
        chip: &'static str,
    },
    /// By copying a UF2 file to the drive that the board's boot loader shows.
    Drive {
        /// The processor family in the file.
        family: Family,
        /// What stands in `INFO_UF2.TXT` of the drive as `Board-ID`.
        board_id: &'static str,
        /// The name of `probe-rs` for the chip, where a debug probe is wired to the board too.
        chip: &'static str,
    },
    /// The plan goes to a Linux machine by `scp`, and the service there is started anew.
    Linux {
        /// The folder of the service's settings, where its model stands too.
        folder: &'static str,
        /// The service.
        service: &'static str,
    },
    /// The image goes to the boot partition of a memory card.
    Card {
        /// Its name there.
        image: &'static str,
        /// Files of the machine's vendor without which it does not start.
        vendor: &'static [&'static str],
        /// Settings for the vendor's boot loader, for `config.txt`.
        settings: &'static str,
    },
}

/// A board that programs are flashed to.
#[derive(Clone, Copy, Debug)]
pub struct Destination {
    /// Name of the folder under `firmware/boards`.
    pub name: &'static str,
    /// What a person calls it.
    pub title: &'static str,
    /// Rust target triple.
    pub target: &'static str,
    /// Processor that the board's `.cargo/config.toml` names for `-C target-cpu`.
    pub cpu: Option<&'static str>,
    /// Name of the processor that plans are compiled for.
    pub plan_target: &'static str,
    /// Processor whose published timings hold: that of the plans, but the Cortex-M0+ takes fewer cycles than the M0.
    pub timings: &'static str,
    /// Cycles of the processor in a second, as the board's programs set it; `None` where others do.
    pub clock_hz: Option<u32>,
    /// How a program reaches it.
    pub way: Way,
}

/// [`Destination::timings`] of a processor that runs the plans of the Cortex-M0.
pub const M0_PLUS: &str = "cortex-m0plus";

/// What Cortex-M boards with a debug probe have in common.
const PROBE: Destination = Destination {
    name: "nrf52840-dk",
    title: "Nordic nRF52840-DK, Cortex-M4F",
    target: "thumbv7em-none-eabihf",
    cpu: None,
    plan_target: "cortex-m4",
    timings: "cortex-m4",
    clock_hz: Some(64_000_000),
    way: Way::Probe { chip: "nRF52840_xxAA" },
};

/// The boards without an emulator here.
const REAL: &[Destination] = &[
    Destination {
        name: "rpi-pico",
        title: "Raspberry Pi Pico (RP2040), Cortex-M0+",
        target: "thumbv6m-none-eabi",
        cpu: None,
        plan_target: "cortex-m0",
        timings: M0_PLUS,
        clock_hz: Some(125_000_000),
        way: Way::Drive { family: Family::Rp2040, board_id: "RPI-RP2", chip: "RP2040" },
    },
    Destination {
        name: "rpi-pico-2",
        title: "Raspberry Pi Pico 2 (RP2350), Cortex-M33",
        target: "thumbv8m.main-none-eabihf",
        cpu: Some("cortex-m33"),
        plan_target: "cortex-m33",
        timings: "cortex-m33",
        clock_hz: Some(150_000_000),
        way: Way::Drive { family: Family::Rp2350Arm, board_id: "RP2350", chip: "RP235x" },
    },
    PROBE,
    Destination {
        name: "nucleo-f446re",
        title: "ST Nucleo-F446RE, Cortex-M4F",
        clock_hz: Some(180_000_000),
        way: Way::Probe { chip: "STM32F446RETx" },
        ..PROBE
    },
    Destination {
        name: "nucleo-h743zi",
        title: "ST Nucleo-H743ZI, Cortex-M7",
        cpu: Some("cortex-m7"),
        plan_target: "cortex-m7",
        timings: "cortex-m7",
        clock_hz: Some(400_000_000),
        way: Way::Probe { chip: "STM32H743ZITx" },
        ..PROBE
    },
    Destination {
        name: "rpi-linux",
        title: "Raspberry Pi with 64-bit Linux",
        target: "aarch64-unknown-linux-gnu",
        cpu: None,
        // Of no processor in particular: the service may run on any of them.
        plan_target: "generic",
        timings: "generic",
        clock_hz: None,
        way: Way::Linux { folder: "/etc/teff-sensord", service: "teff-sensord" },
    },
    Destination {
        name: "rpi3-bare",
        title: "Raspberry Pi 3 without an operating system",
        target: "aarch64-unknown-none",
        cpu: None,
        plan_target: "generic",
        timings: "generic",
        clock_hz: None,
        way: Way::Card { image: "kernel8.img", vendor: &rpi3::CLOSED_FILES, settings: rpi3::CONFIG },
    },
];

impl Destination {
    /// All boards: those with an emulator first.
    pub fn all() -> impl Iterator<Item = Destination> {
        let emulated = BOARDS.iter().map(|board| {
            let Board { name, title, target, cpu, plan_target, clock_hz, .. } = *board;
            let way = Way::Emulated(board);
            Destination { name, title, target, cpu, plan_target, timings: plan_target, clock_hz, way }
        });
        // A board may be on real hardware and be emulated: the table of the emulator then says how it is built.
        emulated.chain(REAL.iter().filter(|real| BOARDS.iter().all(|board| board.name != real.name)).copied())
    }

    /// The board of that name.
    ///
    /// # Errors
    /// Names all there are.
    pub fn find(name: &str) -> Result<Destination> {
        match Destination::all().find(|board| board.name == name) {
            Some(board) => Ok(board),
            None => {
                let names: Vec<&str> = Destination::all().map(|board| board.name).collect();
                bail!("no board `{name}`: the boards are {}", names.join(", "))
            }
        }
    }

    /// Whether the board's folder has a program of that name.
    ///
    /// # Errors
    /// Names the folder and the program that is not there.
    pub fn check_program(&self, program: &str) -> Result<()> {
        let folder = board_folder(self.name)?;
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        let named = manifest.lines().any(|line| line.trim() == format!("name = \"{program}\""));
        if named || folder.join("src/bin").join(format!("{program}.rs")).is_file() {
            return Ok(());
        }
        bail!("board `{}` has no program `{program}` in {}", self.name, folder.display())
    }

    /// Whether the board's package has a feature of that name.
    pub fn has_feature(&self, feature: &str) -> bool {
        let manifest =
            board_folder(self.name).and_then(|folder| Ok(fs::read_to_string(folder.join("Cargo.toml"))?));
        manifest.unwrap_or_default().lines().any(|line| {
            line.split_once('=')
                .is_some_and(|(key, value)| key.trim() == feature && value.trim().starts_with('['))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_board_has_one_entry() {
        let mut names: Vec<&str> = Destination::all().map(|board| board.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(Destination::find("rpi-pico").is_ok());
        let error = Destination::find("rpi-pica").unwrap_err().to_string();
        assert!(error.contains("rpi-pico, rpi-pico-2") && error.contains("mps2-an386"), "{error}");
    }

    #[test]
    fn programs_and_features_are_found() {
        let board = Destination::find("mps2-an386").unwrap();
        for program in ["motion", "listen", "record"] {
            board.check_program(program).unwrap();
        }
        let error = board.check_program("dance").unwrap_err().to_string();
        assert!(error.contains("dance"), "{error}");
        assert!(board.has_feature("link") && !board.has_feature("links"));
    }
}
