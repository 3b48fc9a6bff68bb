//! Quantization arithmetic: the only rounding code of the project.
//!
//! A real number `r` is stored as `q` with `r = scale * (q - zero_point)`. Formulas, ranges and ties stand
//! in `docs/arithmetic.md`.

/// Scale and zero point of a value, per tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct QuantParams {
    /// Real value of one step; finite and greater than 0.
    pub scale: f32,
    /// The integer that stands for real 0, in [-128, 127].
    pub zero_point: i8,
}

impl QuantParams {
    /// Nearest integer to `real / scale + zero_point`, ties to even, saturated to [-128, 127] (ONNX
    /// `QuantizeLinear`; the division is in `f32`). A NaN gives the zero point.
    pub fn quantize(self, real: f32) -> i8 {
        let q = round_ties_even(real / self.scale) + f32::from(self.zero_point);
        if q.is_nan() { self.zero_point } else { q as i8 }
    }

    /// `scale * (q - zero_point)`.
    pub fn dequantize(self, q: i8) -> f32 {
        self.scale * (i32::from(q) - i32::from(self.zero_point)) as f32
    }
}

/// Nearest integer, ties to even, as a float.
pub fn round_ties_even(x: f32) -> f32 {
    const MAGIC: f32 = 8_388_608.0; // 2^23: from here on every f32 is an integer
    if x.abs() >= MAGIC || x.is_nan() {
        x
    } else if x >= 0.0 {
        (x + MAGIC) - MAGIC
    } else {
        (x - MAGIC) + MAGIC
    }
}

/// Nearest integer, ties away from zero, saturated to the range of `i64`. NaN gives 0.
pub fn round_half_away(x: f64) -> i64 {
    let truncated = x as i64;
    let rest = x - truncated as f64;
    if rest >= 0.5 {
        truncated.saturating_add(1)
    } else if rest <= -0.5 {
        truncated.saturating_sub(1)
    } else {
        truncated
    }
}

/// A real factor as a Q0.31 mantissa and a left shift: `factor = mantissa * 2^shift / 2^31`.
///
/// `shift` is 0 for every factor below 1, whatever its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multiplier {
    /// In `[0, 2^31)`.
    pub mantissa: i32,
    /// In `[0, 30]`.
    pub shift: u8,
}

impl Multiplier {
    /// The multiplier nearest to `factor`, or `None` unless `0 <= factor < 2^30`.
    pub fn from_factor(factor: f64) -> Option<Self> {
        (0..=30).find_map(|shift| Self::with_shift(factor, shift))
    }

    /// The multiplier nearest to `factor` with the given shift, or `None` where the mantissa would not fit.
    /// Channels of one operator share a shift.
    pub fn with_shift(factor: f64, shift: u8) -> Option<Self> {
        if factor.is_nan() || factor < 0.0 || shift > 30 {
            return None;
        }
        let mantissa = round_half_away(factor * (1u64 << (31 - shift)) as f64);
        i32::try_from(mantissa).ok().map(|mantissa| Self { mantissa, shift })
    }
}

/// What follows every accumulator: scale, shift to the zero point, clamp.
#[derive(Clone, Copy, Debug)]
pub struct Requantize<'a> {
    /// Q0.31 mantissas, one per output channel (or a single one).
    pub multipliers: &'a [i32],
    /// Left shift common to all channels; 0 unless a factor is 1 or more.
    pub shift: u8,
    /// Zero point of the output.
    pub zero_point: i8,
    /// Lower clamp in quantized units: -128, or the image of a fused activation's lower bound.
    pub output_min: i8,
    /// Upper clamp in quantized units; not below `output_min`.
    pub output_max: i8,
}

impl Requantize<'_> {
    /// The accumulator of output channel `c` as an output value.
    #[inline(always)]
    pub fn apply(&self, acc: i32, c: usize) -> i8 {
        let mantissa = self.multipliers.get(c).copied().unwrap_or(0);
        requantize(acc, mantissa, self.shift, self.zero_point, self.output_min, self.output_max)
    }
}

/// `clamp(zero_point + (((acc << shift) * mantissa + 2^30) >> 31), output_min, output_max)`, in 64 bits: one
/// rounding, half up.
///
/// `mantissa` in `[0, 2^31)`, `shift` in `[0, 30]`. `acc << shift` saturates to 32 bits first, which changes
/// no result for factors from 2^-23 on: the clamp is reached either way.
#[inline(always)]
pub fn requantize(acc: i32, mantissa: i32, shift: u8, zero_point: i8, output_min: i8, output_max: i8) -> i8 {
    let acc = if shift == 0 { acc } else { shift_left_saturating(acc, shift) };
    let product = i64::from(acc) * i64::from(mantissa);
    if cfg!(target_pointer_width = "64") {
        // The zero point joins the rounding term, and the sum keeps its 33 bits until the clamp.
        let q = (product + (i64::from(zero_point) << 31) + (1 << 30)) >> 31;
        q.max(i64::from(output_min)).min(i64::from(output_max)) as i8
    } else {
        let scaled = ((product + (1 << 30)) >> 31) as i32;
        clamp_i8(scaled.saturating_add(i32::from(zero_point)), output_min, output_max)
    }
}

