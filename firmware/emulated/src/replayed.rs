//! Simulated sensors, for which time passes as a program says.

use teff_app::sensor::Sensor;
use teff_app::sensor::adxl345::Adxl345;
use teff_app::sensor::bus::OnI2c;
use teff_app::sensor::faulty::Faulty;
use teff_app::sensor::microphone::I2s;
use teff_app::sensor::rescaled::Rescaled;
use teff_app::sensor::simulated::{SimulatedAdxl345, SimulatedI2s};

/// What became of a recording's instants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// Those whose time passed.
    pub instants: u64,
    /// Of them, those that never left the sensor.
    pub lost: u64,
}

/// A simulated sensor.
pub trait Replayed {
    /// Lets the time of so many measurements pass; tells whether there are more.
    fn advance(&mut self, instants: usize) -> bool;

    /// What became of the measurements.
    fn passed(&mut self) -> Passed;
}

impl Replayed for Adxl345<OnI2c<SimulatedAdxl345<'_>>> {
    fn advance(&mut self, instants: usize) -> bool {
        let chip = self.registers_mut().bus_mut();
        chip.advance(instants);
        !chip.is_over()
    }

    fn passed(&mut self) -> Passed {
        let chip = self.registers_mut().bus_mut();
        Passed { instants: chip.measured() as u64, lost: chip.lost() as u64 }
    }
}

impl Replayed for I2s<SimulatedI2s<'_>> {
    fn advance(&mut self, instants: usize) -> bool {
        let ring = self.source_mut();
        ring.advance(instants);
        !ring.is_over()
    }

    fn passed(&mut self) -> Passed {
        let ring = self.source_mut();
        Passed { instants: ring.measured() as u64, lost: ring.lost() as u64 }
    }
}

impl<S: Replayed> Replayed for Rescaled<S> {
    fn advance(&mut self, instants: usize) -> bool {
        self.sensor_mut().advance(instants)
    }

    fn passed(&mut self) -> Passed {
        self.sensor_mut().passed()
    }
}

impl<S: Replayed + Sensor> Replayed for Faulty<'_, S> {
    fn advance(&mut self, instants: usize) -> bool {
        self.sensor_mut().advance(instants)
    }

    fn passed(&mut self) -> Passed {
        let Passed { instants, lost } = self.sensor_mut().passed();
        Passed { instants, lost: lost + self.vanished() }
    }
}
