//! Microphones and other analog signals on a converter of 8 to 16 bits, around the middle of its range.

use super::{Convert, Mean, saturate, sensor, sound};
use crate::sensor::Format;

/// An analog signal whose words come from a peripheral, right-aligned.
#[derive(Debug)]
pub struct Adc<S> {
    pub(super) source: S,
    pub(super) format: Format,
    pub(super) filter: Filter,
}

impl<S> Adc<S> {
    /// A microphone on a converter of `bits` (8 to 16). Samples are 2^(16 - bits) times the distance
    /// from the middle, and the mean of the last 4096 or so is removed: amplifiers rest near the middle,
    /// not in it. Words at either end of the range give the largest sample of that side, so that
    /// a saturated signal is still seen to be one.
    pub fn new(source: S, bits: u8, rate_millihertz: u32) -> Self {
        let filter = Filter { bits: bits.clamp(8, 16), mean: Mean::new(12) };
        Adc { source, format: sound("ADC microphone", rate_millihertz), filter }
    }

    /// The peripheral.
    pub fn source_mut(&mut self) -> &mut S {
        &mut self.source
    }
}

sensor!(Adc, u16, Filter);

#[derive(Clone, Debug)]
pub(super) struct Filter {
    bits: u8,
    mean: Mean,
}

impl Filter {
    fn sample(&mut self, word: u16) -> i16 {
        let largest = u16::MAX >> (16 - self.bits);
        let word = word.min(largest);
        let middle = 1 << (self.bits - 1);
        let centred = self.mean.remove((i32::from(word) - middle) << (16 - self.bits));
        match word {
            0 => i16::MIN,
            _ if word == largest => i16::MAX,
            _ => saturate(centred),
        }
    }
}

impl Convert<u16> for Filter {
    fn wanted(&self, room: usize, most: usize) -> usize {
        room.min(most)
    }

    fn convert(&mut self, words: &[u16], samples: &mut [i16]) -> usize {
        let pairs = samples.iter_mut().zip(words);
        pairs.map(|(to, word)| *to = self.sample(*word)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_and_the_mean_are_removed() {
        let mut filter = Filter { bits: 12, mean: Mean::new(12) };
        assert_eq!(filter.sample(2048), 0);
        assert_eq!(filter.sample(2049), 16);
        // A rest of 100 steps above the middle is gone after a while.
        let mut last = 0;
        for _ in 0..60_000 {
            last = filter.sample(2148);
        }
        assert_eq!(last, 0);
        assert_eq!(filter.sample(2149), 16);
    }

    #[test]
    fn the_ends_of_the_range_are_seen() {
        let mut filter = Filter { bits: 12, mean: Mean::new(12) };
        let settled = (0..60_000).map(|_| filter.sample(2500)).last();
        assert_eq!(settled, Some(0));
        assert_eq!((filter.sample(4095), filter.sample(0)), (32_767, -32_768));
        // Beyond what the converter has.
        assert_eq!(filter.sample(5000), 32_767);
        let mut wide = Filter { bits: 16, mean: Mean::new(14) };
        assert_eq!((wide.sample(0), wide.sample(65_535)), (-32_768, 32_767));
        assert_eq!(wide.sample(32_769), 1);
    }
}
