//! Exact quotients of sums, and their nearest integers.
//!
//! A scale is a 32-bit float, so it is an integer times a power of two. A quotient of sums of such numbers is decided in
//! 64-bit floating point where that is certain to be right, and in integers of 128 bits where the quotient lies near the
//! middle between two integers.

/// Results beyond this are given as this: whoever rounds saturates to 8 bits afterwards.
const LIMIT: i32 = 1 << 20;

/// `mantissa * 2^exponent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dyadic {
    mantissa: i128,
    exponent: i32,
}

impl Dyadic {
    pub(super) fn integer(mantissa: i64) -> Dyadic {
        Dyadic { mantissa: i128::from(mantissa), exponent: 0 }
    }

    /// A finite float.
    pub(super) fn float(x: f32) -> Dyadic {
        let bits = x.to_bits();
        let (field, fraction) = ((bits >> 23 & 0xff) as i32, i128::from(bits & 0x7f_ffff));
        let (magnitude, exponent) =
            if field == 0 { (fraction, -149) } else { (fraction | 1 << 23, field - 150) };
        Dyadic { mantissa: if x < 0.0 { -magnitude } else { magnitude }, exponent }
    }

    /// The product of floats, at most four.
    pub(super) fn product(factors: &[f32]) -> Dyadic {
        factors.iter().fold(Dyadic::integer(1), |product, &x| {
            let x = Dyadic::float(x);
            Dyadic { mantissa: product.mantissa * x.mantissa, exponent: product.exponent + x.exponent }
        })
    }

    /// The nearest double, or nearly.
    fn approximate(self) -> f64 {
        libm::scalbn(self.mantissa as f64, self.exponent)
    }
}

/// The nearest integer to a quotient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rounded {
    /// Ties away from zero.
    pub away: i32,
    /// Whether the quotient lies in the middle between two integers.
    pub tie: bool,
}

impl Rounded {
    /// Ties to even.
    pub(super) fn even(self) -> i32 {
        if self.tie && self.away % 2 != 0 { self.away - self.away.signum() } else { self.away }
    }
}

/// `(integer_0 * scale_0 + integer_1 * scale_1 + …) / denominator` for scales and a denominator that are known before.
#[derive(Debug, Clone)]
pub(super) struct Quotient {
    scales: Vec<Dyadic>,
    denominator: Dyadic,
    /// `scale / denominator`, each within 2^-51 of itself.
    ratios: Vec<f64>,
}

impl Quotient {
    /// The denominator is greater than zero.
    pub(super) fn new(scales: &[Dyadic], denominator: Dyadic) -> Quotient {
        let ratios = scales.iter().map(|scale| scale.approximate() / denominator.approximate()).collect();
        Quotient { scales: scales.to_vec(), denominator, ratios }
    }

    /// `integer * scale / (denominator * count)`.
    pub(super) fn over(scale: f32, denominator: f32, count: i64) -> Quotient {
        let Dyadic { mantissa, exponent } = Dyadic::float(denominator);
        let denominator = Dyadic { mantissa: mantissa * i128::from(count), exponent };
        Quotient::new(&[Dyadic::float(scale)], denominator)
    }

    /// The nearest integer for these integers, one per scale.
    pub(super) fn round(&self, integers: &[i64]) -> Rounded {
        let (mut sum, mut reach) = (0.0f64, 0.0f64);
        for (&integer, ratio) in integers.iter().zip(&self.ratios) {
            let term = integer as f64 * ratio;
            sum += term;
            reach += term.abs();
        }
        // Of each term the integer, the ratio and the product are rounded, then the sum: below 2^-48 of `reach` in all.
        let error = reach * libm::exp2(-48.0);
        if sum.abs() - error > f64::from(LIMIT) {
            return Rounded { away: if sum > 0.0 { LIMIT } else { -LIMIT }, tie: false };
        }
        let magnitude = sum.abs();
        let (low, fraction) = (libm::floor(magnitude), magnitude - libm::floor(magnitude));
        if (fraction - 0.5).abs() <= error
            && let Some(exact) = self.round_exactly(integers)
        {
            return exact;
        }
        let away = low as i32 + i32::from(fraction >= 0.5);
        Rounded { away: if sum < 0.0 { -away } else { away }, tie: false }
    }

