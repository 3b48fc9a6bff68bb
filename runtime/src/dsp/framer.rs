//! Cuts a stream of samples into overlapping frames.

/// Ring of the newest `frame_len` instants, interleaved by axis.
#[derive(Debug)]
pub(super) struct Framer<'w> {
    ring: &'w mut [i16],
    /// Where the next sample goes: once the ring is full this is the oldest sample.
    at: usize,
    /// Samples still to come before the next frame is complete.
    missing: usize,
    hop: usize,
}

impl<'w> Framer<'w> {
    /// `ring` has `frame_len * axes` samples, `hop` is `hop_len * axes`.
    pub(super) fn new(ring: &'w mut [i16], hop: usize) -> Self {
        let missing = ring.len();
        Framer { ring, at: 0, missing, hop }
    }

    /// Forgets all samples.
    pub(super) fn reset(&mut self) {
        self.at = 0;
        self.missing = self.ring.len();
    }

    /// Takes samples from the front of `samples` until a frame is complete, which it tells by `true`, or until
    /// none is left.
    pub(super) fn push(&mut self, samples: &mut &[i16]) -> bool {
        if self.ring.is_empty() {
            *samples = &[];
            return false;
        }
        while self.missing > 0 {
            let Some(target) = self.ring.get_mut(self.at..) else {
                self.at = 0;
                continue;
            };
            let n = target.len().min(self.missing).min(samples.len());
            let Some((now, later)) = samples.split_at_checked(n) else {
                return false;
            };
            for (to, from) in target.iter_mut().zip(now) {
                *to = *from;
            }
            let room = target.len();
            *samples = later;
            self.missing -= n;
            self.at = if n == room { 0 } else { self.at + n };
            if later.is_empty() && self.missing > 0 {
                return false;
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
