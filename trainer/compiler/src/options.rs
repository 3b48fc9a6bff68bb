//! What a person can ask of the compiler beside the target.

use crate::error::{Error, Result};
use teff::kernels::params::Packing;
use teff::shape::Layout;

/// Wishes about a plan; the default is what `trainer compile` does without options.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Bytes that the arena may have. With a budget the plan with the least overhead that fits is chosen; without one,
    /// the smallest arena that costs next to no instructions.
    pub ram_bytes: Option<usize>,
    /// Bytes that the plan may have. With a budget, layers get weights in a larger form that takes fewer instructions,
    /// where there is room for it; without one, weights are as small as they can be.
    pub flash_bytes: Option<usize>,
    /// Whether spatial operators may run over their own input. Without it every output lies apart from its input: for
    /// comparisons.
    pub overlap: bool,
    /// The packing of weights wherever an operator suits it, plain elsewhere, instead of the one that is predicted to
    /// take the fewest instructions: for tests of every packing.
    pub packing: Option<Packing>,
    /// The layout of the values between spatial operators, instead of NHWC, for which the kernels are written: for
    /// tests of every layout.
    pub layout: Option<Layout>,
}

impl Default for Options {
    fn default() -> Self {
        Self { ram_bytes: None, flash_bytes: None, overlap: true, packing: None, layout: None }
    }
}

/// A number of bytes: `32768`, `32k` (thousands), `32Ki` (times 1024), each with or without `B`.
///
/// # Errors
/// Says what is expected.
pub fn parse_bytes(text: &str) -> Result<usize> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor = match text[digits.len()..].trim().trim_end_matches(['B', 'b']) {
        "" => Some(1),
        "k" | "K" => Some(1000),
        "Ki" | "ki" | "KI" => Some(1024),
        "M" => Some(1_000_000),
        "Mi" => Some(1 << 20),
        _ => None,
    };
    let number = digits.parse::<usize>().ok();
    let bytes = number.zip(factor).and_then(|(number, factor)| number.checked_mul(factor));
    bytes.filter(|&bytes| bytes > 0).ok_or_else(|| {
        Error::model(format!("`{text}` is no number of bytes")).remedy("write it as 32768, 32k or 32Ki")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_bytes() {
        let known = [
            ("32768", 32768),
            ("32k", 32000),
            ("32 kB", 32000),
            ("32KiB", 32768),
            ("32Ki", 32768),
            ("1MiB", 1 << 20),
        ];
        for (text, bytes) in known {
            assert_eq!(parse_bytes(text).unwrap_or(0), bytes, "{text}");
        }
        for text in ["", "k", "-1", "0", "1.5k", "32q", "99999999999999999999", "é"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }
}
