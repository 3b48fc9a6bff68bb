//! A front end at work: samples in, frames of features, model input out.

use super::framer::Framer;
use super::mel::FilterBank;
use super::quantize::Quantizer;
use super::settings::{BlobError, CEPSTRUM_FRAC_BITS, Kind, LOG_FRAC_BITS, PIXEL_FRAC_BITS, Settings};
use super::stats::AxisSamples;
use super::window::{Store, Window};
use super::{dct, hann, log, rfft, stats};
use crate::bytes;
use crate::quant::divide_half_away;

/// Why a front end cannot be set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum FrontEndError {
    /// The bytes are no front-end blob.
    Blob(BlobError),
    /// The workspace has fewer words than this, which [`Settings::workspace_words`] tells.
    WorkspaceTooSmall(u32),
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
#[derive(Debug)]
pub struct FrontEnd<'a> {
    settings: Settings,
    taper: &'a [i16],
    twiddles: &'a [u32],
    bank: FilterBank<'a>,
    dct: &'a [i16],
    quantizer: Quantizer<'a>,
    framer: Framer<'a>,
    spectrum: &'a mut [u32],
    /// Features of the newest frame; for cepstra the bands follow.
    newest: &'a mut [i16],
    window: Window<'a>,
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
        let settings = Settings::read(blob)?;
        let at = settings.tables();
        let has_fft = settings.fft_len != 0;
        let bands = usize::from(settings.bands);
        let bins = usize::from(settings.end_bin - settings.first_bin);
        let half_frame = if has_fft { usize::from(settings.frame_len) / 2 + 1 } else { 0 };
        let table = |from: usize, to: usize| blob.get(from..to).ok_or(BlobError::TooShort);
        // Tables that do not begin on their boundary would be read as empty.
        if bytes::as_u32(blob).is_empty() {
            return Err(BlobError::Misaligned.into());
        }
        let quantizer = Quantizer {
            entries: bytes::as_i32(table(at.requantize, at.hann)?).as_chunks().0,
            shift: settings.shift,
            zero_point: settings.zero_point,
        };
        if !quantizer.is_valid() {
            return Err(BlobError::BadTable(at.requantize as u32).into());
        }
        let bank = FilterBank {
            edges: bytes::as_u16(table(at.edges, at.edges + if has_fft { bands * 2 + 4 } else { 0 })?),
            weights: bytes::as_u16(table(at.weights, at.weights + bins * 2)?),
        };
        if has_fft && !bank.is_valid(settings.first_bin, settings.end_bin) {
            return Err(BlobError::BadTable(at.edges as u32).into());
        }
        let too_small = FrontEndError::WorkspaceTooSmall(settings.workspace_words() as u32);
        let samples = usize::from(settings.frame_len) * usize::from(settings.axes);
        let (ring, rest) = workspace.split_at_mut_checked(settings.ring_words()).ok_or(too_small)?;
        let (spectrum, rest) = rest.split_at_mut_checked(settings.spectrum_words()).ok_or(too_small)?;
        let (newest, rest) = rest.split_at_mut_checked(settings.frame_words()).ok_or(too_small)?;
        let (window, _) = rest.split_at_mut_checked(settings.window_words()).ok_or(too_small)?;
        let ring = bytes::u32_as_i16_mut(ring);
        let ring = if ring.is_empty() { ring } else { ring.get_mut(..samples).ok_or(too_small)? };
        let store = if settings.keeps_features() {
            let kept = bytes::u32_as_i16_mut(window);
            let len = kept.len().min(settings.window_features());
            Store::Features(kept.get_mut(..len).ok_or(too_small)?)
        } else {
            let kept = bytes::u32_as_i8_mut(window);
            let len = kept.len().min(settings.window_features());
            Store::Quantized(kept.get_mut(..len).ok_or(too_small)?)
        };
        Ok(FrontEnd {
            taper: bytes::as_i16(table(at.hann, at.hann + half_frame * 2)?),
            twiddles: bytes::as_u32(table(at.twiddles, at.edges)?),
            bank,
            dct: bytes::as_i16(table(at.dct, at.dct + usize::from(settings.coefficients) * bands * 2)?),
            quantizer,
            framer: Framer::new(ring, usize::from(settings.hop_len) * usize::from(settings.axes)),
            spectrum,
            newest: bytes::u32_as_i16_mut(newest),
            window: Window::new(store, settings.features.into(), settings.level, settings.least()),
            frames_to_go: settings.window_frames,
            settings,
        })
    }

    /// What this front end is.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes samples (interleaved by axis) from the front of `samples` until a hop is complete or none is left.
    ///
    /// After `Some` the rest of `samples` is still to be pushed: call in a loop until `None`. The frames do not depend
    /// on how the stream is cut into pieces. An image front end takes no samples and drops them.
    pub fn push(&mut self, samples: &mut &[i16]) -> Option<Hop> {
        if !self.framer.push(samples) {
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
        self.framer.reset();
        self.window.reset();
        self.frames_to_go = self.settings.window_frames;
    }

    /// Computes the features of the frame that the framer holds.
    fn compute(&mut self) {
        let settings = self.settings;
        let parts = self.framer.frame();
        let axes = usize::from(settings.axes);
        let features = usize::from(settings.features);
        match settings.kind {
            Kind::Image => {}
            Kind::RawWindow => {
                for (axis, to) in self.newest.iter_mut().take(features).enumerate() {
                    let sum = AxisSamples::new(parts, axes, axis).fold(0_i32, |sum, x| sum.wrapping_add(x));
                    *to = divide_half_away(sum, u32::from(settings.frame_len)).clamp(-32768, 32767) as i16;
                }
            }
            Kind::MotionStats => {
                let stats = settings.stats.count_ones() as usize;
                let bands = usize::from(settings.bands);
                let mut frame = self.newest.get_mut(..features).unwrap_or(&mut []);
                for axis in 0..settings.analysed_axes() {
                    let (Some((now, rest)), samples) =
                        (frame.split_at_mut_checked(stats + bands), AxisSamples::new(parts, axes, axis))
                    else {
                        return;
                    };
                    frame = rest;
                    let Some((stats_to, bands_to)) = now.split_at_mut_checked(stats) else { return };
                    let average = stats::write(&samples, &settings, stats_to);
                    if bands > 0 {
                        let centred = samples.map(move |x| (x - average).clamp(-32768, 32767));
                        let tables = (self.taper, self.twiddles, self.bank);
                        log_bands(centred, &settings, tables, self.spectrum, bands_to);
                    }
                }
            }
            Kind::LogMel | Kind::Mfcc => {
                let (cepstrum, bands) = if settings.kind == Kind::Mfcc {
                    self.newest.split_at_mut_checked(features).unwrap_or((&mut [], &mut []))
                } else {
                    (&mut [][..], &mut *self.newest)
                };
                let bands = bands.get_mut(..settings.bands.into()).unwrap_or(&mut []);
                let samples = parts.0.iter().chain(parts.1).map(|x| i32::from(*x));
                log_bands(samples, &settings, (self.taper, self.twiddles, self.bank), self.spectrum, bands);
                if settings.kind == Kind::Mfcc {
                    dct::apply(bands, self.dct, cepstrum);
                }
            }
        }
    }

    /// Fractional bits of the features of cepstra and of logarithms, for callers who print them.
    pub fn frac_bits(&self) -> Option<u32> {
        match self.settings.kind {
            Kind::LogMel => Some(LOG_FRAC_BITS),
            Kind::Mfcc => Some(CEPSTRUM_FRAC_BITS),
            _ => None,
        }
    }
}

/// Logarithms of the filter-bank energies of one frame.
fn log_bands<I>(
    samples: I,
    settings: &Settings,
    (taper, twiddles, bank): (&[i16], &[u32], FilterBank<'_>),
    spectrum: &mut [u32],
    bands: &mut [i16],
) where
    I: Iterator<Item = i32> + Clone,
{
    let Some(loaded) = hann::load(samples, settings.frame_len.into(), taper, spectrum) else {
        bands.fill(log::band_feature(0, 0, settings.floor_log2));
        return;
    };
    let transformed = rfft::transform(spectrum, twiddles);
    let exponent = rfft::to_power(spectrum, transformed) - loaded as i32;
    let mut to = bands.iter_mut();
    bank.apply(spectrum, |energy| {
        if let Some(to) = to.next() {
            *to = log::band_feature(energy, exponent, settings.floor_log2);
        }
    });
}
