//! BME280: temperature, pressure and humidity. It measures about every 70 milliseconds by itself.
//!
//! What the chip gives is compensated in integers of 32 bits, as its data sheet says, to 0.01 °C,
//! 1 Pa and 1/1024 %.

use super::Format;
use super::buffered::Error as ChipError;
use super::bus::{AsyncRegisters, Blocking, ErrorType, Increment, Registers, complete};
use super::held::Channel;

/// I²C address with the pin SDO low; high gives 0x77.
pub const ADDRESS: u8 = 0x76;

const DEVICE_ID: u8 = 0x60;

mod register {
    pub const CALIBRATION: u8 = 0x88;
    pub const DEVICE_ID: u8 = 0xd0;
    pub const CALIBRATION_HUMIDITY: u8 = 0xe1;
    pub const CONTROL_HUMIDITY: u8 = 0xf2;
    pub const CONTROL: u8 = 0xf4;
    pub const CONFIG: u8 = 0xf5;
    pub const DATA: u8 = 0xf7;
}

const ONCE: u8 = 0x01;
/// Each of temperature and pressure once, again and again.
const CONTINUOUSLY: u8 = 0x27;
const PAUSE_62_MS: u8 = 0x20;
/// What stands in place of a value that was not measured yet.
const NOT_YET: i32 = 0x80000;
const NOT_YET_HUMIDITY: i32 = 0x8000;

/// Why there is no reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Error<E> {
    /// The bus reported an error, or another chip answered.
    Chip(ChipError<E>),
    /// The chip has not measured yet, or its calibration is damaged.
    NoReading,
}

/// What the chip measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Reading {
    /// Hundredths of a degree Celsius.
    pub centicelsius: i32,
    /// Pascal.
    pub pascal: u32,
    /// Relative humidity in 1024ths of a per cent.
    pub humidity_1024: u32,
}

impl Reading {
    /// Hundredths of a degree, tens of pascal, hundredths of a per cent.
    pub fn instant(self) -> [i16; 3] {
        let humidity = (self.humidity_1024 * 100) >> 10;
        let saturate = |value: i32| value.clamp(i16::MIN.into(), i16::MAX.into()) as i16;
        // At most 10,000 and some hundred thousand.
        [self.centicelsius, (self.pascal / 10).min(32_767) as i32, humidity as i32].map(saturate)
    }
}

/// The chip's own numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Calibration {
    t1: i32,
    t: [i32; 2],
    p1: i32,
    p: [i32; 8],
    h1: i32,
    h2: i32,
    h3: i32,
    h4: i32,
    h5: i32,
    h6: i32,
}

impl Calibration {
    fn new(first: &[u8; 26], humidity: &[u8; 7]) -> Self {
        let (words, last) = first.as_chunks::<2>();
        debug_assert!(last.is_empty());
        let unsigned = |at: usize| words.get(at).map_or(0, |word| i32::from(u16::from_le_bytes(*word)));
        let signed = |at: usize| words.get(at).map_or(0, |word| i32::from(i16::from_le_bytes(*word)));
        let [h2_low, h2_high, h3, e4, e5, e6, h6] = *humidity;
        let twelve = |high: u8, low: u8| (i32::from(high as i8) << 4) | i32::from(low & 15);
        Calibration {
            t1: unsigned(0),
            t: core::array::from_fn(|at| signed(1 + at)),
            p1: unsigned(3),
            p: core::array::from_fn(|at| signed(4 + at)),
            h1: unsigned(12) >> 8,
            h2: i32::from(i16::from_le_bytes([h2_low, h2_high])),
            h3: i32::from(h3),
            h4: twelve(e4, e5),
            h5: twelve(e6, e5 >> 4),
            h6: i32::from(h6 as i8),
        }
    }

    /// Temperature on a fine scale, which the others need.
    fn fine(&self, raw: i32) -> i32 {
        let [t2, t3] = self.t;
        let a = ((raw >> 3) - (self.t1 << 1)).wrapping_mul(t2) >> 11;
        let b = (raw >> 4) - self.t1;
        a + ((b.wrapping_mul(b) >> 12).wrapping_mul(t3) >> 14)
    }

