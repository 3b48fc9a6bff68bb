//! ICM-42688-P, of which the accelerometer is used: a buffer of 2048 bytes, 25 to 8000 instants per
//! second, 16 bits.
//!
//! A packet of the buffer says in its first byte what it holds, so that a misplaced one is noticed. The
//! pin INT1 is high from when as many instants wait as [`Setup::interrupt_every`] says until the chip is
//! read.

use super::buffered::{AXES, Buffered, Chip, Packet, Status};
use super::bus::Increment;
use super::{Format, NotOffered, Setting, interrupt_every, offered};

/// The running chip.
pub type Icm42688<R> = Buffered<Setup, R>;

/// I²C address with the pin AD0 low; high gives 0x69.
pub const ADDRESS: u8 = 0x68;

/// Instants that the chip buffers.
pub const FIFO_LEN: usize = 2048 / PACKET_BYTES;

pub(super) const DEVICE_ID: u8 = 0x47;
/// Header, three axes, temperature.
pub(super) const PACKET_BYTES: usize = 8;

/// Register addresses, of bank 0.
pub(super) mod register {
    pub const INTERRUPT_CONFIG: u8 = 0x14;
    pub const FIFO_CONFIG: u8 = 0x16;
    pub const INTERRUPT_STATUS: u8 = 0x2d;
    pub const FIFO_COUNT: u8 = 0x2e;
    pub const FIFO_DATA: u8 = 0x30;
    pub const SIGNAL_PATH_RESET: u8 = 0x4b;
    pub const INTERFACE_CONFIG: u8 = 0x4c;
    pub const POWER: u8 = 0x4e;
    pub const ACCEL_CONFIG: u8 = 0x50;
    pub const FIFO_CONFIG_1: u8 = 0x5f;
    pub const FIFO_WATERMARK_LOW: u8 = 0x60;
    pub const FIFO_WATERMARK_HIGH: u8 = 0x61;
    pub const INTERRUPT_CONFIG_1: u8 = 0x64;
    pub const INTERRUPT_SOURCE: u8 = 0x65;
    pub const WHO_AM_I: u8 = 0x75;
    pub const BANK: u8 = 0x76;
}

const NAME: &str = "ICM-42688-P";
/// The high byte first, in counts and data; the buffer is counted in bytes.
const HIGH_BYTE_FIRST: u8 = 0x30;
/// Acceleration and temperature go into the buffer; the interrupt lasts while it is above the mark.
const ACCELERATION_TO_FIFO: u8 = 0x25;
/// INT1 stays high until the status is read, and is driven both ways.
const LATCHED: u8 = 0x07;
const THRESHOLD_ON_INT1: u8 = 0x04;
/// Keeps the newest packets.
pub(super) const FIFO_STREAM: u8 = 0x40;
pub(super) const ACCELEROMETER_ON: u8 = 0x03;
pub(super) const FIFO_FULL: u8 = 0x02;
pub(super) const FIFO_FLUSH: u8 = 0x02;
/// The first byte of a packet of acceleration alone, and the bits of it that say so.
pub(super) const HEADER: u8 = 0x40;
const HEADER_KIND: u8 = 0xf0;
/// What all axes hold until the accelerometer has started.
pub(super) const NOT_YET: i16 = i16::MIN;

/// Instants per 1000 seconds, and the code of the rate.
const RATES: [(u32, u8); 9] = [
    (25_000, 10),
    (50_000, 9),
    (100_000, 8),
    (200_000, 7),
    (500_000, 15),
    (1_000_000, 6),
    (2_000_000, 5),
    (4_000_000, 4),
    (8_000_000, 3),
];

/// g, and the code of the range.
const RANGES: [(u32, u8); 4] = [(2, 3), (4, 2), (8, 1), (16, 0)];

/// How the chip is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    rate_millihertz: u32,
    rate: u8,
    range: u8,
    watermark: u8,
}

impl Setup {
    /// At a rate in thousandths of a hertz and a range in g (2, 4, 8, 16), with an interrupt every 16
    /// instants.
    ///
    /// # Errors
    /// [`NotOffered`] for a rate or range that the chip has not.
    pub fn new(rate_millihertz: u32, range_g: u32) -> Result<Self, NotOffered> {
        let rate = offered(NAME, Setting::RateMillihertz, &RATES, rate_millihertz)?;
        let range = offered(NAME, Setting::RangeG, &RANGES, range_g)?;
        Ok(Setup { rate_millihertz, rate, range, watermark: 16 })
    }

