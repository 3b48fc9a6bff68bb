//! A simulated I²S microphone: its words lie in a ring that a DMA channel fills.

use core::convert::Infallible;

use crate::sensor::microphone::Words;

/// The left channel is a recording, the right one is silent.
#[derive(Debug)]
pub struct SimulatedI2s<'a> {
    recording: &'a [i16],
    /// First word that was not taken yet, and one past the last that was measured.
    oldest: usize,
    newest: usize,
    /// Words that the ring holds.
    room: usize,
    overruns: u32,
}

impl<'a> SimulatedI2s<'a> {
    /// A ring of `room` words, two for each sample of the recording.
    pub fn new(recording: &'a [i16], room: usize) -> Self {
        SimulatedI2s { recording, oldest: 0, newest: 0, room: room.max(2) / 2 * 2, overruns: 0 }
    }

    /// Lets the time of some samples pass. What does not fit the ring pushes the oldest out.
    pub fn advance(&mut self, samples: usize) {
        self.newest = (self.newest + 2 * samples).min(2 * self.recording.len());
        if self.newest - self.oldest > self.room {
            // Pairs stay whole.
            self.oldest = (self.newest - self.room).next_multiple_of(2);
            self.overruns = self.overruns.wrapping_add(1);
        }
    }

    /// Whether the recording has been measured and taken to its end.
    pub fn is_over(&self) -> bool {
        self.oldest >= 2 * self.recording.len()
    }
}

impl Words<u32> for SimulatedI2s<'_> {
    type Error = Infallible;

    fn take(&mut self, words: &mut [u32]) -> Result<usize, Infallible> {
        let count = words.len().min(self.newest - self.oldest);
        for (at, word) in (self.oldest..).zip(words.iter_mut().take(count)) {
            let sample = if at % 2 == 0 { self.recording.get(at / 2).copied().unwrap_or(0) } else { 0 };
            *word = u32::from(sample as u16) << 16;
        }
        self.oldest += count;
        Ok(count)
    }

    fn overruns(&self) -> u32 {
        self.overruns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sensor::Sensor;
    use crate::sensor::microphone::{I2s, Slots};
    use std::vec::Vec;

    #[test]
    fn a_recording_is_heard_sample_for_sample() {
        let recording: Vec<i16> = (0..500).map(|n: i16| n.wrapping_mul(911)).collect();
        let mut microphone = I2s::new(SimulatedI2s::new(&recording, 64), Slots::Left, 0, 8_000_000);
        let (mut heard, mut samples) = (Vec::new(), [0; 40]);
        while !microphone.source_mut().is_over() {
            microphone.source_mut().advance(13);
            let count = microphone.read(&mut samples).unwrap();
            heard.extend_from_slice(&samples[..count]);
        }
        assert_eq!(heard, recording);
        assert_eq!(microphone.gaps(), 0);

        let mut late = I2s::new(SimulatedI2s::new(&recording, 64), Slots::Left, 0, 8_000_000);
        late.source_mut().advance(40);
        assert_eq!(late.read(&mut samples), Ok(32));
        assert_eq!((samples[..32].to_vec(), late.gaps()), (recording[8..40].to_vec(), 1));
    }
}