    /// Pascal; `None` where the calibration makes a division by zero.
    fn pascal(&self, raw: i32, fine: i32) -> Option<u32> {
        let [p2, p3, p4, p5, p6, p7, p8, p9] = self.p;
        let a = (fine >> 1) - 64_000;
        let quarter = (a >> 2).wrapping_mul(a >> 2);
        let b = (quarter >> 11).wrapping_mul(p6).wrapping_add(a.wrapping_mul(p5) << 1);
        let b = (b >> 2).wrapping_add(p4 << 16);
        let a = (p3.wrapping_mul(quarter >> 13) >> 3).wrapping_add(p2.wrapping_mul(a) >> 1) >> 18;
        let a = (32_768 + a).wrapping_mul(self.p1) >> 15;
        let p = (1_048_576_i32.wrapping_sub(raw).wrapping_sub(b >> 12) as u32).wrapping_mul(3125);
        let divisor = a as u32;
        let p = if p < 1 << 31 {
            (p << 1).checked_div(divisor)?
        } else {
            p.checked_div(divisor)?.wrapping_mul(2)
        };
        let eighth = p >> 3;
        let c = p9.wrapping_mul((eighth.wrapping_mul(eighth) >> 13) as i32) >> 12;
        let d = ((p >> 2) as i32).wrapping_mul(p8) >> 13;
        Some((p as i32).wrapping_add(c.wrapping_add(d).wrapping_add(p7) >> 4) as u32)
    }

    /// 1024ths of a per cent.
    fn humidity(&self, raw: i32, fine: i32) -> u32 {
        let v = fine - 76_800;
        let linear = (raw << 14).wrapping_sub(self.h4 << 20).wrapping_sub(self.h5.wrapping_mul(v));
        let slope = (v.wrapping_mul(self.h6) >> 10).wrapping_mul((v.wrapping_mul(self.h3) >> 11) + 32_768);
        let slope = ((slope >> 10).wrapping_add(2_097_152)).wrapping_mul(self.h2).wrapping_add(8192) >> 14;
        let v = (linear.wrapping_add(16_384) >> 15).wrapping_mul(slope);
        let v = v.wrapping_sub(((v >> 15).wrapping_mul(v >> 15) >> 7).wrapping_mul(self.h1) >> 4);
        (v.clamp(0, 419_430_400) >> 12) as u32
    }

    fn reading(&self, data: &[u8; 8]) -> Option<Reading> {
        let [p2, p1, p0, t2, t1, t0, h1, h0] = data.map(i32::from);
        let (pressure, temperature) = (p2 << 12 | p1 << 4 | p0 >> 4, t2 << 12 | t1 << 4 | t0 >> 4);
        let humidity = h1 << 8 | h0;
        if pressure == NOT_YET || temperature == NOT_YET || humidity == NOT_YET_HUMIDITY {
            return None;
        }
        let fine = self.fine(temperature);
        Some(Reading {
            centicelsius: fine.wrapping_mul(5).wrapping_add(128) >> 8,
            pascal: self.pascal(pressure, fine)?,
            humidity_1024: self.humidity(humidity, fine),
        })
    }
}

/// The running chip, on a bus that implements [`Registers`] or [`AsyncRegisters`].
#[derive(Debug)]
pub struct Bme280<R> {
    registers: R,
    calibration: Calibration,
}

impl<R: ErrorType> Bme280<R> {
    /// What [`Channel::measure`] gives: three axes of different units, named one after the other.
    /// `rate_millihertz` is how often it is asked, see [`super::held::Held`].
    pub fn format(rate_millihertz: u32) -> Format {
        Format {
            sensor: "BME280",
            rate_millihertz,
            axes: 3,
            unit: "0.01C,10Pa,0.01%",
            counts_per_thousand_units: 1000,
            full_scale: 32_768,
        }
    }

    /// The bus, for what is no register.
    pub fn registers_mut(&mut self) -> &mut R {
        &mut self.registers
    }
}

impl<R: Registers> Bme280<R> {
    /// Checks the chip's identity, reads its calibration, and lets it measure.
    ///
    /// # Errors
    /// [`Error::Chip`] when nothing answers, or something else does.
    pub fn start(mut registers: R) -> Result<Self, Error<R::Error>> {
        let calibration = complete(start(&mut Blocking(&mut registers)))?;
        Ok(Bme280 { registers, calibration })
    }

    /// What the chip measured last.
    ///
    /// # Errors
    /// [`Error::Chip`] when the bus reports one, [`Error::NoReading`] when nothing was measured yet.
    pub fn reading(&mut self) -> Result<Reading, Error<R::Error>> {
        complete(reading(&mut Blocking(&mut self.registers), &self.calibration))
    }
}

