//! Every driver against its simulated chip: the same cases for all.

use std::vec::Vec;

use super::*;
use crate::sensor::buffered::{Buffered, Chip, Error};
use crate::sensor::bus::{OnI2c, complete};
use crate::sensor::{AsyncSensor, Sensor, icm42688 as icm, lis3dh as lis};

type Driver<'a, C, B> = Buffered<C, OnI2c<Simulated<'a, B>>>;

fn recording(instants: usize) -> Vec<i16> {
    (0..instants * AXES).map(|sample| (sample as i16).wrapping_mul(37).wrapping_sub(100)).collect()
}

fn start<C: Chip, B: Behaviour>(chip: C, recording: &[i16]) -> Driver<'_, C, B> {
    Buffered::start(OnI2c::new(Simulated::new(recording), B::ADDRESS), chip).unwrap()
}

fn chip<'s, 'a, C: Chip, B: Behaviour>(sensor: &'s mut Driver<'a, C, B>) -> &'s mut Simulated<'a, B> {
    sensor.registers_mut().bus_mut()
}

/// Reads until nothing waits, in portions of `room` instants.
fn drain<C: Chip, B: Behaviour>(sensor: &mut Driver<'_, C, B>, room: usize) -> Vec<i16> {
    let (mut all, mut samples) = (Vec::new(), [0; AXES * 512]);
    loop {
        let instants = Sensor::read(sensor, &mut samples[..AXES * room]).unwrap();
        if instants == 0 {
            return all;
        }
        all.extend_from_slice(&samples[..AXES * instants]);
    }
}

fn reads_what_was_recorded<C: Chip, B: Behaviour>(setup: C) {
    let recording = recording(500);
    for (portion, room) in [(7, 3), (1, 1), (31, 200), (25, 10)] {
        let mut sensor = start::<C, B>(setup, &recording);
        let mut read = Vec::new();
        while !chip(&mut sensor).is_over() {
            chip(&mut sensor).advance(portion);
            read.extend(drain(&mut sensor, room));
        }
        assert!(read == recording, "in portions of {portion}, {room} at once");
        assert_eq!(Sensor::gaps(&sensor), 0);
    }
}

fn reads_the_same_asynchronously<C: Chip, B: Behaviour>(setup: C) {
    let recording = recording(200);
    let bus = OnI2c::new(Simulated::<B>::new(&recording), B::ADDRESS);
    let mut sensor = complete(Buffered::start_async(bus, setup)).unwrap();
    let (mut read, mut samples) = (Vec::new(), [0; AXES * 20]);
    while !chip(&mut sensor).is_over() {
        chip(&mut sensor).advance(15);
        let instants = complete(AsyncSensor::read(&mut sensor, &mut samples)).unwrap();
        read.extend_from_slice(&samples[..AXES * instants]);
    }
    assert_eq!(read, recording);
    assert_eq!(AsyncSensor::gaps(&sensor), 0);
}

/// A buffer that ran over: one gap, and behind it instants without holes.
fn counts_an_overrun<C: Chip, B: Behaviour>(setup: C) {
    let recording = recording(600);
    let mut sensor = start::<C, B>(setup, &recording);
    chip(&mut sensor).advance(5);
    assert_eq!(drain(&mut sensor, 16), recording[..5 * AXES]);
    chip(&mut sensor).advance(C::FIFO_LEN + 10);
    let after = drain(&mut sensor, 16);
    let end = chip(&mut sensor).measured() * AXES;
    assert_eq!(after, recording[end - after.len()..end]);
    assert!(C::OVERRUN_BREAKS_PACKETS == after.is_empty());
    chip(&mut sensor).advance(9);
    assert_eq!(drain(&mut sensor, 16), recording[end..end + 9 * AXES]);
    assert_eq!(Sensor::gaps(&sensor), 1);
}

/// A chip that does not answer for a while loses nothing that its buffer holds.
fn reports_a_bus_error_and_goes_on<C: Chip, B: Behaviour>(setup: C) {
    let recording = recording(8);
    let mut sensor = start::<C, B>(setup, &recording);
    chip(&mut sensor).advance(2);
    chip(&mut sensor).fail(2);
    let mut samples = [0; AXES * 8];
    for _ in 0..2 {
        assert!(matches!(Sensor::read(&mut sensor, &mut samples), Err(Error::Bus(_))));
    }
    chip(&mut sensor).advance(6);
    assert_eq!(drain(&mut sensor, 8), recording);
    assert_eq!(Sensor::gaps(&sensor), 0);
}

/// A transfer of data that breaks off in the middle: an error, a gap, and then whole instants again.
fn recovers_from_a_broken_transfer<C: Chip, B: Behaviour>(setup: C) {
    let recording = recording(64);
    let mut sensor = start::<C, B>(setup, &recording);
    chip(&mut sensor).advance(20);
    chip(&mut sensor).break_off_after(5);
    let mut samples = [0; AXES * 32];
    assert!(matches!(Sensor::read(&mut sensor, &mut samples), Err(Error::Bus(_))));
    let mut read = drain(&mut sensor, 16);
    chip(&mut sensor).advance(20);
    read.extend(drain(&mut sensor, 16));
    assert_eq!(Sensor::gaps(&sensor), 1);
    let (end, len) = (40 * AXES, read.len());
    assert!(len >= 20 * AXES);
    assert_eq!(read, recording[end - len..end]);
}

