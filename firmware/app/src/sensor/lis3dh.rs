//! LIS3DH, a three-axis accelerometer with a buffer of 32 instants, up to 1344 per second.
//!
//! Always in high resolution: 12 bits, left-aligned in 16. Its pin INT1 is high while the buffer holds
//! as many instants as [`Setup::interrupt_every`] says. The registers used here are also those of the
//! LIS2DH12.

use super::buffered::{AXES, Buffered, Chip, Packet, Status, little_endian};
use super::bus::Increment;
use super::{Format, NotOffered, Setting, interrupt_every, offered};

/// The running chip.
pub type Lis3dh<R> = Buffered<Setup, R>;

/// I²C address with the pin SA0 low; high gives 0x19.
pub const ADDRESS: u8 = 0x18;

/// Instants that the chip buffers.
pub const FIFO_LEN: usize = 32;

pub(super) const DEVICE_ID: u8 = 0x33;

/// Register addresses.
pub(super) mod register {
    pub const WHO_AM_I: u8 = 0x0f;
    pub const CTRL_1: u8 = 0x20;
    pub const CTRL_2: u8 = 0x21;
    pub const CTRL_3: u8 = 0x22;
    pub const CTRL_4: u8 = 0x23;
    pub const CTRL_5: u8 = 0x24;
    pub const DATA: u8 = 0x28;
    pub const FIFO_CTRL: u8 = 0x2e;
    pub const FIFO_SRC: u8 = 0x2f;
}

const NAME: &str = "LIS3DH";
const WATERMARK_ON_INT1: u8 = 0x04;
/// An instant is not changed while it is read; high resolution.
const WHOLE_INSTANTS_HIGH_RESOLUTION: u8 = 0x88;
pub(super) const FIFO_ENABLE: u8 = 0x40;
/// Keeps the newest 32 instants.
pub(super) const FIFO_STREAM: u8 = 0x80;
pub(super) const OVERRUN: u8 = 0x40;
pub(super) const EMPTY: u8 = 0x20;
const ENTRIES: u8 = 0x1f;
const ALL_AXES: u8 = 0x07;

/// Instants per 1000 seconds, and the code of the rate.
const RATES: [(u32, u8); 8] = [
    (1_000, 1),
    (10_000, 2),
    (25_000, 3),
    (50_000, 4),
    (100_000, 5),
    (200_000, 6),
    (400_000, 7),
    (1_344_000, 9),
];

/// g, and the code of the range.
const RANGES: [(u32, u8); 4] = [(2, 0), (4, 1), (8, 2), (16, 3)];
/// Of the ranges, 16 times 1000 over 1, 2, 4 and 12 thousandths of g per step of 12 bits.
const COUNTS_PER_THOUSAND_G: [u32; 4] = [16_000_000, 8_000_000, 4_000_000, 1_333_333];

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

    /// Another number of instants between two interrupts, 1 to 31.
    ///
    /// # Errors
    /// [`NotOffered`] for another number.
    pub fn interrupt_every(self, instants: u8) -> Result<Self, NotOffered> {
        Ok(Setup { watermark: interrupt_every(NAME, 31, instants)?, ..self })
    }
}

impl Chip for Setup {
    const INCREMENT: Increment = Increment { i2c: 0x80, spi: 0x40 };
    const IDENTITY: (u8, u8) = (register::WHO_AM_I, DEVICE_ID);
    const STATUS: &'static [(u8, usize)] = &[(register::FIFO_SRC, 1)];
    const DATA: u8 = register::DATA;
    const PACKET_BYTES: usize = 2 * AXES;
    // Behind the last data register the chip goes on with the first one, of the next instant.
    const PACKETS_PER_TRANSFER: usize = FIFO_LEN;
    const FIFO_LEN: usize = FIFO_LEN;
    const EMPTY: &'static [(u8, u8)] = &[];
    const OVERRUN_BREAKS_PACKETS: bool = false;

    fn format(&self) -> Format {
        Format {
            sensor: NAME,
            rate_millihertz: self.rate_millihertz,
            axes: AXES as u8,
            unit: "g",
            counts_per_thousand_units: COUNTS_PER_THOUSAND_G
                .get(usize::from(self.range))
                .copied()
                .unwrap_or(0),
            // The lower four bits are 0: the largest sample is 32752.
            full_scale: 32_753,
        }
    }

    fn start(&self) -> impl Iterator<Item = (u8, u8)> {
        [
            (register::CTRL_1, 0),
            (register::CTRL_2, 0),
            (register::CTRL_3, WATERMARK_ON_INT1),
            (register::CTRL_4, WHOLE_INSTANTS_HIGH_RESOLUTION | (self.range << 4)),
            (register::CTRL_5, FIFO_ENABLE),
            // Without a buffer for a moment, which empties it.
            (register::FIFO_CTRL, 0),
            // The pin rises when one more instant than stated is there.
            (register::FIFO_CTRL, FIFO_STREAM | (self.watermark - 1)),
            (register::CTRL_1, (self.rate << 4) | ALL_AXES),
        ]
        .into_iter()
    }

    fn status([source, ..]: [u8; 4]) -> Status {
        let overrun = source & OVERRUN != 0;
        // Five bits do not hold 32.
        let ready = if overrun {
            FIFO_LEN
        } else if source & EMPTY != 0 {
            0
        } else {
            usize::from(source & ENTRIES)
        };
        Status { ready, overrun }
    }

    fn packet(bytes: &[u8]) -> Packet {
        little_endian(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_sets_the_scale() {
        let format = |range| Setup::new(400_000, range).unwrap().format();
        assert_eq!(format(2).counts_per_thousand_units, 16_000_000);
        assert_eq!(format(16).counts_per_thousand_units, 1_333_333);
        assert_eq!(Setup::new(400_000, 3).unwrap_err().setting, Setting::RangeG);
        assert_eq!(Setup::new(1_600_000, 2).unwrap_err().nearest, 1_344_000);
    }

    #[test]
    fn a_full_buffer_does_not_read_as_an_empty_one() {
        assert_eq!(Setup::status([OVERRUN, 0, 0, 0]), Status { ready: 32, overrun: true });
        assert_eq!(Setup::status([EMPTY, 0, 0, 0]), Status { ready: 0, overrun: false });
        assert_eq!(Setup::status([0x80 | 17, 0, 0, 0]), Status { ready: 17, overrun: false });
    }
}
