//! Arm MPS3 with AN547: Cortex-M55 in its secure state, as QEMU emulates it.
#![no_std]

use teff_emulated::Machine;

/// The machine that the programs run on.
pub const MACHINE: Machine = Machine::Mps3An547;
