//! Arm MPS2 with AN500: Cortex-M7, as QEMU emulates it.
#![no_std]

use teff_emulated::Machine;

/// The machine that the programs run on.
pub const MACHINE: Machine = Machine::Mps2An500;
