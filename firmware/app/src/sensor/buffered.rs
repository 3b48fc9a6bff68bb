//! The driver of accelerometers that keep instants in a buffer of their own until they are read.
//!
//! What differs between chips, registers and formats, is a [`Chip`]. What is the same stands here
//! once, for blocking and asynchronous buses: identity and settings at the start, status, transfers of
//! many instants, overruns of the chip's buffer, and what to do when a transfer breaks off.

use super::bus::{AsyncRegisters, Blocking, ErrorType, Increment, Registers, complete};
use super::{AsyncSensor, Format, Sensor};

/// Axes of every chip here.
pub const AXES: usize = 3;
/// Bytes of one transfer, at most: some bus drivers take no more than 255.
const TRANSFER_BYTES: usize = 192;
/// Bytes of all status registers, at most.
const STATUS_BYTES: usize = 4;

/// What a chip says before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Instants in its buffer.
    pub ready: usize,
    /// Instants were, or may have been, dropped from the buffer since the last status.
    pub overrun: bool,
}

/// What a packet of the buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet {
    /// An instant.
    Instant([i16; AXES]),
    /// Nothing yet: the chip is starting.
    Nothing,
    /// No packet begins here: the buffer has to be emptied.
    Misplaced,
}

/// A chip: its registers and its settings.
pub trait Chip: Copy {
    /// How the chip is told that a transfer goes on to the next register.
    const INCREMENT: Increment;
    /// The register of the chip's identity, and what stands there.
    const IDENTITY: (u8, u8);
    /// The status registers: first register and number of each transfer, four in all at most.
    const STATUS: &'static [(u8, usize)];
    /// The register that the buffer is read from.
    const DATA: u8;
    /// Bytes of a packet of the buffer.
    const PACKET_BYTES: usize;
    /// Packets that one transfer can hold.
    const PACKETS_PER_TRANSFER: usize;
    /// Instants that the buffer holds.
    const FIFO_LEN: usize;
    /// What empties the buffer; nothing where a broken transfer cannot leave half a packet.
    const EMPTY: &'static [(u8, u8)];
    /// An overrun leaves half a packet in the buffer, so that it has to be emptied.
    const OVERRUN_BREAKS_PACKETS: bool;

    /// What comes.
    fn format(&self) -> Format;

    /// Registers and what is written to them, in this order, so that the chip begins to measure with an
    /// empty buffer.
    fn start(&self) -> impl Iterator<Item = (u8, u8)>;

    /// What the status registers say, in the order of [`Chip::STATUS`].
    fn status(registers: [u8; STATUS_BYTES]) -> Status;

    /// What a packet holds.
    fn packet(bytes: &[u8]) -> Packet;
}

/// Why a chip cannot be used or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error<E> {
    /// The bus reported an error.
    Bus(E),
    /// Another chip answered, with this identity.
    WrongDevice(u8),
}

impl<E> From<E> for Error<E> {
    fn from(error: E) -> Self {
        Error::Bus(error)
    }
}

/// A running chip, on a bus that implements [`Registers`] or [`AsyncRegisters`].
#[derive(Debug)]
pub struct Buffered<C, R: ErrorType> {
    chip: C,
    registers: R,
    state: State<R::Error>,
}

/// What is remembered between two reads.
#[derive(Debug)]
struct State<E> {
    gaps: u32,
    /// A transfer broke off, or a packet was misplaced: the next read is behind a gap.
    broken: bool,
    /// Why a transfer broke off, where instants of the same read came first.
    failed: Option<Error<E>>,
}

impl<C: Chip, R: ErrorType> Buffered<C, R> {
    /// The bus, for what is no register.
    pub fn registers_mut(&mut self) -> &mut R {
        &mut self.registers
    }

    /// The chip's settings.
    pub fn chip(&self) -> &C {
        &self.chip
    }

    fn started(chip: C, registers: R) -> Self {
        Buffered { chip, registers, state: State { gaps: 0, broken: false, failed: None } }
    }
}

impl<C: Chip, R: Registers> Buffered<C, R> {
    /// Checks the chip's identity, writes its settings, and lets it measure.
    ///
    /// # Errors
    /// [`Error::Bus`] when nothing answers, [`Error::WrongDevice`] when something else does.
    pub fn start(mut registers: R, chip: C) -> Result<Self, Error<R::Error>> {
        complete(start(&mut Blocking(&mut registers), &chip))?;
        Ok(Self::started(chip, registers))
    }
}

impl<C: Chip, R: AsyncRegisters> Buffered<C, R> {
    /// What [`Buffered::start`] does, on an asynchronous bus.
    ///
    /// # Errors
    /// [`Error::Bus`] when nothing answers, [`Error::WrongDevice`] when something else does.
    pub async fn start_async(mut registers: R, chip: C) -> Result<Self, Error<R::Error>> {
        start(&mut registers, &chip).await?;
        Ok(Self::started(chip, registers))
    }
}

impl<C: Chip, R: Registers> Sensor for Buffered<C, R> {
    type Error = Error<R::Error>;

    fn format(&self) -> Format {
        self.chip.format()
    }

    fn read(&mut self, samples: &mut [i16]) -> Result<usize, Self::Error> {
        complete(self.state.read::<C, _>(&mut Blocking(&mut self.registers), samples))
    }

    fn gaps(&self) -> u32 {
        self.state.gaps
    }

    fn restart(&mut self) -> Result<(), Self::Error> {
        complete(self.state.restart(&mut Blocking(&mut self.registers), &self.chip))
    }
}

