//! The regions of memory that a board's `memory.x` hands to the linker.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// A region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Its name, such as `FLASH`.
    pub name: String,
    /// Its first address.
    pub origin: u64,
    /// Its length in bytes.
    pub bytes: u64,
}

/// Reads the `MEMORY` block of a linker script.
///
/// # Errors
/// The file cannot be read, or a line of the block is not `NAME : ORIGIN = …, LENGTH = …` with sums of numbers.
pub fn read(path: &Path) -> Result<Vec<Region>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&text).with_context(|| format!("{} is no memory map", path.display()))
}

fn parse(text: &str) -> Result<Vec<Region>> {
    let text = without_comments(text);
    let Some(block) = text
        .split_once("MEMORY")
        .and_then(|(_, rest)| rest.split_once('{'))
        .and_then(|(_, rest)| rest.split_once('}'))
    else {
        bail!("there is no block MEMORY");
    };
    let mut regions = Vec::new();
    for line in block.0.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let region = parse_region(line).with_context(|| format!("`{line}` is no region"))?;
        regions.push(region);
    }
    Ok(regions)
}

fn without_comments(text: &str) -> String {
    let mut pieces = text.split("/*");
    let mut kept = pieces.next().unwrap_or("").to_string();
    for piece in pieces {
        kept.push_str(piece.split_once("*/").map_or("", |(_, behind)| behind));
    }
    kept
}

fn parse_region(line: &str) -> Option<Region> {
    let (name, rest) = line.split_once(':')?;
    let (origin, bytes) = rest.split_once(',')?;
    let value = |text: &str, keys: &[&str]| {
        let (key, value) = text.split_once('=')?;
        keys.contains(&key.trim()).then(|| sum(value))?
    };
    Some(Region {
        // Attributes such as (rx) stand behind the name.
        name: name.split('(').next()?.trim().to_string(),
        origin: value(origin, &["ORIGIN", "org", "o"])?,
        bytes: value(bytes, &["LENGTH", "len", "l"])?,
    })
}

/// `2048K - 0x100`.
fn sum(text: &str) -> Option<u64> {
    let spaced = text.replace('+', " + ").replace('-', " - ");
    let mut words = spaced.split_whitespace();
    let mut total = number(words.next()?)?;
    while let Some(sign) = words.next() {
        let value = number(words.next()?)?;
        total = match sign {
            "+" => total.checked_add(value)?,
            "-" => total.checked_sub(value)?,
            _ => return None,
        };
    }
    Some(total)
}

fn number(text: &str) -> Option<u64> {
    let lower = text.to_ascii_lowercase();
    if let Some(digits) = lower.strip_prefix("0x") {
        return u64::from_str_radix(digits, 16).ok();
    }
    let (digits, factor) = match lower.strip_suffix('k') {
        Some(digits) => (digits, 1 << 10),
        None => lower.strip_suffix('m').map_or((lower.as_str(), 1), |digits| (digits, 1 << 20)),
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(name: &str, origin: u64, bytes: u64) -> Region {
        Region { name: name.to_string(), origin, bytes }
    }

    #[test]
    fn maps_are_read() {
        let text = "/* A comment with MEMORY { in it. */\nMEMORY {\n  BOOT2 : ORIGIN = 0x10000000, LENGTH = 0x100\n\
                    FLASH (rx) : ORIGIN = 0x10000100, LENGTH = 2048K - 0x100 /* of 2 MB */\n\n\
                    RAM : org = 0x20000000, len = 4M\n}\nSECTIONS { }\n";
        let expected = [
            region("BOOT2", 0x1000_0000, 0x100),
            region("FLASH", 0x1000_0100, (2 << 20) - 0x100),
            region("RAM", 0x2000_0000, 4 << 20),
        ];
        assert_eq!(parse(text).unwrap(), expected);
    }

    #[test]
    fn the_maps_of_the_boards_are_read() {
        for board in crate::BOARDS {
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../firmware/boards");
            let regions = read(&root.join(board.name).join("memory.x")).unwrap();
            let names: Vec<&str> = regions.iter().map(|region| region.name.as_str()).collect();
            assert_eq!(names, ["FLASH", "RAM"], "{}", board.name);
        }
    }

    #[test]
    fn what_is_no_map_is_refused() {
        for text in ["", "MEMORY", "MEMORY {", "MEMORY { RAM }", "MEMORY { RAM : ORIGIN = x, LENGTH = 1 }"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("MEMORY { RAM : ORIGIN = 1, LENGTH = 1 - 2 }").is_err());
    }
}
