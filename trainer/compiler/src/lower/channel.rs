//! One output channel of a layer in integers: weights, bias, multiplier, and how far the result may be from the exact
//! one (`docs/arithmetic.md`, *extreme channels*).

use teff::quant::{Multiplier, round_half_away};

/// Accumulators beyond this lose precision in the multiplication: the mantissa of a factor is known to half a unit of
/// 2^-31, so the result to `2^24 · 2^-32` of a step.
const PRECISE: i64 = 1 << 24;

/// A bound, in steps of the output, above which a channel is not held in other units than the model's.
const TOLERABLE: f64 = 0.5;

/// What a channel computes: `factor · (bias + Σ row · q)` in steps of the output, `q` being the input's integers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exact<'a> {
    pub row: &'a [i8],
    /// Real bias in units of the accumulator, the input's zero point taken off.
    pub bias: f64,
    pub factor: f64,
}

/// A channel as a plan holds it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Channel {
    /// The weights, where they differ from the model's.
    pub row: Option<Vec<i8>>,
    pub bias: i32,
    pub multiplier: i32,
    /// How far a result before its rounding may be from the exact one, in steps of the output.
    pub bound: f64,
}

/// A channel whose sums are large, and what was done about it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Extreme {
    /// The largest magnitude of the model's own accumulator.
    pub reach: i64,
    /// The bound in the model's own units, where the accumulator fits 32 bits.
    pub plain: Option<f64>,
    /// The bound as the plan has it.
    pub bound: f64,
}

impl Exact<'_> {
    /// The channel in integers, with the shift that is common to the layer. Where the sums are large, weights, bias
    /// and factor are divided and multiplied by a power of two if that lowers the bound.
    ///
    /// # Errors
    /// The largest magnitude of the accumulator, where it fits 32 bits in no units.
    pub fn fit(&self, shift: u8) -> Result<(Channel, Option<Extreme>), i64> {
        let reach = self.reach(1.0);
        let plain = self.in_units(0, shift);
        if reach <= PRECISE {
            return plain.map(|channel| (channel, None)).ok_or(reach);
        }
        let rescaled = (1..=30).filter_map(|k| self.in_units(k, shift));
        let best = rescaled.min_by(|a, b| a.bound.total_cmp(&b.bound));
        let plain_bound = plain.as_ref().map(|channel| channel.bound);
        let chosen = match (plain, best) {
            (Some(plain), Some(best)) if best.bound < plain.bound => best,
            (Some(plain), _) => plain,
            (None, Some(best)) if best.bound <= TOLERABLE => best,
            (None, _) => return Err(reach),
        };
        let extreme = Extreme { reach, plain: plain_bound, bound: chosen.bound };
        Ok((chosen, Some(extreme)))
    }

    /// The largest magnitude of the accumulator in units `ratio` times as large.
    fn reach(&self, ratio: f64) -> i64 {
        let weights: i64 = self.row.iter().map(|&w| 128 * divided(w, ratio).abs()).sum();
        weights.saturating_add(round_half_away(self.bias / ratio).saturating_abs())
    }

    /// The channel in units 2^k times as large as the model's. Nothing where it does not fit.
    fn in_units(&self, k: i32, shift: u8) -> Option<Channel> {
        let ratio = libm::ldexp(1.0, k);
        let factor = self.factor * ratio;
        let reach = self.reach(ratio);
        let bias = round_half_away(self.bias / ratio);
        let multiplier = Multiplier::with_shift(factor, shift)?.mantissa;
        let room = 1i64 << (31 - shift);
        // The clamp before the shift changes nothing where the result saturates anyway.
        let saturates = factor * room as f64 >= 1024.0;
        if reach > i64::from(i32::MAX) || (reach > room - 1 && !saturates) {
            return None;
        }
        let lost = |w: i8| (f64::from(w) - divided(w, ratio) as f64 * ratio).abs();
        let weights: f64 = self.row.iter().map(|&w| 128.0 * lost(w)).sum();
        let rounding = weights + (self.bias - bias as f64 * ratio).abs();
        let held = f64::from(multiplier) / room as f64;
        Some(Channel {
            row: (k > 0).then(|| self.row.iter().map(|&w| divided(w, ratio) as i8).collect()),
            bias: bias as i32,
            multiplier,
            bound: self.factor * rounding + reach as f64 * (factor - held).abs(),
        })
    }
}

