//! Points of the Fourier transform: two numbers of 16 bits in a word.

use crate::quant::shift_right_half_up;

/// Real and imaginary part.
pub(super) type Complex = (i32, i32);

#[inline(always)]
pub(super) fn pack(re: i32, im: i32) -> u32 {
    (re as u16 as u32) | ((im as u32) << 16)
}

#[inline(always)]
pub(super) fn unpack(word: u32) -> Complex {
    (i32::from(word as u16 as i16), (word as i32) >> 16)
}

/// The bits that the numbers of a block use, gathered word by word: a bit is set where a number's bit differs from the
/// one below it. The highest such bit of a number is where the copies of its sign end.
#[derive(Clone, Copy, Default)]
pub(super) struct Extent(pub(super) u32);

impl Extent {
    #[inline(always)]
    pub(super) fn add(&mut self, word: u32) {
        self.0 |= word ^ (word << 1);
    }

    /// The least `b` for which all numbers are in [-2^b, 2^b - 1].
    pub(super) fn bits(self) -> u32 {
        // Bit 0 of each half compares with a number that is none of its own.
        u32::BITS - (((self.0 | (self.0 >> 16)) & 0xfffe) >> 1).leading_zeros()
    }
}

/// The square of a number's size, its parts shifted right by `shift` and rounded half up.
#[inline(always)]
pub(super) fn power(re: i32, im: i32, shift: u32) -> u32 {
    // Below 2^16 in size, so that the square is right without the sign too.
    let (re, im) = (shift_right_half_up(re, shift) as u32, shift_right_half_up(im, shift) as u32);
    re.wrapping_mul(re).wrapping_add(im.wrapping_mul(im))
}
