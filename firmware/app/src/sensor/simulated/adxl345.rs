//! The registers of an ADXL345.

use super::{AXES, Behaviour, Buffer, data_register};
use crate::sensor::adxl345::{ADDRESS, DEVICE_ID, FIFO_LEN, MEASURE, OVERRUN, WATERMARK, register};

/// What was written to the chip.
#[derive(Debug, Default)]
pub struct Adxl345Registers {
    power: u8,
    rate: u8,
    data_format: u8,
    interrupts: u8,
    fifo: u8,
    /// Until data is read.
    overrun: bool,
}

impl Behaviour for Adxl345Registers {
    const ADDRESS: u8 = ADDRESS;
    const PACKET_BYTES: usize = 2 * AXES;
    const FIFO_BYTES: usize = FIFO_LEN * Self::PACKET_BYTES;
    const DROPS_PACKETS: bool = true;

    fn measures(&self) -> bool {
        self.power & MEASURE != 0 && self.fifo & 0x80 != 0
    }

    fn read(&mut self, buffer: &mut Buffer<'_>, at: u8) -> u8 {
        self.overrun |= buffer.take_overrun();
        match at {
            register::DEVICE_ID => DEVICE_ID,
            register::RATE => self.rate,
            register::POWER => self.power,
            register::DATA_FORMAT => self.data_format,
            register::INTERRUPT_ENABLE => self.interrupts,
            register::FIFO => self.fifo,
            register::INTERRUPT_SOURCE => {
                let full = buffer.len() / Self::PACKET_BYTES >= usize::from(self.fifo & 0x1f);
                let watermark = if full { WATERMARK } else { 0 };
                watermark | if self.overrun { OVERRUN } else { 0 }
            }
            // At most 32.
            register::FIFO_STATUS => (buffer.len() / Self::PACKET_BYTES) as u8,
            register::DATA..=0x37 => {
                self.overrun = false;
                data_register(buffer, usize::from(at - register::DATA))
            }
            _ => 0,
        }
    }

    fn write(&mut self, buffer: &mut Buffer<'_>, at: u8, value: u8) {
        match at {
            register::RATE => self.rate = value,
            register::POWER => self.power = value,
            register::DATA_FORMAT => self.data_format = value,
            register::INTERRUPT_ENABLE => self.interrupts = value,
            register::FIFO => {
                self.fifo = value;
                if value & 0xc0 == 0 {
                    buffer.empty();
                }
            }
            _ => {}
        }
    }

    fn next(register: u8, _: u8) -> u8 {
        register.wrapping_add(1)
    }
}
