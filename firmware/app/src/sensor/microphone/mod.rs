//! Microphones: the words of a peripheral (PDM, I²S, ADC) as samples of 16 bits.
//!
//! The peripheral's side is a [`Words`] (or [`AsyncWords`]): a closure over a DMA buffer, or anything
//! that `embedded-io` reads from. The samples' side is a [`Sensor`](super::Sensor).

mod adc;
mod i2s;
mod pcm;
mod pdm;

pub use adc::Adc;
pub use i2s::{I2s, Slots};
pub use pcm::Pcm;
pub use pdm::{Decimation, FIR_TAPS, Pdm};

use embedded_io::{ErrorType, Read, ReadReady};
use embedded_io_async::Read as AsyncRead;

use super::Format;

/// Where words of a peripheral come from.
pub trait Words<T> {
    /// Why reading failed.
    type Error;

    /// Takes what is ready, as far as `words` has room, and returns how many came.
    ///
    /// # Errors
    /// When the peripheral reports one.
    fn take(&mut self, words: &mut [T]) -> Result<usize, Self::Error>;

    /// How often words were lost since the start because they were taken late.
    fn overruns(&self) -> u32 {
        0
    }
}

/// What [`Words`] is, where reading waits without blocking.
#[allow(async_fn_in_trait)]
pub trait AsyncWords<T> {
    /// Why reading failed.
    type Error;

    /// Takes what is ready, at least one word, and returns how many came; 0 when there will be none.
    ///
    /// # Errors
    /// When the peripheral reports one.
    async fn take(&mut self, words: &mut [T]) -> Result<usize, Self::Error>;

    /// How often words were lost since the start because they were taken late.
    fn overruns(&self) -> u32 {
        0
    }
}

impl<T, E, F: FnMut(&mut [T]) -> Result<usize, E>> Words<T> for F {
    type Error = E;

    fn take(&mut self, words: &mut [T]) -> Result<usize, E> {
        self(words)
    }
}

/// A peripheral that `embedded-io` or `embedded-io-async` reads bytes from.
#[derive(Debug)]
pub struct FromIo<R>(pub R);

impl<R: Read + ReadReady> Words<u8> for FromIo<R> {
    type Error = R::Error;

    fn take(&mut self, words: &mut [u8]) -> Result<usize, R::Error> {
        if self.0.read_ready()? { self.0.read(words) } else { Ok(0) }
    }
}

impl<R: AsyncRead> AsyncWords<u8> for FromIo<R> {
    type Error = <R as ErrorType>::Error;

    async fn take(&mut self, words: &mut [u8]) -> Result<usize, Self::Error> {
        self.0.read(words).await
    }
}

/// Words of one kind to samples.
trait Convert<W> {
    /// How many words to ask for, so that no more than `room` samples come of them; at most `most`.
    fn wanted(&self, room: usize, most: usize) -> usize;

    /// Samples of `words`; returns how many.
    fn convert(&mut self, words: &[W], samples: &mut [i16]) -> usize;
}

/// Words of one transfer.
const TRANSFER_WORDS: usize = 64;

fn read<W, S, C>(source: &mut S, convert: &mut C, samples: &mut [i16]) -> Result<usize, S::Error>
where
    W: Copy + Default,
    S: Words<W>,
    C: Convert<W>,
{
    let (mut words, mut taken) = ([W::default(); TRANSFER_WORDS], 0);
    while let Some((_, room)) = samples.split_at_mut_checked(taken)
        && !room.is_empty()
    {
        let wanted = convert.wanted(room.len(), TRANSFER_WORDS);
        let Some(asked) = words.get_mut(..wanted) else { break };
        let came = match source.take(asked) {
            Ok(came) => came,
            // What came before the error is whole; the error comes again, or it is over.
            Err(_) if taken > 0 => break,
            Err(error) => return Err(error),
        };
        if came == 0 {
            break;
        }
        taken += convert.convert(asked.get(..came).unwrap_or(asked), room);
    }
    Ok(taken)
}

async fn read_async<W, S, C>(source: &mut S, convert: &mut C, samples: &mut [i16]) -> Result<usize, S::Error>
where
    W: Copy + Default,
    S: AsyncWords<W>,
    C: Convert<W>,
{
    let mut words = [W::default(); TRANSFER_WORDS];
    loop {
        let wanted = convert.wanted(samples.len(), TRANSFER_WORDS);
        let Some(asked) = words.get_mut(..wanted) else { return Ok(0) };
        if asked.is_empty() {
            return Ok(0);
        }
        let came = source.take(asked).await?;
        let taken = convert.convert(asked.get(..came).unwrap_or(asked), samples);
        // A few words may be less than a sample.
        if taken > 0 || came == 0 {
            return Ok(taken);
        }
    }
}

