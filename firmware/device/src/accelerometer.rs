//! The accelerometer that is wired to an I²C bus: whichever of those with a driver answers.

use core::fmt;

use embedded_hal_async::i2c::{ErrorType, I2c};
use teff_app::sensor::adxl345::{self, Adxl345};
use teff_app::sensor::buffered::{self, Chip};
use teff_app::sensor::bus::OnI2c;
use teff_app::sensor::icm42688::{self, Icm42688};
use teff_app::sensor::lis3dh::{self, Lis3dh};
use teff_app::sensor::mpu6050::{self, Mpu6050};
use teff_app::sensor::{AsyncSensor, Format, NotOffered};

/// A running accelerometer.
pub enum Accelerometer<B: ErrorType> {
    /// At 53 or 1D.
    Adxl345(Adxl345<OnI2c<B>>),
    /// At 18 or 19; LIS2DH12 too.
    Lis3dh(Lis3dh<OnI2c<B>>),
    /// At 68 or 69.
    Mpu6050(Mpu6050<OnI2c<B>>),
    /// At 68 or 69.
    Icm42688(Icm42688<OnI2c<B>>),
}

/// Why there is no accelerometer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// None of the chips answers at its addresses.
    Absent,
    /// The one that answered cannot be set as the model needs it.
    NotOffered(NotOffered),
    /// The one that answered, named, did not let itself be started.
    Failed(&'static str),
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::Absent => f.write_str(
                "no accelerometer answers on the I2C bus (ADXL345 at 53 or 1d, LIS3DH at 18 or 19, \
                 MPU-6050 or ICM-42688 at 68 or 69): check power, SDA, SCL and pull-ups",
            ),
            Missing::NotOffered(error) => error.fmt(f),
            Missing::Failed(name) => write!(f, "the {name} answers but cannot be started"),
        }
    }
}

impl core::error::Error for Missing {}

/// Whether a chip answers at an address with its identity.
async fn is_at<C: Chip, B: I2c>(bus: &mut B, address: u8) -> bool {
    let (register, expected) = C::IDENTITY;
    let mut identity = [0];
    bus.write_read(address, &[register], &mut identity).await.is_ok() && identity[0] == expected
}

/// The first of two addresses at which a chip answers.
async fn find<C: Chip, B: I2c>(bus: &mut B, address: u8, other: u8) -> Option<u8> {
    if is_at::<C, B>(bus, address).await {
        return Some(address);
    }
    is_at::<C, B>(bus, other).await.then_some(other)
}

/// The smallest range that all chips have and that reaches so far, in g; the largest where nothing is
/// said.
fn range_g(thousandths: Option<u32>) -> u32 {
    let wanted = thousandths.unwrap_or(u32::MAX);
    [2, 4, 8].into_iter().find(|range| wanted <= range * 1000).unwrap_or(16)
}

impl<B: I2c> Accelerometer<B> {
    /// Looks for a chip and starts it at a rate, in thousandths of a hertz, with a range that reaches as
    /// far as the model needs it, in thousandths of g.
    ///
    /// # Errors
    /// [`Missing`] says what to look at.
    pub async fn start(
        mut bus: B,
        rate_millihertz: u32,
        range_thousandths: Option<u32>,
    ) -> Result<Self, Missing> {
        let range = range_g(range_thousandths);
        if let Some(address) = find::<adxl345::Setup, B>(&mut bus, adxl345::ADDRESS, 0x1d).await {
            // It always reaches 16 g.
            let setup = adxl345::Setup::new(rate_millihertz).map_err(Missing::NotOffered)?;
            let chip = Adxl345::start_async(OnI2c::new(bus, address), setup).await;
            return chip.map(Accelerometer::Adxl345).map_err(|_| Missing::Failed("ADXL345"));
        }
        if let Some(address) = find::<lis3dh::Setup, B>(&mut bus, lis3dh::ADDRESS, 0x19).await {
            let setup = lis3dh::Setup::new(rate_millihertz, range).map_err(Missing::NotOffered)?;
            let chip = Lis3dh::start_async(OnI2c::new(bus, address), setup).await;
            return chip.map(Accelerometer::Lis3dh).map_err(|_| Missing::Failed("LIS3DH"));
        }
        if let Some(address) = find::<mpu6050::Setup, B>(&mut bus, mpu6050::ADDRESS, 0x69).await {
            let setup = mpu6050::Setup::new(rate_millihertz, range).map_err(Missing::NotOffered)?;
            let chip = Mpu6050::start_async(OnI2c::new(bus, address), setup).await;
            return chip.map(Accelerometer::Mpu6050).map_err(|_| Missing::Failed("MPU-6050"));
        }
        if let Some(address) = find::<icm42688::Setup, B>(&mut bus, icm42688::ADDRESS, 0x69).await {
            let setup = icm42688::Setup::new(rate_millihertz, range).map_err(Missing::NotOffered)?;
            let chip = Icm42688::start_async(OnI2c::new(bus, address), setup).await;
            return chip.map(Accelerometer::Icm42688).map_err(|_| Missing::Failed("ICM-42688"));
        }
        Err(Missing::Absent)
    }
}

