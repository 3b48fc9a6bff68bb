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

    /// Lets `fill` write samples until a frame is complete, which it tells by `true`, or until `fill` writes none.
    pub(super) fn push(&mut self, mut fill: impl FnMut(&mut [i16]) -> usize) -> bool {
        while self.missing > 0 {
            let room = self.ring.len() - self.at;
            let wanted = room.min(self.missing);
            let Some(target) = self.ring.get_mut(self.at..self.at + wanted) else {
                return false;
            };
            let n = fill(target);
            if n == 0 || n > wanted {
                return false;
            }
            self.missing -= n;
            self.at = if n == room { 0 } else { self.at + n };
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
