//! Chips on I²C and SPI, by the kernel's drivers for user programs.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use linux_embedded_hal::spidev::{SpiModeFlags, SpidevOptions};
use linux_embedded_hal::{I2cdev, SpidevDevice};
use teff_app::needs::Needs;
use teff_app::sensor::bme280::Bme280;
use teff_app::sensor::buffered::{Buffered, Chip};
use teff_app::sensor::bus::{ErrorType, Increment, OnI2c, OnSpi, Registers};
use teff_app::sensor::held::Held;
use teff_app::sensor::{Format, Sensor, adxl345, bme280, icm42688, lis3dh, mpu6050};

use super::{Explain, Source, time_of};
use crate::config;

/// Instants that wait in a chip when it is read.
const PORTION: u32 = 16;

/// Of an SPI bus, in hertz, where the configuration names none.
const SPI_HZ: u32 = 1_000_000;

/// Where a chip is.
#[derive(Clone, Copy)]
pub struct At<'c> {
    bus: &'c Path,
    address: Option<u8>,
    spi_hz: Option<u32>,
}

impl<'c> At<'c> {
    /// Where the configuration says; `None` of a sensor that is no chip.
    pub fn of(sensor: &'c config::Sensor) -> Option<At<'c>> {
        use config::Sensor as Kind;
        match sensor {
            Kind::Adxl345(at) | Kind::Bme280(at) => {
                Some(At { bus: &at.bus, address: at.address, spi_hz: at.spi_hz })
            }
            Kind::Lis3dh(at) | Kind::Mpu6050(at) | Kind::Icm42688(at) => {
                Some(At { bus: &at.bus, address: at.address, spi_hz: at.spi_hz })
            }
            Kind::Alsa(_) | Kind::Command(_) | Kind::Recording(_) => None,
        }
    }

    fn open(self, usual: u8) -> Result<Bus> {
        Bus::open(self.bus, self.address, self.spi_hz, usual)
    }
}

/// Registers on either bus.
enum Bus {
    I2c(OnI2c<I2cdev>),
    Spi(OnSpi<SpidevDevice>),
}

impl Bus {
    /// Opens `/dev/i2c-N` or `/dev/spidevN.M`; which one, its name says.
    fn open(path: &Path, address: Option<u8>, spi_hz: Option<u32>, usual: u8) -> Result<Bus> {
        let shown = path.display();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let remedy = "is the bus switched on (raspi-config), and is this user in the groups `i2c` and `spi`?";
        if name.starts_with("i2c") {
            let address = address.unwrap_or(usual);
            if address > 0x7f {
                bail!("`address` is {address:#04x}: an address on I²C has seven bits");
            }
            if spi_hz.is_some() {
                bail!("`spi_hz` is given, but {shown} is no SPI bus: leave it out");
            }
            let bus = I2cdev::new(path).with_context(|| format!("cannot open {shown}: {remedy}"))?;
            return Ok(Bus::I2c(OnI2c::new(bus, address)));
        }
        if !name.starts_with("spidev") {
            bail!("`bus` is {shown}: it must be a /dev/i2c-N or a /dev/spidevN.M");
        }
        if address.is_some() {
            bail!("`address` is given, but {shown} is no I²C bus: leave it out");
        }
        let spi_hz = spi_hz.unwrap_or(SPI_HZ);
        let mut device =
            SpidevDevice::open(path).with_context(|| format!("cannot open {shown}: {remedy}"))?;
        let options =
            SpidevOptions::new().bits_per_word(8).max_speed_hz(spi_hz).mode(SpiModeFlags::SPI_MODE_3).build();
        // All chips here speak mode 3.
        device
            .0
            .configure(&options)
            .with_context(|| format!("cannot set {shown} to mode 3 at {spi_hz} Hz"))?;
        Ok(Bus::Spi(OnSpi(device)))
    }
}

impl ErrorType for Bus {
    type Error = String;
}

impl Registers for Bus {
    fn read(&mut self, first: u8, increment: Increment, bytes: &mut [u8]) -> Result<(), String> {
        match self {
            Bus::I2c(bus) => bus.read(first, increment, bytes).map_err(|error| error.to_string()),
            Bus::Spi(bus) => bus.read(first, increment, bytes).map_err(|error| error.to_string()),
        }
    }

