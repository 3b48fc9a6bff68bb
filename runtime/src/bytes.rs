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
