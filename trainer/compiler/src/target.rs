//! What a plan is compiled for.

pub use teff::plan::Target;

use crate::error::{Error, Result};
use teff::kernels::params::Packing;

/// The target of that name on the command line.
///
/// # Errors
/// Lists the known names.
pub fn parse_target(name: &str) -> Result<Target> {
    Target::ALL.into_iter().find(|target| target.name() == name).ok_or_else(|| {
        let names: Vec<&str> = Target::ALL.iter().map(|target| target.name()).collect();
        Error::model(format!("there is no target `{name}`"))
            .remedy(format!("choose one of {}", names.join(", ")))
    })
}

/// The packings that the compiler chooses from for a target.
pub fn packings(target: Target) -> Vec<Packing> {
    let mut packings = vec![Packing::Plain, packing(target)];
    packings.dedup();
    // With a flash budget only.
    packings.extend(larger(packing(target)));
    packings
}

/// The packing that takes fewer instructions and more flash than `packing`, for operators that suit it.
pub(crate) fn larger(packing: Packing) -> Option<Packing> {
    match packing {
        Packing::Dsp => Some(Packing::DspWinograd),
        Packing::Base => Some(Packing::BaseWinograd),
        _ => None,
    }
}

/// The packing that the target's fast kernels read.
pub(crate) fn packing(target: Target) -> Packing {
    match target {
        Target::CortexM4 | Target::CortexM7 | Target::CortexM33 => Packing::Dsp,
        Target::CortexM3 | Target::CortexM0 => Packing::Base,
        Target::CortexM55 => Packing::Mve,
        _ => Packing::Plain,
    }
}