/// `x << shift`, saturated to the range of `i32`.
#[inline(always)]
fn shift_left_saturating(x: i32, shift: u8) -> i32 {
    let limit = i32::MAX >> shift;
    x.clamp(-limit - 1, limit) << shift
}

/// `q` limited to `[min, max]`.
#[inline(always)]
pub fn clamp_i8(q: i32, min: i8, max: i8) -> i8 {
    // Not `clamp`: it panics where min > max.
    q.max(i32::from(min)).min(i32::from(max)) as i8
}

/// Integer form of a quantized addition: `clamp((a * lhs + b * rhs + offset) >> shift)`, all in 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddCoefficients {
    /// Factor of the left operand.
    pub lhs: i32,
    /// Factor of the right operand.
    pub rhs: i32,
    /// Zero points of both operands and of the output, and one half for rounding.
    pub offset: i32,
    /// Right shift, arithmetic.
    pub shift: u8,
}

impl AddCoefficients {
    /// Coefficients of `output = lhs + rhs` with the largest shift (at most 30) for which no pair of int8
    /// operands overflows 32 bits. `None` where a scale is not positive and finite or the output scale is
    /// too small against an operand's.
    pub fn new(lhs: QuantParams, rhs: QuantParams, output: QuantParams) -> Option<Self> {
        Self::signed(lhs, rhs, 1.0, output)
    }

    /// As [`AddCoefficients::new`], for `output = lhs - rhs`.
    pub fn difference(lhs: QuantParams, rhs: QuantParams, output: QuantParams) -> Option<Self> {
        Self::signed(lhs, rhs, -1.0, output)
    }

    fn signed(lhs: QuantParams, rhs: QuantParams, sign: f64, output: QuantParams) -> Option<Self> {
        let scale = f64::from(output.scale);
        let (lhs_ratio, rhs_ratio) = (f64::from(lhs.scale) / scale, f64::from(rhs.scale) / scale);
        if !(lhs_ratio > 0.0 && rhs_ratio > 0.0 && lhs_ratio.is_finite() && rhs_ratio.is_finite()) {
            return None;
        }
        (1..=30u8).rev().find_map(|shift| {
            let one = 1i64 << shift;
            let lhs_factor = i32::try_from(round_half_away(lhs_ratio * one as f64)).ok()?;
            let rhs_factor = i32::try_from(round_half_away(sign * rhs_ratio * one as f64)).ok()?;
            let offset = one / 2 + i64::from(output.zero_point) * one
                - i64::from(lhs.zero_point) * i64::from(lhs_factor)
                - i64::from(rhs.zero_point) * i64::from(rhs_factor);
            let extremes = [-128, 127];
            let sums = extremes.iter().flat_map(|&a| {
                extremes.map(|b| a * i64::from(lhs_factor) + b * i64::from(rhs_factor) + offset)
            });
            let fits = |x: i64| i32::try_from(x).is_ok();
            (sums.into_iter().all(fits) && fits(offset)).then_some(Self {
                lhs: lhs_factor,
                rhs: rhs_factor,
                offset: offset as i32,
                shift,
            })
        })
    }

    /// The sum of two operands as an output value.
    #[inline(always)]
    pub fn apply(self, lhs: i8, rhs: i8, output_min: i8, output_max: i8) -> i8 {
        let sum = (i32::from(lhs).wrapping_mul(self.lhs))
            .wrapping_add(i32::from(rhs).wrapping_mul(self.rhs))
            .wrapping_add(self.offset);
        clamp_i8(sum >> (self.shift & 31), output_min, output_max)
    }
}

/// `x / 2^shift`, nearest, ties up. `shift` in [0, 30]; `x + 2^(shift - 1)` must not overflow.
#[inline(always)]
pub fn shift_right_half_up(x: i32, shift: u32) -> i32 {
    let half = (1 << (shift & 31)) >> 1;
    x.wrapping_add(half) >> (shift & 31)
}

