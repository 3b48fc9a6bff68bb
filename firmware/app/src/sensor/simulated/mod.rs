//! Simulated chips on a simulated I²C bus, and a simulated microphone: the drivers run unchanged, what is
//! measured comes from a recording.

mod adxl345;
mod icm42688;
mod lis3dh;
mod microphone;
mod mpu6050;
#[cfg(test)]
mod tests;

use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};
use embedded_hal_async::i2c::I2c as AsyncI2c;

pub use adxl345::Adxl345Registers;
pub use icm42688::Icm42688Registers;
pub use lis3dh::Lis3dhRegisters;
pub use microphone::SimulatedI2s;
pub use mpu6050::Mpu6050Registers;

use super::buffered::AXES;

/// A simulated ADXL345.
pub type SimulatedAdxl345<'a> = Simulated<'a, Adxl345Registers>;
/// A simulated ICM-42688-P.
pub type SimulatedIcm42688<'a> = Simulated<'a, Icm42688Registers>;
/// A simulated LIS3DH.
pub type SimulatedLis3dh<'a> = Simulated<'a, Lis3dhRegisters>;
/// A simulated MPU-6050.
pub type SimulatedMpu6050<'a> = Simulated<'a, Mpu6050Registers>;

/// What differs between the chips.
pub trait Behaviour: Default {
    /// The chip's I²C address.
    const ADDRESS: u8;
    /// Bytes of a packet of the chip's buffer.
    const PACKET_BYTES: usize;
    /// Bytes that the buffer holds.
    const FIFO_BYTES: usize;
    /// A full buffer drops whole packets.
    const DROPS_PACKETS: bool;

    /// Whether the chip is awake and its buffer on, as the registers stand.
    fn measures(&self) -> bool;

    /// What is read from a register.
    fn read(&mut self, buffer: &mut Buffer<'_>, register: u8) -> u8;

    /// Takes what is written to a register.
    fn write(&mut self, buffer: &mut Buffer<'_>, register: u8, value: u8);

    /// Where the first byte of a transfer points, and the register after another one.
    fn pointer(first: u8) -> u8 {
        first
    }

    /// The register that follows in a transfer that began with `first`.
    fn next(register: u8, first: u8) -> u8;
}

/// What goes wrong with a chip, or on the bus to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChipFaultKind {
    /// So many transfers fail as if the chip did not answer.
    NoAnswer(u32),
    /// The next transfer that reads more bytes than these breaks off after them.
    BrokenOff(usize),
    /// The chip's power goes away for a moment: it forgets its settings and what it holds, and measures nothing until
    /// it is started anew.
    PowerLost,
}

/// A fault of a chip and when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChipFault {
    /// Instants whose time passed before it begins.
    pub at: usize,
    /// What goes wrong.
    pub kind: ChipFaultKind,
}

/// The buffer of a chip: a stretch of the recording, counted in bytes of packets.
#[derive(Debug)]
pub struct Buffer<'a> {
    recording: &'a [i16],
    packet_bytes: usize,
    /// First byte that was not read yet, and one past the last whose time passed.
    oldest: usize,
    newest: usize,
    /// Packets that will never be read as a whole.
    lost: usize,
    overrun: bool,
}

impl Buffer<'_> {
    /// Bytes that wait.
    fn len(&self) -> usize {
        self.newest - self.oldest
    }

    /// A sample of a packet, counted from the beginning.
    fn sample(&self, packet: usize, axis: usize) -> i16 {
        let at = packet.checked_rem(self.recording.len() / AXES).unwrap_or(0);
        self.recording.get(at * AXES + axis).copied().unwrap_or(0)
    }

    /// Whether something was dropped since this was asked last.
    fn take_overrun(&mut self) -> bool {
        core::mem::take(&mut self.overrun)
    }

    /// Drops what waits, and what of the current packet is still to come.
    fn empty(&mut self) {
        self.drop_before(self.newest);
        self.overrun = false;
    }

    /// Drops what waits before that byte.
    fn drop_before(&mut self, byte: usize) {
        self.lost += byte / self.packet_bytes - self.oldest / self.packet_bytes;
        self.oldest = byte;
    }
}

/// A chip: its registers, its buffer, and the recording that it "measures".
#[derive(Debug)]
pub struct Simulated<'a, B> {
    registers: B,
    buffer: Buffer<'a>,
    /// How often the recording is measured.
    times: usize,
    /// It was started, so that time passes for it also without power.
    started: bool,
    /// Those that did not begin yet.
    faults: &'a [ChipFault],
    failures: u32,
    breaks_after: Option<usize>,
}

impl<'a, B: Behaviour> Simulated<'a, B> {
    /// A chip that will measure `recording`: three axes, interleaved, in the chip's counts.
    pub fn new(recording: &'a [i16]) -> Self {
        let packet_bytes = B::PACKET_BYTES;
        let buffer = Buffer { recording, packet_bytes, oldest: 0, newest: 0, lost: 0, overrun: false };
        Simulated {
            registers: B::default(),
            buffer,
            times: 1,
            started: false,
            faults: &[],
            failures: 0,
            breaks_after: None,
        }
    }

