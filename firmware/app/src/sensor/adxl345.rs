//! ADXL345, a three-axis accelerometer with a buffer of 32 instants, up to 3200 per second.
//!
//! Always in full resolution, ±16 g: 256 counts per g. Its pin INT1 is high while the buffer holds as
//! many instants as [`Setup::interrupt_every`] says.

use super::buffered::{AXES, Buffered, Chip, Packet, Status, little_endian};
use super::bus::Increment;
use super::{Format, NotOffered, Setting, interrupt_every, offered};

/// The running chip.
pub type Adxl345<R> = Buffered<Setup, R>;

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
    pub const INTERRUPT_ENABLE: u8 = 0x2e;
    pub const INTERRUPT_MAP: u8 = 0x2f;
    pub const INTERRUPT_SOURCE: u8 = 0x30;
    pub const DATA_FORMAT: u8 = 0x31;
    pub const DATA: u8 = 0x32;
    pub const FIFO: u8 = 0x38;
    pub const FIFO_STATUS: u8 = 0x39;
}

const NAME: &str = "ADXL345";
pub(super) const MEASURE: u8 = 0x08;
/// Full resolution, ±16 g.
const FULL_RESOLUTION_16G: u8 = 0x0b;
/// Keeps the newest 32 instants.
const FIFO_STREAM: u8 = 0x80;
const FIFO_ENTRIES: u8 = 0x3f;
pub(super) const WATERMARK: u8 = 0x02;
pub(super) const OVERRUN: u8 = 0x01;

/// Instants per 1000 seconds, and the code of the rate.
const RATES: [(u32, u8); 8] = [
    (25_000, 0x8),
    (50_000, 0x9),
    (100_000, 0xa),
    (200_000, 0xb),
    (400_000, 0xc),
    (800_000, 0xd),
    (1_600_000, 0xe),
    (3_200_000, 0xf),
];

/// How the chip is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    rate_millihertz: u32,
    rate: u8,
    watermark: u8,
}

impl Setup {
    /// At a rate in thousandths of a hertz, with an interrupt every 16 instants.
    ///
    /// # Errors
    /// [`NotOffered`] for another rate than 25 Hz times a power of two up to 3200 Hz.
    pub fn new(rate_millihertz: u32) -> Result<Self, NotOffered> {
        let rate = offered(NAME, Setting::RateMillihertz, &RATES, rate_millihertz)?;
        Ok(Setup { rate_millihertz, rate, watermark: 16 })
    }

    /// Another number of instants between two interrupts, 1 to 31.
    ///
    /// # Errors
    /// [`NotOffered`] for another number.
    pub fn interrupt_every(self, instants: u8) -> Result<Self, NotOffered> {
        Ok(Setup { watermark: interrupt_every(NAME, 31, instants)?, ..self })
    }
}

impl Chip for Setup {
    const INCREMENT: Increment = Increment { i2c: 0, spi: 0x40 };
    const IDENTITY: (u8, u8) = (register::DEVICE_ID, DEVICE_ID);
    const STATUS: &'static [(u8, usize)] = &[(register::INTERRUPT_SOURCE, 1), (register::FIFO_STATUS, 1)];
    const DATA: u8 = register::DATA;
    const PACKET_BYTES: usize = 2 * AXES;
    // Reading past the last data register would go on to other registers.
    const PACKETS_PER_TRANSFER: usize = 1;
    const FIFO_LEN: usize = FIFO_LEN;
    const EMPTY: &'static [(u8, u8)] = &[];
    const OVERRUN_BREAKS_PACKETS: bool = false;

    fn format(&self) -> Format {
        Format {
            sensor: NAME,
            rate_millihertz: self.rate_millihertz,
            axes: AXES as u8,
            unit: "g",
            counts_per_thousand_units: 256_000,
            full_scale: 4096,
        }
    }

    fn start(&self) -> impl Iterator<Item = (u8, u8)> {
        [
            (register::POWER, 0),
            (register::DATA_FORMAT, FULL_RESOLUTION_16G),
            (register::RATE, self.rate),
            // Without a buffer for a moment, which empties it.
            (register::FIFO, 0),
            (register::FIFO, FIFO_STREAM | self.watermark),
            (register::INTERRUPT_MAP, 0),
            (register::INTERRUPT_ENABLE, WATERMARK),
            (register::POWER, MEASURE),
        ]
        .into_iter()
    }

    fn status([source, fifo, ..]: [u8; 4]) -> Status {
        // 33 are the 32 of the buffer and one that waits behind them: the next one may be lost between
        // this status and the first transfer, which would clear the overrun before it is seen.
        let ready = usize::from(fifo & FIFO_ENTRIES);
        Status { ready, overrun: source & OVERRUN != 0 || ready > FIFO_LEN }
    }

    fn packet(bytes: &[u8]) -> Packet {
        little_endian(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_the_chip_has_not_are_refused() {
        assert_eq!(Setup::new(1_000_000).unwrap_err().nearest, 800_000);
        assert_eq!(Setup::new(25_000).unwrap().rate, 8);
        assert!(Setup::new(25_000).unwrap().interrupt_every(32).is_err());
    }
}