/// `sum / count`, nearest, ties away from zero. `count` must not be 0.
#[inline(always)]
pub fn divide_half_away(sum: i32, count: u32) -> i32 {
    let magnitude = sum.unsigned_abs().saturating_add(count / 2);
    let quotient = magnitude.checked_div(count).unwrap_or(0) as i32;
    if sum < 0 { -quotient } else { quotient }
}

/// `(a * b + 2^16 * half) / 2^32`, rounded down. `half` at most 2^15.
#[inline(always)]
pub(crate) fn multiply_high(a: u32, b: u32, half: u32) -> u32 {
    if cfg!(teff_armv6m) {
        multiply_high_by_halves(a, b, half)
    } else {
        ((u64::from(a) * u64::from(b) + (u64::from(half) << 16)) >> 32) as u32
    }
}

/// As [`multiply_high`], for processors whose products have 32 bits.
#[inline(always)]
fn multiply_high_by_halves(a: u32, b: u32, half: u32) -> u32 {
    let ((a1, a0), (b1, b0)) = ((a >> 16, a & 0xFFFF), (b >> 16, b & 0xFFFF));
    let middle = (a1 * b0).wrapping_add((a0 * b0) >> 16).wrapping_add(half);
    let lower = (a0 * b1).wrapping_add(middle & 0xFFFF);
    (a1 * b1).wrapping_add(middle >> 16).wrapping_add(lower >> 16)
}

/// Division of many numerators by one sum, without a 64-bit division: the sum's reciprocal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Normalizer {
    /// Leading zeros of the sum.
    shift: u8,
    /// `2^63 / (sum << shift)`, in [2^31, 2^32), from 5 below to 2 above the real value.
    reciprocal: u32,
}

impl Normalizer {
    /// The reciprocal of `sum`; 0 counts as 1.
    pub fn new(sum: u32) -> Self {
        let sum = sum.max(1);
        let shift = sum.leading_zeros() as u8;
        let normalized = sum << shift;
        // 2^48 / normalized from its upper half, to 15 bits; one Newton step doubles them.
        let estimate = (u32::MAX).checked_div(normalized >> 16).unwrap_or(0);
        let product = ((u64::from(normalized) * u64::from(estimate)) >> 17) as u32;
        let two_less_product = 0u32.wrapping_sub(product);
        let reciprocal = (u64::from(estimate) * u64::from(two_less_product)) >> 16;
        Self { shift, reciprocal: reciprocal.min(u64::from(u32::MAX)) as u32 }
    }

