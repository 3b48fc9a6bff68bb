//! What the instructions of a function do to the stack, and what they call.
//!
//! Encodings: Armv8-M Architecture Reference Manual (Arm DDI 0553), C2.3 and C2.4.

use std::collections::{BTreeSet, HashMap};

/// What was read of a function.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Code {
    /// Bytes by which all its instructions together move the stack pointer down: not less than its frame.
    pub frame: u64,
    /// Addresses that it calls or leaves for.
    pub calls: BTreeSet<u32>,
    /// Whether it calls, or leaves for, an address in a register.
    pub indirect: bool,
    /// Constants that it makes, among which addresses of functions may be.
    pub constants: Vec<u32>,
    /// An instruction that moves the stack pointer by what is not known.
    pub unknown: Option<u32>,
}

/// What surrounds a function.
pub(super) trait Surroundings {
    /// The word at an address, where the program has one.
    fn word(&self, address: u32) -> Option<u32>;
    /// Whether constants are there, between instructions.
    fn is_data(&self, address: u32) -> bool;
}

/// Constants in registers. What was loaded more than two instructions ago may have been changed since.
#[derive(Default)]
struct Registers {
    age: u32,
    known: HashMap<u16, (u32, u32)>,
}

impl Registers {
    fn set(&mut self, register: u16, value: u32) {
        self.known.insert(register, (value, self.age));
    }

    fn get(&self, register: u16) -> Option<u32> {
        let (value, age) = self.known.get(&register)?;
        (self.age - age <= 2).then_some(*value)
    }

    /// The lower half, which may be loaded long before the upper one.
    fn low(&self, register: u16) -> u32 {
        self.known.get(&register).map_or(0, |(value, _)| *value)
    }
}

/// The stack pointer's number.
const SP: u16 = 13;
/// A stack pointer that is taken from a register may have been aligned: by this at most.
const ALIGNMENT: u64 = 32;

/// Reads the function whose code lies from `start` on.
pub(super) fn read(code: &[u8], start: u32, around: &impl Surroundings) -> Code {
    let end = start + code.len() as u32;
    let halfword = |address: u32| -> Option<u16> {
        let at = (address - start) as usize;
        Some(u16::from_le_bytes(code.get(at..at + 2)?.try_into().ok()?))
    };
    let mut found = Code::default();
    let mut registers = Registers::default();
    let mut at = start;
    while let Some(first) = halfword(at) {
        registers.age += 1;
        if around.is_data(at) {
            at += 2;
        } else if first >> 11 > 0b11100 {
            let Some(second) = halfword(at + 2) else { break };
            found.wide(first, second, at, (start, end), &mut registers);
            at += 4;
        } else {
            found.narrow(first, at, (start, end), &mut registers, around);
            at += 2;
        }
    }
    found
}

impl Code {
    fn narrow(
        &mut self,
        code: u16,
        at: u32,
        (start, end): (u32, u32),
        registers: &mut Registers,
        around: &impl Surroundings,
    ) {
        let register = code >> 3 & 0xf;
        match code {
            // PUSH
            _ if code & 0xfe00 == 0xb400 => self.frame += 4 * u64::from((code & 0x1ff).count_ones()),
            // SUB SP, #
            _ if code & 0xff80 == 0xb080 => self.frame += 4 * u64::from(code & 0x7f),
            // LDR of a constant
            _ if code & 0xf800 == 0x4800 => {
                let address = (at.wrapping_add(4) & !3).wrapping_add(4 * u32::from(code & 0xff));
                if let Some(word) = around.word(address) {
                    registers.set(code >> 8 & 7, word);
                }
            }
            // ADD SP, register
            _ if code & 0xff87 == 0x4485 => match registers.get(register) {
                Some(by) => self.frame += u64::from((by as i32).min(0).unsigned_abs()),
                None => self.unknown = Some(at),
            },
            // MOV SP, register
            _ if code & 0xff87 == 0x4685 => self.frame += ALIGNMENT,
            // BLX register, and BX but to where the function was called from
            _ if code & 0xff87 == 0x4780 || (code & 0xff87 == 0x4700 && register != 14) => {
                self.indirect = true
            }
            // B
            _ if code & 0xf800 == 0xe000 => {
                let offset = i32::from(code << 5) << 16 >> 20;
                self.leave(target(at, offset), (start, end));
            }
            _ => {}
        }
    }

