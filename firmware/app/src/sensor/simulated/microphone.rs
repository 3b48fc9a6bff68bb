//! A simulated I²S microphone: its words lie in a ring that a DMA channel fills.

use core::convert::Infallible;

use crate::sensor::microphone::Words;

/// The left channel is a recording, the right one is silent.
#[derive(Debug)]
pub struct SimulatedI2s<'a> {
    recording: &'a [i16],
    /// How often the recording is heard.
    times: usize,
    /// First word that was not taken yet, and one past the last that was measured.
    oldest: usize,
    newest: usize,
    /// Words that the ring holds.
    room: usize,
    overruns: u32,
    /// It ran over since words were taken last.
    runs_over: bool,
    /// Words that were pushed out.
    lost: usize,
}

impl<'a> SimulatedI2s<'a> {
    /// A ring of `room` words, two for each sample of the recording.
    pub fn new(recording: &'a [i16], room: usize) -> Self {
        let room = room.max(2) / 2 * 2;
        SimulatedI2s {
            recording,
            times: 1,
            oldest: 0,
            newest: 0,
            room,
            overruns: 0,
            runs_over: false,
            lost: 0,
        }
    }

    /// A microphone that hears its recording so many times, one after the other.
    pub fn repeated(self, times: usize) -> Self {
        SimulatedI2s { times, ..self }
    }

    /// Lets the time of some samples pass. What does not fit the ring pushes the oldest out.
    pub fn advance(&mut self, samples: usize) {
        self.newest = (self.newest + 2 * samples).min(self.end());
        if self.newest - self.oldest > self.room {
            // Pairs stay whole.
            let oldest = (self.newest - self.room).next_multiple_of(2);
            self.lost += oldest - self.oldest;
            self.oldest = oldest;
            if !core::mem::replace(&mut self.runs_over, true) {
                self.overruns = self.overruns.wrapping_add(1);
            }
        }
    }

    /// One past the last word.
    fn end(&self) -> usize {
        2 * self.recording.len() * self.times
    }

    /// Samples whose time passed so far.
    pub fn measured(&self) -> usize {
        self.newest / 2
    }

    /// Of them, those that were pushed out of the ring.
    pub fn lost(&self) -> usize {
        self.lost / 2
    }

    /// Whether the recording has been measured and taken to its end.
    pub fn is_over(&self) -> bool {
        self.oldest >= self.end()
    }
}

impl Words<u32> for SimulatedI2s<'_> {
    type Error = Infallible;

    fn take(&mut self, words: &mut [u32]) -> Result<usize, Infallible> {
        let count = words.len().min(self.newest - self.oldest);
        for (at, word) in (self.oldest..).zip(words.iter_mut().take(count)) {
            let sample = (at / 2).checked_rem(self.recording.len()).and_then(|at| self.recording.get(at));
            let sample = sample.copied().filter(|_| at % 2 == 0).unwrap_or(0);
            *word = u32::from(sample as u16) << 16;
        }
        self.oldest += count;
        self.runs_over = false;
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
        late.source_mut().advance(35);
        late.source_mut().advance(5);
        assert_eq!(late.read(&mut samples), Ok(32));
        assert_eq!((samples[..32].to_vec(), late.gaps()), (recording[8..40].to_vec(), 1));
        assert_eq!((late.source_mut().measured(), late.source_mut().lost()), (40, 8));
    }

    #[test]
    fn a_recording_is_heard_again() {
        let ring = SimulatedI2s::new(&[5, 6, 7], 64).repeated(3);
        let (mut microphone, mut samples) = (I2s::new(ring, Slots::Left, 0, 8_000_000), [0; 16]);
        microphone.source_mut().advance(20);
        assert_eq!(microphone.read(&mut samples), Ok(9));
        assert_eq!(samples[..9], [5, 6, 7, 5, 6, 7, 5, 6, 7]);
        assert!(microphone.source_mut().is_over());
    }
}