    /// Another number of instants between two interrupts, 1 to 200.
    ///
    /// # Errors
    /// [`NotOffered`] for another number.
    pub fn interrupt_every(self, instants: u8) -> Result<Self, NotOffered> {
        Ok(Setup { watermark: interrupt_every(NAME, 200, instants)?, ..self })
    }
}

impl Chip for Setup {
    const INCREMENT: Increment = Increment { i2c: 0, spi: 0 };
    const IDENTITY: (u8, u8) = (register::WHO_AM_I, DEVICE_ID);
    // Interrupts and the two bytes of the count stand side by side.
    const STATUS: &'static [(u8, usize)] = &[(register::INTERRUPT_STATUS, 3)];
    const DATA: u8 = register::FIFO_DATA;
    const PACKET_BYTES: usize = PACKET_BYTES;
    const PACKETS_PER_TRANSFER: usize = FIFO_LEN;
    const FIFO_LEN: usize = FIFO_LEN;
    const EMPTY: &'static [(u8, u8)] = &[(register::SIGNAL_PATH_RESET, FIFO_FLUSH)];
    const OVERRUN_BREAKS_PACKETS: bool = false;

    fn format(&self) -> Format {
        Format {
            sensor: NAME,
            rate_millihertz: self.rate_millihertz,
            axes: AXES as u8,
            unit: "g",
            counts_per_thousand_units: 2_048_000 << self.range,
            full_scale: 32_768,
        }
    }

    fn start(&self) -> impl Iterator<Item = (u8, u8)> {
        let [low, high] = (u16::from(self.watermark) * PACKET_BYTES as u16).to_le_bytes();
        [
            (register::BANK, 0),
            (register::POWER, 0),
            (register::INTERFACE_CONFIG, HIGH_BYTE_FIRST),
            (register::ACCEL_CONFIG, (self.range << 5) | self.rate),
            (register::FIFO_CONFIG_1, ACCELERATION_TO_FIFO),
            (register::FIFO_WATERMARK_LOW, low),
            (register::FIFO_WATERMARK_HIGH, high),
            (register::INTERRUPT_CONFIG, LATCHED),
            // Clears a bit that the chip asks to be cleared for its pins to work.
            (register::INTERRUPT_CONFIG_1, 0),
            (register::INTERRUPT_SOURCE, THRESHOLD_ON_INT1),
            // Without a buffer for a moment, which empties it.
            (register::FIFO_CONFIG, 0),
            (register::FIFO_CONFIG, FIFO_STREAM),
            // Last: for 200 microseconds after it no register may be written.
            (register::POWER, ACCELEROMETER_ON),
        ]
        .into_iter()
    }

    fn status([interrupts, high, low, _]: [u8; 4]) -> Status {
        let bytes = usize::from(u16::from_be_bytes([high, low]));
        Status { ready: bytes / PACKET_BYTES, overrun: interrupts & FIFO_FULL != 0 }
    }

    fn packet(bytes: &[u8]) -> Packet {
        match *bytes {
            [header, a, b, c, d, e, f, _] if header & HEADER_KIND == HEADER => {
                let instant = [[a, b], [c, d], [e, f]].map(i16::from_be_bytes);
                if instant == [NOT_YET; AXES] { Packet::Nothing } else { Packet::Instant(instant) }
            }
            _ => Packet::Misplaced,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_that_is_none_is_noticed() {
        assert_eq!(Setup::packet(&[0x40, 0, 1, 0xff, 0xfe, 1, 0, 25]), Packet::Instant([1, -2, 256]));
        assert_eq!(Setup::packet(&[0x40, 0x80, 0, 0x80, 0, 0x80, 0, 25]), Packet::Nothing);
        assert_eq!(Setup::packet(&[0x80, 0, 1, 0, 2, 0, 3, 25]), Packet::Misplaced);
        assert_eq!(Setup::packet(&[0x68, 0, 1, 0, 2, 0, 3, 25]), Packet::Misplaced);
    }

    #[test]
    fn settings_that_the_chip_has_not_are_refused() {
        assert_eq!(Setup::new(1_600_000, 2).unwrap_err().nearest, 2_000_000);
        assert_eq!(Setup::new(1_000_000, 16).unwrap().format().counts_per_thousand_units, 2_048_000);
        assert_eq!(Setup::new(1_000_000, 2).unwrap().format().counts_per_thousand_units, 16_384_000);
    }
}
