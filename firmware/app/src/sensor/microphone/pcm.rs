//! Microphones whose peripheral gives samples of 16 bits: a PDM interface with filters of its own, an
//! I²S interface that takes the upper 16 bits of each word.

use super::{Convert, Mean, Slots, saturate, sensor, sound};
use crate::sensor::Format;

/// A microphone whose samples come from a peripheral.
#[derive(Debug)]
pub struct Pcm<S> {
    pub(super) source: S,
    pub(super) format: Format,
    pub(super) filter: Filter,
}

impl<S> Pcm<S> {
    /// Samples are those of `slots`, less the mean of the last 4096 or so; those at either end of the
    /// range stay there, so that a saturated signal is still seen to be one.
    pub fn new(source: S, slots: Slots, rate_millihertz: u32) -> Self {
        let filter = Filter { slots, second: false, mean: Mean::new(12) };
        Pcm { source, format: sound("PCM microphone", rate_millihertz), filter }
    }

    /// The peripheral.
    pub fn source_mut(&mut self) -> &mut S {
        &mut self.source
    }
}

sensor!(Pcm, i16, Filter);

#[derive(Clone, Debug)]
pub(super) struct Filter {
    slots: Slots,
    /// The next word is the second of a pair.
    second: bool,
    mean: Mean,
}

impl Filter {
    fn sample(&mut self, word: i16) -> i16 {
        let centred = self.mean.remove(word.into());
        if word == i16::MIN || word == i16::MAX { word } else { saturate(centred) }
    }
}

impl Convert<i16> for Filter {
    fn wanted(&self, room: usize, most: usize) -> usize {
        self.slots.wanted(room, most)
    }

    fn convert(&mut self, words: &[i16], samples: &mut [i16]) -> usize {
        let room = samples.len();
        let mut to = samples.iter_mut();
        for word in words {
            if self.slots.takes(&mut self.second)
                && let Some(to) = to.next()
            {
                *to = self.sample(*word);
            }
        }
        room - to.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::Sensor;
    use core::convert::Infallible;

    #[test]
    fn one_of_two_channels_is_taken_and_its_mean_removed() {
        let mut at = 0;
        let source = |words: &mut [i16]| -> Result<usize, Infallible> {
            for word in words.iter_mut() {
                *word = if at % 2 == 0 { 300 } else { -7 };
                at += 1;
            }
            Ok(words.len())
        };
        let mut left = Pcm::new(source, Slots::Left, 8_000_000);
        let mut samples = [0; 100];
        assert_eq!(left.read(&mut samples), Ok(100));
        assert_eq!(samples[0], 300);
        for _ in 0..600 {
            assert_eq!(left.read(&mut samples), Ok(100));
        }
        assert_eq!(samples, [0; 100]);
    }

    #[test]
    fn the_ends_of_the_range_are_seen() {
        let mut filter = Filter { slots: Slots::All, second: false, mean: Mean::new(2) };
        (0..100).for_each(|_| {
            filter.sample(1000);
        });
        assert_eq!((filter.sample(i16::MAX), filter.sample(i16::MIN)), (i16::MAX, i16::MIN));
    }
}
