//! Casts between byte slices and slices of wider or signed integers: the only `unsafe` outside
//! `kernels/arch`. Every cast checks what it relies on and has no other way to fail.
#![allow(unsafe_code)]

/// The same memory as signed bytes.
#[inline(always)]
pub(crate) const fn as_i8(bytes: &[u8]) -> &[i8] {
    // SAFETY: i8 and u8 have the same size, alignment and set of valid bit patterns; the lifetime and
    // the length are those of `bytes`.
    unsafe { core::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len()) }
}

/// On a 16-byte boundary: what [`crate::include_model!`] puts around a plan.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct Aligned<T: ?Sized>(pub T);

/// Bytes that begin on a 16-byte boundary, so that numbers in them can be read in place, in `const` context too.
#[derive(Clone, Copy, Debug)]
pub struct PlanBytes<'a>(&'a [u8]);

impl<'a> PlanBytes<'a> {
    /// Bytes whose type says where they lie.
    pub const fn of(bytes: &'a Aligned<[u8]>) -> Self {
        Self(&bytes.0)
    }

    /// `None` where the bytes do not begin on a 16-byte boundary.
    pub fn new(bytes: &'a [u8]) -> Option<Self> {
        (bytes.as_ptr().align_offset(align_of::<Aligned<u8>>()) == 0).then_some(Self(bytes))
    }

    /// The bytes.
    #[inline(always)]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The first `len` bytes; all where there are fewer.
    pub(crate) const fn first(self, len: usize) -> Self {
        match self.0.split_at_checked(len) {
            Some((first, _)) => Self(first),
            None => self,
        }
    }

    /// `N` little-endian words from byte `offset` on, which is taken for the multiple of four below it; `None` where they are not
    /// all inside.
    #[inline(always)]
    pub(crate) const fn record<const N: usize>(self, offset: usize) -> Option<&'a [u32; N]> {
        let offset = offset & !3;
        match self.0.len().checked_sub(4 * N) {
            Some(last) if offset <= last => {
                // SAFETY: `N` words from `offset` on lie inside the slice; for the rest see `words`.
                Some(unsafe { &*self.0.as_ptr().add(offset).cast() })
            }
            _ => None,
        }
    }

    /// `count` little-endian words from byte `offset` on; none where they are not all inside or `offset` is no multiple of
    /// four.
    #[inline(always)]
    pub(crate) const fn words(self, offset: usize, count: usize) -> &'a [u32] {
        let len = self.0.len();
        if offset > len || (len - offset) / 4 < count || !offset.is_multiple_of(4) {
            return &[];
        }
        // SAFETY: `count` words from `offset` on lie inside the slice, whose lifetime the result has; the slice begins on a
        // 16-byte boundary by construction and `offset` is a multiple of four; every bit pattern is a valid word.
        unsafe { core::slice::from_raw_parts(self.0.as_ptr().add(offset).cast(), count) }
    }
}

/// The same memory as signed words.
#[inline(always)]
pub(crate) const fn as_signed(words: &[u32]) -> &[i32] {
    // SAFETY: i32 and u32 have the same size, alignment and set of valid bit patterns; the lifetime and the length are
    // those of `words`.
    unsafe { core::slice::from_raw_parts(words.as_ptr().cast(), words.len()) }
}

/// The same memory as little-endian words, or an empty slice where `bytes` does not begin on a
/// four-byte boundary. A trailing part of fewer than four bytes is left out.
#[inline(always)]
pub(crate) fn as_i32(bytes: &[u8]) -> &[i32] {
    // SAFETY: every bit pattern is a valid i32; `align_to` puts only whole, aligned words into the middle.
    let (head, words, _) = unsafe { bytes.align_to::<i32>() };
    if head.is_empty() { words } else { &[] }
}

/// As [`as_i32`], numbers of 16 bits on a two-byte boundary.
#[inline(always)]
pub(crate) fn as_i16(bytes: &[u8]) -> &[i16] {
    // SAFETY: every bit pattern is a valid i16; `align_to` puts only whole, aligned numbers into the middle.
    let (head, numbers, _) = unsafe { bytes.align_to::<i16>() };
    if head.is_empty() { numbers } else { &[] }
}

/// As [`as_i16`], unsigned.
#[inline(always)]
pub(crate) fn as_u16(bytes: &[u8]) -> &[u16] {
    // SAFETY: every bit pattern is a valid u16; `align_to` puts only whole, aligned numbers into the middle.
    let (head, numbers, _) = unsafe { bytes.align_to::<u16>() };
    if head.is_empty() { numbers } else { &[] }
}

/// As [`as_i32`], unsigned.
#[inline(always)]
pub(crate) fn as_u32(bytes: &[u8]) -> &[u32] {
    // SAFETY: every bit pattern is a valid u32; `align_to` puts only whole, aligned words into the middle.
    let (head, words, _) = unsafe { bytes.align_to::<u32>() };
    if head.is_empty() { words } else { &[] }
}

/// The same memory as bytes.
#[cfg(any(test, feature = "std"))]
#[inline(always)]
pub(crate) fn u128_as_bytes(words: &[u128]) -> &[u8] {
    // SAFETY: u128 has no padding and u8 has alignment 1; the length in bytes is that of `words`.
    unsafe { core::slice::from_raw_parts(words.as_ptr().cast(), core::mem::size_of_val(words)) }
}

/// The same memory as bytes, mutable.
#[cfg(any(test, feature = "std"))]
#[inline(always)]
pub(crate) fn u128_as_bytes_mut(words: &mut [u128]) -> &mut [u8] {
    // SAFETY: as in `u128_as_bytes`; every bit pattern written through the bytes is a valid u128.
    unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), core::mem::size_of_val(words)) }
}

/// The same memory as signed bytes, mutable.
#[cfg(any(test, feature = "std"))]
#[inline(always)]
pub(crate) const fn as_i8_mut(bytes: &mut [u8]) -> &mut [i8] {
    // SAFETY: as in `as_i8`; the exclusive borrow passes on to the result.
    unsafe { core::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), bytes.len()) }
}

/// The same words as twice as many numbers of 16 bits, mutable.
#[inline(always)]
pub(crate) fn u32_as_i16_mut(words: &mut [u32]) -> &mut [i16] {
    // SAFETY: u32 is aligned for i16 and has no padding; every bit pattern is valid for both; the length in bytes is
    // that of `words`.
    unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), words.len() * 2) }
}

/// The same words as four times as many signed bytes, mutable.
#[inline(always)]
pub(crate) fn u32_as_i8_mut(words: &mut [u32]) -> &mut [i8] {
    // SAFETY: i8 has alignment 1 and u32 no padding; every bit pattern is valid for both; the length in bytes is that
    // of `words`.
    unsafe { core::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), words.len() * 4) }
}