impl<R: AsyncRegisters> Bme280<R> {
    /// What [`Bme280::start`] does, on an asynchronous bus.
    ///
    /// # Errors
    /// [`Error::Chip`] when nothing answers, or something else does.
    pub async fn start_async(mut registers: R) -> Result<Self, Error<R::Error>> {
        let calibration = start(&mut registers).await?;
        Ok(Bme280 { registers, calibration })
    }

    /// What [`Bme280::reading`] gives, on an asynchronous bus.
    ///
    /// # Errors
    /// [`Error::Chip`] when the bus reports one, [`Error::NoReading`] when nothing was measured yet.
    pub async fn reading_async(&mut self) -> Result<Reading, Error<R::Error>> {
        reading(&mut self.registers, &self.calibration).await
    }
}

impl<R: Registers> Channel<3> for Bme280<R> {
    type Error = Error<R::Error>;

    fn measure(&mut self) -> Result<[i16; 3], Self::Error> {
        self.reading().map(Reading::instant)
    }
}

fn chip<E>(error: E) -> Error<E> {
    Error::Chip(ChipError::Bus(error))
}

async fn start<R: AsyncRegisters>(registers: &mut R) -> Result<Calibration, Error<R::Error>> {
    let increment = Increment::default();
    let mut identity = [0];
    registers.read(register::DEVICE_ID, increment, &mut identity).await.map_err(chip)?;
    if identity[0] != DEVICE_ID {
        return Err(Error::Chip(ChipError::WrongDevice(identity[0])));
    }
    let (mut first, mut humidity) = ([0; 26], [0; 7]);
    registers.read(register::CALIBRATION, increment, &mut first).await.map_err(chip)?;
    registers.read(register::CALIBRATION_HUMIDITY, increment, &mut humidity).await.map_err(chip)?;
    let settings = [
        // Asleep: other settings are not taken else.
        (register::CONTROL, 0),
        (register::CONFIG, PAUSE_62_MS),
        (register::CONTROL_HUMIDITY, ONCE),
        (register::CONTROL, CONTINUOUSLY),
    ];
    for (register, value) in settings {
        registers.write(register, value).await.map_err(chip)?;
    }
    Ok(Calibration::new(&first, &humidity))
}

async fn reading<R: AsyncRegisters>(
    registers: &mut R,
    calibration: &Calibration,
) -> Result<Reading, Error<R::Error>> {
    let mut data = [0; 8];
    registers.read(register::DATA, Increment::default(), &mut data).await.map_err(chip)?;
    calibration.reading(&data).ok_or(Error::NoReading)
}

#[cfg(test)]
mod tests {
    use super::super::Sensor;
    use super::super::held::Held;
    use super::*;
    use core::convert::Infallible;

    /// The chip's registers as they stand.
    #[derive(Debug)]
    struct Simulated([u8; 256]);

    impl ErrorType for Simulated {
        type Error = Infallible;
    }

    impl Registers for Simulated {
        fn read(&mut self, first: u8, _: Increment, bytes: &mut [u8]) -> Result<(), Infallible> {
            let first = usize::from(first);
            bytes.copy_from_slice(&self.0[first..first + bytes.len()]);
            Ok(())
        }

        fn write(&mut self, register: u8, value: u8) -> Result<(), Infallible> {
            self.0[usize::from(register)] = value;
            Ok(())
        }
    }

    /// Calibration and readings of the data sheet of the BMP280; humidity as chips have it.
    const WORDS: [i32; 12] = [27504, 26435, -1000, 36477, -10685, 3024, 2855, 140, -7, 15500, -14600, 6000];

    fn simulated(temperature: i32, pressure: i32, humidity: u16) -> Simulated {
        let mut registers = [0; 256];
        registers[0xd0] = DEVICE_ID;
        for (at, word) in WORDS.iter().enumerate() {
            registers[0x88 + 2 * at..][..2].copy_from_slice(&(*word as u16).to_le_bytes());
        }
        registers[0xa1] = 75;
        // H2 370, H3 0, H4 313, H5 50, H6 30.
        registers[0xe1..0xe8].copy_from_slice(&[0x72, 0x01, 0, 0x13, 0x29, 0x03, 30]);
        let twenty = |value: i32| [(value >> 12) as u8, (value >> 4) as u8, (value << 4) as u8];
        registers[0xf7..0xfa].copy_from_slice(&twenty(pressure));
        registers[0xfa..0xfd].copy_from_slice(&twenty(temperature));
        registers[0xfd..0xff].copy_from_slice(&humidity.to_be_bytes());
        Simulated(registers)
    }

