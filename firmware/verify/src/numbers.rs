//! Inputs that board and host draw alike, and the checksum of outputs.
//!
//! The host's side, in the package `teff-board`, has the same code: a test compares them.

/// A stream of numbers, by the xorshift of 32 bits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    state: u32,
    /// Whether there are only the least and the greatest int8.
    extreme: bool,
}

impl Numbers {
    /// Those of case `case`.
    pub(crate) fn new(seed: u32, case: u32) -> Numbers {
        // The state is never 0.
        let state = seed.wrapping_add(case.wrapping_mul(0x9e37_79b9)) | 1;
        Numbers { state, extreme: case % 8 == 7 }
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        self.state
    }

    /// The next byte of an input.
    pub(crate) fn byte(&mut self) -> i8 {
        let byte = (self.next() >> 24) as i8;
        match (self.extreme, byte < 0) {
            (false, _) => byte,
            (true, true) => i8::MIN,
            (true, false) => i8::MAX,
        }
    }

    /// A budget of any size.
    pub(crate) fn budget(&mut self) -> u32 {
        let size = self.next() % 32;
        self.next() >> size
    }
}

/// FNV-1a of 32 bits, continued from `sum`.
pub(crate) fn checksum(sum: u32, bytes: &[i8]) -> u32 {
    bytes.iter().fold(sum, |sum, byte| (sum ^ u32::from(*byte as u8)).wrapping_mul(0x0100_0193))
}

/// The checksum of no bytes.
pub(crate) const EMPTY: u32 = 0x811c_9dc5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_draws_the_same() {
        for (seed, case) in [(0, 0), (1, 7), (0xdead_beef, 12)] {
            let mut here = Numbers::new(seed, case);
            let mut host = teff_board::numbers::Numbers::new(seed, case);
            for _ in 0..100 {
                assert_eq!(here.byte(), host.byte());
            }
        }
        let bytes = [-128, 0, 127, 5];
        assert_eq!(
            checksum(EMPTY, &bytes),
            teff_board::numbers::checksum(teff_board::numbers::EMPTY, &bytes)
        );
    }
}
