//! The features of one frame, stage by stage.

use super::front_end::FrontEnd;
use super::kinds::{Compression, Kind};
use super::mel::FilterBank;
use super::pcen::Pcen;
use super::peaks::{self, Spectrum};
use super::settings::Settings;
use super::stats::AxisSamples;
use super::taper::Loaded;
use super::{dct, log, rfft, stages, stats, taper};
use crate::quant::divide_half_away;

/// The tables that a spectrum is computed with.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpectrumTables<'a> {
    pub(super) taper: &'a [i16],
    pub(super) twiddles: &'a [u32],
    pub(super) bank: FilterBank<'a>,
}

impl<const STAGES: u32> FrontEnd<'_, STAGES> {
    /// Computes the features of the frame that the framer holds.
    pub(super) fn compute(&mut self) {
        match self.settings.kind {
            Kind::Image => {}
            Kind::RawWindow => {
                if STAGES & stages::AVERAGE != 0 {
                    self.averages();
                }
            }
            Kind::MotionStats => {
                if STAGES & stages::STATISTICS != 0 {
                    self.statistics();
                }
            }
            Kind::LogMel | Kind::Mfcc => {
                if STAGES & stages::SOUND != 0 {
                    self.bands();
                }
            }
        }
    }

    fn averages(&mut self) {
        let (parts, axes) = (self.framer.frame(), usize::from(self.settings.axes));
        for (axis, to) in self.newest.iter_mut().take(axes).enumerate() {
            let sum = AxisSamples::new(parts, axes, axis).fold(0_i32, |sum, x| sum.wrapping_add(x));
            *to = divide_half_away(sum, u32::from(self.settings.frame_len)).clamp(-32768, 32767) as i16;
        }
    }

    fn statistics(&mut self) {
        let settings = &self.settings;
        let (parts, axes) = (self.framer.frame(), usize::from(settings.axes));
        let n_stats = settings.stats.count_ones() as usize;
        let mut frame = self.newest.get_mut(..settings.features.into()).unwrap_or(&mut []);
        for axis in 0..settings.analysed_axes() {
            let Some((now, rest)) = frame.split_at_mut_checked(settings.features_per_axis()) else { return };
            frame = rest;
            let Some((stats_to, spectrum_to)) = now.split_at_mut_checked(n_stats) else { return };
            let samples = AxisSamples::new(parts, axes, axis);
            let range = stats::write::<STAGES>(&samples, settings, stats_to);
            if STAGES & stages::SPECTRUM != 0 && settings.has_spectrum() {
                let (taper, len) = (self.tables.taper, usize::from(settings.frame_len));
                let loaded = taper::load_axis(&samples, range, len, taper, self.spectrum);
                let spectrum = spectrum(loaded, self.tables, self.spectrum);
                let bands = usize::from(settings.bands);
                let Some((bands_to, peaks_to)) = spectrum_to.split_at_mut_checked(bands) else { return };
                log_bands(spectrum, settings, self.tables.bank, bands_to);
                if STAGES & stages::PEAKS != 0 && settings.peaks > 0 {
                    let bins = (settings.first_bin.into(), settings.end_bin.into());
                    peaks::write(spectrum, bins, settings.floor_log2, peaks_to);
                }
            }
        }
    }

    fn bands(&mut self) {
        let settings = &self.settings;
        let features = usize::from(settings.features);
        let (cepstrum, bands) = if settings.kind == Kind::Mfcc {
            self.newest.split_at_mut_checked(features).unwrap_or((&mut [], &mut []))
        } else {
            (&mut [][..], &mut *self.newest)
        };
        let bands = bands.get_mut(..settings.bands.into()).unwrap_or(&mut []);
        let frame = self.framer.frame();
        let loaded = taper::load(frame, settings.frame_len.into(), self.tables.taper, self.spectrum);
        let spectrum = spectrum(loaded, self.tables, self.spectrum);
        match &mut self.pcen {
            Some(pcen) if STAGES & stages::PCEN != 0 && settings.compression == Compression::Pcen => {
                normalized_bands(spectrum, pcen, self.tables.bank, bands);
            }
            _ => log_bands(spectrum, settings, self.tables.bank, bands),
        }
        if STAGES & stages::CEPSTRUM != 0 && settings.kind == Kind::Mfcc {
            dct::apply(bands, self.dct, cepstrum);
        }
    }
}

/// The power spectrum of what was loaded with that shift; `None` for a frame of zeros.
#[inline(never)]
fn spectrum<'s>(
    loaded: Option<Loaded>,
    tables: SpectrumTables<'_>,
    spectrum: &'s mut [u32],
) -> Option<Spectrum<'s>> {
    let loaded = loaded?;
    let transformed = rfft::transform(spectrum, loaded.extent, tables.twiddles);
    let exponent = rfft::to_power(spectrum, transformed) - loaded.shift as i32;
    Some(Spectrum { bins: spectrum, exponent })
}

/// Logarithms of the filter-bank energies of one frame.
fn log_bands(spectrum: Option<Spectrum<'_>>, settings: &Settings, bank: FilterBank<'_>, bands: &mut [i16]) {
    let features = log::Features::new(spectrum.map_or(0, |s| s.exponent), settings.floor_log2);
    match spectrum {
        Some(Spectrum { bins, .. }) if !features.is_least => bank.log_features(bins, features, bands),
        _ => bands.fill(features.least),
    }
}

/// Normalized filter-bank energies of one frame.
fn normalized_bands(
    spectrum: Option<Spectrum<'_>>,
    pcen: &mut Pcen<'_>,
    bank: FilterBank<'_>,
    bands: &mut [i16],
) {
    let mut normalize = pcen.frame(spectrum.map_or(0, |s| s.exponent));
    let mut to = bands.iter_mut().enumerate();
    match spectrum {
        Some(Spectrum { bins, .. }) => bank.apply(bins, |energy| {
            if let Some((band, to)) = to.next() {
                *to = normalize(band, energy);
            }
        }),
        None => to.for_each(|(band, to)| *to = normalize(band, 0)),
    }
}
