//! From a feature to the int8 input of the model.

use crate::quant::requantize;

/// Multiplier and offset of each feature of a frame, or one pair for all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quantizer<'a> {
    pub(super) entries: &'a [[i32; 2]],
    pub(super) shift: u8,
    pub(super) zero_point: i8,
}

impl Quantizer<'_> {
    /// Whether every multiplier is a positive Q0.31 and every offset keeps the difference in 18 bits.
    pub(super) fn is_valid(&self) -> bool {
        self.entries.iter().all(|e| {
            let [multiplier, offset] = *e;
            multiplier >= 0 && (-65536..=65536).contains(&offset)
        })
    }

    /// Quantizes the features of a frame into `out`.
    pub(super) fn frame(&self, features: impl Iterator<Item = i32>, out: &mut [i8]) {
        if let [entry] = self.entries {
            for (value, to) in features.zip(out) {
                *to = self.by(*entry, value);
            }
        } else {
            for ((value, to), entry) in features.zip(out).zip(self.entries) {
                *to = self.by(*entry, value);
            }
        }
    }

    /// Quantizes one value, that of the feature at `feature` in its frame.
    pub(super) fn one(&self, feature: usize, value: i32) -> i8 {
        let Some(entry) = self.entries.get(if self.entries.len() == 1 { 0 } else { feature }) else {
            return self.zero_point;
        };
        self.by(*entry, value)
    }

    #[inline(always)]
    fn by(&self, [multiplier, offset]: [i32; 2], value: i32) -> i8 {
        requantize(value.wrapping_sub(offset), multiplier, self.shift, self.zero_point, i8::MIN, i8::MAX)
    }
}
