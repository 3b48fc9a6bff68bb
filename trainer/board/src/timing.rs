//! How many cycles instructions take, as far as Arm has published it.
//!
//! - Cortex-M0, -M3 and -M4: the instruction timings of their Technical Reference Manuals (DDI 0432,
//!   section 3.3; DDI 0337 and DDI 0439, table 3-1), on memory without wait states. A pipeline refill
//!   takes 1 to 3 cycles there and counts 2; a division takes 2 to 12 and counts 12; a 64-bit product
//!   of the M3 takes 3 to 5, with an addition 4 to 7, by the size of its factors, and counts the most. A store
//!   counts 1 on the M3 and M4, as with a constant offset. A call on the M0 takes 4 and counts 3. A multiplication on the M0 is the fast one, of one cycle.
//! - Cortex-M0+: those of its manual (DDI 0484, table 3-1), which are those of the M0 but for jumps: the pipeline is refilled in
//!   one cycle less. Its fast multiplier is taken for granted too.
//! - Cortex-M7: its manual (DDI 0489) has no such table. It says that two instructions are issued in a
//!   cycle, and which units there are. What is computed is the bound of these units: one multiplication,
//!   one store, one branch, two loads of a word in a cycle, and nothing waits for a result.
//! - Cortex-M33 and -M55: nothing.

use crate::Count;
use crate::thumb::Kind;

/// Processors with published timings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Core {
    M0,
    M3,
    M4,
    M7,
}

/// Cycles to fill the pipeline after a jump.
const REFILL: u64 = 2;

impl Core {
    /// That of a plan's target.
    pub(crate) fn of_target(name: &str) -> Option<Core> {
        match name {
            "cortex-m0" => Some(Core::M0),
            "cortex-m3" => Some(Core::M3),
            "cortex-m4" => Some(Core::M4),
            "cortex-m7" => Some(Core::M7),
            _ => None,
        }
    }

    /// Cycles of one run through a block, without the refill behind a jump.
    pub(crate) fn block_cycles(self, block: &[Kind]) -> u64 {
        if self == Core::M7 {
            return units_of_the_m7(block);
        }
        let mut cycles = 0;
        let mut behind_a_load = false;
        for kind in block {
            // Loads that follow each other overlap, but not on the M0.
            let overlaps = behind_a_load && self != Core::M0;
            behind_a_load = *kind == Kind::Load;
            cycles += match *kind {
                Kind::Load if overlaps => 1,
                Kind::Load => 2,
                Kind::Store if self == Core::M0 => 2,
                Kind::LoadMultiple { words } | Kind::StoreMultiple { words } => 1 + u64::from(words),
                Kind::MultiplyAdd if self == Core::M3 => 2,
                Kind::LongMultiply if self == Core::M3 => 5,
                Kind::LongMultiplyAdd if self == Core::M3 => 7,
                Kind::Divide => 12,
                Kind::TableBranch => 2,
                _ => 1,
            };
        }
        cycles
    }

    /// Cycles behind a jump, until the next instruction runs.
    pub(crate) fn jump_cycles(self) -> u64 {
        // The M7 predicts branches.
        if self == Core::M7 { 0 } else { REFILL }
    }
}

impl Count {
    /// Cycles that a Cortex-M0+ takes for what was counted with the timings of the M0; `None` where there are none.
    pub fn m0_plus_cycles(self) -> Option<u64> {
        self.cycles.map(|cycles| cycles.saturating_sub(self.jumps))
    }
}

fn units_of_the_m7(block: &[Kind]) -> u64 {
    let (mut slots, mut multiplies, mut stores, mut branches, mut loads, mut alone) =
        (0u64, 0u64, 0u64, 0u64, 0u64, 0u64);
    for kind in block {
        slots += 1;
        match *kind {
            Kind::Multiply | Kind::MultiplyAdd | Kind::LongMultiply | Kind::LongMultiplyAdd => {
                multiplies += 1
            }
            Kind::Load => loads += 1,
            Kind::Store => stores += 1,
            Kind::LoadMultiple { words } => loads += u64::from(words),
            Kind::StoreMultiple { words } => stores += u64::from(words).div_ceil(2),
            Kind::Branch | Kind::TableBranch => branches += 1,
            Kind::Divide => alone += 12,
            _ => {}
        }
    }
    alone + slots.div_ceil(2).max(multiplies).max(branches).max(loads.div_ceil(2) + stores)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_in_a_row_overlap() {
        let row = [Kind::Load, Kind::Load, Kind::Load, Kind::Simple, Kind::Load];
        assert_eq!(Core::M4.block_cycles(&row), 4 + 1 + 2);
        assert_eq!(Core::M0.block_cycles(&row), 9);
        assert_eq!(Core::M4.block_cycles(&[Kind::LoadMultiple { words: 4 }, Kind::MultiplyAdd]), 6);
        assert_eq!(Core::M3.block_cycles(&[Kind::MultiplyAdd]), 2);
        assert_eq!(Core::M3.block_cycles(&[Kind::LongMultiply, Kind::LongMultiplyAdd]), 12);
        assert_eq!(Core::M4.block_cycles(&[Kind::LongMultiply, Kind::LongMultiplyAdd]), 2);
    }

    #[test]
    fn a_jump_takes_the_m0_plus_two_cycles() {
        let block = [Kind::Load, Kind::Store, Kind::LoadMultiple { words: 3 }, Kind::Branch];
        let m0 = Core::M0.block_cycles(&block) + Core::M0.jump_cycles();
        let count = Count { instructions: 4, cycles: Some(m0), jumps: 1 };
        assert_eq!(count.m0_plus_cycles(), Some(2 + 2 + 4 + 2));
        assert_eq!(Count::default().m0_plus_cycles(), None);
    }

    #[test]
    fn two_instructions_go_together_where_the_units_allow() {
        assert_eq!(Core::M7.block_cycles(&[Kind::Simple; 4]), 2);
        assert_eq!(Core::M7.block_cycles(&[Kind::MultiplyAdd; 4]), 4);
        assert_eq!(Core::M7.block_cycles(&[Kind::Load, Kind::Load, Kind::MultiplyAdd]), 2);
    }
}