    fn wide(
        &mut self,
        first: u16,
        second: u16,
        at: u32,
        (start, end): (u32, u32),
        registers: &mut Registers,
    ) {
        let destination = second >> 8 & 0xf;
        let immediate =
            u32::from(first >> 10 & 1) << 11 | u32::from(second >> 12 & 7) << 8 | u32::from(second & 0xff);
        match first {
            // PUSH of many, of one, of two, and of floating-point registers
            0xe92d => self.frame += 4 * u64::from(second.count_ones()),
            0xf84d if second & 0x0f00 == 0x0d00 => self.frame += u64::from(second & 0xff),
            0xe96d => self.frame += 4 * u64::from(second & 0xff),
            0xed2d | 0xed6d => self.frame += 4 * u64::from(second & 0xff),
            // SUB SP, SP, #
            _ if first & 0xfbef == 0xf1ad && destination == SP => {
                self.frame += u64::from(expanded(immediate))
            }
            _ if first & 0xfbff == 0xf2ad && destination == SP => self.frame += u64::from(immediate),
            // SUB SP, SP, register
            _ if first & 0xffef == 0xebad && destination == SP => match registers.get(second & 0xf) {
                Some(by) if second & 0x70f0 == 0 => self.frame += u64::from(by),
                _ => self.unknown = Some(at),
            },
            // ADD SP, SP, register, and MOV SP, register
            _ if first & 0xffef == 0xeb0d && destination == SP => match registers.get(second & 0xf) {
                Some(by) if second & 0x70f0 == 0 => {
                    self.frame += u64::from((by as i32).min(0).unsigned_abs())
                }
                _ => self.unknown = Some(at),
            },
            _ if first & 0xffef == 0xea4f && destination == SP => self.frame += ALIGNMENT,
            // MOVW and MOVT
            _ if first & 0xfbf0 == 0xf240 => {
                registers.set(destination, u32::from(first & 0xf) << 12 | immediate);
            }
            _ if first & 0xfbf0 == 0xf2c0 => {
                let high = (u32::from(first & 0xf) << 12 | immediate) << 16;
                let low = registers.low(destination) & 0xffff;
                registers.set(destination, high | low);
                self.constants.push(high | low);
            }
            // Branches
            _ if first & 0xf800 == 0xf000 && second & 0x8000 != 0 => {
                let [s, j1, j2] = [first >> 10 & 1, second >> 13 & 1, second >> 11 & 1].map(u32::from);
                let low = u32::from(second & 0x7ff) << 1;
                let is_far = second & 0x1000 != 0;
                if is_far {
                    let (i1, i2) = (1 ^ j1 ^ s, 1 ^ j2 ^ s);
                    let bits = s << 24 | i1 << 23 | i2 << 22 | u32::from(first & 0x3ff) << 12 | low;
                    // In a long function of Armv6-M a call may be a jump.
                    self.leave(target(at, (bits << 7) as i32 >> 7), (start, end));
                } else if second & 0x4000 == 0 && first >> 6 & 0xf < 14 {
                    let bits = s << 20 | j2 << 19 | j1 << 18 | u32::from(first & 0x3f) << 12 | low;
                    self.leave(target(at, (bits << 11) as i32 >> 11), (start, end));
                }
            }
            _ => {}
        }
    }

    /// Calls, or leaves for, an address. Another place of the same function is neither; its beginning is a call.
    fn leave(&mut self, to: u32, (start, end): (u32, u32)) {
        if !(start + 1..end).contains(&to) {
            self.calls.insert(to);
        }
    }
}

