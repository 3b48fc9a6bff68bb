//! A number that tells whether two runs had the same scores at the same instants.

/// FNV-1a, 32 bits.
#[derive(Clone, Copy, Debug)]
pub struct Fingerprint(u32);

impl Default for Fingerprint {
    fn default() -> Self {
        Self::new()
    }
}

impl Fingerprint {
    /// Of nothing.
    pub const fn new() -> Self {
        Fingerprint(0x811c_9dc5)
    }

    /// Adds the instant of an inference, its low byte first, and the inference's scores.
    pub fn add(&mut self, instant: u64, scores: impl Iterator<Item = u8>) {
        for byte in instant.to_le_bytes().into_iter().chain(scores) {
            self.0 = (self.0 ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
    }

    /// The number.
    pub const fn value(self) -> u32 {
        self.0
    }
}
