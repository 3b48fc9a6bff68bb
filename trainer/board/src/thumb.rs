//! What kind of instruction a Thumb instruction is, as far as its duration depends on it.

/// A kind of instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Arithmetic, logic, moves, and whatever is in no other kind.
    Simple,
    /// A product of 32 bits, or of halfwords.
    Multiply,
    /// The same, added to something.
    MultiplyAdd,
    /// A product of 64 bits.
    LongMultiply,
    /// The same, added to something.
    LongMultiplyAdd,
    Divide,
    Load,
    Store,
    /// So many words, the program counter perhaps among them.
    LoadMultiple {
        words: u8,
    },
    StoreMultiple {
        words: u8,
    },
    /// Taken or not.
    Branch,
    /// A jump by a table in memory.
    TableBranch,
    /// The instruction that makes the next up to four conditional.
    IfThen,
    /// Of the floating-point or vector unit, and no load or store of the former.
    Vector,
}

/// Splits code into its instructions; a piece of one at the end is left out.
pub(crate) fn decode(code: &[u8]) -> Vec<Kind> {
    let halfwords: Vec<u16> = code.as_chunks().0.iter().map(|pair| u16::from_le_bytes(*pair)).collect();
    let mut kinds = Vec::new();
    let mut rest = halfwords.as_slice();
    while let [first, ..] = rest {
        if is_wide(*first) {
            let [first, second, behind @ ..] = rest else { break };
            kinds.push(wide(*first, *second));
            rest = behind;
        } else {
            kinds.push(narrow(*first));
            rest = &rest[1..];
        }
    }
    kinds
}

fn is_wide(halfword: u16) -> bool {
    halfword >> 11 > 0b11100
}

fn ones(bits: u16) -> u8 {
    bits.count_ones() as u8
}

fn narrow(code: u16) -> Kind {
    match code >> 12 {
        0b0100 => match code >> 8 & 0xf {
            // MULS, then branches to a register, then loads of a literal.
            3 if code >> 6 & 3 == 1 => Kind::Multiply,
            7 => Kind::Branch,
            8.. => Kind::Load,
            _ => Kind::Simple,
        },
        0b0101 => {
            if code >> 9 & 7 < 3 {
                Kind::Store
            } else {
                Kind::Load
            }
        }
        0b0110..=0b1001 => {
            if code >> 11 & 1 == 1 {
                Kind::Load
            } else {
                Kind::Store
            }
        }
        0b1011 => match code >> 8 & 0xf {
            4 | 5 => Kind::StoreMultiple { words: ones(code & 0x1ff) },
            0xc | 0xd => Kind::LoadMultiple { words: ones(code & 0x1ff) },
            // CBZ and CBNZ.
            1 | 3 | 9 | 0xb => Kind::Branch,
            0xf if code & 0xf != 0 => Kind::IfThen,
            _ => Kind::Simple,
        },
        0b1100 if code >> 11 & 1 == 1 => Kind::LoadMultiple { words: ones(code & 0xff) },
        0b1100 => Kind::StoreMultiple { words: ones(code & 0xff) },
        0b1101 if code >> 9 & 7 != 7 => Kind::Branch,
        0b1110 => Kind::Branch,
        _ => Kind::Simple,
    }
}

fn wide(first: u16, second: u16) -> Kind {
    let op = first >> 4 & 0x7f;
    match first >> 11 & 3 {
        1 if op & 0x64 == 0 => {
            let words = ones(second);
            if op & 1 == 1 { Kind::LoadMultiple { words } } else { Kind::StoreMultiple { words } }
        }
        1 if op & 0x64 == 4 => {
            let exclusive_or_table = op & 0x12 == 0;
            match (exclusive_or_table, op & 1) {
                (true, 1) if second >> 4 & 0xe == 0 && second & 0xff00 == 0xf000 => Kind::TableBranch,
                (true, 1) => Kind::Load,
                (true, _) => Kind::Store,
                (false, 1) => Kind::LoadMultiple { words: 2 },
                (false, _) => Kind::StoreMultiple { words: 2 },
            }
        }
        // Branches, calls, and the loops of Armv8.1-M; not the status registers and hints.
        2 if second >> 15 == 1 => {
            let conditional = second & 0x5000 == 0;
            if conditional && first >> 7 & 7 == 7 { Kind::Simple } else { Kind::Branch }
        }
        3 if op & 0x71 == 0 => Kind::Store,
        3 if op & 0x61 == 1 => Kind::Load,
        3 if op & 0x78 == 0x30 => {
            if second >> 12 == 0xf {
                Kind::Multiply
            } else {
                Kind::MultiplyAdd
            }
        }
        3 if op & 0x78 == 0x38 => match (second >> 4 & 0xf == 0xf, op & 4) {
            (true, _) => Kind::Divide,
            (false, 0) => Kind::LongMultiply,
            (false, _) => Kind::LongMultiplyAdd,
        },
        1 | 3 if op & 0x40 == 0x40 => coprocessor(first, second),
        _ => Kind::Simple,
    }
}

