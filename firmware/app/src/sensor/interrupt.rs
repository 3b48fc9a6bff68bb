//! An asynchronous sensor that waits for its interrupt line.

use embedded_hal_async::digital::Wait;

use super::{AsyncSensor, Format};

/// A sensor whose pin is high while it has something to read.
#[derive(Debug)]
pub struct OnInterrupt<S, P> {
    sensor: S,
    pin: P,
}

/// Why waiting or reading failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum InterruptError<S, P> {
    /// The sensor reported an error.
    Sensor(S),
    /// The pin reported an error.
    Pin(P),
}

impl<S: AsyncSensor, P: Wait> OnInterrupt<S, P> {
    /// The sensor with its pin.
    pub fn new(sensor: S, pin: P) -> Self {
        OnInterrupt { sensor, pin }
    }

    /// The sensor itself.
    pub fn sensor_mut(&mut self) -> &mut S {
        &mut self.sensor
    }
}

impl<S: AsyncSensor, P: Wait> AsyncSensor for OnInterrupt<S, P> {
    type Error = InterruptError<S::Error, P::Error>;

    fn format(&self) -> Format {
        self.sensor.format()
    }

    async fn read(&mut self, samples: &mut [i16]) -> Result<usize, Self::Error> {
        self.pin.wait_for_high().await.map_err(InterruptError::Pin)?;
        self.sensor.read(samples).await.map_err(InterruptError::Sensor)
    }

    fn gaps(&self) -> u32 {
        self.sensor.gaps()
    }

    async fn restart(&mut self) -> Result<(), Self::Error> {
        self.sensor.restart().await.map_err(InterruptError::Sensor)
    }
}