    /// `floor(numerator / sum * 2^23)` within 1, for a numerator not above the sum: in [0, 2^23].
    #[inline(always)]
    pub fn share(self, numerator: u32) -> i32 {
        let normalized = numerator << (self.shift & 31);
        (multiply_high(normalized, self.reciprocal, 0) >> 8) as i32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FULL: (i8, i8) = (i8::MIN, i8::MAX);

    #[test]
    fn ties_go_up_in_requantize_and_to_even_in_quantize() {
        let half = 1 << 30;
        assert_eq!(requantize(1, half, 0, 0, FULL.0, FULL.1), 1);
        assert_eq!(requantize(-1, half, 0, 0, FULL.0, FULL.1), 0);
        assert_eq!(requantize(3, half, 0, 0, FULL.0, FULL.1), 2);
        let unit = QuantParams { scale: 1.0, zero_point: 0 };
        assert_eq!([0.5, 1.5, -0.5, -1.5, 2.5].map(|x| unit.quantize(x)), [0, 2, 0, -2, 2]);
        assert_eq!([f32::INFINITY, f32::NEG_INFINITY, f32::NAN].map(|x| unit.quantize(x)), [127, -128, 0]);
        assert_eq!([5, -5, 4, -4, 6].map(|s| divide_half_away(s, 2)), [3, -3, 2, -2, 3]);
    }

    #[test]
    fn saturated_shift_reaches_the_same_clamp() {
        let big = Multiplier::from_factor(3.7).unwrap();
        assert_eq!(big.shift, 2);
        assert_eq!(requantize(i32::MAX, big.mantissa, big.shift, 5, FULL.0, FULL.1), 127);
        assert_eq!(requantize(i32::MIN, big.mantissa, big.shift, 5, FULL.0, FULL.1), -128);
    }

    #[test]
    fn a_normalizer_divides_within_one_step_of_2_pow_23() {
        let check = |sum: u32| {
            let normalizer = Normalizer::new(sum);
            for numerator in [0, 1, sum / 3, sum / 2, sum - 1, sum] {
                let exact = (u64::from(numerator) << 23) / u64::from(sum);
                let got = i64::from(normalizer.share(numerator));
                assert!((got - exact as i64).abs() <= 1, "{numerator} of {sum}: {got} against {exact}");
                assert!((0..=1 << 23).contains(&got));
            }
        };
        // Every upper half of a normalized sum, at both ends and inside.
        for upper in 0x8000..=0xFFFFu32 {
            for lower in [0, 1, 0x7FFF, 0x8000, 0xFFFF] {
                check(upper << 16 | lower);
            }
        }
        for sum in (1..5000).chain((0..32).map(|bit| 1 << bit)).chain((1..32).map(|bit| (1 << bit) - 1)) {
            check(sum);
        }
        assert_eq!(Normalizer::new(0), Normalizer::new(1));
    }

    #[test]
    fn products_by_halves_agree() {
        let ends = [0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x1_0000, 0x7FFF_FFFF, 0x8000_0000, u32::MAX - 1, u32::MAX];
        for (a, b) in ends.iter().flat_map(|&a| ends.map(|b| (a, b))) {
            for half in [0, 1 << 15] {
                assert_eq!(multiply_high_by_halves(a, b, half), multiply_high(a, b, half), "{a} {b}");
            }
        }
    }

    proptest! {
        #[test]
        fn any_products_by_halves_agree(a: u32, b: u32, half in 0..=1u32 << 15) {
            prop_assert_eq!(multiply_high_by_halves(a, b, half), multiply_high(a, b, half));
        }

        #[test]
        fn both_forms_of_requantize_agree(acc: i32, mantissa in 0..=i32::MAX, shift in 0..=30u8, zp: i8, a: i8, b: i8) {
            let shifted = if shift == 0 { acc } else { shift_left_saturating(acc, shift) };
            let scaled = ((i64::from(shifted) * i64::from(mantissa) + (1 << 30)) >> 31) as i32;
            let expected = clamp_i8(scaled.saturating_add(i32::from(zp)), a.min(b), a.max(b));
            prop_assert_eq!(requantize(acc, mantissa, shift, zp, a.min(b), a.max(b)), expected);
        }

        #[test]
        fn requantize_is_the_real_product_rounded_once(acc in -8_388_608..8_388_608i32, exponent in -20.0..2.0f64, zp: i8) {
            let factor = libm_exp2(exponent);
            let m = Multiplier::from_factor(factor).unwrap();
            let got = requantize(acc, m.mantissa, m.shift, zp, FULL.0, FULL.1);
            let exact = f64::from(acc) * factor + f64::from(zp);
            let error = (f64::from(got) - exact.clamp(-128.0, 127.0)).abs();
            // The rounded mantissa moves the product by at most |acc| * 2^(shift-32).
            let bound = 0.5 + f64::from(acc.abs()) * f64::from(1u32 << m.shift) / 4_294_967_296.0 + 1e-9;
            prop_assert!(error <= bound, "acc {acc} factor {factor}: {got} against {exact}");
        }

        #[test]
        fn add_is_the_real_sum_within_its_bound(a: i8, b: i8, sa in 0.001..10.0f32, sb in 0.001..10.0f32, so in 0.01..20.0f32, za: i8, zb: i8, zo: i8) {
            let (pa, pb, po) = (
                QuantParams { scale: sa, zero_point: za },
                QuantParams { scale: sb, zero_point: zb },
                QuantParams { scale: so, zero_point: zo },
            );
            let c = AddCoefficients::new(pa, pb, po).unwrap();
            let got = c.apply(a, b, FULL.0, FULL.1);
            let real = |p: QuantParams, q: i8| f64::from(p.scale) * (f64::from(q) - f64::from(p.zero_point));
            let exact = (real(pa, a) + real(pb, b)) / f64::from(so) + f64::from(zo);
            let bound = 0.5 + 256.0 / f64::from(1u32 << c.shift) + 1e-9;
            prop_assert!((f64::from(got) - exact.clamp(-128.0, 127.0)).abs() <= bound);

            let d = AddCoefficients::difference(pa, pb, po).unwrap();
            let got = d.apply(a, b, FULL.0, FULL.1);
            let exact = (real(pa, a) - real(pb, b)) / f64::from(so) + f64::from(zo);
            let bound = 0.5 + 256.0 / f64::from(1u32 << d.shift) + 1e-9;
            prop_assert!((f64::from(got) - exact.clamp(-128.0, 127.0)).abs() <= bound);
        }
    }

    fn libm_exp2(x: f64) -> f64 {
        // Whole powers and a quarter step are enough to spread the factors.
        let whole = x.floor() as i32;
        let scale = if whole < 0 { 1.0 / f64::from(1u32 << -whole) } else { f64::from(1u32 << whole) };
        scale * (1.0 + (x - x.floor()))
    }
}
