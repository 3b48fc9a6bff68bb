//! The registers of a LIS3DH.

use super::{AXES, Behaviour, Buffer, data_register};
use crate::sensor::lis3dh::{
    ADDRESS, DEVICE_ID, EMPTY, FIFO_ENABLE, FIFO_LEN, FIFO_STREAM, OVERRUN, register,
};

/// What was written to the chip.
#[derive(Debug, Default)]
pub struct Lis3dhRegisters {
    control: [u8; 5],
    fifo: u8,
    overrun: bool,
}

impl Behaviour for Lis3dhRegisters {
    const ADDRESS: u8 = ADDRESS;
    const PACKET_BYTES: usize = 2 * AXES;
    const FIFO_BYTES: usize = FIFO_LEN * Self::PACKET_BYTES;
    const DROPS_PACKETS: bool = true;

    fn measures(&self) -> bool {
        let [power, .., buffer] = self.control;
        power >> 4 != 0 && buffer & FIFO_ENABLE != 0 && self.fifo & FIFO_STREAM != 0
    }

    fn read(&mut self, buffer: &mut Buffer<'_>, at: u8) -> u8 {
        self.overrun |= buffer.take_overrun();
        match at {
            register::WHO_AM_I => DEVICE_ID,
            register::CTRL_1..=register::CTRL_5 => {
                self.control.get(usize::from(at - register::CTRL_1)).copied().unwrap_or(0)
            }
            register::FIFO_CTRL => self.fifo,
            register::FIFO_SRC => {
                // At most 32, of which five bits remain.
                let waiting = (buffer.len() / Self::PACKET_BYTES) as u8;
                let overrun = if self.overrun { OVERRUN } else { 0 };
                let empty = if waiting == 0 { EMPTY } else { 0 };
                overrun | empty | (waiting & 0x1f)
            }
            register::DATA..=0x2d => {
                self.overrun = false;
                data_register(buffer, usize::from(at - register::DATA))
            }
            _ => 0,
        }
    }

    fn write(&mut self, buffer: &mut Buffer<'_>, at: u8, value: u8) {
        match at {
            register::CTRL_1..=register::CTRL_5 => {
                if let Some(control) = self.control.get_mut(usize::from(at - register::CTRL_1)) {
                    *control = value;
                }
            }
            register::FIFO_CTRL => {
                self.fifo = value;
                if value & FIFO_STREAM == 0 {
                    buffer.empty();
                }
            }
            _ => {}
        }
    }

    fn pointer(first: u8) -> u8 {
        first & 0x7f
    }

    fn next(at: u8, first: u8) -> u8 {
        match (at, first & 0x80) {
            (at, 0) => at,
            (0x2d, _) => register::DATA,
            (at, _) => at + 1,
        }
    }
}
