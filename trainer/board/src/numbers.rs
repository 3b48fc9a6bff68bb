//! Inputs that host and board draw alike, so that many need not be sent, and the checksum of outputs.
//!
//! The board's side stands in `firmware/verify/src/numbers.rs`; a test there compares them.

/// A stream of numbers, by the xorshift of 32 bits. In every eighth case there are only the least and the greatest
/// int8.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    state: u32,
    extreme: bool,
}

impl Numbers {
    /// Those of case `case`.
    pub fn new(seed: u32, case: u32) -> Numbers {
        // The state is never 0.
        let state = seed.wrapping_add(case.wrapping_mul(0x9e37_79b9)) | 1;
        Numbers { state, extreme: case % 8 == 7 }
    }

    fn next(&mut self) -> u32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        self.state
    }

    /// The next byte of an input.
    pub fn byte(&mut self) -> i8 {
        let byte = (self.next() >> 24) as i8;
        match (self.extreme, byte < 0) {
            (false, _) => byte,
            (true, true) => i8::MIN,
            (true, false) => i8::MAX,
        }
    }
}

/// FNV-1a of 32 bits, continued from `sum`.
pub fn checksum(sum: u32, bytes: &[i8]) -> u32 {
    bytes.iter().fold(sum, |sum, byte| (sum ^ u32::from(*byte as u8)).wrapping_mul(0x0100_0193))
}

/// The checksum of no bytes.
pub const EMPTY: u32 = 0x811c_9dc5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_and_every_eighth_case_is_extreme() {
        let draw = |case| {
            let mut numbers = Numbers::new(3, case);
            (0..2000).map(|_| numbers.byte()).collect::<Vec<i8>>()
        };
        let usual = draw(0);
        assert!((-128..=127).all(|q| usual.contains(&q)));
        assert_ne!(usual, draw(1));
        assert!(draw(7).iter().all(|&q| q == i8::MIN || q == i8::MAX));
    }

    #[test]
    fn the_checksum_is_that_of_its_definition() {
        // "foobar" in the tables of the algorithm's authors.
        let bytes: Vec<i8> = b"foobar".iter().map(|&byte| byte as i8).collect();
        assert_eq!(checksum(EMPTY, &bytes), 0xbf9c_f968);
    }
}
