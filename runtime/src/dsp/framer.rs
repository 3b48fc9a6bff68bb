//! Cuts a stream of samples into overlapping frames.

use super::conditioner::Conditioner;

/// An instant has no more samples than this.
const FEW: usize = 15;

/// Ring of the newest `frame_len` instants, interleaved by axis.
#[derive(Debug)]
pub(super) struct Framer<'w> {
    ring: &'w mut [i16],
    /// Where the next sample goes: once the ring is full this is the oldest sample.
    at: usize,
    /// Samples still to come before the next frame is complete.
    missing: usize,
    hop: usize,
    /// From here to `at` are samples that no filter ran over yet.
    raw: usize,
}

impl<'w> Framer<'w> {
    /// `ring` has `frame_len * axes` samples, `hop` is `hop_len * axes`.
    pub(super) fn new(ring: &'w mut [i16], hop: usize) -> Self {
        let missing = ring.len();
        Framer { ring, at: 0, missing, hop, raw: 0 }
    }

    /// Forgets all samples.
    pub(super) fn reset(&mut self) {
        (self.at, self.raw) = (0, 0);
        self.missing = self.ring.len();
    }

    /// Takes samples as they are where they are few and complete nothing, and tells whether it did. An application that pushes
    /// instant by instant comes here with all but the last of a hop.
    #[inline(always)]
    pub(super) fn take_few(&mut self, samples: &mut &[i16]) -> bool {
        let n = samples.len();
        let room = self.ring.len() - self.at;
        if n > FEW || n >= self.missing || n >= room {
            return false;
        }
        let Some(target) = self.ring.get_mut(self.at..self.at + n) else { return false };
        for (to, x) in target.iter_mut().zip(*samples) {
            *to = *x;
        }
        self.at += n;
        self.missing -= n;
        *samples = &[];
        true
    }

    /// Lets `conditioner` write samples until a frame is complete, which it tells by `true`, or until it has none. Filters run over all
    /// samples of a hop at once.
    pub(super) fn push<const STAGES: u32>(
        &mut self,
        samples: &mut &[i16],
        conditioner: &mut Conditioner<'_, '_, STAGES>,
    ) -> bool {
        while self.missing > 0 {
            let room = self.ring.len() - self.at;
            let wanted = room.min(self.missing);
            let Some(target) = self.ring.get_mut(self.at..self.at + wanted) else {
                return false;
            };
            let n = conditioner.fill(samples, target);
            if n == 0 || n > wanted {
                return false;
            }
            self.missing -= n;
            self.at += n;
            if n == room || self.missing == 0 {
                conditioner.filter(self.ring.get_mut(self.raw..self.at).unwrap_or(&mut []));
                if n == room {
                    self.at = 0;
                }
                self.raw = self.at;
            }
        }
        self.missing = self.hop;
        true
    }

    /// The frame: its older part, then its newer part.
    pub(super) fn frame(&self) -> (&[i16], &[i16]) {
        let (newer, older) = self.ring.split_at_checked(self.at).unwrap_or((&[], self.ring));
        (older, newer)
    }
}
