//! ADXL345, a three-axis accelerometer with a buffer of 32 instants, up to 3200 per second.
//!
//! Always in full resolution, ±16 g: 256 counts per g.

use super::bus::Registers;
use super::{Format, Sensor};

/// I²C address with the pin SDO low; high gives 0x1d.
pub const ADDRESS: u8 = 0x53;

/// Instants that the chip buffers.
pub const FIFO_LEN: usize = 32;

pub(super) const DEVICE_ID: u8 = 0xe5;

/// Register addresses.
pub(super) mod register {
    pub const DEVICE_ID: u8 = 0x00;
    pub const RATE: u8 = 0x2c;
    pub const POWER: u8 = 0x2d;
    pub const INTERRUPT_SOURCE: u8 = 0x30;
    pub const DATA_FORMAT: u8 = 0x31;
    pub const DATA: u8 = 0x32;
    pub const FIFO: u8 = 0x38;
    pub const FIFO_STATUS: u8 = 0x39;
}

const MEASURE: u8 = 0x08;
/// Full resolution, ±16 g.
const FULL_RESOLUTION_16G: u8 = 0x0b;
/// Keeps the newest 32 instants.
const FIFO_STREAM: u8 = 0x80;
const FIFO_ENTRIES: u8 = 0x3f;
pub(super) const OVERRUN: u8 = 0x01;

/// How many instants per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Rate {
    Hz25 = 0x8,
    Hz50 = 0x9,
    Hz100 = 0xa,
    Hz200 = 0xb,
    Hz400 = 0xc,
    Hz800 = 0xd,
    Hz1600 = 0xe,
    Hz3200 = 0xf,
}

impl Rate {
    /// All rates, slowest first.
    pub const ALL: [Rate; 8] = [
        Rate::Hz25,
        Rate::Hz50,
        Rate::Hz100,
        Rate::Hz200,
        Rate::Hz400,
        Rate::Hz800,
        Rate::Hz1600,
        Rate::Hz3200,
    ];

    /// Instants per 1000 seconds.
    pub const fn millihertz(self) -> u32 {
        25_000 << (self as u32 - Rate::Hz25 as u32)
    }

    /// The rate that a front end asks for, if the chip has exactly that one.
    pub fn from_millihertz(millihertz: u32) -> Option<Rate> {
        Rate::ALL.into_iter().find(|rate| rate.millihertz() == millihertz)
    }
}

/// Why the chip cannot be used or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error<E> {
    /// The bus reported an error.
    Bus(E),
    /// Another chip answered, with this identity instead of 0xe5.
    WrongDevice(u8),
}

impl<E> From<E> for Error<E> {
    fn from(error: E) -> Self {
        Error::Bus(error)
    }
}

/// The running chip.
#[derive(Debug)]
pub struct Adxl345<R> {
    registers: R,
    rate: Rate,
    gaps: u32,
}

impl<R: Registers> Adxl345<R> {
    /// Checks the identity, sets rate, range and buffer, and starts measuring.
    ///
    /// # Errors
    /// [`Error::Bus`] when nothing answers, [`Error::WrongDevice`] when something else does.
    pub fn start(mut registers: R, rate: Rate) -> Result<Self, Error<R::Error>> {
        let mut identity = [0];
        registers.read(register::DEVICE_ID, &mut identity)?;
        if identity[0] != DEVICE_ID {
            return Err(Error::WrongDevice(identity[0]));
        }
        registers.write(register::POWER, 0)?;
        registers.write(register::DATA_FORMAT, FULL_RESOLUTION_16G)?;
        registers.write(register::RATE, rate as u8)?;
        registers.write(register::FIFO, FIFO_STREAM)?;
        registers.write(register::POWER, MEASURE)?;
        Ok(Adxl345 { registers, rate, gaps: 0 })
    }

    /// The bus, for what is no register.
    pub fn registers_mut(&mut self) -> &mut R {
        &mut self.registers
    }
}

impl<R: Registers> Sensor for Adxl345<R> {
    type Error = Error<R::Error>;

    fn format(&self) -> Format {
        Format { rate_millihertz: self.rate.millihertz(), axes: 3, counts_per_thousand_units: 256_000 }
    }

    fn read(&mut self, samples: &mut [i16]) -> Result<usize, Self::Error> {
        let mut status = [0];
        self.registers.read(register::INTERRUPT_SOURCE, &mut status)?;
        if status[0] & OVERRUN != 0 {
            self.gaps = self.gaps.wrapping_add(1);
        }
        self.registers.read(register::FIFO_STATUS, &mut status)?;
        let ready = usize::from(status[0] & FIFO_ENTRIES);
        let mut taken = 0;
        for instant in samples.chunks_exact_mut(3).take(ready) {
            // All six in one transfer: the chip then never mixes two instants.
            let mut bytes = [0; 6];
            self.registers.read(register::DATA, &mut bytes)?;
            for (sample, pair) in instant.iter_mut().zip(bytes.chunks_exact(2)) {
                if let [low, high] = *pair {
                    *sample = i16::from_le_bytes([low, high]);
                }
            }
            taken += 1;
        }
        Ok(taken)
    }

    fn gaps(&self) -> u32 {
        self.gaps
    }
}