    /// A chip that measures its recording so many times, one after the other.
    pub fn repeated(self, times: usize) -> Self {
        Simulated { times, ..self }
    }

    /// A chip with faults, first one first.
    pub fn with_faults(self, faults: &'a [ChipFault]) -> Self {
        Simulated { faults, ..self }
    }

    /// Lets the time of `instants` measurements pass. What does not fit the chip's buffer pushes
    /// the oldest out, as on the chip; what comes while it has no power is lost.
    pub fn advance(&mut self, instants: usize) {
        self.begin_faults();
        let measures = self.registers.measures();
        self.started |= measures;
        if !self.started {
            return;
        }
        let end = self.end();
        let buffer = &mut self.buffer;
        buffer.newest = (buffer.newest + instants * B::PACKET_BYTES).min(end);
        if !measures {
            buffer.drop_before(buffer.newest);
        } else if buffer.len() > B::FIFO_BYTES {
            buffer.overrun = true;
            let mut oldest = buffer.newest - B::FIFO_BYTES;
            if B::DROPS_PACKETS {
                oldest = oldest.next_multiple_of(B::PACKET_BYTES);
            }
            buffer.drop_before(oldest);
        }
    }

    /// Lets the faults begin whose time has come.
    fn begin_faults(&mut self) {
        while let Some((fault, later)) = self.faults.split_first()
            && fault.at <= self.measured()
        {
            self.faults = later;
            match fault.kind {
                ChipFaultKind::NoAnswer(transfers) => self.fail(transfers),
                ChipFaultKind::BrokenOff(bytes) => self.break_off_after(bytes),
                ChipFaultKind::PowerLost => self.lose_power(),
            }
        }
    }

    /// One past the last byte that will be measured.
    fn end(&self) -> usize {
        self.buffer.recording.len() / AXES * self.times * B::PACKET_BYTES
    }

    /// Lets the next `transfers` fail as if the chip did not answer.
    pub fn fail(&mut self, transfers: u32) {
        self.failures = transfers;
    }

    /// Lets the next transfer that reads more than `bytes` break off after them.
    pub fn break_off_after(&mut self, bytes: usize) {
        self.breaks_after = Some(bytes);
    }

    /// Takes the chip's power away for a moment: it forgets its settings and what it holds.
    pub fn lose_power(&mut self) {
        self.registers = B::default();
        self.buffer.empty();
    }

    /// Instants whose time passed so far.
    pub fn measured(&self) -> usize {
        self.buffer.newest / B::PACKET_BYTES
    }

    /// Of them, those that were never read and never will be: pushed out of the buffer, forgotten, or not measured for
    /// want of power.
    pub fn lost(&self) -> usize {
        self.buffer.lost
    }

    /// Whether the recording has been measured and read to its end.
    pub fn is_over(&self) -> bool {
        self.buffer.oldest >= self.end()
    }

    fn transfer(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
        if address != B::ADDRESS || self.failures > 0 {
            self.failures = self.failures.saturating_sub(1);
            return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
        }
        let (mut first, mut pointer) = (0, 0);
        for operation in operations {
            match operation {
                Operation::Write(bytes) => {
                    let Some((address, values)) = bytes.split_first() else { continue };
                    (first, pointer) = (*address, B::pointer(*address));
                    for value in values {
                        self.registers.write(&mut self.buffer, pointer, *value);
                        pointer = B::next(pointer, first);
                    }
                }
                Operation::Read(bytes) => {
                    let breaks = self.breaks_after.filter(|after| bytes.len() > *after);
                    for byte in bytes.iter_mut().take(breaks.unwrap_or(usize::MAX)) {
                        *byte = self.registers.read(&mut self.buffer, pointer);
                        pointer = B::next(pointer, first);
                    }
                    if breaks.is_some() {
                        self.breaks_after = None;
                        return Err(ErrorKind::Bus);
                    }
                }
            }
        }
        Ok(())
    }
}

impl<B> ErrorType for Simulated<'_, B> {
    type Error = ErrorKind;
}

impl<B: Behaviour> I2c for Simulated<'_, B> {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
        self.transfer(address, operations)
    }
}

impl<B: Behaviour> AsyncI2c for Simulated<'_, B> {
    async fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
        self.transfer(address, operations)
    }
}

/// A buffer that is read through six data registers, of which the last one drops the instant.
fn data_register(buffer: &mut Buffer<'_>, byte: usize) -> u8 {
    let sample = buffer.sample(buffer.oldest / buffer.packet_bytes, byte / 2);
    if byte == 2 * AXES - 1 && buffer.len() >= buffer.packet_bytes {
        buffer.oldest += buffer.packet_bytes;
    }
    sample.to_le_bytes().get(byte % 2).copied().unwrap_or(0)
}
