//! How an accumulator becomes an 8-bit integer: exactly, and as the engines of the field do it.

/// A rounding rule.
///
/// The formulas stand in `docs/conformance.md`. They apply to sums of products (convolutions, fully connected layers),
/// to additions and to multiplications; every other operator is computed exactly under every rule, apart from the ties
/// of a mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// The real result, rounded once; ties away from zero.
    Exact,
    /// gemmlowp's two roundings: a doubling high product, then a division by a power of two (TensorFlow Lite's and
    /// TensorFlow Lite Micro's reference kernels as they are usually built).
    Double,
    /// One 64-bit product, one half added, one shift (TensorFlow Lite built for single rounding, and its reference
    /// kernel of fully connected layers).
    Single,
    /// 32-bit floating point, ties to even (ONNX Runtime).
    Float,
}

impl Rule {
    /// All of them.
    pub const ALL: [Rule; 4] = [Rule::Exact, Rule::Double, Rule::Single, Rule::Float];

    /// Short name.
    pub fn name(self) -> &'static str {
        match self {
            Rule::Exact => "exact",
            Rule::Double => "double",
            Rule::Single => "single",
            Rule::Float => "float",
        }
    }
}

/// A real factor as TensorFlow Lite holds it: `mantissa * 2^(exponent - 31)`, the mantissa in [2^30, 2^31).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fixed {
    mantissa: i32,
    exponent: i32,
}

impl Fixed {
    pub(super) fn new(factor: f64) -> Fixed {
        if factor == 0.0 {
            return Fixed { mantissa: 0, exponent: 0 };
        }
        let (fraction, mut exponent) = libm::frexp(factor);
        let mut mantissa = teff::quant::round_half_away(fraction * f64::from(1u32 << 31));
        if mantissa == 1 << 31 {
            (mantissa, exponent) = (mantissa / 2, exponent + 1);
        }
        // Beyond the 31 bits of the shift every product is taken for zero.
        if exponent < -31 {
            (mantissa, exponent) = (0, 0);
        }
        Fixed { mantissa: mantissa as i32, exponent: exponent.min(30) }
    }

    /// `x` times the factor under one of TensorFlow Lite's two rules.
    pub(super) fn apply(self, rule: Rule, x: i32) -> i32 {
        if rule == Rule::Double { self.double(x) } else { self.single(x) }
    }

    fn double(self, x: i32) -> i32 {
        let left = x.wrapping_shl(self.exponent.max(0) as u32);
        divide_by_power_of_two(doubling_high_product(left, self.mantissa), (-self.exponent).max(0) as u32)
    }

    fn single(self, x: i32) -> i32 {
        let shift = 31 - self.exponent;
        let sum = i64::from(x) * i64::from(self.mantissa) + (1i64 << (shift - 1));
        (sum >> shift).clamp(i32::MIN.into(), i32::MAX.into()) as i32
    }
}

/// `a * b / 2^31`, nearest, ties up; of -2^31 and itself, the largest integer.
fn doubling_high_product(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    let product = i64::from(a) * i64::from(b);
    let nudge = if product >= 0 { 1i64 << 30 } else { 1 - (1i64 << 30) };
    ((product + nudge) / (1i64 << 31)) as i32
}

/// `x / 2^exponent`, nearest, ties away from zero.
fn divide_by_power_of_two(x: i32, exponent: u32) -> i32 {
    let mask = ((1i64 << exponent) - 1) as i32;
    let threshold = (mask >> 1) + i32::from(x < 0);
    let quotient = if exponent > 31 { 0 } else { x >> exponent.min(31) };
    quotient + i32::from((x & mask) > threshold)
}

/// TensorFlow Lite's addition: both operands in units of twice the larger scale, with 20 further bits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sum {
    lhs: Fixed,
    rhs: Fixed,
    output: Fixed,
}

const SUM_BITS: u32 = 20;

impl Sum {
    pub(super) fn new(lhs: f32, rhs: f32, output: f32) -> Sum {
        let twice = 2.0 * f64::from(lhs.max(rhs));
        Sum {
            lhs: Fixed::new(f64::from(lhs) / twice),
            rhs: Fixed::new(f64::from(rhs) / twice),
            output: Fixed::new(twice / (f64::from(1u32 << SUM_BITS) * f64::from(output))),
        }
    }

    /// The sum of two integers from which the zero points are subtracted.
    pub(super) fn apply(&self, rule: Rule, a: i32, b: i32) -> i32 {
        let a = self.lhs.apply(rule, a << SUM_BITS);
        let b = self.rhs.apply(rule, b << SUM_BITS);
        self.output.apply(rule, a.wrapping_add(b))
    }
}

/// ONNX Runtime's: the accumulator and the factor in 32-bit floating point, ties to even.
pub(super) fn float(acc: i64, factor: f32) -> i32 {
    teff::quant::round_ties_even(acc as f32 * factor) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_held_as_mantissa_and_exponent() {
        assert_eq!(Fixed::new(0.5), Fixed { mantissa: 1 << 30, exponent: 0 });
        assert_eq!(Fixed::new(1.0), Fixed { mantissa: 1 << 30, exponent: 1 });
        assert_eq!(Fixed::new(0.75 / 8.0), Fixed { mantissa: 3 << 29, exponent: -3 });
        assert_eq!(Fixed::new(1e-12), Fixed { mantissa: 0, exponent: 0 });
        // Nearly 1: the mantissa would have one bit too many.
        assert_eq!(Fixed::new(1.0 - 1e-12), Fixed { mantissa: 1 << 30, exponent: 1 });
    }

    #[test]
    fn two_roundings_differ_from_one_where_the_first_makes_a_tie() {
        // 7/16 is below a half, but after the first rounding, of 7/2 to 4, it is the tie 4/8.
        let factor = Fixed::new(1.0 / 16.0);
        assert_eq!(factor.exponent, -3);
        assert_eq!((factor.single(7), factor.double(7)), (0, 1));
        assert_eq!((factor.single(8), factor.double(8)), (1, 1));
        // Ties below zero: away from zero in the division, up in the single shift.
        assert_eq!((factor.single(-8), factor.double(-8)), (0, -1));
        assert_eq!((factor.single(-24), factor.double(-24)), (-1, -2));
        assert_eq!(doubling_high_product(i32::MIN, i32::MIN), i32::MAX);
        assert_eq!(divide_by_power_of_two(i32::MIN, 31), -1);
        assert_eq!(divide_by_power_of_two(-5, 0), -5);
    }

    #[test]
    fn sums_are_near_the_real_sum() {
        let sum = Sum::new(0.02, 0.05, 0.04);
        for rule in [Rule::Double, Rule::Single] {
            for (a, b) in [(100, -30), (-128, -127), (255, 255), (0, 0), (3, 1)] {
                let exact = (0.02 * f64::from(a) + 0.05 * f64::from(b)) / 0.04;
                assert!((f64::from(sum.apply(rule, a, b)) - exact).abs() < 0.501, "{a} {b}");
            }
        }
        assert_eq!(float(3, 0.5), 2);
        assert_eq!(float(-5, 0.5), -2);
        assert_eq!(float(i64::MAX, 1.0), i32::MAX);
    }
}
