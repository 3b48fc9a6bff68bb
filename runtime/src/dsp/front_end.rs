//! A front end at work: samples in, frames of features, model input out.

use super::biquad::Cascade;
use super::blob_error::BlobError;
use super::conditioner::Conditioner;
use super::dc::DcRemoval;
use super::features::SpectrumTables;
use super::framer::Framer;
use super::kinds::{CEPSTRUM_FRAC_BITS, Compression, Kind, LOG_FRAC_BITS, PCEN_FRAC_BITS, PIXEL_FRAC_BITS};
use super::mel::FilterBank;
use super::pcen::Pcen;
use super::pre_emphasis::PreEmphasis;
use super::quantize::Quantizer;
use super::resample::Resampler;
use super::settings::Settings;
use super::stages;
use super::window::{Store, Window};
use crate::bytes;

/// Why a front end cannot be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FrontEndError {
    /// The bytes are no front-end blob.
    Blob(BlobError),
    /// The workspace has fewer words than this, which [`Settings::workspace_words`] tells.
    WorkspaceTooSmall(u32),
    /// The blob needs these stages, bits of [`super::stages`], which the program did not ask for.
    StagesMissing(u32),
}

impl From<BlobError> for FrontEndError {
    fn from(error: BlobError) -> Self {
        FrontEndError::Blob(error)
    }
}

impl core::fmt::Display for FrontEndError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            FrontEndError::Blob(error) => error.fmt(f),
            FrontEndError::WorkspaceTooSmall(words) => {
                write!(f, "front end: the workspace must have {words} words of 32 bits")
            }
            FrontEndError::StagesMissing(stages) => {
                write!(f, "front end: this program is without the stages {stages:#x} that the blob needs")
            }
        }
    }
}

impl core::error::Error for FrontEndError {}

/// A completed frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The window is full and `stride_frames` frames came since it was last ready: the model is to run.
    pub ready: bool,
}

/// A front end over a blob in flash and a workspace of the caller's.
///
/// Opening checks everything; afterwards nothing fails. Each completed hop costs the work of one frame.
///
/// `STAGES` are the stages that are linked, bits of [`super::stages`]: every stage, unless the program says otherwise by
/// [`FrontEnd::with_stages`].
#[derive(Debug)]
pub struct FrontEnd<'a, const STAGES: u32 = { stages::ALL }> {
    pub(super) settings: Settings,
    pub(super) tables: SpectrumTables<'a>,
    pub(super) dct: &'a [i16],
    pub(super) quantizer: Quantizer<'a>,
    pub(super) conditioner: Conditioner<'a, 'a, STAGES>,
    pub(super) framer: Framer<'a>,
    pub(super) spectrum: &'a mut [u32],
    pub(super) pcen: Option<Pcen<'a>>,
    /// Features of the newest frame; for cepstra the bands follow.
    pub(super) newest: &'a mut [i16],
    window: Window<'a, STAGES>,
    /// Frames still to come before the next inference.
    frames_to_go: u16,
}

impl<'a> FrontEnd<'a> {
    /// Opens `blob` and checks it in full. `workspace` has at least [`Settings::workspace_words`] words; its contents
    /// do not matter.
    ///
    /// # Errors
    /// [`FrontEndError`] if the blob is not valid or the workspace too small.
    pub fn new(blob: &'a [u8], workspace: &'a mut [u32]) -> Result<Self, FrontEndError> {
        Self::with_stages(blob, workspace)
    }
}

/// Cuts parts off the front of a workspace.
struct Workspace<'a> {
    rest: &'a mut [u32],
    too_small: FrontEndError,
}

impl<'a> Workspace<'a> {
    fn take(&mut self, words: usize) -> Result<&'a mut [u32], FrontEndError> {
        let rest = core::mem::take(&mut self.rest);
        let (now, later) = rest.split_at_mut_checked(words).ok_or(self.too_small)?;
        self.rest = later;
        Ok(now)
    }
}

