//! A simulated ADXL345 on a simulated I²C bus: the driver runs unchanged, the acceleration comes
//! from a recording.

use embedded_hal::i2c::{ErrorKind, ErrorType, I2c, NoAcknowledgeSource, Operation};

use super::adxl345::{ADDRESS, DEVICE_ID, FIFO_LEN, OVERRUN, register};

/// The chip's registers, its buffer, and the recording that it "measures".
#[derive(Debug)]
pub struct SimulatedAdxl345<'a> {
    recording: &'a [i16],
    /// First instant that was not read yet, and one past the last that was measured.
    oldest: usize,
    newest: usize,
    pointer: u8,
    power: u8,
    rate: u8,
    data_format: u8,
    fifo: u8,
    overrun: bool,
    failures: u32,
}

impl<'a> SimulatedAdxl345<'a> {
    /// A chip that will measure `recording`: three axes, interleaved, 256 counts per g.
    pub fn new(recording: &'a [i16]) -> Self {
        SimulatedAdxl345 {
            recording,
            oldest: 0,
            newest: 0,
            pointer: 0,
            power: 0,
            rate: 0x0a,
            data_format: 0,
            fifo: 0,
            overrun: false,
            failures: 0,
        }
    }

    /// Lets the time of `instants` measurements pass. What does not fit the chip's buffer pushes
    /// the oldest out, as on the chip.
    pub fn advance(&mut self, instants: usize) {
        if self.power & 0x08 == 0 {
            return;
        }
        self.newest = (self.newest + instants).min(self.recording.len() / 3);
        let room = if self.fifo & 0xc0 == 0 { 1 } else { FIFO_LEN };
        if self.newest - self.oldest > room {
            self.oldest = self.newest - room;
            self.overrun = true;
        }
    }

    /// Lets the next `transfers` fail as if the chip did not answer.
    pub fn fail(&mut self, transfers: u32) {
        self.failures = transfers;
    }

    /// Whether the recording has been measured and read to its end.
    pub fn is_over(&self) -> bool {
        self.oldest == self.recording.len() / 3
    }

    fn read_register(&mut self) -> u8 {
        let value = match self.pointer {
            register::DEVICE_ID => DEVICE_ID,
            register::RATE => self.rate,
            register::POWER => self.power,
            register::DATA_FORMAT => self.data_format,
            register::FIFO => self.fifo,
            register::INTERRUPT_SOURCE => u8::from(core::mem::take(&mut self.overrun)) * OVERRUN,
            // At most 33 in the chip and 32 here, so that six bits hold it.
            register::FIFO_STATUS => (self.newest - self.oldest) as u8,
            at @ register::DATA..=0x37 => {
                let byte = usize::from(at - register::DATA);
                let sample = self.recording.get(self.oldest * 3 + byte / 2).copied().unwrap_or(0);
                if byte == 5 && self.oldest < self.newest {
                    self.oldest += 1;
                }
                sample.to_le_bytes().get(byte % 2).copied().unwrap_or(0)
            }
            _ => 0,
        };
        self.pointer = self.pointer.wrapping_add(1);
        value
    }

    fn write_register(&mut self, value: u8) {
        match self.pointer {
            register::RATE => self.rate = value,
            register::POWER => self.power = value,
            register::DATA_FORMAT => self.data_format = value,
            register::FIFO => self.fifo = value,
            _ => {}
        }
        self.pointer = self.pointer.wrapping_add(1);
    }
}

impl ErrorType for SimulatedAdxl345<'_> {
    type Error = ErrorKind;
}

impl I2c for SimulatedAdxl345<'_> {
    fn transaction(&mut self, address: u8, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
        if address != ADDRESS || self.failures > 0 {
            self.failures = self.failures.saturating_sub(1);
            return Err(ErrorKind::NoAcknowledge(NoAcknowledgeSource::Address));
        }
        for operation in operations {
            match operation {
                Operation::Write(bytes) => {
                    let Some((first, values)) = bytes.split_first() else {
                        continue;
                    };
                    self.pointer = *first;
                    for value in values {
                        self.write_register(*value);
                    }
                }
                Operation::Read(bytes) => {
                    for byte in bytes.iter_mut() {
                        *byte = self.read_register();
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Sensor;
    use super::super::adxl345::{Adxl345, Error, Rate};
    use super::super::bus::OnI2c;
    use super::*;
    use std::vec::Vec;

    fn recording(instants: usize) -> Vec<i16> {
        (0..instants as i16 * 3).map(|sample| sample * 5 - 100).collect()
    }

    fn start(recording: &[i16]) -> Adxl345<OnI2c<SimulatedAdxl345<'_>>> {
        let bus = OnI2c::new(SimulatedAdxl345::new(recording), ADDRESS);
        Adxl345::start(bus, Rate::Hz1600).unwrap()
    }

    #[test]
    fn the_driver_reads_what_was_recorded() {
        let recording = recording(50);
        let mut sensor = start(&recording);
        assert_eq!(sensor.format().rate_millihertz, 1_600_000);
        let mut read = Vec::new();
        let mut samples = [0; 30];
        while !sensor.registers_mut().bus_mut().is_over() {
            sensor.registers_mut().bus_mut().advance(7);
            let instants = sensor.read(&mut samples).unwrap();
            read.extend_from_slice(&samples[..instants * 3]);
        }
        assert_eq!(read, recording);
        assert_eq!(sensor.gaps(), 0);
    }

    #[test]
    fn a_late_reader_gets_the_newest_and_a_gap() {
        let recording = recording(50);
        let mut sensor = start(&recording);
        sensor.registers_mut().bus_mut().advance(40);
        let mut samples = [0; 3 * 64];
        assert_eq!(sensor.read(&mut samples), Ok(32));
        assert_eq!(samples[..3], recording[8 * 3..9 * 3]);
        assert_eq!(sensor.gaps(), 1);
    }

    #[test]
    fn a_bus_error_is_reported_and_then_over() {
        let recording = recording(8);
        let mut sensor = start(&recording);
        sensor.registers_mut().bus_mut().advance(2);
        sensor.registers_mut().bus_mut().fail(1);
        let mut samples = [0; 6];
        assert!(matches!(sensor.read(&mut samples), Err(Error::Bus(_))));
        assert_eq!(sensor.read(&mut samples), Ok(2));
        assert_eq!(samples, recording[..6]);
    }

    #[test]
    fn another_chip_is_refused() {
        let bus = OnI2c::new(SimulatedAdxl345::new(&[]), 0x1d);
        assert!(matches!(Adxl345::start(bus, Rate::Hz100), Err(Error::Bus(_))));
    }
}
