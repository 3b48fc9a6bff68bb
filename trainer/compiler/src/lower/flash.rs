//! What a flash budget buys: weights in a larger form that takes fewer instructions.

use std::collections::BTreeSet;

use super::Compiled;
use crate::error::{Error, Result};
use crate::options::Options;

/// Part of the arena by which it may grow for the larger form where no RAM budget is given.
const MORE_RAM: u64 = 64;

/// A step whose weights have a larger form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Offer {
    /// Index of the step.
    pub step: usize,
    /// Bytes of plan more.
    pub bytes: usize,
    /// Instructions less, predicted for the step by itself.
    pub gain: u64,
}

/// The plan that takes the fewest predicted instructions of those found within `flash` bytes: offers are taken in the order
/// of what they gain per byte, each if the plan that `lower` makes of it fits and gains by it.
pub(super) fn spend(
    flash: usize,
    options: &Options,
    mut lower: impl FnMut(&BTreeSet<usize>, &mut Vec<Offer>) -> Result<Compiled>,
) -> Result<Compiled> {
    let mut offers = Vec::new();
    let mut larger = BTreeSet::new();
    let mut best = lower(&larger, &mut offers)?;
    let least = best.report.plan_bytes;
    if least > flash as u64 {
        return Err(Error::model(format!("its plan has {least} bytes, and the flash budget is {flash}"))
            .remedy("allow more, or make the largest layers smaller"));
    }
    let arena = best.report.arena_bytes;
    let most_ram = options.ram_bytes.map_or(arena + arena / MORE_RAM, |bytes| bytes as u64);
    offers.retain(|offer| offer.gain > 0);
    // By gain per byte; the sort is stable.
    offers.sort_by(|a, b| (b.gain as u128 * a.bytes as u128).cmp(&(a.gain as u128 * b.bytes as u128)));
    let predicted = |plan: &Compiled| plan.report.layers.iter().map(|layer| layer.predicted).sum::<u64>();
    let mut notes = Vec::new();
    for offer in offers {
        if best.report.plan_bytes + offer.bytes as u64 > flash as u64 {
            continue;
        }
        let mut more = larger.clone();
        more.insert(offer.step);
        // Scratch that does not fit a RAM budget is no error: the step stays as it is.
        let Ok(plan) = lower(&more, &mut Vec::new()) else { continue };
        let gain = predicted(&best).saturating_sub(predicted(&plan));
        let in_flash = plan.report.plan_bytes <= flash as u64;
        if in_flash && gain > 0 && plan.report.arena_bytes > most_ram {
            let (name, arena) = (&plan.report.layers[offer.step].name, plan.report.arena_bytes);
            notes.push(format!(
                "`{name}` by Winograd's scheme would take {gain} instructions less (predicted), but an arena of {arena} \
                 bytes: ask for that with `--ram`."
            ));
        } else if in_flash && gain > 0 {
            let bytes = plan.report.plan_bytes.saturating_sub(best.report.plan_bytes);
            let name = &plan.report.layers[offer.step].name;
            notes.push(format!(
                "`{name}` is computed by Winograd's scheme: {bytes} more bytes of plan, {gain} instructions less (predicted)."
            ));
            (best, larger) = (plan, more);
        }
    }
    let all = best.report.plan_bytes - least;
    notes.push(match larger.len() {
        0 => format!(
            "The flash budget of {flash} bytes buys nothing: no layer has a larger form that fits and gains."
        ),
        count => format!(
            "The flash budget of {flash} bytes bought {count} of the layers a larger form, {all} bytes."
        ),
    });
    best.report.notes.extend(notes);
    Ok(best)
}
