//! What the programs of this board share.
#![no_std]

pub mod console;
pub mod counter;
pub mod memory;