    /// The data sheet's formulas in f64.
    fn reference(temperature: f64, pressure: f64, humidity: f64) -> (f64, f64, f64) {
        let w = WORDS.map(f64::from);
        let a = (temperature / 16384.0 - w[0] / 1024.0) * w[1];
        let b = temperature / 131_072.0 - w[0] / 8192.0;
        let fine = a + b * b * w[2];
        let a = fine / 2.0 - 64_000.0;
        let b = a * a * w[8] / 32_768.0 + a * w[7] * 2.0;
        let b = b / 4.0 + w[6] * 65_536.0;
        let a = (w[5] * a * a / 524_288.0 + w[4] * a) / 524_288.0;
        let a = (1.0 + a / 32_768.0) * w[3];
        let p = (1_048_576.0 - pressure - b / 4096.0) * 6250.0 / a;
        let p = p + (w[11] * p * p / 2_147_483_648.0 + p * w[10] / 32_768.0 + w[9]) / 16.0;
        let h = fine - 76_800.0;
        let h = (humidity - (313.0 * 64.0 + 50.0 / 16_384.0 * h))
            * (370.0 / 65_536.0 * (1.0 + 30.0 / 67_108_864.0 * h * (1.0 + 0.0 * h)));
        (fine / 5120.0, p, (h * (1.0 - 75.0 * h / 524_288.0)).clamp(0.0, 100.0))
    }

    #[test]
    fn the_example_of_the_data_sheet() {
        let mut chip = Bme280::start(simulated(519_888, 415_148, 30_000)).unwrap();
        let reading = chip.reading().unwrap();
        assert_eq!(reading.centicelsius, 2508);
        assert!(reading.pascal.abs_diff(100_653) <= 4, "{reading:?}");
        assert_eq!(chip.registers_mut().0[0xf4], CONTINUOUSLY);
        assert_eq!(reading.instant()[..2], [2508, (reading.pascal / 10) as i16]);
    }

    #[test]
    fn integers_follow_the_formulas_in_f64() {
        for temperature in (400_000..640_000).step_by(30_000) {
            for pressure in (250_000..500_000).step_by(40_000) {
                for humidity in [20_000, 27_000, 35_000, 45_000] {
                    let mut chip = Bme280::start(simulated(temperature, pressure, humidity)).unwrap();
                    let reading = chip.reading().unwrap();
                    let (t, p, h) = reference(temperature.into(), pressure.into(), humidity.into());
                    assert!((f64::from(reading.centicelsius) / 100.0 - t).abs() < 0.02, "{reading:?} {t}");
                    assert!((f64::from(reading.pascal) - p).abs() < 8.0, "{reading:?} {p}");
                    assert!((f64::from(reading.humidity_1024) / 1024.0 - h).abs() < 0.1, "{reading:?} {h}");
                }
            }
        }
    }

    #[test]
    fn nothing_measured_is_no_reading() {
        let mut chip = Bme280::start(simulated(NOT_YET, NOT_YET, 0x8000)).unwrap();
        assert_eq!(chip.reading(), Err(Error::NoReading));
    }

    /// Calibrations that no chip has: any result, but no panic.
    #[test]
    fn a_damaged_calibration_does_no_harm() {
        for fill in [0, 0x7f, 0x80, 0xff] {
            let mut registers = [fill; 256];
            registers[0xd0] = DEVICE_ID;
            for high in [0, 0x55, 0xff] {
                registers[0xf7] = high;
                registers[0xfa] = high;
                let mut chip = Bme280::start(Simulated(registers)).unwrap();
                if let Ok(reading) = chip.reading() {
                    reading.instant();
                }
            }
        }
        let other = Bme280::start(Simulated([0x58; 256])).unwrap_err();
        assert_eq!(other, Error::Chip(ChipError::WrongDevice(0x58)));
    }

    #[test]
    fn it_is_a_sensor_at_any_rate() {
        let chip = Bme280::start(simulated(519_888, 415_148, 30_000)).unwrap();
        let mut sensor = Held::new(chip, Bme280::<Simulated>::format(10_000), 10);
        sensor.elapsed(10);
        let mut samples = [0; 30];
        assert_eq!(sensor.read(&mut samples), Ok(10));
        assert_eq!((samples[0], samples[27]), (2508, 2508));
    }
}