/// Both traits of a sensor, for a microphone over words of one type.
macro_rules! sensor {
    ($microphone:ident, $words:ty, $filter:ty) => {
        impl<S: super::Words<$words>> crate::sensor::Sensor for $microphone<S> {
            type Error = S::Error;

            fn format(&self) -> crate::sensor::Format {
                self.format
            }

            fn read(&mut self, samples: &mut [i16]) -> Result<usize, S::Error> {
                super::read(&mut self.source, &mut self.filter, samples)
            }

            fn gaps(&self) -> u32 {
                self.source.overruns()
            }
        }

        impl<S: super::AsyncWords<$words>> crate::sensor::AsyncSensor for $microphone<S> {
            type Error = S::Error;

            fn format(&self) -> crate::sensor::Format {
                self.format
            }

            async fn read(&mut self, samples: &mut [i16]) -> Result<usize, S::Error> {
                super::read_async(&mut self.source, &mut self.filter, samples).await
            }

            fn gaps(&self) -> u32 {
                self.source.overruns()
            }
        }
    };
}
use sensor;

/// Sound: 32,768 counts are full scale, which is no physical unit.
fn sound(sensor: &'static str, rate_millihertz: u32) -> Format {
    Format {
        sensor,
        rate_millihertz,
        axes: 1,
        unit: "",
        counts_per_thousand_units: 32_768_000,
        full_scale: 32_768,
    }
}

/// Follows the mean of a signal: what a microphone or its amplifier adds to silence.
#[derive(Clone, Debug)]
struct Mean {
    /// The mean in 2^-`shift` counts.
    sum: i32,
    shift: u8,
}

impl Mean {
    /// A time constant of 2^`shift` samples, at most 2^14.
    const fn new(shift: u8) -> Self {
        Mean { sum: 0, shift: if shift > 14 { 14 } else { shift } }
    }

    /// The sample less the mean before it.
    fn remove(&mut self, sample: i32) -> i32 {
        let centred = sample - (self.sum >> self.shift);
        // A sample is below 2^16, so that the sum stays below 2^31.
        self.sum += centred.clamp(-(1 << 16), 1 << 16);
        centred
    }
}

fn saturate(sample: i32) -> i16 {
    sample.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::bus::complete;
    use crate::sensor::{AsyncSensor, Sensor};
    use core::convert::Infallible;

    /// Hands out bytes, a few at a time.
    struct Line<'a>(&'a [u8], usize);

    impl ErrorType for Line<'_> {
        type Error = Infallible;
    }

    impl Read for Line<'_> {
        fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
            let len = bytes.len().min(self.1).min(self.0.len());
            bytes[..len].copy_from_slice(&self.0[..len]);
            self.0 = &self.0[len..];
            Ok(len)
        }
    }

    impl ReadReady for Line<'_> {
        fn read_ready(&mut self) -> Result<bool, Infallible> {
            Ok(!self.0.is_empty())
        }
    }

    impl AsyncRead for Line<'_> {
        async fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
            Read::read(self, bytes)
        }
    }

    #[test]
    fn a_mean_is_followed_and_removed() {
        let mut mean = Mean::new(6);
        let settled = (0..2000).map(|_| mean.remove(700)).last().unwrap();
        assert_eq!(settled, 0);
        let mut extreme = Mean::new(14);
        (0..200_000).for_each(|at| {
            assert!(extreme.remove(if at % 3 == 0 { -32_768 } else { 32_767 }).abs() < 1 << 16)
        });
    }

    /// Blocking and asynchronous reads of the same bytes give the same samples, however they are cut.
    #[test]
    fn bytes_of_a_line_become_samples_either_way() {
        let bytes: [u8; 800] = core::array::from_fn(|at| (at * at % 251) as u8);
        let new = |portion| Pdm::new(FromIo(Line(&bytes, portion)), Decimation::By64, 16_000_000);
        let (mut expected, mut samples) = ([0; 120], [0; 120]);
        let count = Sensor::read(&mut new(800), &mut expected).unwrap();
        assert_eq!(count, 100);
        for portion in [1, 3, 8, 50] {
            let (mut sensor, mut at) = (new(portion), 0);
            while at < count {
                at += Sensor::read(&mut sensor, &mut samples[at..at + 7]).unwrap();
            }
            assert_eq!(samples[..count], expected[..count]);
            let (mut sensor, mut at) = (new(portion), 0);
            while at < count {
                at += complete(AsyncSensor::read(&mut sensor, &mut samples[at..at + 7])).unwrap();
            }
            assert_eq!(samples[..count], expected[..count]);
        }
    }
}
