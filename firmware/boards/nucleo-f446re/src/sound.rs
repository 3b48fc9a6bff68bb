//! From the ring that the I²S peripheral fills to whoever asks for samples.

use embassy_stm32::i2s::{Error, I2S};
use teff_app::sensor::microphone::AsyncWords;

/// Words of the ring: 16 milliseconds at 16 kHz, of two channels.
pub const RING: usize = 512;

/// The upper 16 bits of both channels, the left one of each pair first.
pub struct Receiver {
    i2s: I2S<'static, u16>,
    overruns: u32,
}

impl Receiver {
    /// Starts the clocks.
    pub fn start(mut i2s: I2S<'static, u16>) -> Self {
        i2s.start();
        Receiver { i2s, overruns: 0 }
    }
}

impl AsyncWords<i16> for Receiver {
    type Error = Error;

    async fn take(&mut self, words: &mut [i16]) -> Result<usize, Error> {
        let mut taken = [0_u16; 64];
        // Pairs stay whole.
        let len = words.len().min(taken.len()) & !1;
        let Some(taken) = taken.get_mut(..len) else { return Ok(0) };
        // The ring goes on behind what ran over it.
        if let Err(error) = self.i2s.read(taken).await {
            self.overruns = self.overruns.wrapping_add(1);
            return Err(error);
        }
        words.iter_mut().zip(taken).for_each(|(to, word)| *to = word.cast_signed());
        Ok(len)
    }

    fn overruns(&self) -> u32 {
        self.overruns
    }
}
