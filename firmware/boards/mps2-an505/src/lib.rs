//! Arm MPS2 with AN505: Cortex-M33 in its secure state, as QEMU emulates it.
#![no_std]

use teff_emulated::Machine;

/// The machine that the programs run on.
pub const MACHINE: Machine = Machine::Mps2An505;