impl<'a, const STAGES: u32> FrontEnd<'a, STAGES> {
    /// As [`FrontEnd::new`], for a program that knows its blob when it is built and names the stages that it links:
    /// `FrontEnd::<{ SETTINGS.stages() }>::with_stages(…)`.
    ///
    /// # Errors
    /// [`FrontEndError`] if the blob is not valid or needs other stages, or the workspace is too small.
    pub fn with_stages(blob: &'a [u8], workspace: &'a mut [u32]) -> Result<Self, FrontEndError> {
        let settings = Settings::read(blob)?;
        let missing = settings.stages() & !STAGES;
        if missing != 0 {
            return Err(FrontEndError::StagesMissing(missing));
        }
        let at = settings.tables();
        let has_fft = settings.has_spectrum();
        let bands = usize::from(settings.bands);
        let axes = usize::from(settings.axes);
        let half_frame = if has_fft { usize::from(settings.frame_len) / 2 + 1 } else { 0 };
        let table = |from: usize, to: usize| blob.get(from..to).ok_or(BlobError::TooShort);
        // Tables that do not begin on their boundary would be read as empty.
        if bytes::as_u32(blob).is_empty() {
            return Err(BlobError::Misaligned.into());
        }
        let quantizer = Quantizer {
            entries: bytes::as_i32(table(at.requantize, at.sections)?).as_chunks().0,
            shift: settings.shift,
            zero_point: settings.zero_point,
        };
        if !quantizer.is_valid() {
            return Err(BlobError::BadTable(at.requantize as u32).into());
        }
        let bank = FilterBank {
            edges: bytes::as_u16(table(at.edges, at.edges + if bands > 0 { bands * 2 + 4 } else { 0 })?),
            weights: bytes::as_u16(table(at.weights, at.weights + settings.weighted_bins() * 2)?),
        };
        if bands > 0 && !bank.is_valid(settings.first_bin, settings.end_bin) {
            return Err(BlobError::BadTable(at.edges as u32).into());
        }
        let too_small = FrontEndError::WorkspaceTooSmall(settings.workspace_words() as u32);
        let mut workspace = Workspace { rest: workspace, too_small };
        let ring = bytes::u32_as_i16_mut(workspace.take(settings.ring_words())?);
        let samples = if ring.is_empty() { 0 } else { usize::from(settings.frame_len) * axes };
        let ring = ring.get_mut(..samples).ok_or(too_small)?;
        let spectrum = workspace.take(settings.spectrum_words())?;
        let newest = bytes::u32_as_i16_mut(workspace.take(settings.frame_words())?);
        let window = workspace.take(settings.window_words())?;
        let store = if settings.keeps_features() {
            let kept = bytes::u32_as_i16_mut(window);
            let len = kept.len().min(settings.window_features());
            Store::Features(kept.get_mut(..len).ok_or(too_small)?)
        } else {
            let kept = bytes::u32_as_i8_mut(window);
            let len = kept.len().min(settings.window_features());
            Store::Quantized(kept.get_mut(..len).ok_or(too_small)?)
        };
        let c = settings.conditioning;
        let history = bytes::u32_as_i16_mut(workspace.take(settings.history_words())?);
        let dc =
            DcRemoval { means: workspace.take(settings.dc_words())?, shift: c.dc_shift.into(), begun: 0 };
        let cascade = Cascade {
            sections: bytes::as_i32(table(at.sections, at.resampling)?).as_chunks().0,
            states: workspace.take(settings.section_words())?,
            axes,
            begun: 0,
        };
        if !cascade.is_valid() {
            return Err(BlobError::BadTable(at.sections as u32).into());
        }
        let before = workspace.take(settings.pre_emphasis_words())?;
        let pre_emphasis = PreEmphasis { before, factor: c.pre_emphasis.into(), begun: 0 };
        let (up, down) = (usize::from(c.resample_up), usize::from(c.resample_down));
        let taps = usize::from(c.resample_taps);
        let factors = bytes::as_i16(table(at.resampling, at.resampling + up * taps * 2)?);
        let smoothed = workspace.take(settings.smoothed_words())?;
        Ok(FrontEnd {
            tables: SpectrumTables {
                taper: bytes::as_i16(table(at.taper, at.taper + half_frame * 2)?),
                twiddles: bytes::as_u32(table(at.twiddles, at.edges)?),
                bank,
            },
            dct: bytes::as_i16(table(at.dct, at.dct + usize::from(settings.coefficients) * bands * 2)?),
            quantizer,
            conditioner: Conditioner {
                resampler: (STAGES & stages::RESAMPLING != 0 && up > 0)
                    .then(|| Resampler::new(factors, history, (up, down, taps, axes))),
                dc: (c.dc_shift > 0).then_some(dc),
                cascade: (c.sections > 0).then_some(cascade),
                pre_emphasis: (c.pre_emphasis > 0).then_some(pre_emphasis),
                axes,
                axis: 0,
            },
            framer: Framer::new(ring, usize::from(settings.hop_len) * axes),
            spectrum,
            pcen: (STAGES & stages::PCEN != 0 && settings.compression == Compression::Pcen)
                .then(|| Pcen::new(settings.pcen, settings.floor_log2, smoothed)),
            newest,
            window: Window::new(store, settings.features.into(), settings.level, settings.least()),
            frames_to_go: settings.window_frames,
            settings,
        })
    }

