//! The Raspberry Pi 3 without an operating system: the image that its firmware starts, and the files beside it.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use object::{Object, ObjectSegment};

use crate::emulator::TemporaryFile;
use crate::rust::find_program;
use crate::{Board, SETUP};

/// The board, as firmware is built for it. It answers no jobs of `trainer verify`, so that it is not one of
/// [`crate::BOARDS`].
pub const RPI3_BARE: Board = Board {
    name: "rpi3-bare",
    title: "Raspberry Pi 3 without an operating system",
    target: "aarch64-unknown-none",
    cpu: None,
    plan_target: "generic",
    clock_hz: None,
    emulator: "qemu-system-aarch64",
    machine: "raspi3b",
    job_address: 0,
    job_bytes: 0,
    only: &PROGRAMS,
};

/// The programs of the board's folder. They do the same with what the model is of.
pub const PROGRAMS: [&str; 2] = ["listen", "motion"];

/// Bits per second of its serial line, on the pins 14 (from the Pi) and 15 (to it).
pub const BAUD: u32 = 921_600;

/// What tells the Pi's firmware how to start the image.
pub const CONFIG: &str = "\
# Raspberry Pi 3, one image without an operating system.
arm_64bit=1
kernel=kernel8.img
# The serial line that the image uses: the one that is the Bluetooth's by default, at a clock it counts on.
dtoverlay=disable-bt
enable_uart=1
init_uart_clock=48000000
";

/// What the Pi's own firmware consists of. It is closed and not part of this project: these files are copied
/// once from the folder `boot` of github.com/raspberrypi/firmware, or are there already on a card that
/// Raspberry Pi Imager wrote.
pub const CLOSED_FILES: [&str; 3] = ["bootcode.bin", "start.elf", "fixup.dat"];

/// Where the Pi's firmware puts the image.
const LOAD_ADDRESS: u64 = 0x80000;
/// What the program maps of the memory; the image lies in it.
const MOST_BYTES: u64 = (256 << 20) - LOAD_ADDRESS;

/// The image of a program's ELF file.
///
/// # Errors
/// The file cannot be read, or is no program for this board.
pub fn read_image(elf: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(elf).with_context(|| format!("cannot read {}", elf.display()))?;
    image(&bytes).with_context(|| format!("{}", elf.display()))
}

/// The bytes of an ELF file as they lie in memory, from where they are loaded on.
fn image(elf: &[u8]) -> Result<Vec<u8>> {
    let file = object::File::parse(elf).context("it is no ELF file")?;
    if file.entry() != LOAD_ADDRESS {
        bail!("it starts at {:#x}, not where the Pi starts an image, {LOAD_ADDRESS:#x}", file.entry());
    }
    let mut image = Vec::new();
    for segment in file.segments() {
        let bytes = segment.data().context("a segment cannot be read")?;
        if bytes.is_empty() {
            continue;
        }
        let Some(at) = segment.address().checked_sub(LOAD_ADDRESS) else {
            bail!("a segment lies at {:#x}, before the image", segment.address());
        };
        if at.saturating_add(bytes.len() as u64) > MOST_BYTES {
            bail!("a segment at {:#x} does not fit the memory", segment.address());
        }
        // Less than 256 MB.
        let (from, to) = (at as usize, at as usize + bytes.len());
        if image.len() < to {
            image.resize(to, 0);
        }
        image[from..to].copy_from_slice(bytes);
    }
    Ok(image)
}

/// An emulated Raspberry Pi 3 that runs an image; its serial line is the child's standard input and output.
#[derive(Debug)]
pub struct Emulated {
    /// The emulator.
    pub child: Child,
    // The emulator reads it while it starts.
    _image: TemporaryFile,
}

/// Starts an image as the Pi's firmware would: at EL2, on four cores. The image never ends by itself.
///
/// # Errors
/// The emulator is missing, or does not start.
pub fn emulate(image: &[u8]) -> Result<Emulated> {
    let emulator = RPI3_BARE.emulator;
    let Some(program) = find_program(emulator) else {
        bail!("the emulator `{emulator}` for board {} is missing: run `{SETUP}`", RPI3_BARE.name);
    };
    let file = TemporaryFile::new("kernel8");
    fs::write(file.path(), image).with_context(|| format!("cannot write {}", file.path().display()))?;
    let child = Command::new(&program)
        .args([
            "-M",
            RPI3_BARE.machine,
            "-display",
            "none",
            "-monitor",
            "none",
            "-serial",
            "stdio",
            "-kernel",
        ])
        .arg(file.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    Ok(Emulated { child, _image: file })
}

impl Drop for Emulated {
    fn drop(&mut self) {
        // One that has ended already cannot be ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_program_gives_no_image() {
        assert!(image(b"no ELF").is_err());
    }
}
