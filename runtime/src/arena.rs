//! The memory that a session works in.

/// `N` bytes on a 16-byte boundary, for all activations and scratch of one model.
///
/// `N` is known when the firmware is built: `Arena::<{ Digits::ARENA_BYTES }>::new()`. May be placed in a
/// `static` (it is `const`-constructible and all zero, so it costs no flash).
#[repr(C, align(16))]
pub struct Arena<const N: usize>([i8; N]);

impl<const N: usize> Arena<N> {
    /// An arena of zeros.
    pub const fn new() -> Self {
        Self([0; N])
    }

    /// The memory itself.
    pub const fn as_mut_slice(&mut self) -> &mut [i8] {
        &mut self.0
    }
}

impl<const N: usize> Default for Arena<N> {
    fn default() -> Self {
        Self::new()
    }
}
