//! Little-endian reads at fixed offsets. Beyond the end of the bytes every read gives 0: whoever needs the
//! difference checks the length first.

pub(super) const fn u8_at(bytes: &[u8], at: usize) -> u8 {
    if at < bytes.len() { bytes[at] } else { 0 }
}

pub(super) const fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([u8_at(bytes, at), u8_at(bytes, at + 1)])
}

pub(super) const fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([u8_at(bytes, at), u8_at(bytes, at + 1), u8_at(bytes, at + 2), u8_at(bytes, at + 3)])
}

/// `bytes[start..start + len]`, or an empty slice where that is not all inside.
pub(super) const fn part(bytes: &[u8], start: u32, len: u32) -> &[u8] {
    let Some((_, rest)) = bytes.split_at_checked(start as usize) else { return &[] };
    match rest.split_at_checked(len as usize) {
        Some((part, _)) => part,
        None => &[],
    }
}

/// The smaller number, in `const` context.
pub(super) const fn min(a: usize, b: usize) -> usize {
    if a < b { a } else { b }
}

/// The larger number, in `const` context.
pub(super) const fn max(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}

/// CRC-32 (ISO-HDLC, polynomial 0xEDB88320 reflected) with a table of 16 words.
pub(super) const fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 16] = {
        let mut table = [0u32; 16];
        let mut i = 0;
        while i < 16 {
            let mut x = i as u32;
            let mut bit = 0;
            while bit < 4 {
                x = if x & 1 == 1 { (x >> 1) ^ 0xEDB8_8320 } else { x >> 1 };
                bit += 1;
            }
            table[i] = x;
            i += 1;
        }
        table
    };
    let mut crc = u32::MAX;
    let mut i = 0;
    while i < bytes.len() {
        crc ^= bytes[i] as u32;
        crc = (crc >> 4) ^ TABLE[(crc & 15) as usize];
        crc = (crc >> 4) ^ TABLE[(crc & 15) as usize];
        i += 1;
    }
    !crc
}

#[cfg(test)]
mod tests {
    #[test]
    fn crc32_check_value() {
        assert_eq!(super::crc32(b"123456789"), 0xCBF4_3926);
    }
}
