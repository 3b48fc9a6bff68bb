//! How much flash and RAM a program takes, read from its ELF file.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

/// What a program occupies before it runs; the stack is not part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Code, constants and the initial values of variables.
    pub flash_bytes: u64,
    /// Variables, initialised or not.
    pub ram_bytes: u64,
}

/// A 32-bit little-endian ELF file.
#[derive(Debug)]
pub struct Elf {
    bytes: Vec<u8>,
}

const SECTION_HEADER_BYTES: usize = 40;
const NOBITS: u32 = 8;
const WRITE: u32 = 1;
const ALLOC: u32 = 2;

/// A plan of version 1 begins with these bytes; its length follows (docs/plan-format.md).
const PLAN_START: [u8; 8] = [b'T', b'E', b'F', b'F', 1, 0, 128, 0];

impl Elf {
    /// Reads a file and checks that it is of the expected kind.
    pub fn read(path: &Path) -> Result<Elf> {
        let bytes = fs::read(path).with_context(|| format!("cannot read the program {}", path.display()))?;
        // 0x7f "ELF", 32 bits, little-endian.
        if !bytes.starts_with(&[0x7f, b'E', b'L', b'F', 1, 1]) {
            bail!("{} is not a 32-bit little-endian ELF file", path.display());
        }
        Ok(Elf { bytes })
    }

    /// Adds up the sections that occupy memory on the device.
    pub fn sizes(&self) -> Result<Sizes> {
        let table = self.word(32)? as usize;
        let count = self.half(48)? as usize;
        let mut sizes = Sizes::default();
        for index in 0..count {
            let header = table + index * SECTION_HEADER_BYTES;
            let kind = self.word(header + 4)?;
            let flags = self.word(header + 8)?;
            let len = u64::from(self.word(header + 20)?);
            if flags & ALLOC == 0 {
                continue;
            }
            if kind != NOBITS {
                sizes.flash_bytes += len;
            }
            if flags & WRITE != 0 {
                sizes.ram_bytes += len;
            }
        }
        Ok(sizes)
    }

    /// Length of the first plan that is linked into the program, as its header states it.
    pub fn plan_bytes(&self) -> Option<u64> {
        let len = PLAN_START.len();
        let at = self.bytes.windows(len).position(|bytes| bytes == PLAN_START)?;
        self.word(at + len).ok().map(u64::from)
    }

    fn word(&self, at: usize) -> Result<u32> {
        match self.bytes.get(at..at + 4) {
            Some(bytes) => Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])),
            None => bail!("the ELF file ends before byte {at}"),
        }
    }

    fn half(&self, at: usize) -> Result<u16> {
        match self.bytes.get(at..at + 2) {
            Some(bytes) => Ok(u16::from_le_bytes([bytes[0], bytes[1]])),
            None => bail!("the ELF file ends before byte {at}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of three sections: 100 bytes of code, 20 of variables with values, 300 without.
    fn sample() -> Elf {
        let mut bytes = vec![0u8; 52];
        bytes[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 1, 1]);
        bytes[32..36].copy_from_slice(&52u32.to_le_bytes());
        bytes[48..50].copy_from_slice(&3u16.to_le_bytes());
        for (kind, flags, len) in [(1, ALLOC, 100), (1, ALLOC | WRITE, 20), (NOBITS, ALLOC | WRITE, 300)] {
            let mut header = [0u8; SECTION_HEADER_BYTES];
            header[4..8].copy_from_slice(&u32::to_le_bytes(kind));
            header[8..12].copy_from_slice(&u32::to_le_bytes(flags));
            header[20..24].copy_from_slice(&u32::to_le_bytes(len));
            bytes.extend_from_slice(&header);
        }
        Elf { bytes }
    }

    #[test]
    fn initial_values_count_in_flash_and_in_ram() {
        assert_eq!(sample().sizes().unwrap(), Sizes { flash_bytes: 120, ram_bytes: 320 });
    }

    #[test]
    fn a_linked_plan_is_found() {
        let mut elf = sample();
        assert_eq!(elf.plan_bytes(), None);
        elf.bytes.extend_from_slice(&PLAN_START);
        elf.bytes.extend_from_slice(&1234u32.to_le_bytes());
        assert_eq!(elf.plan_bytes(), Some(1234));
    }

    #[test]
    fn a_cut_file_is_an_error() {
        let mut elf = sample();
        elf.bytes.truncate(100);
        assert!(elf.sizes().is_err());
    }
}
