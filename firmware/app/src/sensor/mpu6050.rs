//! MPU-6050, of which the accelerometer is used: a buffer of 1024 bytes, 4 to 1000 instants per second.
//!
//! The low-pass filter is the widest that ends at half the rate. The pin INT is high from an instant
//! on until the chip is read. The buffer counts bytes, not instants: when it runs over, what it holds begins in the
//! middle of an instant, so that it is emptied and counted as a gap.

use super::buffered::{AXES, Buffered, Chip, Packet, Status};
use super::bus::Increment;
use super::{Format, NotOffered, Setting, offered};

/// The running chip.
pub type Mpu6050<R> = Buffered<Setup, R>;

/// I²C address with the pin AD0 low; high gives 0x69.
pub const ADDRESS: u8 = 0x68;

/// Bytes that the chip buffers.
pub const FIFO_BYTES: usize = 1024;

pub(super) const DEVICE_ID: u8 = 0x68;

/// Register addresses.
pub(super) mod register {
    pub const RATE_DIVIDER: u8 = 0x19;
    pub const CONFIG: u8 = 0x1a;
    pub const ACCEL_CONFIG: u8 = 0x1c;
    pub const FIFO_ENABLE: u8 = 0x23;
    pub const INTERRUPT_PIN: u8 = 0x37;
    pub const INTERRUPT_ENABLE: u8 = 0x38;
    pub const INTERRUPT_STATUS: u8 = 0x3a;
    pub const USER_CONTROL: u8 = 0x6a;
    pub const POWER_1: u8 = 0x6b;
    pub const POWER_2: u8 = 0x6c;
    pub const FIFO_COUNT: u8 = 0x72;
    pub const FIFO_DATA: u8 = 0x74;
    pub const WHO_AM_I: u8 = 0x75;
}

const NAME: &str = "MPU-6050";
/// Awake, with the clock of the first gyroscope, which is ten times as exact as the chip's own.
const CLOCK_OF_GYROSCOPE: u8 = 0x01;
/// The two other gyroscopes sleep.
const GYROSCOPES_ASLEEP: u8 = 0x03;
pub(super) const ACCELERATION: u8 = 0x08;
const DATA_READY: u8 = 0x01;
/// The pin stays high until the interrupt status is read.
const LATCHED: u8 = 0x20;
pub(super) const OVERFLOW: u8 = 0x10;
pub(super) const FIFO_ON: u8 = 0x40;
pub(super) const FIFO_RESET: u8 = 0x04;

/// Instants per 1000 seconds before the divider.
const FULL_RATE: u32 = 1_000_000;
/// Bandwidths of the low-pass filter in thousandths of a hertz, from code 1 on.
const BANDWIDTHS: [u32; 6] = [184_000, 94_000, 44_000, 21_000, 10_000, 5_000];
/// g, and the code of the range.
const RANGES: [(u32, u8); 4] = [(2, 0), (4, 1), (8, 2), (16, 3)];

/// How the chip is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    rate_millihertz: u32,
    divider: u8,
    range: u8,
}

impl Setup {
    /// At a rate in thousandths of a hertz (1000 Hz divided by 1 to 250) and a range in g (2, 4, 8, 16).
    ///
    /// # Errors
    /// [`NotOffered`] for a rate or range that the chip has not.
    pub fn new(rate_millihertz: u32, range_g: u32) -> Result<Self, NotOffered> {
        let range = offered(NAME, Setting::RangeG, &RANGES, range_g)?;
        let divider = FULL_RATE.checked_div(rate_millihertz).unwrap_or(250).clamp(1, 250);
        let nearest = [divider, (divider + 1).min(250)]
            .map(|divider| FULL_RATE / divider)
            .into_iter()
            .min_by_key(|rate| rate.abs_diff(rate_millihertz))
            .unwrap_or(FULL_RATE);
        if divider * rate_millihertz != FULL_RATE {
            let setting = Setting::RateMillihertz;
            return Err(NotOffered { sensor: NAME, setting, needed: rate_millihertz, nearest });
        }
        // From 1 to 250.
        Ok(Setup { rate_millihertz, divider: (divider - 1) as u8, range })
    }

    /// Code of the widest filter that lets nothing through beyond half the rate.
    fn filter(&self) -> u8 {
        let fits = |&bandwidth: &u32| bandwidth * 2 <= self.rate_millihertz;
        // At most 6.
        BANDWIDTHS.iter().position(fits).map_or(BANDWIDTHS.len(), |at| at + 1) as u8
    }
}

impl Chip for Setup {
    const INCREMENT: Increment = Increment { i2c: 0, spi: 0 };
    const IDENTITY: (u8, u8) = (register::WHO_AM_I, DEVICE_ID);
    const STATUS: &'static [(u8, usize)] = &[(register::INTERRUPT_STATUS, 1), (register::FIFO_COUNT, 2)];
    const DATA: u8 = register::FIFO_DATA;
    const PACKET_BYTES: usize = 2 * AXES;
    const PACKETS_PER_TRANSFER: usize = FIFO_BYTES / Self::PACKET_BYTES;
    const FIFO_LEN: usize = FIFO_BYTES / Self::PACKET_BYTES;
    const EMPTY: &'static [(u8, u8)] =
        &[(register::USER_CONTROL, FIFO_RESET), (register::USER_CONTROL, FIFO_ON)];
    const OVERRUN_BREAKS_PACKETS: bool = true;

    fn format(&self) -> Format {
        Format {
            sensor: NAME,
            rate_millihertz: self.rate_millihertz,
            axes: AXES as u8,
            unit: "g",
            counts_per_thousand_units: 16_384_000 >> self.range,
            full_scale: 32_768,
        }
    }

    fn start(&self) -> impl Iterator<Item = (u8, u8)> {
        let settings = [
            (register::POWER_1, CLOCK_OF_GYROSCOPE),
            (register::POWER_2, GYROSCOPES_ASLEEP),
            (register::RATE_DIVIDER, self.divider),
            (register::CONFIG, self.filter()),
            (register::ACCEL_CONFIG, self.range << 3),
            (register::INTERRUPT_PIN, LATCHED),
            (register::INTERRUPT_ENABLE, DATA_READY),
            (register::FIFO_ENABLE, ACCELERATION),
        ];
        settings.into_iter().chain(Self::EMPTY.iter().copied())
    }

    fn status([interrupts, high, low, _]: [u8; 4]) -> Status {
        let bytes = usize::from(u16::from_be_bytes([high, low]));
        Status { ready: bytes / Self::PACKET_BYTES, overrun: interrupts & OVERFLOW != 0 }
    }

    fn packet(bytes: &[u8]) -> Packet {
        match *bytes {
            [a, b, c, d, e, f] => Packet::Instant([[a, b], [c, d], [e, f]].map(i16::from_be_bytes)),
            _ => Packet::Misplaced,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_fractions_of_a_thousand_hertz() {
        let rate = |rate| Setup::new(rate, 2).map(|setup| (setup.divider, setup.filter()));
        assert_eq!(rate(1_000_000), Ok((0, 1)));
        assert_eq!(rate(100_000), Ok((9, 3)));
        assert_eq!(rate(25_000), Ok((39, 5)));
        assert_eq!(rate(4_000), Ok((249, 6)));
        assert_eq!(rate(300_000).unwrap_err().nearest, 333_333);
        assert_eq!(rate(1_600_000).unwrap_err().nearest, 1_000_000);
        assert_eq!(rate(0).unwrap_err().nearest, 4_000);
        assert_eq!(rate(u32::MAX).unwrap_err().nearest, 1_000_000);
    }
}
