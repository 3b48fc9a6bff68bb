//! The suite's generator: seeded, so that a failure on a board can be repeated on the host.

/// A xorshift generator of 32 bits.
#[derive(Clone, Copy, Debug)]
pub struct Random(u32);

impl Random {
    /// A generator that gives the same numbers for the same `seed`.
    pub const fn new(seed: u32) -> Self {
        // The state must not be 0.
        Self(seed ^ 0x9E37_79B9 | 1)
    }

    /// The next 32 bits.
    pub fn bits(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0
    }

    /// A number in `[low, high]`; the range holds less than 2^31 numbers.
    pub fn within(&mut self, low: i32, high: i32) -> i32 {
        let count = high.wrapping_sub(low).unsigned_abs().wrapping_add(1).max(1);
        low.wrapping_add((self.bits() >> 1).checked_rem(count).unwrap_or(0) as i32)
    }

    /// A value in [-128, 127].
    pub fn value(&mut self) -> i8 {
        (self.bits() >> 24) as u8 as i8
    }

    /// A weight in [-127, 127].
    pub fn weight(&mut self) -> i8 {
        self.value().max(-127)
    }
}
