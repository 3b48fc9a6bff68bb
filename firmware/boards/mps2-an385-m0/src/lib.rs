//! Arm MPS2 with AN385, built for Armv6-M: what a Cortex-M0 would run, as QEMU emulates it.
#![no_std]

use teff_emulated::Machine;

/// The machine that the programs run on.
pub const MACHINE: Machine = Machine::Mps2;