    /// What this front end is.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes samples (interleaved by axis, at the rate of [`Conditioning`](super::Conditioning)) from the front of `samples` until a hop is complete or none is left.
    ///
    /// After `Some` the rest of `samples` is still to be pushed: call in a loop until `None`. The frames do not depend
    /// on how the stream is cut into pieces. An image front end takes no samples and drops them.
    #[inline]
    pub fn push(&mut self, samples: &mut &[i16]) -> Option<Hop> {
        if self.conditioner.only_copies() && self.framer.take_few(samples) {
            return None;
        }
        self.push_many(samples)
    }

    // Apart, so that few samples cost no more than their own work.
    #[inline(never)]
    fn push_many(&mut self, samples: &mut &[i16]) -> Option<Hop> {
        if self.settings.kind == Kind::Image {
            *samples = &[];
            return None;
        }
        if !self.framer.push(samples, &mut self.conditioner) {
            return None;
        }
        self.compute();
        let len = usize::from(self.settings.features);
        let frame = self.newest.get(..len).unwrap_or(&[]);
        self.window.push(frame, &self.quantizer);
        self.frames_to_go = self.frames_to_go.saturating_sub(1);
        let ready = self.frames_to_go == 0;
        if ready {
            self.frames_to_go = self.settings.stride_frames;
        }
        Some(Hop { ready })
    }

    /// The features of the newest frame. The meaning of their bits depends on [`Settings::kind`]; see
    /// `docs/front-end.md`.
    pub fn frame(&self) -> &[i16] {
        self.newest.get(..self.settings.features.into()).unwrap_or(&[])
    }

    /// Writes the quantized window, oldest frame first, `[frames, features]`, and tells whether it did: not before the
    /// window is full, and not into a slice of another length than [`Settings::window_features`].
    #[must_use]
    pub fn write_input(&self, input: &mut [i8]) -> bool {
        let fits = self.window.is_full() && input.len() == self.settings.window_features();
        if fits && self.settings.kind != Kind::Image {
            self.window.write(&self.quantizer, input);
            return true;
        }
        false
    }

    /// Writes the window's features with their level subtracted but not quantized, in the order of
    /// [`Self::write_input`], where the blob asks for a window that keeps them ([`Settings::keeps_features`]); tells
    /// whether it did.
    #[must_use]
    pub fn write_features(&self, features: &mut [i32]) -> bool {
        let fits = self.window.is_full() && features.len() == self.settings.window_features();
        if fits && self.settings.keeps_features() && self.settings.kind != Kind::Image {
            self.window.for_each(|element, _, value| {
                if let Some(to) = features.get_mut(element) {
                    *to = value;
                }
            });
            return true;
        }
        false
    }

    /// Quantizes the pixels of an image, interleaved by channel, into the model input; tells whether it did: not with
    /// another kind of front end, and not if the lengths differ.
    #[must_use]
    pub fn write_pixels(&self, pixels: &[u8], input: &mut [i8]) -> bool {
        if self.settings.kind != Kind::Image || pixels.len() != input.len() {
            return false;
        }
        let channels = usize::from(self.settings.features);
        let (mut pixels, mut input) = (pixels, input);
        while let (Some((now, rest)), Some((to, rest_to))) =
            (pixels.split_at_checked(channels), core::mem::take(&mut input).split_at_mut_checked(channels))
        {
            self.quantizer.frame(now.iter().map(|p| i32::from(*p) << PIXEL_FRAC_BITS), to);
            (pixels, input) = (rest, rest_to);
        }
        pixels.is_empty()
    }

    /// Forgets all samples and frames, as after a gap in the signal.
    pub fn reset(&mut self) {
        self.conditioner.reset();
        self.framer.reset();
        if let Some(pcen) = &mut self.pcen {
            pcen.reset();
        }
        self.window.reset();
        self.frames_to_go = self.settings.window_frames;
    }

    /// Fractional bits of the features of cepstra and of logarithms, for callers who print them.
    pub fn frac_bits(&self) -> Option<u32> {
        match self.settings.kind {
            Kind::LogMel if self.settings.compression == Compression::Pcen => Some(PCEN_FRAC_BITS),
            Kind::LogMel => Some(LOG_FRAC_BITS),
            Kind::Mfcc => Some(CEPSTRUM_FRAC_BITS),
            _ => None,
        }
    }
}
