//! The feature window: the newest frames, oldest first when read, and the level that is subtracted from them.

use super::kinds::Level;
use super::quantize::Quantizer;
use super::stages;
use crate::quant::divide_half_away;

/// What the window keeps.
#[derive(Debug)]
pub(super) enum Store<'w> {
    /// Quantized features: the model input is a copy.
    Quantized(&'w mut [i8]),
    /// Features, quantized when the model input is written.
    Features(&'w mut [i16]),
}

/// Ring of the newest frames.
#[derive(Debug)]
pub(super) struct Window<'w, const STAGES: u32> {
    store: Store<'w>,
    features: usize,
    /// Where the next frame goes, in elements.
    at: usize,
    filled: usize,
    level: Level,
    /// Least value above the level.
    least: i32,
}

impl<'w, const STAGES: u32> Window<'w, STAGES> {
    /// `store` holds whole frames of `features`; what is below `least` once the level is subtracted is raised to it.
    pub(super) fn new(store: Store<'w>, features: usize, level: Level, least: i32) -> Self {
        Window { store, features, at: 0, filled: 0, level, least }
    }

    /// Forgets all frames.
    pub(super) fn reset(&mut self) {
        self.at = 0;
        self.filled = 0;
    }

    fn len(&self) -> usize {
        match &self.store {
            Store::Quantized(q) => q.len(),
            Store::Features(f) => f.len(),
        }
    }

    /// Whether every frame has been written since the last reset.
    pub(super) fn is_full(&self) -> bool {
        self.filled >= self.len()
    }

    /// Takes the features of the newest frame.
    pub(super) fn push(&mut self, frame: &[i16], quantizer: &Quantizer<'_>) {
        let end = self.at + self.features;
        match &mut self.store {
            Store::Quantized(q) => {
                if let Some(slot) = q.get_mut(self.at..end) {
                    quantizer.frame(frame.iter().map(|f| i32::from(*f)), slot);
                }
            }
            Store::Features(kept) => {
                if STAGES & stages::WIDE_WINDOW == 0 {
                    return;
                }
                if let Some(slot) = kept.get_mut(self.at..end) {
                    for (to, from) in slot.iter_mut().zip(frame) {
                        *to = *from;
                    }
                }
            }
        }
        self.filled = (self.filled + self.features).min(self.len());
        self.at = if end >= self.len() { 0 } else { end };
    }

    /// Writes the model input, oldest frame first.
    pub(super) fn write(&self, quantizer: &Quantizer<'_>, out: &mut [i8]) {
        match &self.store {
            Store::Quantized(q) => {
                let (newer, older) = q.split_at_checked(self.at).unwrap_or((&[], q));
                for (to, from) in out.iter_mut().zip(older.iter().chain(newer)) {
                    *to = *from;
                }
            }
            Store::Features(_) if STAGES & stages::WIDE_WINDOW == 0 => {}
            Store::Features(_) => self.for_each(|element, feature, value| {
                if let Some(to) = out.get_mut(element) {
                    *to = quantizer.one(feature, value);
                }
            }),
        }
    }

    /// Calls `each` with the place in the window (oldest frame first), the place in the frame and the value less its
    /// level. Nothing where the window keeps quantized features.
    pub(super) fn for_each(&self, mut each: impl FnMut(usize, usize, i32)) {
        let own_means = self.level == Level::FeatureMean;
        let common = self.common_level();
        for feature in 0..self.features {
            let level = if own_means { self.feature_mean(feature) } else { common };
            let mut element = feature;
            self.column(feature).for_each(|value| {
                each(element, feature, (i32::from(value) - level).max(self.least));
                element += self.features;
            });
        }
    }

    fn kept(&self) -> &[i16] {
        if let Store::Features(f) = &self.store { f } else { &[] }
    }

    /// One feature of every frame, oldest first.
    fn column(&self, feature: usize) -> impl Iterator<Item = i16> {
        let (newer, older) = self.kept().split_at_checked(self.at).unwrap_or((&[], self.kept()));
        Column { rest: older, next: newer, feature, features: self.features }
    }

    fn feature_mean(&self, feature: usize) -> i32 {
        let (sum, count) =
            self.column(feature).fold((0_i32, 0), |(sum, n), f| (sum.wrapping_add(i32::from(f)), n + 1));
        divide_half_away(sum, count)
    }

    fn common_level(&self) -> i32 {
        match self.level {
            Level::Mean => {
                let sum = self.kept().iter().fold(0_i32, |sum, f| sum.wrapping_add(i32::from(*f)));
                divide_half_away(sum, self.len() as u32)
            }
            Level::Peak => self.kept().iter().fold(-32768, |peak, f| peak.max(i32::from(*f))),
            Level::None | Level::FeatureMean => 0,
        }
    }
}

struct Column<'a> {
    rest: &'a [i16],
    next: &'a [i16],
    feature: usize,
    features: usize,
}

impl Iterator for Column<'_> {
    type Item = i16;

    fn next(&mut self) -> Option<i16> {
        if self.rest.is_empty() {
            self.rest = core::mem::take(&mut self.next);
        }
        let (frame, rest) = self.rest.split_at_checked(self.features)?;
        self.rest = rest;
        frame.get(self.feature).copied()
    }
}