impl<C: Chip, R: AsyncRegisters> AsyncSensor for Buffered<C, R> {
    type Error = Error<R::Error>;

    fn format(&self) -> Format {
        self.chip.format()
    }

    async fn read(&mut self, samples: &mut [i16]) -> Result<usize, Self::Error> {
        self.state.read::<C, _>(&mut self.registers, samples).await
    }

    fn gaps(&self) -> u32 {
        self.state.gaps
    }

    async fn restart(&mut self) -> Result<(), Self::Error> {
        self.state.restart(&mut self.registers, &self.chip).await
    }
}

async fn start<C: Chip, R: AsyncRegisters>(registers: &mut R, chip: &C) -> Result<(), Error<R::Error>> {
    let (register, expected) = C::IDENTITY;
    let mut identity = [0];
    registers.read(register, C::INCREMENT, &mut identity).await?;
    if identity[0] != expected {
        return Err(Error::WrongDevice(identity[0]));
    }
    for (register, value) in chip.start() {
        registers.write(register, value).await?;
    }
    Ok(())
}

async fn status<C: Chip, R: AsyncRegisters>(registers: &mut R) -> Result<Status, R::Error> {
    let mut bytes = [0; STATUS_BYTES];
    let mut rest = &mut bytes[..];
    for &(first, count) in C::STATUS {
        let Some((now, later)) = rest.split_at_mut_checked(count) else { break };
        registers.read(first, C::INCREMENT, now).await?;
        rest = later;
    }
    Ok(C::status(bytes))
}

async fn empty<C: Chip, R: AsyncRegisters>(registers: &mut R) -> Result<(), R::Error> {
    for &(register, value) in C::EMPTY {
        registers.write(register, value).await?;
    }
    Ok(())
}

impl<E> State<E> {
    fn gap(&mut self) {
        self.gaps = self.gaps.wrapping_add(1);
    }

    async fn restart<C, R>(&mut self, registers: &mut R, chip: &C) -> Result<(), Error<E>>
    where
        C: Chip,
        R: AsyncRegisters + ErrorType<Error = E>,
    {
        self.broken = true;
        start(registers, chip).await?;
        self.broken = false;
        self.gap();
        Ok(())
    }

    async fn read<C, R>(&mut self, registers: &mut R, samples: &mut [i16]) -> Result<usize, Error<E>>
    where
        C: Chip,
        R: AsyncRegisters + ErrorType<Error = E>,
    {
        let (instants, _) = samples.as_chunks_mut::<AXES>();
        if instants.is_empty() {
            // An overrun that was looked at now would be forgotten before the next instant.
            return Ok(0);
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if self.broken {
            empty::<C, R>(registers).await?;
            self.broken = false;
            self.gap();
        }
        let status = status::<C, R>(registers).await?;
        if status.overrun {
            if C::OVERRUN_BREAKS_PACKETS {
                self.broken = true;
                empty::<C, R>(registers).await?;
                self.broken = false;
                self.gap();
                return Ok(0);
            }
            self.gap();
        }
        let taken = self.take::<C, R>(registers, instants, status.ready).await;
        if C::OVERRUN_BREAKS_PACKETS && taken > 0 && status.ready * 2 > C::FIFO_LEN {
            // It may have run over while it was read, so that no packet is what it seems.
            match self::status::<C, R>(registers).await {
                Ok(Status { overrun: false, .. }) => {}
                Ok(_) => {
                    self.broken = true;
                    return Ok(0);
                }
                Err(error) => {
                    self.broken = true;
                    return Err(error.into());
                }
            }
        }
        match self.failed.take() {
            Some(error) if taken == 0 => Err(error),
            failed => {
                self.failed = failed;
                Ok(taken)
            }
        }
    }

    /// Transfers up to `ready` instants and returns how many came before something failed.
    async fn take<C, R>(&mut self, registers: &mut R, instants: &mut [[i16; AXES]], ready: usize) -> usize
    where
        C: Chip,
        R: AsyncRegisters + ErrorType<Error = E>,
    {
        let most = (TRANSFER_BYTES / C::PACKET_BYTES).min(C::PACKETS_PER_TRANSFER).max(1);
        let (mut taken, mut left) = (0, ready);
        let mut bytes = [0; TRANSFER_BYTES];
        while left > 0 && taken < instants.len() {
            // A packet holds one instant at most, so that all that is transferred has room.
            let packets = left.min(most).min(instants.len() - taken);
            let Some(now) = bytes.get_mut(..packets * C::PACKET_BYTES) else { break };
            if let Err(error) = registers.read(C::DATA, C::INCREMENT, now).await {
                self.broken = true;
                self.failed = Some(error.into());
                break;
            }
            left -= packets;
            for packet in now.chunks_exact(C::PACKET_BYTES) {
                match C::packet(packet) {
                    Packet::Instant(instant) => {
                        if let Some(to) = instants.get_mut(taken) {
                            *to = instant;
                            taken += 1;
                        }
                    }
                    Packet::Nothing => {}
                    Packet::Misplaced => {
                        self.broken = true;
                        return taken;
                    }
                }
            }
        }
        taken
    }
}

/// Three numbers of 16 bits, the low byte first.
pub(super) fn little_endian(bytes: &[u8]) -> Packet {
    match *bytes {
        [a, b, c, d, e, f] => Packet::Instant([[a, b], [c, d], [e, f]].map(i16::from_le_bytes)),
        _ => Packet::Misplaced,
    }
}
