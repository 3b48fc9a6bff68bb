//! I²S microphones: words of 32 bits, the sample left-aligned in 24 or more of them.

use teff::quant::shift_right_half_up;

use super::{Convert, saturate, sensor, sound};
use crate::sensor::Format;

/// Which of the words on the line the microphone fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slots {
    /// All of them: the peripheral receives one channel.
    All,
    /// The first of each pair: it receives two, and the microphone is the left one.
    Left,
    /// The second of each pair.
    Right,
}

impl Slots {
    /// How many words to ask for, so that no more than `room` samples come of them; at most `most`.
    pub(super) fn wanted(self, room: usize, most: usize) -> usize {
        if self == Slots::All { room.min(most) } else { room.saturating_mul(2).min(most) }
    }

    /// Whether the next word is a sample. `second` tells, and remembers, its place in a pair.
    pub(super) fn takes(self, second: &mut bool) -> bool {
        let is_second = *second;
        *second = !is_second;
        match self {
            Slots::All => true,
            Slots::Left => !is_second,
            Slots::Right => is_second,
        }
    }
}

/// A microphone whose words come from a peripheral.
#[derive(Debug)]
pub struct I2s<S> {
    pub(super) source: S,
    pub(super) format: Format,
    pub(super) filter: Filter,
}

impl<S> I2s<S> {
    /// Samples are the upper 16 bits of a word times 2^`gain`, at most 2^8: quiet speech uses few of the
    /// 24 bits that such microphones have.
    pub fn new(source: S, slots: Slots, gain: u8, rate_millihertz: u32) -> Self {
        let filter = Filter { slots, second: false, shift: 16 - u32::from(gain.min(8)) };
        I2s { source, format: sound("I2S microphone", rate_millihertz), filter }
    }

    /// The peripheral.
    pub fn source_mut(&mut self) -> &mut S {
        &mut self.source
    }
}

sensor!(I2s, u32, Filter);

#[derive(Clone, Debug)]
pub(super) struct Filter {
    slots: Slots,
    /// The next word is the second of a pair.
    second: bool,
    shift: u32,
}

impl Convert<u32> for Filter {
    fn wanted(&self, room: usize, most: usize) -> usize {
        self.slots.wanted(room, most)
    }

    fn convert(&mut self, words: &[u32], samples: &mut [i16]) -> usize {
        let room = samples.len();
        let mut to = samples.iter_mut();
        for word in words {
            if self.slots.takes(&mut self.second)
                && let Some(to) = to.next()
            {
                // Rounding up must not leave 32 bits.
                let word = (*word as i32).min(i32::MAX - (1 << self.shift));
                *to = saturate(shift_right_half_up(word, self.shift));
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

    fn microphone(
        words: &[u32],
        slots: Slots,
        gain: u8,
    ) -> I2s<impl FnMut(&mut [u32]) -> Result<usize, Infallible>> {
        let mut rest = words.iter();
        let source =
            move |to: &mut [u32]| Ok(to.iter_mut().zip(&mut rest).map(|(to, word)| *to = *word).count());
        I2s::new(source, slots, gain, 16_000_000)
    }

    #[test]
    fn words_are_rounded_and_saturated() {
        let words = [0x7fff_ff00, 0x8000_0000, 0x0001_7f00, 0x0001_8000, 0xffff_8000, 0xffff_7f00];
        let mut samples = [0; 8];
        assert_eq!(microphone(&words, Slots::All, 0).read(&mut samples), Ok(6));
        assert_eq!(samples[..6], [32_767, -32_768, 1, 2, 0, -1]);
        let quiet = [0x0000_1200, 0xffff_ee00, 0x0100_0000, 0x7000_0000];
        assert_eq!(microphone(&quiet, Slots::All, 8).read(&mut samples), Ok(4));
        assert_eq!(samples[..4], [18, -18, 32_767, 32_767]);
    }

    #[test]
    fn one_of_two_channels_is_taken() {
        let words: [u32; 9] = core::array::from_fn(|at| (at as u32) << 16);
        for (slots, expected) in [(Slots::Left, [0, 2, 4, 6]), (Slots::Right, [1, 3, 5, 7])] {
            for room in [1, 3, 4] {
                let (mut sensor, mut samples, mut at) = (microphone(&words, slots, 0), [0; 8], 0);
                while at < 4 {
                    at += sensor.read(&mut samples[at..(at + room).min(4)]).unwrap();
                }
                assert_eq!(samples[..4], expected, "{slots:?}, {room} at once");
            }
        }
    }
}
