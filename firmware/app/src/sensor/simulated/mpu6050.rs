//! The registers of an MPU-6050.

use super::{AXES, Behaviour, Buffer};
use crate::sensor::mpu6050::{
    ACCELERATION, ADDRESS, DEVICE_ID, FIFO_BYTES, FIFO_ON, FIFO_RESET, OVERFLOW, register,
};

/// What was written to the chip.
#[derive(Debug)]
pub struct Mpu6050Registers {
    power: u8,
    fifo_enable: u8,
    user_control: u8,
}

impl Default for Mpu6050Registers {
    fn default() -> Self {
        // Asleep after power-on.
        Mpu6050Registers { power: 0x40, fifo_enable: 0, user_control: 0 }
    }
}

impl Behaviour for Mpu6050Registers {
    const ADDRESS: u8 = ADDRESS;
    const PACKET_BYTES: usize = 2 * AXES;
    const FIFO_BYTES: usize = FIFO_BYTES;
    const DROPS_PACKETS: bool = false;

    fn measures(&self) -> bool {
        self.power & 0x40 == 0 && self.fifo_enable & ACCELERATION != 0 && self.user_control & FIFO_ON != 0
    }

    fn read(&mut self, buffer: &mut Buffer<'_>, at: u8) -> u8 {
        // At most 1024.
        let [high, low] = (buffer.len() as u16).to_be_bytes();
        match at {
            register::WHO_AM_I => DEVICE_ID,
            register::INTERRUPT_STATUS => u8::from(buffer.take_overrun()) * OVERFLOW,
            register::FIFO_COUNT => high,
            0x73 => low,
            register::FIFO_DATA if buffer.len() > 0 => {
                let byte = buffer.oldest % Self::PACKET_BYTES;
                let sample = buffer.sample(buffer.oldest / Self::PACKET_BYTES, byte / 2);
                buffer.oldest += 1;
                sample.to_be_bytes().get(byte % 2).copied().unwrap_or(0)
            }
            _ => 0,
        }
    }

    fn write(&mut self, buffer: &mut Buffer<'_>, at: u8, value: u8) {
        match at {
            register::POWER_1 => self.power = value,
            register::FIFO_ENABLE => self.fifo_enable = value,
            register::USER_CONTROL => {
                self.user_control = value;
                if value & FIFO_RESET != 0 && value & FIFO_ON == 0 {
                    buffer.empty();
                }
            }
            _ => {}
        }
    }

    fn next(at: u8, _: u8) -> u8 {
        if at == register::FIFO_DATA { at } else { at.wrapping_add(1) }
    }
}