impl<B: I2c> AsyncSensor for Accelerometer<B> {
    type Error = buffered::Error<B::Error>;

    fn format(&self) -> Format {
        match self {
            Accelerometer::Adxl345(chip) => chip.format(),
            Accelerometer::Lis3dh(chip) => chip.format(),
            Accelerometer::Mpu6050(chip) => chip.format(),
            Accelerometer::Icm42688(chip) => chip.format(),
        }
    }

    async fn read(&mut self, samples: &mut [i16]) -> Result<usize, Self::Error> {
        match self {
            Accelerometer::Adxl345(chip) => chip.read(samples).await,
            Accelerometer::Lis3dh(chip) => chip.read(samples).await,
            Accelerometer::Mpu6050(chip) => chip.read(samples).await,
            Accelerometer::Icm42688(chip) => chip.read(samples).await,
        }
    }

    fn gaps(&self) -> u32 {
        match self {
            Accelerometer::Adxl345(chip) => chip.gaps(),
            Accelerometer::Lis3dh(chip) => chip.gaps(),
            Accelerometer::Mpu6050(chip) => chip.gaps(),
            Accelerometer::Icm42688(chip) => chip.gaps(),
        }
    }

    async fn restart(&mut self) -> Result<(), Self::Error> {
        match self {
            Accelerometer::Adxl345(chip) => chip.restart().await,
            Accelerometer::Lis3dh(chip) => chip.restart().await,
            Accelerometer::Mpu6050(chip) => chip.restart().await,
            Accelerometer::Icm42688(chip) => chip.restart().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;
    use teff_app::sensor::bus::complete;
    use teff_app::sensor::simulated::{
        SimulatedAdxl345, SimulatedIcm42688, SimulatedLis3dh, SimulatedMpu6050,
    };

    /// A recording of three instants.
    static RECORDING: [i16; 9] = [16, 32, 48, 64, 80, 96, 112, 128, 144];

    fn started<B: I2c>(bus: B, rate_hz: u32, range_g: u32) -> Result<(&'static str, u32), Missing> {
        let range = Some(range_g * 1000 - 100);
        let chip = complete(Accelerometer::start(bus, rate_hz * 1000, range))?;
        assert_eq!(chip.format().rate_millihertz, rate_hz * 1000);
        Ok((chip.format().sensor, chip.format().counts_per_thousand_units / 1000))
    }

    #[test]
    fn whichever_chip_is_wired_is_found() {
        assert_eq!(started(SimulatedAdxl345::new(&RECORDING), 1600, 16), Ok(("ADXL345", 256)));
        assert_eq!(started(SimulatedLis3dh::new(&RECORDING), 400, 4), Ok(("LIS3DH", 8000)));
        assert_eq!(started(SimulatedMpu6050::new(&RECORDING), 200, 8), Ok(("MPU-6050", 4096)));
        assert_eq!(started(SimulatedIcm42688::new(&RECORDING), 1000, 2), Ok(("ICM-42688-P", 16_384)));
    }

    #[test]
    fn it_measures() {
        let mut bus = SimulatedAdxl345::new(&RECORDING);
        let mut samples = [0; 32];
        let mut chip = complete(Accelerometer::start(&mut bus, 100_000, None)).unwrap();
        let Accelerometer::Adxl345(of_kind) = &mut chip else { panic!("another chip") };
        of_kind.registers_mut().bus_mut().advance(3);
        assert_eq!(complete(chip.read(&mut samples)), Ok(3));
        assert_eq!(samples[..9], RECORDING);
    }

    #[test]
    fn what_is_missing_is_said() {
        let refused = started(SimulatedMpu6050::new(&RECORDING), 1600, 16).unwrap_err().to_string();
        assert_eq!(
            refused,
            "the MPU-6050 cannot give 1600000 samples per 1000 seconds; the nearest it has is 1000000"
        );
        struct Nothing;
        impl ErrorType for Nothing {
            type Error = embedded_hal_async::i2c::ErrorKind;
        }
        impl I2c for Nothing {
            async fn transaction(
                &mut self,
                _: u8,
                _: &mut [embedded_hal_async::i2c::Operation<'_>],
            ) -> Result<(), Self::Error> {
                Err(embedded_hal_async::i2c::ErrorKind::Bus)
            }
        }
        assert_eq!(started(Nothing, 100, 2), Err(Missing::Absent));
    }
}