fn divided(weight: i8, ratio: f64) -> i64 {
    round_half_away(f64::from(weight) / ratio)
}

/// What a person should know of the extreme channels of a layer.
pub(super) fn note(node: &str, extremes: &[Extreme]) -> Option<String> {
    let largest = extremes.iter().map(|e| e.reach).max()?;
    let worst = extremes.iter().map(|e| e.bound).fold(0.0, f64::max);
    let count = extremes.len();
    let rescaled = extremes.iter().filter(|e| e.plain != Some(e.bound)).count();
    let channels = if count == 1 { "channel" } else { "channels" };
    let done = match rescaled {
        0 => "in the model's own units".to_string(),
        _ => {
            let before = extremes.iter().filter_map(|e| e.plain).fold(0.0, f64::max);
            format!("{rescaled} of {count} held in other units; {before:.1e} in the model's own")
        }
    };
    Some(format!(
        "`{node}` has {count} output {channels} with sums up to {largest}, beyond 2^24: each result is within \
         {worst:.1e} of a step of the exact one before it is rounded ({done})."
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result of a channel before its rounding, in steps of the output.
    fn result(channel: &Channel, row: &[i8], shift: u8, q: &[i8]) -> f64 {
        let row = channel.row.as_deref().unwrap_or(row);
        let acc: i64 = row.iter().zip(q).map(|(&w, &q)| i64::from(w) * i64::from(q)).sum();
        (acc + i64::from(channel.bias)) as f64 * f64::from(channel.multiplier)
            / f64::from(1u32 << (31 - shift))
    }

    fn check(exact: Exact<'_>, shift: u8) -> Extreme {
        let (channel, extreme) = exact.fit(shift).unwrap();
        let mut state = 7u32;
        let ends = [[-128i8; 4], [127; 4], [-128, 127, -128, 127], [127, -128, 127, -128]];
        let noise = (0..500).map(|_| {
            std::array::from_fn(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as i8
            })
        });
        for q in ends.into_iter().chain(noise) {
            let sum: f64 = exact.row.iter().zip(&q).map(|(&w, &q)| f64::from(w) * f64::from(q)).sum();
            let wanted = exact.factor * (exact.bias + sum);
            let got = result(&channel, exact.row, shift, &q);
            assert!((got - wanted).abs() <= channel.bound * (1.0 + 1e-9), "{got} for {wanted}: {channel:?}");
        }
        extreme.unwrap()
    }

    #[test]
    fn ordinary_channels_stay_as_they_are() {
        let exact = Exact { row: &[1, -2, 3, 127], bias: 1000.0, factor: 0.01 };
        let (channel, extreme) = exact.fit(0).unwrap();
        assert_eq!((channel.row, channel.bias, extreme), (None, 1000, None));
    }

    #[test]
    fn a_factor_below_the_mantissa_is_held_in_other_units() {
        // As in a file of MLPerf Tiny: the multiplier would be 0, and with it the bias of a quarter step.
        let exact = Exact { row: &[3, -2, 100, 127], bias: 1_073_741_952.0, factor: libm::ldexp(1.1, -34) };
        let extreme = check(exact, 0);
        assert!(extreme.plain.unwrap() > 0.06, "{extreme:?}");
        assert!(extreme.bound < 1e-5, "{extreme:?}");
    }

    #[test]
    fn the_bound_holds_where_weights_count() {
        for (bias, factor) in [(3e7, 1e-6), (2e9, 6e-8), (1e8, 0.3), (-4e8, 1.7e-7)] {
            let extreme = check(Exact { row: &[3, -127, 100, 127], bias, factor }, 0);
            assert!(extreme.bound <= extreme.plain.unwrap());
        }
    }

    #[test]
    fn a_bias_beyond_32_bits_is_held_where_its_factor_is_small() {
        let extreme = check(Exact { row: &[1, 2, 3, 4], bias: 1e11, factor: 1e-10 }, 0);
        assert_eq!(extreme.plain, None);
        assert!(extreme.bound < 1e-3);
        assert_eq!(Exact { row: &[127; 4], bias: 1e11, factor: 0.5 }.fit(0), Err(100_000_065_024));
    }
}
