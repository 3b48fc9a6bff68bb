//! The coefficients of `coefficients.tsv`.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use teff::plan::Target;

use super::COUNTS;

/// Coefficients are in this part of an instruction.
pub(super) const UNIT: u64 = 1000;

/// Instructions of each count, in thousandths.
type Costs = [u32; COUNTS.len()];

/// For what has no row: about what the portable kernels take.
const UNKNOWN: Costs = [300_000, 60_000, 8_000, 16_000, 3_000, 1_000, 1_000, 0, 1_000, 1_000];

/// The rows of the portable kernels.
const PORTABLE: &str = "portable";

/// The table as it is generated.
const TEXT: &str = include_str!("coefficients.tsv");

/// Coefficients of a kernel on the core of a target; where the table does not have it, those of the same operator.
pub(super) fn costs(target: Target, kernel: &str) -> Costs {
    let core = core(target);
    let rows = rows();
    let mut name = kernel;
    loop {
        if let Some(costs) = rows.get(&(core, name)) {
            return *costs;
        }
        match name.rfind(' ') {
            Some(end) => name = &name[..end],
            None => return UNKNOWN,
        }
    }
}

/// The core whose rows hold for a target. Processors without kernels of their own go by those of the portable kernels, as
/// counted on an M3.
fn core(target: Target) -> &'static str {
    match target {
        Target::CortexM0 => "m0",
        Target::CortexM3 => "m3",
        Target::CortexM4 => "m4",
        Target::CortexM7 => "m7",
        Target::CortexM33 => "m33",
        Target::CortexM55 => "m55",
        _ => PORTABLE,
    }
}

fn rows() -> &'static BTreeMap<(&'static str, &'static str), Costs> {
    static ROWS: OnceLock<BTreeMap<(&'static str, &'static str), Costs>> = OnceLock::new();
    ROWS.get_or_init(|| TEXT.lines().filter_map(row).collect())
}

/// A line of the table: core, kernel, coefficients; `None` for the line of titles.
fn row(line: &'static str) -> Option<((&'static str, &'static str), Costs)> {
    let mut cells = line.split('\t');
    let name = (cells.next()?, cells.next()?);
    let mut costs = Costs::default();
    for cost in &mut costs {
        *cost = cells.next()?.parse().ok()?;
    }
    Some((name, costs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        let mut lines = TEXT.lines();
        let titles: Vec<&str> = lines.next().unwrap().split('\t').collect();
        assert_eq!(titles[..2], ["core", "kernel"]);
        assert_eq!(titles[2..], COUNTS);
        let mut count = 0;
        for line in lines {
            let (_, costs) = row(line).unwrap_or_else(|| panic!("{line}"));
            assert!(costs.iter().any(|&cost| cost > 0), "{line}");
            count += 1;
        }
        assert_eq!(rows().len(), count, "a kernel has one line for each core");
    }

    #[test]
    fn kernels_without_a_line_go_by_their_operator() {
        assert_eq!(costs(Target::CortexM4, "conv_2d 1x1 unheard-of"), costs(Target::CortexM4, "conv_2d 1x1"));
        assert_eq!(costs(Target::CortexM4, "unheard-of"), UNKNOWN);
        assert_eq!(costs(Target::X86_64, "add"), costs(Target::Generic, "add"));
        assert_ne!(costs(Target::Generic, "add"), costs(Target::CortexM3, "add"));
    }
}