    /// The same in integers; `None` where 128 bits do not hold them, as for scales that are 2^40 apart.
    fn round_exactly(&self, integers: &[i64]) -> Option<Rounded> {
        let terms = || {
            self.scales.iter().zip(integers).filter(|(scale, integer)| scale.mantissa != 0 && **integer != 0)
        };
        let lowest = terms().map(|(scale, _)| scale.exponent).min().unwrap_or(0);
        let mut sum = 0i128;
        for (scale, &integer) in terms() {
            let product = scale.mantissa.checked_mul(i128::from(integer))?;
            sum = sum.checked_add(shifted(product, scale.exponent - lowest)?)?;
        }
        let shift = lowest - self.denominator.exponent;
        let numerator = shifted(sum.abs(), shift.max(0))?;
        // A denominator that does not fit dwarfs every numerator that does.
        let Some(denominator) = shifted(self.denominator.mantissa, (-shift).max(0)) else {
            return Some(Rounded { away: 0, tie: false });
        };
        let (quotient, rest) = (numerator / denominator, numerator % denominator);
        let (tie, up) = (rest == denominator - rest, rest >= denominator - rest);
        let away = i32::try_from(quotient).unwrap_or(LIMIT).min(LIMIT) + i32::from(up);
        Some(Rounded { away: if sum < 0 { -away } else { away }, tie })
    }
}

/// `x * 2^by`, where two bits more are left.
fn shifted(x: i128, by: i32) -> Option<i128> {
    let room = x.unsigned_abs().leading_zeros() as i32 - 3;
    if x == 0 { Some(0) } else { (by <= room).then(|| x << by) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quotient(scales: &[f32], denominator: f32) -> Quotient {
        let scales: Vec<Dyadic> = scales.iter().map(|&s| Dyadic::float(s)).collect();
        Quotient::new(&scales, Dyadic::float(denominator))
    }

    #[test]
    fn ties_are_seen_and_go_away_from_zero() {
        let half = quotient(&[0.5], 1.0);
        let round = |q: &Quotient, i: i64| (q.round(&[i]).away, q.round(&[i]).even(), q.round(&[i]).tie);
        assert_eq!(round(&half, 1), (1, 0, true));
        assert_eq!(round(&half, -1), (-1, 0, true));
        assert_eq!(round(&half, 3), (2, 2, true));
        assert_eq!(round(&half, -5), (-3, -2, true));
        assert_eq!(round(&half, 4), (2, 2, false));
        // 0.1 is not a tenth: five of them over one are a little more than a half.
        let tenth = quotient(&[0.1], 1.0);
        assert_eq!(round(&tenth, 5), (1, 1, false));
        assert_eq!(quotient(&[1.0, 1e30], 1.0).round(&[1, 1]).away, LIMIT);
        assert_eq!(quotient(&[f32::MIN_POSITIVE], f32::MAX).round(&[i64::from(i32::MAX)]).away, 0);
        assert_eq!(quotient(&[1e-45], 3e-45).round(&[3]), Rounded { away: 2, tie: true });
    }

    #[test]
    fn near_a_tie_the_last_bit_decides() {
        // 2^23 + 1 times 2^-24 is the least float above a half.
        let just_above = f32::from_bits(0.5f32.to_bits() + 1);
        let just_below = f32::from_bits(0.5f32.to_bits() - 1);
        for (scale, expected) in [(just_above, 1), (0.5, 1), (just_below, 0)] {
            let q = quotient(&[scale * 4.0, 4.0], 4.0);
            assert_eq!(q.round(&[1, 0]).away, expected, "{scale}");
            // A large even integer before the point: the doubles near it are far apart.
            assert_eq!(q.round(&[1, 1000]).away, 1000 + expected);
        }
    }

    proptest! {
        #[test]
        fn both_ways_agree(a in -2_000_000_000i64..2_000_000_000, b in -200_000i64..200_000,
                           s in 1e-9f32..1e-3, t in 1e-9f32..1e-3, d in 1e-3f32..1e3) {
            let q = quotient(&[s, t], d);
            let exact = q.round_exactly(&[a, b]).unwrap();
            let fast = q.round(&[a, b]);
            prop_assert_eq!(fast.away, exact.away.clamp(-LIMIT, LIMIT));
        }

        #[test]
        fn floats_are_what_they_are(bits: u32) {
            let x = f32::from_bits(bits);
            prop_assume!(x.is_finite());
            prop_assert_eq!(Dyadic::float(x).approximate(), f64::from(x));
        }
    }
}
