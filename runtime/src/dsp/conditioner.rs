//! What happens to samples before they are cut into frames: resampling, removal of the mean, filters, pre-emphasis, in
//! this order.

use super::biquad::Cascade;
use super::dc::DcRemoval;
use super::pre_emphasis::PreEmphasis;
use super::resample::Resampler;
use super::stages;

/// The stages; those that a front end does not have are `None`, and those outside `STAGES` are not linked.
#[derive(Debug)]
pub(super) struct Conditioner<'a, 'w, const STAGES: u32> {
    pub(super) resampler: Option<Resampler<'a, 'w>>,
    pub(super) dc: Option<DcRemoval<'w>>,
    pub(super) cascade: Option<Cascade<'a, 'w>>,
    pub(super) pre_emphasis: Option<PreEmphasis<'w>>,
    pub(super) axes: usize,
    /// The axis of the next sample that comes out.
    pub(super) axis: usize,
}

impl<const STAGES: u32> Conditioner<'_, '_, STAGES> {
    /// Takes samples from the front of `samples` and writes them, resampled, to the front of `target`, until it is full or none is left.
    /// Returns how many it wrote.
    pub(super) fn fill(&mut self, samples: &mut &[i16], target: &mut [i16]) -> usize {
        match &mut self.resampler {
            Some(resampler) if STAGES & stages::RESAMPLING != 0 => resampler.fill(samples, target),
            _ => copy(samples, target),
        }
    }

    /// Whether samples are written as they come.
    #[inline(always)]
    pub(super) fn only_copies(&self) -> bool {
        STAGES & stages::RESAMPLING == 0 || self.resampler.is_none()
    }

    /// Filters samples in place that were written, one after another.
    pub(super) fn filter(&mut self, block: &mut [i16]) {
        if STAGES & (stages::DC_REMOVAL | stages::SECTIONS | stages::PRE_EMPHASIS) == 0 {
            return;
        }
        if let (Some(dc), true) = (&mut self.dc, STAGES & stages::DC_REMOVAL != 0) {
            dc.run(block, self.axis);
        }
        if let (Some(cascade), true) = (&mut self.cascade, STAGES & stages::SECTIONS != 0) {
            cascade.run(block, self.axis);
        }
        if let (Some(pre_emphasis), true) = (&mut self.pre_emphasis, STAGES & stages::PRE_EMPHASIS != 0) {
            pre_emphasis.run(block, self.axis);
        }
        if self.axes > 1 {
            self.axis = (self.axis + block.len()).checked_rem(self.axes).unwrap_or(0);
        }
    }

    /// Forgets all samples.
    pub(super) fn reset(&mut self) {
        self.axis = 0;
        if let Some(resampler) = &mut self.resampler {
            resampler.reset();
        }
        if let Some(dc) = &mut self.dc {
            dc.begun = 0;
        }
        if let Some(cascade) = &mut self.cascade {
            cascade.begun = 0;
        }
        if let Some(pre_emphasis) = &mut self.pre_emphasis {
            pre_emphasis.begun = 0;
        }
    }
}

fn copy(samples: &mut &[i16], target: &mut [i16]) -> usize {
    let n = target.len().min(samples.len());
    let (Some((now, later)), Some(target)) = (samples.split_at_checked(n), target.get_mut(..n)) else {
        return 0;
    };
    copy_samples(target, now);
    *samples = later;
    n
}

#[cfg(any(teff_dsp, teff_mve))]
use crate::kernels::arch::arm::front_end::samples::copy as copy_samples;

#[cfg(not(any(teff_dsp, teff_mve)))]
fn copy_samples(to: &mut [i16], from: &[i16]) {
    to.copy_from_slice(from);
}

/// The samples from the first one of axis `of` on, in a block whose first sample belongs to `axis`.
#[inline(always)]
pub(super) fn from_axis(block: &mut [i16], axis: usize, of: usize, axes: usize) -> &mut [i16] {
    let at = if of >= axis { of - axis } else { of + axes - axis };
    block.get_mut(at..).unwrap_or(&mut [])
}

/// Calls `each` with the first of every `axes` samples.
#[inline(always)]
pub(super) fn each_of_axis(block: &mut [i16], axes: usize, mut each: impl FnMut(&mut i16)) {
    if axes <= 1 {
        block.iter_mut().for_each(each);
        return;
    }
    let mut at = 0;
    while let Some(x) = block.get_mut(at) {
        each(x);
        at += axes;
    }
}

/// What is behind the first `taken` samples of an axis.
#[cfg(any(teff_dsp, teff_mve))]
pub(super) fn behind(samples: &mut [i16], axes: usize, taken: usize) -> &mut [i16] {
    samples.get_mut(taken * axes..).unwrap_or(&mut [])
}
