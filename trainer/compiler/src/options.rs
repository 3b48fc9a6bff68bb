//! What a person can ask of the compiler beside the target.

/// Wishes about a plan; the default is what `trainer compile` does without options.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Bytes that the arena may have. With a budget the plan with the least overhead that fits is chosen; without one,
    /// the smallest arena that costs next to no instructions.
    pub ram_bytes: Option<usize>,
    /// Whether spatial operators may run over their own input. Without it every output lies apart from its input: for
    /// comparisons.
    pub overlap: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { ram_bytes: None, overlap: true }
    }
}
