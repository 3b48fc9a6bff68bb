//! Little-endian tables of a blob, read in place.

/// Numbers of 16 bits.
pub(super) type Table16<'a> = &'a [[u8; 2]];

/// Entries of four bytes: pairs of 16-bit numbers.
pub(super) type Table32<'a> = &'a [[u8; 4]];

/// Entries of eight bytes: pairs of 32-bit numbers.
pub(super) type Table64<'a> = &'a [[u8; 8]];

/// The `len` entries of `N` bytes that begin at byte `at`.
pub(super) fn entries<const N: usize>(blob: &[u8], at: usize, len: usize) -> Option<&[[u8; N]]> {
    let end = at.checked_add(len.checked_mul(N)?)?;
    Some(blob.get(at..end)?.as_chunks().0)
}