    fn write(&mut self, register: u8, value: u8) -> Result<(), String> {
        match self {
            Bus::I2c(bus) => bus.write(register, value).map_err(|error| error.to_string()),
            Bus::Spi(bus) => bus.write(register, value).map_err(|error| error.to_string()),
        }
    }
}

/// How a chip with a buffer of its own is set for a model.
#[derive(Clone, Copy)]
pub enum Setup {
    Adxl345(adxl345::Setup),
    Lis3dh(lis3dh::Setup),
    Mpu6050(mpu6050::Setup),
    Icm42688(icm42688::Setup),
}

impl Setup {
    /// The chip of the configuration at the model's rate; `None` of a sensor that is no such chip.
    pub fn of(sensor: &config::Sensor, needs: &Needs<'_>) -> Result<Option<Setup>> {
        use config::Sensor as Kind;
        let rate = needs.rate_millihertz;
        let setup = match sensor {
            Kind::Adxl345(_) => adxl345::Setup::new(rate).map(Setup::Adxl345),
            Kind::Lis3dh(at) => lis3dh::Setup::new(rate, at.range_g).map(Setup::Lis3dh),
            Kind::Mpu6050(at) => mpu6050::Setup::new(rate, at.range_g).map(Setup::Mpu6050),
            Kind::Icm42688(at) => icm42688::Setup::new(rate, at.range_g).map(Setup::Icm42688),
            _ => return Ok(None),
        };
        setup.map(Some).map_err(|error| anyhow!("{error}, and it has to for this model"))
    }

    /// What comes of it.
    pub fn format(&self) -> Format {
        match self {
            Setup::Adxl345(setup) => setup.format(),
            Setup::Lis3dh(setup) => setup.format(),
            Setup::Mpu6050(setup) => setup.format(),
            Setup::Icm42688(setup) => setup.format(),
        }
    }

    /// Opens the bus and starts the chip.
    pub fn start(self, at: At<'_>) -> Result<Source> {
        match self {
            Setup::Adxl345(setup) => buffered(at.open(adxl345::ADDRESS)?, at.bus, setup),
            Setup::Lis3dh(setup) => buffered(at.open(lis3dh::ADDRESS)?, at.bus, setup),
            Setup::Mpu6050(setup) => match at.open(mpu6050::ADDRESS)? {
                Bus::Spi(_) => bail!("the MPU-6050 has no SPI: connect it to I²C, and name that `bus`"),
                bus => buffered(bus, at.bus, setup),
            },
            Setup::Icm42688(setup) => buffered(at.open(icm42688::ADDRESS)?, at.bus, setup),
        }
    }
}

/// Starts a chip that keeps instants in a buffer of its own.
fn buffered<C: Chip + Send + 'static>(bus: Bus, path: &Path, setup: C) -> Result<Source> {
    let Format { sensor, rate_millihertz, .. } = setup.format();
    let chip = Buffered::start(bus, setup).map_err(|error| {
        anyhow!("the {sensor} on {} does not answer: {}", path.display(), error.explain())
    })?;
    let interval = time_of(PORTION, rate_millihertz).min(Duration::from_millis(100));
    Ok(Source::new(chip, interval))
}

/// What comes of a BME280.
pub fn bme280_format(needs: &Needs<'_>) -> Format {
    Bme280::<Bus>::format(needs.rate_millihertz)
}

/// Starts a BME280.
pub fn bme280(at: At<'_>, needs: &Needs<'_>) -> Result<Source> {
    let chip = Bme280::start(at.open(bme280::ADDRESS)?).map_err(|error| {
        anyhow!("the BME280 on {} does not answer: {}", at.bus.display(), error.explain())
    })?;
    let rate = needs.rate_millihertz;
    let held = Held::new(chip, bme280_format(needs), 1);
    let interval = time_of(1, rate).clamp(Duration::from_millis(1), Duration::from_millis(100));
    Ok(Source::new(Clocked { held, since: Instant::now(), told: 0 }, interval))
}

/// Slow values at the rate of the processor's clock.
struct Clocked {
    held: Held<Bme280<Bus>, 3>,
    since: Instant,
    /// Instants that were told so far.
    told: u64,
}

impl Sensor for Clocked {
    type Error = teff_app::sensor::bme280::Error<String>;

    fn format(&self) -> Format {
        self.held.format()
    }

    fn read(&mut self, samples: &mut [i16]) -> Result<usize, Self::Error> {
        let rate = u128::from(self.held.format().rate_millihertz);
        let due = self.since.elapsed().as_micros() * rate / 1_000_000_000;
        // 2^64 instants are more than any service runs.
        let more = (due as u64).saturating_sub(self.told);
        self.told += more;
        self.held.elapsed(u32::try_from(more).unwrap_or(u32::MAX));
        self.held.read(samples)
    }

    fn gaps(&self) -> u32 {
        self.held.gaps()
    }
}
