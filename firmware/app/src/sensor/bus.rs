//! Register access over I²C or SPI, so that a driver is written once for both.

use embedded_hal::i2c::I2c;
use embedded_hal::spi::{Operation, SpiDevice};

/// A chip with 8-bit register addresses that count up during a transfer.
pub trait Registers {
    /// Why a transfer failed.
    type Error;

    /// Reads `bytes.len()` registers from `first` on.
    ///
    /// # Errors
    /// When the bus reports one.
    fn read(&mut self, first: u8, bytes: &mut [u8]) -> Result<(), Self::Error>;

    /// Writes one register.
    ///
    /// # Errors
    /// When the bus reports one.
    fn write(&mut self, register: u8, value: u8) -> Result<(), Self::Error>;
}

/// A chip on an I²C bus.
#[derive(Debug)]
pub struct OnI2c<B> {
    bus: B,
    address: u8,
}

impl<B: I2c> OnI2c<B> {
    /// The chip at a 7-bit address.
    pub fn new(bus: B, address: u8) -> Self {
        OnI2c { bus, address }
    }

    /// The bus, for what is no register.
    pub fn bus_mut(&mut self) -> &mut B {
        &mut self.bus
    }
}

impl<B: I2c> Registers for OnI2c<B> {
    type Error = B::Error;

    fn read(&mut self, first: u8, bytes: &mut [u8]) -> Result<(), B::Error> {
        self.bus.write_read(self.address, &[first], bytes)
    }

    fn write(&mut self, register: u8, value: u8) -> Result<(), B::Error> {
        self.bus.write(self.address, &[register, value])
    }
}

/// A chip on an SPI bus that takes bit 7 of the first byte as "read" and bit 6 as "several
/// registers", as accelerometers of Analog Devices and ST do.
#[derive(Debug)]
pub struct OnSpi<D>(pub D);

const SPI_READ: u8 = 0x80;
const SPI_SEVERAL: u8 = 0x40;

impl<D: SpiDevice> Registers for OnSpi<D> {
    type Error = D::Error;

    fn read(&mut self, first: u8, bytes: &mut [u8]) -> Result<(), D::Error> {
        let several = if bytes.len() > 1 { SPI_SEVERAL } else { 0 };
        self.0.transaction(&mut [Operation::Write(&[first | SPI_READ | several]), Operation::Read(bytes)])
    }

    fn write(&mut self, register: u8, value: u8) -> Result<(), D::Error> {
        self.0.write(&[register, value])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::convert::Infallible;
    use embedded_hal::spi::ErrorType;
    use std::vec::Vec;

    /// Keeps what is written and answers every read with 7.
    struct Recorder(Vec<u8>);

    impl ErrorType for Recorder {
        type Error = Infallible;
    }

    impl SpiDevice for Recorder {
        fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), Infallible> {
            for operation in operations {
                match operation {
                    Operation::Write(bytes) => self.0.extend_from_slice(bytes),
                    Operation::Read(bytes) => bytes.fill(7),
                    _ => {}
                }
            }
            Ok(())
        }
    }

    #[test]
    fn spi_marks_reads_and_bursts() {
        let mut chip = OnSpi(Recorder(Vec::new()));
        let mut bytes = [0; 2];
        chip.read(0x32, &mut bytes).unwrap();
        chip.read(0x00, &mut bytes[..1]).unwrap();
        chip.write(0x2d, 8).unwrap();
        assert_eq!(chip.0.0, [0xf2, 0x80, 0x2d, 8]);
        assert_eq!(bytes, [7, 7]);
    }
}
