//! BBC micro:bit: nRF51822, Cortex-M0 with 16 KB of RAM, as QEMU emulates it.
#![no_std]

use teff_emulated::Machine;

/// The machine that the programs run on.
pub const MACHINE: Machine = Machine::Microbit;
