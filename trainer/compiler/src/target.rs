//! What a plan is compiled for.

pub use teff::plan::Target;

use crate::error::{Error, Result};
use teff::kernels::arch::arm::dsp;
use teff::kernels::params::{Conv2d, DepthwiseConv2d, Packing};
use teff::kernels::{Kernels, generic::Generic};

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

/// The packing that the target's fast kernels read.
pub(crate) fn packing(target: Target) -> Packing {
    match target {
        Target::CortexM4 | Target::CortexM7 | Target::CortexM33 => Packing::Dsp,
        _ => Packing::Plain,
    }
}

/// Scratch bytes that the target's kernels need for a convolution.
pub(crate) fn conv_2d_scratch_len(target: Target, op: &Conv2d<'_>) -> usize {
    match packing(target) {
        Packing::Plain => Generic::conv_2d_scratch_len(op),
        Packing::Dsp => dsp::conv_2d_scratch_len(op),
    }
}

/// Scratch bytes that the target's kernels need for a depthwise convolution.
pub(crate) fn depthwise_conv_2d_scratch_len(target: Target, op: &DepthwiseConv2d<'_>) -> usize {
    match packing(target) {
        Packing::Plain => Generic::depthwise_conv_2d_scratch_len(op),
        Packing::Dsp => dsp::depthwise_conv_2d_scratch_len(op),
    }
}
