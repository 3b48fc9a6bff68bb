//! The range of one value over many samples.

/// How a range is chosen from what was observed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Method {
    /// From the smallest to the largest number.
    MinMax,
    /// The range that leaves out the given share of the numbers at each end, in percent: 99.99
    /// leaves out the lowest and the highest hundredth of a percent.
    Percentile(f64),
}

/// Number of bins on each side of zero.
const BINS: usize = 2048;

/// Collects the numbers of one value.
///
/// Numbers are counted in bins of equal width around zero; when a number lies outside, the bins
/// are joined in pairs until it fits. The result does not depend on the order of the numbers.
#[derive(Debug, Clone)]
pub struct Observer {
    method: Method,
    least: f32,
    most: f32,
    /// Width of a bin: a power of two.
    width: f64,
    below: Vec<u64>,
    above: Vec<u64>,
    count: u64,
    /// Numbers that are infinite or not numbers.
    strange: u64,
}

impl Observer {
    /// An observer that has seen nothing.
    pub fn new(method: Method) -> Observer {
        let bins = if method == Method::MinMax { 0 } else { BINS };
        Observer {
            method,
            least: f32::INFINITY,
            most: f32::NEG_INFINITY,
            width: 0.0,
            below: vec![0; bins],
            above: vec![0; bins],
            count: 0,
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
        if self.method == Method::MinMax || least > most {
            return;
        }
        let reach = f64::from(least.abs().max(most.abs()));
        if reach > 0.0 {
            self.grow(reach);
        }
        for &x in numbers.iter().filter(|x| x.is_finite()) {
            let bins = if x < 0.0 { &mut self.below } else { &mut self.above };
            let bin = if self.width > 0.0 { f64::from(x.abs()) / self.width } else { 0.0 };
            let last = bins.len() - 1;
            bins[(bin as usize).min(last)] += 1;
            self.count += 1;
        }
    }

    /// Widens the bins until `reach` lies inside.
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

    /// The chosen range, or `None` where nothing was seen.
    pub fn range(&self) -> Option<(f32, f32)> {
        if self.least > self.most {
            return None;
        }
        let Method::Percentile(percentile) = self.method else {
            return Some((self.least, self.most));
        };
        let share = (1.0 - percentile / 100.0).clamp(0.0, 0.5);
        let left_out = libm::floor(share * self.count as f64) as u64;
        // Bins from the lowest to the highest, each with its outer edges.
        let below = (0..BINS).rev().map(|i| (self.below[i], -((i + 1) as f64), -(i as f64)));
        let above = (0..BINS).map(|i| (self.above[i], i as f64, (i + 1) as f64));
        let bins: Vec<(u64, f64, f64)> = below.chain(above).collect();
        let edge = |found: Option<f64>, otherwise: f32| match found {
            Some(edge) => (edge * self.width) as f32,
            None => otherwise,
        };
        let mut seen = 0;
        let low = bins.iter().find(|bin| {
            seen += bin.0;
            seen > left_out
        });
        seen = 0;
        let high = bins.iter().rev().find(|bin| {
            seen += bin.0;
            seen > left_out
        });
        let low = edge(low.map(|b| b.1), self.least).max(self.least);
        let high = edge(high.map(|b| b.2), self.most).min(self.most);
        Some((low.min(high), high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn outliers_are_left_out() {
        let mut numbers: Vec<f32> = (0..10_000).map(|i| i as f32 / 10_000.0).collect();
        numbers.push(1000.0);
        let mut all = Observer::new(Method::MinMax);
        let mut most = Observer::new(Method::Percentile(99.9));
        all.observe(&numbers);
        most.observe(&numbers);
        assert_eq!(all.range(), Some((0.0, 1000.0)));
        let (low, high) = most.range().unwrap();
        assert!((0.0..=0.01).contains(&low) && (0.9..2.0).contains(&high), "{low} {high}");
    }

    #[test]
    fn nothing_and_nonsense() {
        let mut o = Observer::new(Method::Percentile(99.0));
        assert_eq!(o.range(), None);
        o.observe(&[f32::NAN, f32::INFINITY]);
        assert_eq!((o.range(), o.strange()), (None, 2));
        o.observe(&[0.0, 0.0]);
        assert_eq!(o.range(), Some((0.0, 0.0)));
    }

    proptest! {
        #[test]
        fn order_does_not_matter(mut numbers in prop::collection::vec(-1e6f32..1e6, 1..200)) {
            let mut a = Observer::new(Method::Percentile(95.0));
            for x in &numbers {
                a.observe(&[*x]);
            }
            numbers.reverse();
            let mut b = Observer::new(Method::Percentile(95.0));
            b.observe(&numbers);
            let (low, high) = a.range().unwrap();
            prop_assert!(low <= high);
            if a.width == b.width {
                prop_assert_eq!(a.range(), b.range());
            }
        }
    }
}
