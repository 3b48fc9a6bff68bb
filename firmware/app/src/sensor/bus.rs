//! Register access over I²C or SPI, blocking or asynchronous, so that a driver is written once.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use embedded_hal::i2c::{self, I2c};
use embedded_hal::spi::{self, Operation, SpiDevice};
use embedded_hal_async::i2c::I2c as AsyncI2c;
use embedded_hal_async::spi::SpiDevice as AsyncSpiDevice;

/// Bits of the register address by which a chip is told that a transfer goes on to the registers
/// behind the first one. Set in transfers of more than one byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Increment {
    /// On I²C.
    pub i2c: u8,
    /// On SPI.
    pub spi: u8,
}

/// What both kinds of bus have.
pub trait ErrorType {
    /// Why a transfer failed.
    type Error;
}

/// A chip with 8-bit register addresses.
pub trait Registers: ErrorType {
    /// Reads `bytes.len()` registers from `first` on, or as often one that empties a buffer.
    ///
    /// # Errors
    /// When the bus reports one.
    fn read(&mut self, first: u8, increment: Increment, bytes: &mut [u8]) -> Result<(), Self::Error>;

    /// Writes one register.
    ///
    /// # Errors
    /// When the bus reports one.
    fn write(&mut self, register: u8, value: u8) -> Result<(), Self::Error>;
}

/// What [`Registers`] is, on an asynchronous bus.
#[allow(async_fn_in_trait)]
pub trait AsyncRegisters: ErrorType {
    /// Reads `bytes.len()` registers from `first` on, or as often one that empties a buffer.
    ///
    /// # Errors
    /// When the bus reports one.
    async fn read(&mut self, first: u8, increment: Increment, bytes: &mut [u8]) -> Result<(), Self::Error>;

    /// Writes one register.
    ///
    /// # Errors
    /// When the bus reports one.
    async fn write(&mut self, register: u8, value: u8) -> Result<(), Self::Error>;
}

/// A chip on an I²C bus.
#[derive(Debug)]
pub struct OnI2c<B> {
    bus: B,
    address: u8,
}

impl<B> OnI2c<B> {
    /// The chip at a 7-bit address.
    pub fn new(bus: B, address: u8) -> Self {
        OnI2c { bus, address }
    }

    /// The bus, for what is no register.
    pub fn bus_mut(&mut self) -> &mut B {
        &mut self.bus
    }
}

/// The first byte of a read on I²C.
fn i2c_first(first: u8, increment: Increment, bytes: &[u8]) -> u8 {
    if bytes.len() > 1 { first | increment.i2c } else { first }
}

impl<B: i2c::ErrorType> ErrorType for OnI2c<B> {
    type Error = B::Error;
}

impl<B: I2c> Registers for OnI2c<B> {
    fn read(&mut self, first: u8, increment: Increment, bytes: &mut [u8]) -> Result<(), B::Error> {
        self.bus.write_read(self.address, &[i2c_first(first, increment, bytes)], bytes)
    }

    fn write(&mut self, register: u8, value: u8) -> Result<(), B::Error> {
        self.bus.write(self.address, &[register, value])
    }
}

impl<B: AsyncI2c> AsyncRegisters for OnI2c<B> {
    async fn read(&mut self, first: u8, increment: Increment, bytes: &mut [u8]) -> Result<(), B::Error> {
        self.bus.write_read(self.address, &[i2c_first(first, increment, bytes)], bytes).await
    }

    async fn write(&mut self, register: u8, value: u8) -> Result<(), B::Error> {
        self.bus.write(self.address, &[register, value]).await
    }
}

/// A chip on an SPI bus that takes bit 7 of the first byte as "read".
#[derive(Debug)]
pub struct OnSpi<D>(pub D);

const SPI_READ: u8 = 0x80;

/// The first byte of a read on SPI.
fn spi_first(first: u8, increment: Increment, bytes: &[u8]) -> u8 {
    SPI_READ | if bytes.len() > 1 { first | increment.spi } else { first }
}

impl<D: spi::ErrorType> ErrorType for OnSpi<D> {
    type Error = D::Error;
}