/// Instructions of the floating-point and vector units.
fn coprocessor(first: u16, second: u16) -> Kind {
    // VLDR, VSTR, VLDM and VSTM: coprocessor 10 or 11, with more than the moves of two registers.
    let of_memory = first & 0xfe00 == 0xec00 && first & 0x1e0 != 0x40 && second & 0x0e00 == 0x0a00;
    if !of_memory {
        return Kind::Vector;
    }
    let single = first & 0x120 == 0x100;
    let words = if single { 1 + (second >> 8 & 1) as u8 } else { (second & 0xff).min(64) as u8 };
    match (first >> 4 & 1, words) {
        (1, 1) => Kind::Load,
        (1, words) => Kind::LoadMultiple { words },
        (_, 1) => Kind::Store,
        (_, words) => Kind::StoreMultiple { words },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an assembler makes of these lines.
    #[test]
    fn kinds_are_told_apart() {
        let cases: &[(&[u16], Kind)] = &[
            (&[0x2001], Kind::Simple),                             // movs r0, #1
            (&[0x4348], Kind::Multiply),                           // muls r0, r1
            (&[0x4770], Kind::Branch),                             // bx lr
            (&[0x4801], Kind::Load),                               // ldr r0, [pc, #4]
            (&[0x6808], Kind::Load),                               // ldr r0, [r1]
            (&[0x7008], Kind::Store),                              // strb r0, [r1]
            (&[0x5688], Kind::Load),                               // ldrsb r0, [r1, r2]
            (&[0xb5f0], Kind::StoreMultiple { words: 5 }),         // push {r4-r7, lr}
            (&[0xbdf0], Kind::LoadMultiple { words: 5 }),          // pop {r4-r7, pc}
            (&[0xc80f], Kind::LoadMultiple { words: 4 }),          // ldm r0!, {r0-r3}
            (&[0xb108], Kind::Branch),                             // cbz r0, +6
            (&[0xbfc8], Kind::IfThen),                             // it gt
            (&[0xbf00], Kind::Simple),                             // nop
            (&[0xd1fd], Kind::Branch),                             // bne
            (&[0xe7fe], Kind::Branch),                             // b .
            (&[0xe92d, 0x4ff0], Kind::StoreMultiple { words: 9 }), // push.w {r4-r11, lr}
            (&[0xe9d1, 0x2300], Kind::LoadMultiple { words: 2 }),  // ldrd r2, r3, [r1]
            (&[0xe9c1, 0x2300], Kind::StoreMultiple { words: 2 }), // strd r2, r3, [r1]
            (&[0xe8df, 0xf000], Kind::TableBranch),                // tbb [pc, r0]
            (&[0xf7ff, 0xfffe], Kind::Branch),                     // bl
            (&[0xf47f, 0xaffe], Kind::Branch),                     // bne.w
            (&[0xf3bf, 0x8f4f], Kind::Simple),                     // dsb
            (&[0xf851, 0x2b04], Kind::Load),                       // ldr r2, [r1], #4
            (&[0xf991, 0x2000], Kind::Load),                       // ldrsb.w r2, [r1]
            (&[0xf801, 0x2b01], Kind::Store),                      // strb r2, [r1], #1
            (&[0xfb02, 0x1003], Kind::MultiplyAdd),                // mla r0, r2, r3, r1
            (&[0xfb22, 0x1003], Kind::MultiplyAdd),                // smlad r0, r2, r3, r1
            (&[0xfb02, 0xf003], Kind::Multiply),                   // mul r0, r2, r3
            (&[0xfb82, 0x0103], Kind::LongMultiply),               // smull r0, r1, r2, r3
            (&[0xfbc2, 0x0103], Kind::LongMultiplyAdd),            // smlal r0, r1, r2, r3
            (&[0xfbe2, 0x0103], Kind::LongMultiplyAdd),            // umlal r0, r1, r2, r3
            (&[0xfba2, 0x0103], Kind::LongMultiply),               // umull r0, r1, r2, r3
            (&[0xfbb2, 0xf0f3], Kind::Divide),                     // udiv r0, r2, r3
            (&[0xfb92, 0xf0f3], Kind::Divide),                     // sdiv r0, r2, r3
            (&[0xfa2f, 0xf081], Kind::Simple),                     // sxtb16 r0, r1
            (&[0xf302, 0x0007], Kind::Simple),                     // ssat r0, #8, r2
            (&[0xed90, 0x0a00], Kind::Load),                       // vldr s0, [r0]
            (&[0xecb0, 0x0a04], Kind::LoadMultiple { words: 4 }),  // vldm r0!, {s0-s3}
            (&[0xee20, 0x0a20], Kind::Vector),                     // vmul.f32 s0, s0, s1
            (&[0xf00f, 0xc003], Kind::Branch),                     // le lr, .
        ];
        for (halfwords, kind) in cases {
            let code: Vec<u8> = halfwords.iter().flat_map(|halfword| halfword.to_le_bytes()).collect();
            assert_eq!(decode(&code), [*kind], "{halfwords:04x?}");
        }
    }
}
