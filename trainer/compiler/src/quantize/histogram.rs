//! What one value held over many samples.

/// Number of equal bins on each side of zero.
pub(super) const BINS: usize = 2048;

/// Bits of a number's pattern that its logarithmic bin leaves out: sign, exponent and six bits of the mantissa stay.
const DROPPED: u32 = 17;

/// Collects the numbers of one value.
///
/// They are counted twice: in bins of equal width around zero, which are joined in pairs when a number lies outside, and in bins
/// whose width is a 64th of the power of two below them, which resolve the bulk of the numbers however far out a single one
/// lies. The result does not depend on the order of the numbers.
#[derive(Debug, Clone)]
pub struct Histogram {
    least: f32,
    most: f32,
    /// Width of an equal bin: a power of two.
    width: f64,
    below: Vec<u64>,
    above: Vec<u64>,
    logarithmic: Vec<u64>,
    count: u64,
    zeros: u64,
    /// Numbers that are infinite or not numbers.
    strange: u64,
}

/// Numbers that lie together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bin {
    /// Smaller edge.
    pub low: f64,
    /// Larger edge.
    pub high: f64,
    /// How many.
    pub count: u64,
}

impl Histogram {
    /// A histogram that has seen nothing. Without `bins` it keeps smallest and largest number alone.
    pub fn new(bins: bool) -> Histogram {
        let (equal, logarithmic) = if bins { (BINS, 1 << (32 - DROPPED)) } else { (0, 0) };
        Histogram {
            least: f32::INFINITY,
            most: f32::NEG_INFINITY,
            width: 0.0,
            below: vec![0; equal],
            above: vec![0; equal],
            logarithmic: vec![0; logarithmic],
            count: 0,
            zeros: 0,
            strange: 0,
        }
    }

    /// Takes in numbers.
    pub fn observe(&mut self, numbers: &[f32]) {
        let (mut least, mut most) = (self.least, self.most);
        for &x in numbers {
            if x.is_finite() {
                least = least.min(x);
                most = most.max(x);
            } else {
                self.strange += 1;
            }
        }
        (self.least, self.most) = (least, most);
        if self.below.is_empty() || least > most {
            return;
        }
        let reach = f64::from(least.abs().max(most.abs()));
        if reach > 0.0 {
            self.grow(reach);
        }
        // The width is a power of two, so that its reciprocal is exact.
        let per_width = if self.width > 0.0 { 1.0 / self.width } else { 0.0 };
        for &x in numbers.iter().filter(|x| x.is_finite()) {
            self.count += 1;
            if x == 0.0 {
                self.zeros += 1;
            } else {
                self.logarithmic[(x.to_bits() >> DROPPED) as usize] += 1;
            }
            let bins = if x < 0.0 { &mut self.below } else { &mut self.above };
            bins[((f64::from(x.abs()) * per_width) as usize).min(BINS - 1)] += 1;
        }
    }

    /// Widens the equal bins until `reach` lies inside.
    fn grow(&mut self, reach: f64) {
        if self.width == 0.0 {
            self.width = libm::exp2(libm::ceil(libm::log2(reach / BINS as f64)));
        }
        while reach >= self.width * BINS as f64 {
            self.width *= 2.0;
            for bins in [&mut self.below, &mut self.above] {
                for i in 0..BINS {
                    let pair = |j: usize| bins.get(j).copied().unwrap_or(0);
                    bins[i] = pair(2 * i) + pair(2 * i + 1);
                }
            }
        }
    }

    /// Numbers seen that are infinite or not numbers.
    pub fn strange(&self) -> u64 {
        self.strange
    }

    /// Smallest and largest number, or `None` where nothing was seen.
    pub fn extremes(&self) -> Option<(f32, f32)> {
        (self.least <= self.most).then_some((self.least, self.most))
    }

    /// How many finite numbers were seen.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// How many of them were zero.
    pub(super) fn zeros(&self) -> u64 {
        self.zeros
    }

    /// Width of the equal bins; 0 where only zero was seen.
    pub(super) fn width(&self) -> f64 {
        self.width
    }

    /// The equal bins' counts, from zero outwards: below and above.
    pub(super) fn sides(&self) -> (&[u64], &[u64]) {
        (&self.below, &self.above)
    }

    /// The equal bins from the lowest to the highest.
    pub(super) fn equal_bins(&self) -> Vec<Bin> {
        let edge = |i: usize| i as f64 * self.width;
        let below = self.below.iter().enumerate().rev();
        let below = below.map(|(i, &count)| Bin { low: -edge(i + 1), high: -edge(i), count });
        let above = self.above.iter().enumerate();
        let above = above.map(|(i, &count)| Bin { low: edge(i), high: edge(i + 1), count });
        below.chain(above).collect()
    }

    /// The logarithmic bins that are not empty, from the lowest to the highest, without the zeros.
    pub(super) fn logarithmic_bins(&self) -> Vec<Bin> {
        let half = self.logarithmic.len() / 2;
        let (least, most) = (f64::from(self.least), f64::from(self.most));
        let bin = |index: usize, sign: f64| {
            let count = self.logarithmic[if sign < 0.0 { index + half } else { index }];
            let edge = |index: usize| f64::from(f32::from_bits((index as u32) << DROPPED));
            let (near, far) = (edge(index), edge(index + 1).min(f64::from(f32::MAX)));
            let (low, high) = if sign < 0.0 { (-far, -near) } else { (near, far) };
            Bin { low: low.max(least), high: high.min(most), count }
        };
        // The bins of infinities and what is not a number stay empty.
        let finite = (f32::INFINITY.to_bits() >> DROPPED) as usize;
        let below = (0..finite.min(half)).rev().map(|index| bin(index, -1.0));
        let above = (0..finite.min(half)).map(|index| bin(index, 1.0));
        below.chain(above).filter(|bin| bin.count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_and_nonsense() {
        let mut h = Histogram::new(true);
        assert_eq!(h.extremes(), None);
        h.observe(&[f32::NAN, f32::INFINITY]);
        assert_eq!((h.extremes(), h.strange(), h.count()), (None, 2, 0));
        h.observe(&[0.0, -0.0]);
        assert_eq!((h.extremes(), h.zeros()), (Some((0.0, 0.0)), 2));
        assert!(h.logarithmic_bins().is_empty());
    }

    #[test]
    fn bins_hold_their_numbers() {
        let numbers = [-3.0f32, -0.5, 0.0, 1e-20, 0.25, 7.0, f32::MAX, f32::MIN_POSITIVE / 4.0];
        let mut h = Histogram::new(true);
        h.observe(&numbers);
        let bins = h.logarithmic_bins();
        assert_eq!(bins.iter().map(|b| b.count).sum::<u64>(), 7);
        for x in numbers.iter().filter(|x| **x != 0.0) {
            let x = f64::from(*x);
            assert!(bins.iter().any(|b| b.low <= x && x <= b.high), "{x}");
        }
        assert!(bins.windows(2).all(|pair| pair[0].high <= pair[1].low));
    }

    proptest! {
        #[test]
        fn order_does_not_matter(mut numbers in prop::collection::vec(-1e6f32..1e6, 1..200)) {
            let (mut a, mut b) = (Histogram::new(true), Histogram::new(true));
            for x in &numbers {
                a.observe(&[*x]);
            }
            numbers.reverse();
            b.observe(&numbers);
            prop_assert_eq!(a.extremes(), b.extremes());
            prop_assert_eq!(a.logarithmic_bins(), b.logarithmic_bins());
            if a.width == b.width {
                prop_assert_eq!(a.equal_bins(), b.equal_bins());
            }
        }
    }
}
