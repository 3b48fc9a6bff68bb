//! UF2, the format of files that are flashed by copying them to a board's drive: blocks of 512 bytes, each with its
//! address, which may arrive in any order.

use anyhow::{Result, bail};

/// A processor family, as its boot loader checks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// RP2040.
    Rp2040,
    /// RP2350, its Arm cores in secure state.
    Rp2350Arm,
}

impl Family {
    fn id(self) -> u32 {
        match self {
            Family::Rp2040 => 0xe48b_ff56,
            Family::Rp2350Arm => 0xe48b_ff59,
        }
    }
}

/// Bytes that must stand in flash from an address on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Address of the first byte.
    pub address: u32,
    /// The bytes.
    pub bytes: Vec<u8>,
}

const BLOCK_BYTES: usize = 512;
/// Payload of a block: a page of the flash.
const PAGE_BYTES: u32 = 256;
const MAGIC: [u32; 2] = [0x0a32_4655, 0x9e5d_5157];
const MAGIC_END: u32 = 0x0ab1_6f30;
const HAS_FAMILY: u32 = 0x2000;

/// The file for what must stand in flash. Between pieces that share a page stand zeros.
///
/// # Errors
/// Pieces overlap, or there is none.
pub fn encode(pieces: &[Piece], family: Family) -> Result<Vec<u8>> {
    let mut pages: std::collections::BTreeMap<u32, ([u8; PAGE_BYTES as usize], [bool; PAGE_BYTES as usize])> =
        Default::default();
    for piece in pieces {
        for (offset, byte) in piece.bytes.iter().enumerate() {
            let address = piece.address as usize + offset;
            let page = address as u32 / PAGE_BYTES * PAGE_BYTES;
            let (bytes, taken) = pages.entry(page).or_insert(([0; 256], [false; 256]));
            let at = address % PAGE_BYTES as usize;
            if std::mem::replace(&mut taken[at], true) {
                bail!("two parts of the program lie at {address:#x}");
            }
            bytes[at] = *byte;
        }
    }
    if pages.is_empty() {
        bail!("the program has nothing for the flash");
    }
    let mut file = Vec::with_capacity(pages.len() * BLOCK_BYTES);
    let count = pages.len() as u32;
    for (number, (address, (page, _))) in (0_u32..).zip(&pages) {
        let start = file.len();
        for word in [MAGIC[0], MAGIC[1], HAS_FAMILY, *address, PAGE_BYTES, number, count, family.id()] {
            file.extend_from_slice(&word.to_le_bytes());
        }
        file.extend_from_slice(page);
        file.resize(start + BLOCK_BYTES - 4, 0);
        file.extend_from_slice(&MAGIC_END.to_le_bytes());
    }
    Ok(file)
}

/// What a boot loader writes of a file.
///
/// # Errors
/// A block is damaged, missing, or of another family.
pub fn decode(file: &[u8], family: Family) -> Result<Vec<Piece>> {
    let (blocks, []) = file.as_chunks::<BLOCK_BYTES>() else {
        bail!("{} bytes are no whole number of blocks of {BLOCK_BYTES}", file.len());
    };
    let mut pieces: Vec<Piece> = Vec::new();
    for (number, block) in blocks.iter().enumerate() {
        let word = |at: usize| {
            let bytes = block.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
            u32::from_le_bytes(bytes.unwrap_or_default())
        };
        let marks = (word(0), word(4), word(8), word(508));
        if marks != (MAGIC[0], MAGIC[1], HAS_FAMILY, MAGIC_END) {
            bail!("block {number} has not the marks of a block with a family");
        }
        if word(28) != family.id() {
            bail!("block {number} is for another processor family");
        }
        if (word(20) as usize, word(24) as usize) != (number, blocks.len()) {
            bail!("block {number} says that it is {} of {}", word(20), word(24));
        }
        let Some(bytes) = block.get(32..32 + word(16) as usize).filter(|bytes| bytes.len() <= 476) else {
            bail!("block {number} says that it holds {} bytes", word(16));
        };
        let address = word(12);
        match pieces.last_mut() {
            Some(last) if last.address as usize + last.bytes.len() == address as usize => {
                last.bytes.extend_from_slice(bytes);
            }
            _ => pieces.push(Piece { address, bytes: bytes.to_vec() }),
        }
    }
    Ok(pieces)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(address: u32, len: usize) -> Piece {
        Piece { address, bytes: (0..len).map(|n| (n * 7 + 1) as u8).collect() }
    }

    #[test]
    fn what_is_written_is_read() {
        let program = [piece(0x1000_0000, 256), piece(0x1000_0100, 1000), piece(0x1001_0080, 30)];
        let file = encode(&program, Family::Rp2040).unwrap();
        assert_eq!(file.len(), (1 + 4 + 1) * 512);
        let read = decode(&file, Family::Rp2040).unwrap();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].address, read[0].bytes.len()), (0x1000_0000, 5 * 256));
        assert_eq!(read[0].bytes[..256], program[0].bytes);
        assert_eq!(read[0].bytes[256..1256], program[1].bytes);
        assert!(read[0].bytes[1256..].iter().all(|byte| *byte == 0));
        assert_eq!(read[1].address, 0x1001_0000);
        assert_eq!(read[1].bytes[0x80..0x80 + 30], program[2].bytes);
    }

    /// The numbers of the format's description.
    #[test]
    fn a_block_has_its_marks() {
        let file = encode(&[piece(0x1000_0000, 1)], Family::Rp2350Arm).unwrap();
        let head = [
            0x55, 0x46, 0x32, 0x0a, 0x57, 0x51, 0x5d, 0x9e, 0, 0x20, 0, 0, 0, 0, 0, 0x10, 0, 1, 0, 0, 0, 0,
            0, 0, 1, 0, 0, 0, 0x59, 0xff, 0x8b, 0xe4, 1,
        ];
        assert_eq!(file[..head.len()], head);
        assert_eq!(file[508..], [0x30, 0x6f, 0xb1, 0x0a]);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        assert!(encode(&[], Family::Rp2040).is_err());
        assert!(encode(&[piece(0, 10), piece(9, 1)], Family::Rp2040).is_err());
        let file = encode(&[piece(0, 600)], Family::Rp2040).unwrap();
        assert!(decode(&file, Family::Rp2350Arm).is_err());
        assert!(decode(&file[..512], Family::Rp2040).is_err());
        assert!(decode(&file[..600], Family::Rp2040).is_err());
        for at in [0, 5, 9, 17, 511] {
            let mut damaged = file.clone();
            damaged[at] ^= 0x80;
            assert!(decode(&damaged, Family::Rp2040).is_err(), "byte {at}");
        }
    }
}