/// A chip that lost its power is silent; started anew, it goes on behind a gap, with what it measures then.
fn is_started_anew<C: Chip, B: Behaviour>(setup: C) {
    let recording = recording(60);
    let mut sensor = start::<C, B>(setup, &recording);
    chip(&mut sensor).advance(10);
    assert_eq!(drain(&mut sensor, 16), recording[..10 * AXES]);
    chip(&mut sensor).lose_power();
    chip(&mut sensor).advance(10);
    assert_eq!(drain(&mut sensor, 16), []);
    Sensor::restart(&mut sensor).unwrap();
    chip(&mut sensor).advance(10);
    assert_eq!(drain(&mut sensor, 16), recording[20 * AXES..30 * AXES]);
    assert_eq!((Sensor::gaps(&sensor), chip(&mut sensor).lost()), (1, 10));
    chip(&mut sensor).fail(1);
    assert!(Sensor::restart(&mut sensor).is_err());
}

fn refuses_another_chip<C: Chip, B: Behaviour>(setup: C) {
    let nobody = OnI2c::new(Simulated::<B>::new(&[]), B::ADDRESS ^ 1);
    assert!(matches!(Buffered::start(nobody, setup), Err(Error::Bus(_))));

    /// Answers every read with 0x5a.
    struct Other;
    impl ErrorType for Other {
        type Error = ErrorKind;
    }
    impl I2c for Other {
        fn transaction(&mut self, _: u8, operations: &mut [Operation<'_>]) -> Result<(), ErrorKind> {
            for operation in operations {
                if let Operation::Read(bytes) = operation {
                    bytes.fill(0x5a);
                }
            }
            Ok(())
        }
    }
    let other = Buffered::start(OnI2c::new(Other, B::ADDRESS), setup);
    assert!(matches!(other, Err(Error::WrongDevice(0x5a))));
}

/// Faults that were listed begin when their time has come, while the recording is measured twice: what was read and
/// what was lost is all that was measured.
fn faults_begin_when_they_are_to<C: Chip, B: Behaviour>(setup: C) {
    let recording = recording(200);
    let fault = |at, kind| ChipFault { at, kind };
    let faults = [
        fault(30, ChipFaultKind::NoAnswer(1)),
        fault(120, ChipFaultKind::BrokenOff(5)),
        fault(250, ChipFaultKind::PowerLost),
    ];
    let simulated = Simulated::<B>::new(&recording).repeated(2).with_faults(&faults);
    let mut sensor = Buffered::start(OnI2c::new(simulated, B::ADDRESS), setup).unwrap();
    let (mut failed, mut silent, mut read, mut samples) = (Vec::new(), Vec::new(), 0, [0; AXES * 32]);
    while !chip(&mut sensor).is_over() {
        chip(&mut sensor).advance(10);
        let now = chip(&mut sensor).measured();
        match Sensor::read(&mut sensor, &mut samples) {
            // Some chips have to be emptied behind the transfer that broke off.
            Ok(0) if now < 250 => assert_eq!(now, 140),
            Ok(0) => {
                silent.push(now);
                Sensor::restart(&mut sensor).unwrap();
            }
            Ok(instants) => {
                read += instants;
                let last = (now - 1) % 200;
                assert_eq!(samples[AXES * (instants - 1)..][..AXES], recording[AXES * last..][..AXES]);
            }
            Err(_) => failed.push(now),
        }
    }
    assert_eq!((failed, silent), (std::vec![40, 130], std::vec![260]));
    assert_eq!(read + chip(&mut sensor).lost(), 400);
    assert_eq!((chip(&mut sensor).measured(), Sensor::gaps(&sensor)), (400, 2));
}

macro_rules! tests_of {
    ($chip:ident, $registers:ty, $setup:expr) => {
        mod $chip {
            use super::*;

            type Setup = crate::sensor::$chip::Setup;

            fn setup() -> Setup {
                $setup.unwrap()
            }

            tests_of!($registers: reads_what_was_recorded, reads_the_same_asynchronously, counts_an_overrun,
                reports_a_bus_error_and_goes_on, recovers_from_a_broken_transfer, is_started_anew, faults_begin_when_they_are_to,
                refuses_another_chip);
        }
    };
    ($registers:ty: $($case:ident),*) => {
        $(#[test]
        fn $case() {
            super::$case::<Setup, $registers>(setup());
        })*
    };
}

tests_of!(adxl345, Adxl345Registers, Setup::new(1_600_000));
tests_of!(lis3dh, Lis3dhRegisters, Setup::new(400_000, 2));
tests_of!(mpu6050, Mpu6050Registers, Setup::new(1_000_000, 4));
tests_of!(icm42688, Icm42688Registers, Setup::new(1_000_000, 8));

#[test]
fn what_a_starting_chip_sends_is_no_instant() {
    let recording = recording(20);
    let mut simulated = Simulated::new(&recording);
    simulated.registers = Icm42688Registers::starting(6);
    let bus = OnI2c::new(simulated, icm::ADDRESS);
    let mut sensor = Buffered::start(bus, icm::Setup::new(1_000_000, 2).unwrap()).unwrap();
    chip(&mut sensor).advance(20);
    let mut samples = [0; AXES * 20];
    assert_eq!(Sensor::read(&mut sensor, &mut samples), Ok(14));
    assert_eq!(samples[..14 * AXES], recording[6 * AXES..]);
}

/// A driver that did not mark its transfers would read the first byte of an instant six times.
#[test]
fn a_transfer_that_is_not_marked_stays_on_its_register() {
    let recording = recording(3);
    let mut sensor = start::<_, Lis3dhRegisters>(lis::Setup::new(400_000, 2).unwrap(), &recording);
    chip(&mut sensor).advance(3);
    let mut bytes = [0; 6];
    I2c::write_read(chip(&mut sensor), lis::ADDRESS, &[0x28], &mut bytes).unwrap();
    assert_eq!(bytes, [bytes[0]; 6]);
}