fn target(at: u32, offset: i32) -> u32 {
    at.wrapping_add(4).wrapping_add_signed(offset)
}

/// A constant of twelve bits as arithmetic takes it.
fn expanded(immediate: u32) -> u32 {
    let byte = immediate & 0xff;
    match immediate >> 8 {
        0 => byte,
        1 => byte << 16 | byte,
        2 => byte << 24 | byte << 8,
        3 => byte * 0x0101_0101,
        _ => (0x80 | immediate & 0x7f).rotate_right(immediate >> 7),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nothing;

    impl Surroundings for Nothing {
        fn word(&self, address: u32) -> Option<u32> {
            (address == 0x1008).then_some((-1040_i32) as u32)
        }

        fn is_data(&self, address: u32) -> bool {
            address >= 0x1010
        }
    }

    fn of(halfwords: &[u16]) -> Code {
        let bytes: Vec<u8> = halfwords.iter().flat_map(|code| code.to_le_bytes()).collect();
        read(&bytes, 0x1000, &Nothing)
    }

    #[test]
    fn frames_are_added_up() {
        for (code, frame) in [
            // push {r4, lr}; sub sp, #16
            (&[0xb510, 0xb084][..], 24),
            // push.w {r4-r11, lr}; vpush {d8, d9}
            (&[0xe92d, 0x4ff0, 0xed2d, 0x8b04], 52),
            // str lr, [sp, #-4]!; sub.w sp, sp, #1040; subw sp, sp, #100
            (&[0xf84d, 0xed04, 0xf5ad, 0x6d82, 0xf2ad, 0x0d64], 4 + 1040 + 100),
            // ldr r7, [pc, #4] (-1040); add sp, r7
            (&[0x4f01, 0x44bd], 1040),
            // movw r4, #4096; sub.w sp, sp, r4
            (&[0xf241, 0x0400, 0xebad, 0x0d04], 4096),
            // add sp, #16; pop {r4, pc}
            (&[0xb004, 0xbd10], 0),
            // A table behind the code, of what would be push {r4, lr}
            (&[0xbf00, 0xbf00, 0xbf00, 0xbf00, 0xbf00, 0xbf00, 0xbf00, 0x4770, 0xb510], 0),
        ] {
            let found = of(code);
            assert_eq!((found.frame, found.unknown), (frame, None), "{code:x?}");
        }
        // sub.w sp, sp, r4, of which nothing is known, or nothing that still holds
        assert_eq!(of(&[0xbf00, 0xebad, 0x0d04]).unknown, Some(0x1002));
        assert_eq!(of(&[0xf241, 0x0400, 0xbf00, 0x0024, 0xebad, 0x0d04]).unknown, Some(0x1008));
    }

    #[test]
    fn calls_are_found() {
        // bl 0x1100; b.w 0xf00
        let found = of(&[0xf000, 0xf87e, 0xf7ff, 0xbf7c]);
        assert_eq!(found.calls.into_iter().collect::<Vec<_>>(), [0xf00, 0x1100]);
        assert!(!found.indirect);
        assert!(of(&[0x4798]).indirect && of(&[0x4718]).indirect && !of(&[0x4770]).indirect);
        // movw r0, #0x5679; movt r0, #0x1234
        assert_eq!(of(&[0xf245, 0x6079, 0xf2c1, 0x2034]).constants, [0x1234_5679]);
    }

    #[test]
    fn constants_are_expanded_as_the_manual_says() {
        for (immediate, value) in [
            (0xab, 0xab),
            (0x1ab, 0x00ab_00ab),
            (0x2ab, 0xab00_ab00),
            (0x3ab, 0xabab_abab),
            (0x400, 0x8000_0000),
            (0xe82, 1040),
        ] {
            assert_eq!(expanded(immediate), value, "{immediate:x}");
        }
    }
}