impl<D: SpiDevice> Registers for OnSpi<D> {
    fn read(&mut self, first: u8, increment: Increment, bytes: &mut [u8]) -> Result<(), D::Error> {
        let first = [spi_first(first, increment, bytes)];
        self.0.transaction(&mut [Operation::Write(&first), Operation::Read(bytes)])
    }

    fn write(&mut self, register: u8, value: u8) -> Result<(), D::Error> {
        self.0.write(&[register & !SPI_READ, value])
    }
}

impl<D: AsyncSpiDevice> AsyncRegisters for OnSpi<D> {
    async fn read(&mut self, first: u8, increment: Increment, bytes: &mut [u8]) -> Result<(), D::Error> {
        let first = [spi_first(first, increment, bytes)];
        self.0.transaction(&mut [Operation::Write(&first), Operation::Read(bytes)]).await
    }

    async fn write(&mut self, register: u8, value: u8) -> Result<(), D::Error> {
        self.0.write(&[register & !SPI_READ, value]).await
    }
}

/// A blocking bus where an asynchronous one is asked for: its transfers are over when they return.
pub(super) struct Blocking<'r, R>(pub &'r mut R);

impl<R: ErrorType> ErrorType for Blocking<'_, R> {
    type Error = R::Error;
}

impl<R: Registers> AsyncRegisters for Blocking<'_, R> {
    async fn read(&mut self, first: u8, increment: Increment, bytes: &mut [u8]) -> Result<(), R::Error> {
        self.0.read(first, increment, bytes)
    }

    async fn write(&mut self, register: u8, value: u8) -> Result<(), R::Error> {
        self.0.write(register, value)
    }
}

/// The result of a future that waits for nothing, such as one over a [`Blocking`] bus. One that does
/// wait is asked again and again.
pub fn complete<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::convert::Infallible;
    use std::vec::Vec;

    /// Keeps what is written and answers every read with 7.
    struct Recorder(Vec<u8>);

    impl spi::ErrorType for Recorder {
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

    impl AsyncSpiDevice for Recorder {
        async fn transaction(&mut self, operations: &mut [Operation<'_, u8>]) -> Result<(), Infallible> {
            SpiDevice::transaction(self, operations)
        }
    }

    const MARKED: Increment = Increment { i2c: 0x80, spi: 0x40 };
    const SENT: [u8; 5] = [0xf2, 0x80, 0xf2, 0x74, 8];

    #[test]
    fn spi_marks_reads_and_bursts() {
        let mut chip = OnSpi(Recorder(Vec::new()));
        let mut bytes = [0; 2];
        Registers::read(&mut chip, 0x32, MARKED, &mut bytes).unwrap();
        Registers::read(&mut chip, 0x00, MARKED, &mut bytes[..1]).unwrap();
        Registers::read(&mut chip, 0x72, Increment::default(), &mut bytes).unwrap();
        // Bit 7 of an address that only I²C knows is left out.
        Registers::write(&mut chip, 0xf4, 8).unwrap();
        assert_eq!(chip.0.0, SENT);
        assert_eq!(bytes, [7, 7]);
    }

    #[test]
    fn an_asynchronous_bus_sends_the_same() {
        let mut chip = OnSpi(Recorder(Vec::new()));
        let mut bytes = [0; 2];
        complete(async {
            AsyncRegisters::read(&mut chip, 0x32, MARKED, &mut bytes).await.unwrap();
            AsyncRegisters::read(&mut chip, 0x00, MARKED, &mut bytes[..1]).await.unwrap();
            AsyncRegisters::read(&mut chip, 0x72, Increment::default(), &mut bytes).await.unwrap();
            AsyncRegisters::write(&mut chip, 0xf4, 8).await.unwrap();
        });
        assert_eq!(chip.0.0, SENT);
    }

    #[test]
    fn i2c_marks_bursts_only() {
        assert_eq!(i2c_first(0x28, MARKED, &[0; 6]), 0xa8);
        assert_eq!(i2c_first(0x28, MARKED, &[0; 1]), 0x28);
    }
}
