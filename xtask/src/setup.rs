//! `cargo xtask setup`: installs everything that other commands would install when they need it.

use anyhow::Result;
use teff_board::{BOARDS, RISCV32_USER};

use crate::shell::say;
use crate::toolchain::Installer;

/// Finds or installs the emulator, a Rust for each board's target, and ONNX Runtime.
pub fn run(installer: &Installer) -> Result<()> {
    installer.boards()?;
    for board in BOARDS {
        say(&format!("{}: emulator and Rust for {} are there", board.title, board.target));
    }
    installer.board(&RISCV32_USER)?;
    say("what programs for RISC-V need is there");
    installer.linux_service()?;
    installer.alsa()?;
    say("what the Linux service and its tests need is there");
    let library = installer.onnx_runtime()?;
    say(&format!("ONNX Runtime is there: {}", library.display()));
    Ok(())
}
