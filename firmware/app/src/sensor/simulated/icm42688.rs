//! The registers of an ICM-42688-P.

use super::{Behaviour, Buffer};
use crate::sensor::icm42688::{
    ACCELEROMETER_ON, ADDRESS, DEVICE_ID, FIFO_FLUSH, FIFO_FULL, FIFO_LEN, FIFO_STREAM, HEADER, NOT_YET,
    PACKET_BYTES, register,
};

/// What was written to the chip.
#[derive(Debug, Default)]
pub struct Icm42688Registers {
    power: u8,
    fifo: u8,
    /// Packets that hold no acceleration yet, from the chip's start on.
    starting: usize,
}

impl Icm42688Registers {
    /// The first `packets` are as those of a chip that is starting.
    pub fn starting(packets: usize) -> Self {
        Icm42688Registers { starting: packets, ..Self::default() }
    }
}

impl Behaviour for Icm42688Registers {
    const ADDRESS: u8 = ADDRESS;
    const PACKET_BYTES: usize = PACKET_BYTES;
    const FIFO_BYTES: usize = FIFO_LEN * PACKET_BYTES;
    const DROPS_PACKETS: bool = true;

    fn measures(&self) -> bool {
        self.power & ACCELEROMETER_ON == ACCELEROMETER_ON && self.fifo & FIFO_STREAM != 0
    }

    fn read(&mut self, buffer: &mut Buffer<'_>, at: u8) -> u8 {
        // At most 2048.
        let [high, low] = (buffer.len() as u16).to_be_bytes();
        match at {
            register::WHO_AM_I => DEVICE_ID,
            register::INTERRUPT_STATUS => u8::from(buffer.take_overrun()) * FIFO_FULL,
            register::FIFO_COUNT => high,
            0x2f => low,
            register::FIFO_DATA if buffer.len() > 0 => {
                let (packet, byte) = (buffer.oldest / PACKET_BYTES, buffer.oldest % PACKET_BYTES);
                buffer.oldest += 1;
                match byte {
                    0 => HEADER,
                    1..=6 => {
                        let sample = if packet < self.starting {
                            NOT_YET
                        } else {
                            buffer.sample(packet, (byte - 1) / 2)
                        };
                        sample.to_be_bytes().get((byte - 1) % 2).copied().unwrap_or(0)
                    }
                    _ => 25,
                }
            }
            _ => 0xff,
        }
    }

    fn write(&mut self, buffer: &mut Buffer<'_>, at: u8, value: u8) {
        match at {
            register::POWER => self.power = value,
            register::FIFO_CONFIG => {
                self.fifo = value;
                if value & FIFO_STREAM == 0 {
                    buffer.empty();
                }
            }
            register::SIGNAL_PATH_RESET if value & FIFO_FLUSH != 0 => buffer.empty(),
            _ => {}
        }
    }

    fn next(at: u8, _: u8) -> u8 {
        if at == register::FIFO_DATA { at } else { at.wrapping_add(1) }
    }
}
